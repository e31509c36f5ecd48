"""What we accept from the clouds and must not: routes into OT or our own prefixes, routes that nobody expects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Network

from network.alert import Alert
from network.inventory import Path
from network.layers import View
from network.observation import Kind, Received
from network.prefixes import network_of, overlap

#: Prefixes that an alert names before it counts the rest.
NAMED = 4


def alerts(view: View) -> Iterator[Alert]:
    verdicts: dict[tuple[str, str], str] = {}
    for path in view.site.paths:
        seen = view.snapshot.fact(Kind.RECEIVED, path.session, Received)
        found: dict[str, list[str]] = {}
        for route in seen.routes if seen else ():
            key = path.cloud, route.prefix
            if key not in verdicts:
                verdicts[key] = _fault(view, *key)
            if route.accepted and verdicts[key]:
                found.setdefault(verdicts[key], []).append(route.prefix)
        yield from _alerts(path, found)


def _alerts(path: Path, found: dict[str, list[str]]) -> Iterator[Alert]:
    stray = found.pop(_STRAY, [])
    for fault, prefixes in found.items():
        text = f"accepted from {path.cloud}: {_list(prefixes)}, {fault}"
        yield Alert(f"accepted:{path.name}:{fault.rsplit(' ', 1)[-1]}", "critical", path.name, text)
    if stray:
        text = f"accepted from {path.cloud}: {_list(stray)}, {_STRAY}"
        yield Alert(f"unexpected:{path.name}", "warning", path.name, text)


_STRAY = "a route that this site does not expect"


def _fault(view: View, cloud: str, prefix: str) -> str:
    """What is wrong with a route from a cloud; "" when it lies inside the cloud's own prefixes."""
    site, network = view.site, network_of(prefix)
    ot = next((ot for ot in site.on_prem.ot_ranges if overlap(prefix, ot)), None)
    if ot:
        return f"which overlaps OT {ot}"
    own = next((each.prefix for each in site.on_prem.prefixes if overlap(prefix, each.prefix)), None)
    if own:
        return f"which overlaps our own {own}"
    inside = isinstance(network, IPv4Network) and any(network.subnet_of(p.prefix) for p in site.cloud(cloud).prefixes)
    return "" if inside else _STRAY


def _list(prefixes: Sequence[str]) -> str:
    more = f" and {len(prefixes) - NAMED} more" if len(prefixes) > NAMED else ""
    return ", ".join(prefixes[:NAMED]) + more
