"""Per-layer verdicts of one path: pure functions from a snapshot and a moment to a `Layer` each.

The order is the packet's: port, vxc, circuit, bgp_here, bgp_there, bfd, attach, probe. A layer that a path does not
have is NONE. A figure past its freshness is STALE whatever it said; one never seen is UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import TypeVar

from network import bgp, load
from network.grey import locate
from network.inventory import Path, Session, Site
from network.measured import ProbeResult
from network.observation import (
    Attachment,
    BfdHere,
    Circuit,
    FabricPort,
    FabricVxc,
    Kind,
    Link,
    Optics,
    RoutePath,
    SessionHere,
    SessionThere,
)
from network.snapshot import Key, Snapshot
from network.verdict import NO_LAYER, UP, Layer, Verdict, together, worse

F = TypeVar("F")

#: A session with such a verdict is established.
STANDS = frozenset({Verdict.UP, Verdict.DEGRADED})
#: Sources that an unknown layer names at most.
FAILING_SHOWN = 3

#: Probes of the long count from which on it alone says what is grey.
EARLY_SENT = 50

LAYERS = ("port", "vxc", "circuit", "bgp_here", "bgp_there", "bfd", "attach", "probe")


@dataclass(frozen=True)
class View:
    """What every layer function needs: the site, what is known, and now."""

    site: Site
    snapshot: Snapshot
    now: datetime

    def fresh(self, kind: Kind, name: str, of: type[F]) -> F | None:
        """The fact, or None when it was never seen or is past its freshness."""
        seen = self.snapshot.observations.get((kind, name))
        return seen.fact if seen is not None and isinstance(seen.fact, of) and not seen.stale(self.now) else None

    def judge(self, kind: Kind, name: str, of: type[F], rule: Callable[[F], Layer]) -> Layer:
        """Apply a rule to a fact, with unknown and stale handled once for all layers."""
        key = kind, name
        seen = self.snapshot.observations.get(key)
        if seen is None or not isinstance(seen.fact, of):
            return Layer(Verdict.UNKNOWN, f"{kind.value} of {name} not seen yet{self._failing}")
        age = seen.age_s(self.now)
        if age > seen.fresh_s:
            words = f"{seen.source} has not said so for {age:.0f} s"
            return Layer(Verdict.STALE, words, age, seen.source, age - seen.fresh_s)
        said = rule(seen.fact)
        since = said.since_s if said.since_s is not None else self._since_s(key)
        return Layer(said.verdict, said.why, age, seen.source, since)

    def _since_s(self, key: Key) -> float | None:
        """How long it has been as it is, when it was seen to change."""
        changed = self.snapshot.changed.get(key)
        return max(0.0, (self.now - changed).total_seconds()) if changed else None

    @cached_property
    def held(self) -> dict[str, Mapping[str, tuple[RoutePath, ...]]]:
        """What `network.bgp.held` has found so far, by path."""
        return {}

    @cached_property
    def _failing(self) -> str:
        failing = [f"{s.name}: {s.error}" for s in self.snapshot.sources.values() if s.error]
        more = f"; {len(failing) - FAILING_SHOWN} more" if len(failing) > FAILING_SHOWN else ""
        return f" ({'; '.join(failing[:FAILING_SHOWN])}{more})" if failing else ""


def layers_of(view: View, path: Path) -> dict[str, Layer]:
    """Every layer of a path by its name, in the packet's order."""
    session = view.site.session(path.session)
    here = _bgp_here(view, path, session)
    probe = view.judge(Kind.PROBE, path.name, ProbeResult, lambda p: _probe(p, view, path)) if path.probe else NO_LAYER
    return {
        "port": _port(view, path),
        "vxc": _vxc(view, path),
        "circuit": _circuit_of(view, path),
        "bgp_here": here,
        "bgp_there": view.judge(Kind.SESSION_THERE, path.name, SessionThere, lambda s: bgp.there(s, session, view)),
        "bfd": _bfd(view, session, here, probe),
        "attach": view.judge(Kind.ATTACHMENT, path.name, Attachment, _attach),
        "probe": probe,
    }


def _bgp_here(view: View, path: Path, session: Session) -> Layer:
    layer = view.judge(Kind.SESSION_HERE, session.name, SessionHere, lambda s: bgp.here(s, session, view))
    return together(layer, [*bgp.impairments(view, path)]) if layer.verdict in STANDS else layer


