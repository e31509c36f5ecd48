"""What we announce and must not: anything that overlaps OT, anything that is not sanctioned towards its cloud.

Judged from our own routers' reports, from what the clouds say they accepted, and from the clouds' own tables. A leak
that was seen stays an alert until somebody has seen it gone, however old the report is.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from network import remedies
from network.alert import Alert, Remedy
from network.inventory import Path
from network.layers import View
from network.observation import Advertised, CloudRoutes, Kind, Observation
from network.prefixes import network_of, overlap

#: Leaks of one kind on one path that have an alert each; the rest share one, so that a flood stays readable.
EACH = 5


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with announcing a prefix: it overlaps OT, or is merely not ours to announce there."""

    kind: Literal["ot", "leak"]
    words: str


def alerts(view: View) -> Iterator[Alert]:
    faults = _Faults(view, {})
    for path in view.site.paths:
        yield from _announced(faults, path)
    for cloud in view.site.clouds:
        yield from _in_the_cloud(faults, cloud.name)


@dataclass(frozen=True, slots=True)
class _Faults:
    """Judges a prefix once a cloud: the same few are announced on every path."""

    view: View
    known: dict[tuple[str, str], Fault | None]

    def of(self, cloud: str, prefix: str) -> Fault | None:
        """None when the prefix is sanctioned towards the cloud."""
        key = cloud, prefix
        if key not in self.known:
            self.known[key] = self._judge(cloud, prefix)
        return self.known[key]

    def _judge(self, cloud: str, prefix: str) -> Fault | None:
        on_prem, network = self.view.site.on_prem, network_of(prefix)
        ot = next((ot for ot in on_prem.ot_ranges if overlap(prefix, ot)), None)
        if ot:
            return Fault("ot", f"overlaps OT {ot}")
        if network is None:
            return Fault("leak", "cannot be read as a prefix")
        towards = {name for each in on_prem.prefixes if network == each.prefix for name in each.towards}
        if cloud in towards:
            return None
        only = f" towards {cloud}, only towards {', '.join(sorted(towards))}" if towards else ""
        return Fault("leak", f"is not sanctioned{only}")


def _announced(faults: _Faults, path: Path) -> Iterator[Alert]:
    """On one path's session, by our own report and by the cloud's."""
    said = _said(faults.view, path)
    probe = f"{path.probe.source}/32" if path.probe and said else None
    found: dict[str, list[tuple[str, str]]] = {}
    for prefix in sorted(said):
        fault = faults.of(path.cloud, prefix) if prefix != probe and not _forces(faults.view, path, prefix) else None
        if fault:
            text = f"{prefix} is advertised and {fault.words} ({', '.join(said[prefix])})"
            found.setdefault(fault.kind, []).append((prefix, text))
    fitting = tuple(remedies.off(faults.view.site, path)) if found and path.vxc else ()
    for kind, leaks in found.items():
        yield from _each(kind, path.name, leaks, fitting)


def _forces(view: View, path: Path, prefix: str) -> bool:
    """One of the longer prefixes that force the VPN: sanctioned there, and a leak on every other path."""
    return path.kind == "vpn" and network_of(prefix) in view.site.specifics(path.cloud)


def _each(kind: str, path: str, leaks: Sequence[tuple[str, str]], fitting: tuple[Remedy, ...]) -> Iterator[Alert]:
    for prefix, text in leaks[:EACH]:
        yield Alert(f"{kind}:{path}:{prefix}", "critical", path, text, runbooks=fitting)
    if rest := leaks[EACH:]:
        text = f"{len(rest)} more like {leaks[0][0]}, the last is {rest[-1][0]}"
        yield Alert(f"{kind}:{path}:more", "critical", path, text, runbooks=fitting)


def _said(view: View, path: Path) -> dict[str, dict[str, None]]:
    """Who says so, by prefix: our router, the cloud, or both."""
    reports = {
        "our router says": view.snapshot.get(Kind.ADVERTISED, path.session),
        f"{path.cloud} accepted it": view.snapshot.get(Kind.ACCEPTED, path.name),
    }
    said: dict[str, dict[str, None]] = {}
    for who, seen in reports.items():
        if seen and isinstance(seen.fact, Advertised):
            words = who + _old(view, seen)
            for route in seen.fact.routes:
                said.setdefault(route.prefix, {})[words] = None
    return said


def _old(view: View, seen: Observation) -> str:
    return f" {seen.age_s(view.now):.0f} s ago" if seen.stale(view.now) else ""


def _in_the_cloud(faults: _Faults, cloud: str) -> Iterator[Alert]:
    """An OT range in the cloud's own table by a path of ours, whoever announced it."""
    seen = faults.view.snapshot.fact(Kind.CLOUD_ROUTES, cloud, CloudRoutes)
    for route in seen.routes if seen else ():
        fault = faults.of(cloud, route.prefix) if route.via else None
        if fault and fault.kind == "ot":
            text = f"{cloud} reaches {route.prefix} by {', '.join(route.via)}: it {fault.words}"
            yield Alert(f"ot:{cloud}:{route.prefix}", "critical", cloud, text)
