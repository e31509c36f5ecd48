"""Grey failure: loss, a latency step or an MTU hole while every session is up, and where on the path it is.

Pure. BFD and BGP cannot see it: it is told from probes of the whole path, and located by pings of its first leg, from
our router to the provider's device.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Literal

from network.inventory import Path
from network.measured import LegResult, LossCount, MtuResult, ProbeResult
from network.observation import Kind

if TYPE_CHECKING:
    from network.layers import View

Where = Literal["edge-provider", "provider-cloud", "unknown"]
Way = Literal["out", "back", "both", "unknown"]

#: One lost of three is not a third: so many probes, lost at so many separate times. It holds until the long count has
#: left its losses behind (by age, or behind a long enough stretch without any), which is the hysteresis.
LEAST_SENT, LEAST_TIMES = 10, 3
#: A leg is cleared when it should have lost so many and lost less than a fifth; it is blamed for a third, at least two.
EXPECTED_LEAST, CLEARED_SHARE, BLAMED_SHARE, BLAMED_LEAST = 5.0, 1 / 5, 1 / 3, 2
#: Of a step in latency: who has more than this much of it is blamed, who has less is cleared.
STEP_BLAMED, STEP_CLEARED = 0.5, 0.25
#: One direction is blamed when it has this much of the trouble.
ONE_WAY = 0.75


@dataclass(frozen=True, slots=True)
class Grey:
    """What is grey on a path, on which leg, in which direction, in words, and since when (None: not known)."""

    kind: Literal["loss", "latency", "mtu"]
    leg: Where
    direction: Way
    text: str
    since: datetime | None = None


def locate(view: View, path: Path) -> Grey | None:
    """The gravest grey trouble of a path whose probes come back; None when there is none, or none can be told."""
    probe = view.snapshot.fresh(Kind.PROBE, path.name, ProbeResult, view.now)
    if probe is None or not probe.pinned or probe.received == 0:
        return None
    return _loss(view, path, probe) or _mtu(view, path) or _latency(view, path, probe)


def _leg(view: View, path: Path, since: datetime | None) -> LegResult | None:
    """The leg's pings, if they are of after the trouble began."""
    seen = view.snapshot.get(Kind.LEG, path.name)
    leg = view.snapshot.fresh(Kind.LEG, path.name, LegResult, view.now)
    return leg if seen is not None and since is not None and seen.at > since else None


def _loss(view: View, path: Path, probe: ProbeResult) -> Grey | None:
    long = probe.long
    if long is None or long.sent < LEAST_SENT or long.times < LEAST_TIMES:
        return None
    lost_pct = 100.0 * long.lost / long.sent
    if lost_pct <= view.site.policy.loss_limit_pct:
        return None
    way = _one_way(long.out, long.back)
    where = _lossy_leg(view, long, _leg(view, path, long.since))
    text = f"{lost_pct:.2g} % lost{_WAYS[way]}{_between(view, path, where)} ({long.lost} of {long.sent} probes)"
    return Grey("loss", where, way, text, long.since)


def _lossy_leg(view: View, long: LossCount, leg: LegResult | None) -> Where:
    """Compares what the leg lost with what it would have lost, had all the loss been there since it began."""
    if leg is None or leg.since is None or long.since is None:
        return "unknown"
    counted_s = (view.now - leg.since).total_seconds()
    after = min(1.0, (view.now - long.since).total_seconds() / counted_s) if counted_s > 0 else 1.0
    expected = leg.sent * after * long.lost / long.sent
    lost = leg.sent - leg.received
    if lost >= BLAMED_LEAST and lost >= BLAMED_SHARE * expected:
        return "edge-provider"
    return "provider-cloud" if expected >= EXPECTED_LEAST and lost <= CLEARED_SHARE * expected else "unknown"


def _latency(view: View, path: Path, probe: ProbeResult) -> Grey | None:
    policy = view.site.policy
    if probe.median_ms is None or probe.usual_ms is None or probe.step_since is None:
        return None
    step = probe.median_ms - probe.usual_ms
    if step <= max(policy.latency_step_ms, probe.usual_ms * policy.latency_step_pct / 100):
        return None
    out = probe.step_out_ms
    way = "unknown" if out is None else _one_way(max(out, 0.0), max(step - out, 0.0))
    where = _slow_leg(step, _leg(view, path, probe.step_since))
    figures = f"{probe.median_ms:.0f} ms, usually {probe.usual_ms:.0f} ms"
    return Grey("latency", where, way, f"{figures}{_WAYS[way]}{_between(view, path, where)}", probe.step_since)


def _slow_leg(step: float, leg: LegResult | None) -> Where:
    if leg is None or leg.rtt_ms is None or leg.usual_ms is None:
        return "unknown"
    share = (leg.rtt_ms - leg.usual_ms) / step
    if share >= STEP_BLAMED:
        return "edge-provider"
    return "provider-cloud" if share < STEP_CLEARED else "unknown"


def _mtu(view: View, path: Path) -> Grey | None:
    mtu = view.snapshot.fresh(Kind.MTU, path.name, MtuResult, view.now)
    if mtu is None or (mtu.passes is not None and mtu.passes >= mtu.wanted):
        return None
    where: Where = "unknown"
    if mtu.leg_passes is not None:
        where = "provider-cloud" if mtu.leg_passes >= mtu.wanted else "edge-provider"
    figure = "no large packet passes" if mtu.passes is None else f"packets over {mtu.passes} bytes vanish"
    return Grey("mtu", where, "unknown", f"{figure}{_between(view, path, where)}; {mtu.wanted} are wanted")


def _one_way(out: float | None, back: float | None) -> Way:
    if out is None or back is None or out + back == 0:
        return "unknown"
    if out >= ONE_WAY * (out + back):
        return "out"
    return "back" if back >= ONE_WAY * (out + back) else "both"


_WAYS: dict[Way, str] = {"out": " on the way out", "back": " on the way back", "both": " both ways", "unknown": ""}


def _between(view: View, path: Path, where: Where) -> str:
    session = view.site.session(path.session)
    if where == "unknown":
        return ", leg not known yet"
    ends = (session.router, session.there) if where == "edge-provider" else (session.there, path.cloud)
    return f" between {' and '.join(ends)}"
