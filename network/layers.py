"""Per-layer verdicts of one path: pure functions from a snapshot and a moment to a `Layer` each.

The order is the packet's: port, vxc, circuit, bgp_here, bgp_there, bfd, attach, probe. A layer that a path does not
have is NONE. A figure past its freshness is STALE whatever it said; one never seen is UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeVar

from network.grey import locate
from network.inventory import Path, Session, Site
from network.observation import (
    Attachment,
    BfdHere,
    Circuit,
    FabricPort,
    FabricVxc,
    Kind,
    Link,
    ProbeResult,
    SessionHere,
    SessionThere,
)
from network.snapshot import Snapshot
from network.verdict import NO_LAYER, Layer, Verdict, worse

F = TypeVar("F")

LAYERS = ("port", "vxc", "circuit", "bgp_here", "bgp_there", "bfd", "attach", "probe")


@dataclass(frozen=True, slots=True)
class View:
    """What every layer function needs: the site, what is known, and now."""

    site: Site
    snapshot: Snapshot
    now: datetime

    def judge(self, kind: Kind, name: str, of: type[F], rule: Callable[[F], Layer]) -> Layer:
        """Apply a rule to a fact, with unknown and stale handled once for all layers."""
        seen = self.snapshot.get(kind, name)
        if seen is None or not isinstance(seen.fact, of):
            return Layer(Verdict.UNKNOWN, self._missing(kind, name))
        age = seen.age_s(self.now)
        if seen.stale(self.now):
            return Layer(Verdict.STALE, f"{seen.source} has not said so for {age:.0f} s", age, seen.source)
        return replace(rule(seen.fact), age_s=age, source=seen.source)

    def _missing(self, kind: Kind, name: str) -> str:
        failing = [f"{s.name}: {s.error}" for s in self.snapshot.sources.values() if s.error]
        return f"{kind.value} of {name} not seen yet" + (f" ({'; '.join(failing)})" if failing else "")


def layers_of(view: View, path: Path) -> dict[str, Layer]:
    """Every layer of a path by its name, in the packet's order."""
    session = view.site.session(path.session)
    return {
        "port": _port(view, path),
        "vxc": _vxc(view, path),
        "circuit": view.judge(Kind.CIRCUIT, path.name, Circuit, _circuit),
        "bgp_here": view.judge(Kind.SESSION_HERE, session.name, SessionHere, lambda s: _bgp_here(s, session, view)),
        "bgp_there": view.judge(Kind.SESSION_THERE, path.name, SessionThere, lambda s: _bgp_there(s, session)),
        "bfd": view.judge(Kind.BFD, session.name, BfdHere, _bfd) if session.bfd else NO_LAYER,
        "attach": view.judge(Kind.ATTACHMENT, path.name, Attachment, _attach),
        "probe": view.judge(Kind.PROBE, path.name, ProbeResult, lambda p: _probe(p, view, path))
        if path.probe
        else NO_LAYER,
    }


def _port(view: View, path: Path) -> Layer:
    """Light at both ends: the router's interface and the fabric's port."""
    if path.vxc is None:
        return NO_LAYER
    port = view.site.port(view.site.vxc(path.vxc).port)
    ours = view.judge(Kind.LINK, f"{port.router} {port.interface}", Link, lambda link: _link(link, port.interface))
    return worse(ours, view.judge(Kind.PORT, port.name, FabricPort, _fabric_port))


def _vxc(view: View, path: Path) -> Layer:
    if path.vxc is None:
        return NO_LAYER
    vxc = view.site.vxc(path.vxc)
    router = view.site.port(vxc.port).router
    ours = view.judge(Kind.LINK, f"{router} {vxc.interface}", Link, lambda link: _link(link, vxc.interface))
    return worse(ours, view.judge(Kind.VXC, vxc.name, FabricVxc, _fabric_vxc))


def _link(link: Link, interface: str) -> Layer:
    if not link.admin_up:
        return Layer(Verdict.DOWN, f"interface {interface} is shut on the router")
    if not link.oper_up:
        return Layer(Verdict.DOWN, f"no carrier on {interface}")
    return Layer(Verdict.UP)