def _bfd(view: View, session: Session, here: Layer, probe: Layer) -> Layer:
    if session.bfd is None:
        return NO_LAYER
    carries = here.verdict in STANDS and probe.verdict is not Verdict.DOWN
    return view.judge(Kind.BFD, session.name, BfdHere, lambda seen: bgp.bfd(seen, carries=carries))


def _port(view: View, path: Path) -> Layer:
    """Light at both ends: the router's interface and the fabric's port."""
    if path.vxc is None:
        return NO_LAYER
    port = view.site.port(view.site.vxc(path.vxc).port)
    name = f"{port.router} {port.interface}"
    ours = view.judge(Kind.LINK, name, Link, lambda link: _link(link, port.interface))
    layer = worse(ours, view.judge(Kind.PORT, port.name, FabricPort, _fabric_port))
    return together(layer, _light(view, name))


def _vxc(view: View, path: Path) -> Layer:
    if path.vxc is None:
        return NO_LAYER
    vxc = view.site.vxc(path.vxc)
    router = view.site.port(vxc.port).router
    ours = view.judge(Kind.LINK, f"{router} {vxc.interface}", Link, lambda link: _link(link, vxc.interface))
    layer = worse(ours, view.judge(Kind.VXC, vxc.name, FabricVxc, _fabric_vxc))
    return together(layer, load.full(view, path))


def _circuit_of(view: View, path: Path) -> Layer:
    """The provider's part; of a tunnel all there is below BGP."""
    layer = view.judge(Kind.CIRCUIT, path.name, Circuit, _circuit)
    if path.vxc is None:
        return together(layer, load.full(view, path))
    return together(layer, _light(view, path.connection or ""))


def _light(view: View, name: str) -> list[Layer]:
    """Optics outside the policy's range, where their system reports them."""
    seen = view.fresh(Kind.OPTICS, name, Optics)
    if seen is None:
        return []
    low, high = view.site.policy.light_low_dbm, view.site.policy.light_high_dbm
    levels = {"received": seen.rx_dbm, "sent": seen.tx_dbm}
    out = [f"{what} {dbm:.1f} dBm" for what, dbm in levels.items() if dbm is not None and not low <= dbm <= high]
    return [Layer(Verdict.DEGRADED, f"light {' and '.join(out)}, outside {low:g} to {high:g}")] if out else []


def _link(link: Link, interface: str) -> Layer:
    if not link.admin_up:
        return Layer(Verdict.DOWN, f"interface {interface} is shut on the router")
    if not link.oper_up:
        return Layer(Verdict.DOWN, f"no carrier on {interface}")
    return UP


def _fabric_port(port: FabricPort) -> Layer:
    return UP if port.up else Layer(Verdict.DOWN, f"the fabric sees no light ({port.status})")


def _fabric_vxc(vxc: FabricVxc) -> Layer:
    if vxc.shutdown:
        return Layer(Verdict.DOWN, "shut down in the fabric")
    if not vxc.up:
        return Layer(Verdict.DOWN, f"down in the fabric ({vxc.status})")
    return Layer(Verdict.DEGRADED, vxc.waiting) if vxc.waiting else UP


def _circuit(circuit: Circuit) -> Layer:
    if not circuit.known:
        return Layer(Verdict.UNKNOWN, f"the provider says {circuit.state}")
    if not circuit.up:
        return Layer(Verdict.DOWN, f"the provider says {circuit.state}")
    return Layer(Verdict.DEGRADED, circuit.state) if circuit.degraded else UP


def _attach(seen: Attachment) -> Layer:
    if not seen.up:
        return Layer(Verdict.DOWN, f"not attached in the cloud: {seen.state}")
    return Layer(Verdict.DEGRADED, seen.state) if seen.degraded else UP


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
    if seen.loss_pct > view.site.policy.loss_limit_pct and _too_few_to_tell(seen):
        return Layer(Verdict.DEGRADED, f"{seen.loss_pct:.0f} % of the probes lost ({seen.sent} sent)")
    return UP


def _too_few_to_tell(seen: ProbeResult) -> bool:
    """A first look has no long count to tell a grey path from noise: losses at more than one time are no health."""
    return seen.long is None or (seen.long.sent < EARLY_SENT and seen.long.times > 1)
