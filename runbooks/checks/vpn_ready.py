"""vpn-ready: the cloud's VPN is proven to carry, and what is to go over it fits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

from pydantic import BaseModel, ConfigDict

from network.forced import private, tunnels
from network.health import PathHealth
from network.inventory import Path
from network.load import link_of
from network.measured import MtuResult
from network.observation import Kind, Link, Load, SessionHere
from network.verdict import Verdict
from network.vpn import VpnProof, proof
from runbooks.declares import Declaration
from runbooks.effects import Finding
from runbooks.model import StepDef
from runbooks.proof import LOOK_S, Line, line
from runbooks.scene import CannotPlan, Compiled, Moment, Scene, moment_of
from runbooks.standby import room, too_young


class Args(BaseModel):
    """The cloud that is to be carried by its VPN."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cloud: str


@dataclass(frozen=True, slots=True)
class _Tunnel:
    """A tunnel path, its proof, and every reason why it may not be relied on. `off`: its session is down."""

    path: Path
    proof: VpnProof
    off: bool
    reasons: tuple[str, ...]
    unknown: bool

    @property
    def words(self) -> str:
        ages = [mark.age_s for mark in self.proof.marks.values() if mark.age_s is not None]
        return f"proven {max(ages):.0f} s ago" if ages else "proven"


class VpnReady:
    """See the module. A tunnel whose session is down attracts nothing and is left out; one that is up must be proven.

    Unknown is not ready. Something that was never seen is looked for until the step's time is over.
    """

    declares = Declaration(
        "vpn-ready", "check", Args, reads=frozenset({"routers", "azure", "aws", "megaport", "probes"})
    )

    def compile(self, moment: Moment, args: Mapping[str, str]) -> Compiled:
        cloud = args["cloud"]
        if not tunnels(moment.site, cloud):
            raise CannotPlan(f"{cloud} has no VPN path: nothing could be forced")
        names = [path.name for path in tunnels(moment.site, cloud)]
        expect = [{"what": name, "want": "proven, or its session down"} for name in names]
        return Compiled(expect=(*expect, {"what": f"{cloud} demand", "want": "fits"}))

    async def check(self, scene: Scene, step: StepDef) -> Finding:
        deadline = scene.now() + timedelta(seconds=step.timeout_s)
        while True:
            moment = moment_of(scene)
            lines = _lines(moment, step.args["cloud"])
            left_s = (deadline - moment.now).total_seconds()
            if left_s <= 0 or not any(each["ok"] is None for each in lines):
                return _finding(lines)
            await scene.newer(moment.snapshot.revision, min(LOOK_S, left_s))


def _finding(lines: Sequence[Line]) -> Finding:
    """Not ready is certain only by what is seen: a mark that is not known leaves the answer unknown."""
    reasons = [f"{each['what']}: {each['now']}" for each in lines if not each["ok"]]
    ok = True if not reasons else False if any(each["ok"] is False for each in lines) else None
    return Finding(ok=ok, reason="; ".join(reasons), evidence={"expected": list(lines)})


def _lines(moment: Moment, cloud: str) -> list[Line]:
    found = [_tunnel(moment, path) for path in tunnels(moment.site, cloud)]
    ready = [each.path for each in found if not each.off and not each.reasons]
    unsure = any(each.unknown for each in found if not each.off)
    rooms = [room(moment, each.path) for each in found if not each.off]
    return [*map(_line, found), *rooms, _demand(moment, cloud, ready, unsure=unsure)]


def _line(each: _Tunnel) -> Line:
    want = "proven, or its session down"
    if each.off:
        return line(each.path.name, want, "its session is down: not counted", ok=True)
    if not each.reasons:
        return line(each.path.name, want, each.words, ok=True)
    return line(each.path.name, want, "; ".join(each.reasons), ok=None if each.unknown else False)


def _tunnel(moment: Moment, path: Path) -> _Tunnel:
    here = moment.snapshot.fresh(Kind.SESSION_HERE, path.session, SessionHere, moment.now)
    proven, health = proof(moment.view, path), moment.health.path(path.name)
    bad = [mark for mark in proven.marks.values() if mark.verdict is not Verdict.UP]
    young, mtu = list(too_young(moment, path, moment.now)), list(_mtu(moment, path))
    marks = [f"{name} {mark.verdict.value}: {mark.why}" for name, mark in proven.marks.items() if mark in bad]
    hidden = {Verdict.UNKNOWN, Verdict.STALE}
    unknown = any(mark.verdict in hidden for mark in bad) or any(not known for _, known in mtu)
    return _Tunnel(
        path,
        proven,
        off=here is not None and not here.established,
        reasons=(*marks, *_grey(health), *young, *(words for words, _ in mtu)),
        unknown=unknown and not any(mark.verdict not in hidden for mark in bad),
    )


def _grey(health: PathHealth) -> Iterator[str]:
    if health.verdict is Verdict.DEGRADED:
        yield f"{health.name} is degraded: {health.why}"


def _mtu(moment: Moment, path: Path) -> Iterator[tuple[str, bool]]:
    """A probe of the size that the path is to carry; (words, whether it was seen)."""
    seen = moment.snapshot.fresh(Kind.MTU, path.name, MtuResult, moment.now)
    if seen is None:
        yield "whether packets of full size pass is unknown", False
    elif seen.passes is None or seen.passes < seen.wanted:
        yield f"packets of {seen.wanted} bytes do not pass, {seen.passes or 'not even the smallest'} do", True


def _demand(moment: Moment, cloud: str, ready: Sequence[Path], *, unsure: bool) -> Line:
    """The larger of what is carried now and of the private paths' 95th percentile, against the ready tunnels.

    `unsure`: another tunnel may be ready, so that too little room is not certain.
    """
    what, want = f"{cloud} demand", "fits"
    mbps = sum(moment.site.rate_mbps(path) for path in ready)
    over = f"over {', '.join(path.name for path in ready) or 'no ready tunnel'}"
    wanted = _wanted_mbps(moment, cloud)
    if wanted is None:
        return line(what, want, "unknown: not every path's load and history is known", ok=None)
    if wanted > mbps:
        words = f"will not fit: {wanted - mbps:.0f} Mbps too many ({wanted:.0f} of {mbps} {over})"
        return line(what, want, words, ok=None if unsure else False)
    return line(what, want, f"{wanted:.0f} of {mbps} Mbps {over}", ok=True)


def _wanted_mbps(moment: Moment, cloud: str) -> float | None:
    site, snapshot = moment.site, moment.snapshot
    links = [snapshot.fresh(Kind.LINK, link_of(moment.view, p), Link, moment.now) for p in site.paths_of(cloud)]
    ways = [(link.in_mbps, link.out_mbps) if link else (None, None) for link in links]
    histories = [snapshot.fresh(Kind.LOAD, str(p.vxc), Load, moment.now) for p in private(site, cloud)]
    known = [load.p95_mbps for load in histories if load]
    if len(known) < len(histories):
        return None
    now = [sum(way[place] or 0.0 for way in ways) for place in (0, 1)]
    return max(sum(known), *now)
