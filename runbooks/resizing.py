"""Whether a VXC's rate can be changed in place, and whether the new rate fits: from what is observed. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from network.health import PathHealth
from network.inventory import Site, Vxc
from network.maintenance import works_on
from network.observation import FabricPort, FabricVxc, Kind, Load
from network.takeover import Takeover, takeovers
from network.verdict import Verdict
from runbooks.circuits import circuit_of, growth
from runbooks.proof import Line, line
from runbooks.scene import CannotPlan, Moment
from runbooks.standby import Against
from runbooks.standby import objections as against_survivor

LIVE = "LIVE"
_SEEN_BAD = frozenset({Verdict.DOWN, Verdict.DEGRADED})
#: Platforms that cannot shape what they send: a lower rate is policed by the fabric, which drops what is above it.
SHAPELESS = frozenset({"frr"})
#: A history that is shorter tells no week's 95th percentile.
LEAST_DAYS = 6.5


def refusals(moment: Moment, vxc: Vxc, mbps: int, *, circuit_first: bool = False) -> list[str]:
    """Every reason why the fabric cannot or may not change the rate in place. What is not known is a reason too.

    `circuit_first`: a step before it raises the circuit, where that is too small.
    """
    if vxc.b_end == "aws-hosted-connection":
        return [_not_in_place(vxc, mbps)]
    seen = known(moment, vxc)
    if seen is None:
        return [f"what the fabric says of {vxc.name} is unknown"]
    return [*_standing(vxc, seen, mbps), *_port(moment, vxc, mbps), *_far_end(moment, vxc, seen, mbps, circuit_first)]


def objections(moment: Moment, vxc: Vxc, mbps: int) -> list[Against]:
    """Every reason why the new rate would not do for what is carried, or may be carried. Unknown is a reason."""
    seen = known(moment, vxc)
    if seen is None or mbps >= seen.rate_mbps:
        return []
    load, policy = history(moment, vxc), moment.site.policy
    if load is None:
        return [Against(f"a week's load of {vxc.name} is unknown", seen=_told(moment, vxc))]
    found = []
    if load > mbps * policy.resize_p95_pct / 100:
        words = f"{vxc.name} carries {load:.0f} Mbps (p95 of 7 days)"
        found.append(Against(f"{words}: more than {policy.resize_p95_pct:g} % of {mbps} Mbps"))
    moves = [move for move in takeovers(moment.site, vxc.port) if move.leaving.vxc == vxc.name]
    if not moves:
        found.append(Against(f"no other private path could take what {vxc.name} carries"))
    for move in moves:
        why = f"{move.survivor.name} could not take over"
        found += [Against(f"{why}: {each.words}", each.seen) for each in against_survivor(moment, move)]
        found += _as_survivor(moment, vxc, move, load, mbps)
    return found


def weighed(moment: Moment, vxc: Vxc, mbps: int) -> list[Line]:
    """What a rate needs to be put back unasked: expected beside actual.

    Other than a move it takes traffic off no path, so no path has to be better. But whether the rate is to blame for a
    path that is down nobody can tell from here, and a lossy one must not get less room.
    """
    seen, works = known(moment, vxc), works_on(moment.view, moment.health.paths, changes=False)
    return [
        _ready(moment, vxc, seen),
        *(
            _carries(moment.health.path(path.name), works.get(path.name, []), seen, mbps)
            for path in moment.site.paths
            if path.vxc == vxc.name
        ),
    ]


def _ready(moment: Moment, vxc: Vxc, seen: FabricVxc | None) -> Line:
    wanted = f"{LIVE}, up and free to be changed"
    if seen is None or port_of(moment, vxc) is None:
        return line(vxc.name, wanted, "what the fabric says of it or its port is unknown", ok=None)
    against = [*_standing(vxc, seen, 0), *_port(moment, vxc, 0)]
    return line(vxc.name, wanted, "; ".join(against) or "so", ok=not against)


def _carries(path: PathHealth, works: list[str], seen: FabricVxc | None, mbps: int) -> Line:
    more = seen is not None and mbps > seen.rate_mbps
    wanted = f"nobody at work, {'not down' if more else 'up'}"
    fit = {Verdict.UP, Verdict.DEGRADED} if more else {Verdict.UP}
    now = "; ".join([f"{path.verdict.value} {path.why}".strip(), *works])
    if works:
        return line(path.name, wanted, now, ok=False)
    return line(path.name, wanted, now, ok=path.verdict in fit or (False if path.verdict in _SEEN_BAD else None))


def unshaped(site: Site, vxc: Vxc) -> Iterator[str]:
    """The router before the VXC, where it shapes nothing."""
    router = site.router(site.port(vxc.port).router)
    if router.platform in SHAPELESS:
        yield f"{router.name} ({router.platform})"


def known(moment: Moment, vxc: Vxc) -> FabricVxc | None:
    """The VXC as the fabric told it, while that is fresh."""
    return moment.snapshot.fresh(Kind.VXC, vxc.name, FabricVxc, moment.now)


def port_of(moment: Moment, vxc: Vxc) -> FabricPort | None:
    """The VXC's port as the fabric told it, while that is fresh."""
    return moment.snapshot.fresh(Kind.PORT, vxc.port, FabricPort, moment.now)