def _fabric_port(port: FabricPort) -> Layer:
    return Layer(Verdict.UP) if port.up else Layer(Verdict.DOWN, f"the fabric sees no light ({port.status})")


def _fabric_vxc(vxc: FabricVxc) -> Layer:
    if vxc.shutdown:
        return Layer(Verdict.DOWN, "shut down in the fabric")
    if not vxc.up:
        return Layer(Verdict.DOWN, f"down in the fabric ({vxc.status})")
    return Layer(Verdict.DEGRADED, vxc.waiting) if vxc.waiting else Layer(Verdict.UP)


def _circuit(circuit: Circuit) -> Layer:
    if not circuit.up:
        return Layer(Verdict.DOWN, f"the provider says {circuit.state}")
    return Layer(Verdict.DEGRADED, circuit.state) if circuit.degraded else Layer(Verdict.UP)


def _bgp_here(seen: SessionHere, session: Session, view: View) -> Layer:
    since = (view.now - seen.since).total_seconds() if seen.since else None
    if seen.admin_shut:
        text = f": {seen.shutdown_text}" if seen.shutdown_text else ""
        return Layer(Verdict.DOWN, f"shut on our side{text}", since_s=since)
    if seen.over_limit:
        limit = seen.limit or session.max_prefix_here
        return Layer(Verdict.DOWN, f"stopped by max-prefix: more than {limit} prefixes received", since_s=since)
    if not seen.established:
        return Layer(Verdict.DOWN, seen.reason or f"BGP is {seen.state}", since_s=since)
    if seen.no_policy:
        return Layer(Verdict.DOWN, "established without a policy: no route passes (RFC 8212)", since_s=since)
    if seen.limit_warning:
        return Layer(Verdict.DEGRADED, "past the prefix warning limit", since_s=since)
    if seen.received == 0:
        return Layer(Verdict.DEGRADED, "established, and no prefix received", since_s=since)
    headroom = view.site.policy.prefix_warning_pct
    if seen.limit and seen.received is not None and 100 * seen.received >= headroom * seen.limit:
        return Layer(
            Verdict.DEGRADED,
            f"{seen.received} of {seen.limit} prefixes: {headroom:g} % reached",
            since_s=since,
        )
    return Layer(Verdict.UP, since_s=since)


def _bgp_there(seen: SessionThere, session: Session) -> Layer:
    if not seen.up:
        return Layer(Verdict.DOWN, f"the cloud says {seen.state}")
    if seen.received == 0:
        return Layer(Verdict.DEGRADED, "up, and the cloud accepted no prefix of ours")
    limit = session.max_prefix_there
    if limit and seen.received is not None and seen.received >= limit:
        return Layer(Verdict.DEGRADED, f"the cloud holds {seen.received} of {limit} prefixes")
    return Layer(Verdict.UP)


def _bfd(seen: BfdHere) -> Layer:
    since = float(seen.since_s) if seen.since_s is not None else None
    if seen.status == "up":
        return Layer(Verdict.UP, since_s=since)
    words = f" ({seen.diagnostic})" if seen.diagnostic and seen.diagnostic != "ok" else ""
    return Layer(Verdict.DOWN, f"BFD {seen.status}{words}", since_s=since)


def _attach(seen: Attachment) -> Layer:
    return Layer(Verdict.UP) if seen.up else Layer(Verdict.DOWN, f"not attached in the cloud: {seen.state}")


def _probe(seen: ProbeResult, view: View, path: Path) -> Layer:
    if not seen.pinned:
        return Layer(Verdict.UNKNOWN, f"unpinned: {seen.why}" if seen.why else "unpinned")
    if seen.loss_pct is None:
        return Layer(Verdict.UNKNOWN, "no probe was sent yet")
    if seen.received == 0:
        return Layer(Verdict.DOWN, f"none of {seen.sent} probes came back")
    if grey := locate(view, path):
        since = (view.now - grey.since).total_seconds() if grey.since else None
        return Layer(Verdict.DEGRADED, grey.text, since_s=since)
    if seen.long is None and seen.loss_pct > view.site.policy.loss_limit_pct:
        return Layer(Verdict.DEGRADED, f"{seen.loss_pct:.0f} % of the probes lost")
    return Layer(Verdict.UP)
