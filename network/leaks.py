"""What we announce and must not: anything that overlaps OT, anything that is not sanctioned towards its cloud.

Judged from our own routers' reports, from what the clouds say they accepted, and from the clouds' own tables. A leak
that was seen stays an alert until somebody has seen it gone, however old the report is.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from network import remedies
from network.alert import Alert
from network.inventory import Path
from network.layers import View
from network.observation import Advertised, CloudRoutes, Kind, Observation
from network.prefixes import network_of, overlap


def alerts(view: View) -> Iterator[Alert]:
    judge = _Judge(view, {})
    for path in view.site.paths:
        yield from _announced(judge, path)
    for cloud in view.site.clouds:
        yield from _in_the_cloud(judge, cloud.name)


@dataclass(frozen=True, slots=True)
class _Judge:
    """Judges a prefix once a cloud: the same few are announced on every path."""

    view: View
    known: dict[tuple[str, str], str]

    def fault(self, cloud: str, prefix: str) -> str:
        """What is wrong with announcing a prefix to a cloud, "" when it is sanctioned: `ot …` or `leak …`."""
        key = cloud, prefix
        if key not in self.known:
            self.known[key] = self._fault(cloud, prefix)
        return self.known[key]

    def _fault(self, cloud: str, prefix: str) -> str:
        on_prem = self.view.site.on_prem
        ot = next((ot for ot in on_prem.ot_ranges if overlap(prefix, ot)), None)
        if ot:
            return f"ot overlaps OT {ot}"
        network = network_of(prefix)
        if network is None:
            return "leak cannot be read as a prefix"
        if any(network == each.prefix and cloud in each.towards for each in on_prem.prefixes):
            return ""
        towards = {name for each in on_prem.prefixes if network == each.prefix for name in each.towards}
        only = f" towards {cloud}, only towards {', '.join(sorted(towards))}" if towards else ""
        return f"leak not sanctioned{only}"


def _announced(judge: _Judge, path: Path) -> Iterator[Alert]:
    """On one path's session, by our own report and by the cloud's."""
    view = judge.view
    reports = {
        "our router says": view.snapshot.get(Kind.ADVERTISED, path.session),
        f"{path.cloud} accepted it": view.snapshot.get(Kind.ACCEPTED, path.name),
    }
    said: dict[str, list[str]] = {}
    for who, seen in reports.items():
        for prefix in _prefixes(seen):
            said.setdefault(prefix, []).append(f"{who}{_old(view, seen)}")
    probe = f"{path.probe.source}/32" if path.probe else None
    for prefix in sorted(said):
        if prefix == probe:
            continue
        kind, _, fault = judge.fault(path.cloud, prefix).partition(" ")
        if kind:
            is_so = (
                f"is advertised and {fault}"
                if kind == "ot" or fault.startswith("cannot")
                else f"is advertised and is {fault}"
            )
            text = f"{prefix} {is_so} ({', '.join(said[prefix])})"
            fitting = tuple(remedies.off(view.site, path)) if path.vxc else ()
            yield Alert(f"{kind}:{path.name}:{prefix}", "critical", path.name, text, runbooks=fitting)


def _prefixes(seen: Observation | None) -> tuple[str, ...]:
    return tuple(route.prefix for route in seen.fact.routes) if seen and isinstance(seen.fact, Advertised) else ()


def _old(view: View, seen: Observation | None) -> str:
    return f" {seen.age_s(view.now):.0f} s ago" if seen and seen.stale(view.now) else ""


def _in_the_cloud(judge: _Judge, cloud: str) -> Iterator[Alert]:
    """An OT range in the cloud's own table by a path of ours, whoever announced it."""
    seen = judge.view.snapshot.fact(Kind.CLOUD_ROUTES, cloud, CloudRoutes)
    for route in seen.routes if seen else ():
        kind, _, fault = judge.fault(cloud, route.prefix).partition(" ")
        if route.via and kind == "ot":
            text = f"{cloud} reaches {route.prefix} by {', '.join(route.via)}: it {fault}"
            yield Alert(f"ot:{cloud}:{route.prefix}", "critical", cloud, text)