def history(moment: Moment, vxc: Vxc) -> float | None:
    """The 95th percentile of a week in Mbps; None when it is not known, or of less than a week."""
    load = moment.snapshot.fresh(Kind.LOAD, vxc.name, Load, moment.now)
    return load.p95_mbps if load and load.days >= LEAST_DAYS else None


def _told(moment: Moment, vxc: Vxc) -> bool:
    """A history is there, if a short one: that is seen, and stays so for days."""
    return moment.snapshot.fresh(Kind.LOAD, vxc.name, Load, moment.now) is not None


def _not_in_place(vxc: Vxc, mbps: int) -> str:
    return (
        f"{vxc.name} ends on an AWS hosted connection, whose speed is fixed when it is ordered: it cannot be resized in"
        f" place. `replace-vxc vxc={vxc.name} mbps={mbps}` makes a new one, moves to it and deletes the old one"
    )


def _standing(vxc: Vxc, seen: FabricVxc, mbps: int) -> Iterator[str]:
    if seen.rate_mbps == mbps:
        yield f"{vxc.name} has {mbps} Mbps already"
    if seen.locked:
        yield f"{vxc.name} is locked"
    if seen.waiting:
        yield f"{vxc.name} waits already: {seen.waiting}"
    if seen.status != LIVE or seen.shutdown or not seen.up:
        state = "shut down" if seen.shutdown else seen.status if seen.status != LIVE else "down"
        yield f"{vxc.name} is {state}, not {LIVE} and up"


def _port(moment: Moment, vxc: Vxc, mbps: int) -> Iterator[str]:
    port, speed = port_of(moment, vxc), moment.site.port(vxc.port).speed_mbps
    if port is None:
        yield f"what the fabric says of {vxc.port} is unknown"
    elif port.locked:
        yield f"{vxc.port} is locked"
    if mbps > speed:
        yield f"{mbps} Mbps is above the speed of {vxc.port}, {speed} Mbps"


def _far_end(moment: Moment, vxc: Vxc, seen: FabricVxc, mbps: int, circuit_first: bool) -> Iterator[str]:
    """The cloud's side bounds an increase; a decrease leaves it as it is."""
    if mbps <= seen.rate_mbps:
        return
    side = circuit_of(moment, vxc)
    if side and circuit_first:
        try:
            grown = growth(moment, vxc, mbps)
        except CannotPlan as why:
            yield str(why)
            return
        if grown is not None and grown.needed:
            return
    circuit = f"circuit {side.circuit}" if side else "its cloud end"
    if seen.max_mbps is None:
        yield f"the bandwidth of {circuit} is unknown: whether {vxc.name} may have {mbps} Mbps cannot be said"
    elif mbps > seen.max_mbps and side:
        yield (
            f"{mbps} Mbps is above the bandwidth of {circuit} as the fabric knows it, {seen.max_mbps} Mbps: the circuit"
            " goes up first, in Azure (ARM), and it never goes down again"
        )
    elif mbps > seen.max_mbps:
        yield f"{mbps} Mbps is above what {circuit} takes, {seen.max_mbps} Mbps"


def _as_survivor(moment: Moment, vxc: Vxc, move: Takeover, load: float, mbps: int) -> Iterator[Against]:
    """With the lower rate the VXC must still be able to take over from the other path."""
    other = moment.site.vxc(str(move.survivor.vxc))
    theirs, limit = history(moment, other), moment.site.policy.survivor_p95_pct
    if theirs is None:
        words = f"a week's load of {other.name} is unknown: what {vxc.name} may have to take over cannot be said"
        yield Against(words, seen=_told(moment, other))
    elif load + theirs > mbps * limit / 100:
        yield Against(
            f"without {move.survivor.name}, {vxc.name} would carry {load + theirs:.0f} of {mbps} Mbps (p95):"
            f" more than {limit:g} %"
        )
