"""standby-carries: after the move, the survivors carry it all, both ways, and nothing was lost."""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict

from network.health import CloudHealth
from network.measured import ProbeResult
from network.observation import Kind, Link
from network.snapshot import Snapshot
from network.takeover import Takeover, takeovers
from runbooks.declares import Declaration
from runbooks.effects import Finding
from runbooks.model import StepDef
from runbooks.proof import Line, line, no_ot_overlap, until_proven
from runbooks.scene import Compiled, Moment, Scene, moment_of

#: The survivor must carry this share of what the cloud's paths carry.
SHARE = 0.98
#: Below this a path is idle: sessions, probes and pings alone. They go on over a path that carries nothing else.
FLOOR_MBPS = 0.1


class Args(BaseModel):
    """The port that was drained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    port: str


class StandbyCarries:
    """See the module. Asked until it is so or the step's time is over: clouds answer late."""

    declares = Declaration("standby-carries", "check", Args, reads=frozenset({"routers", "azure", "aws", "probes"}))

    def compile(self, moment: Moment, args: Mapping[str, str]) -> Compiled:
        moves = takeovers(moment.site, args["port"])
        wanted = [*(each for move in moves for each in _wanted(move)), ("OT ranges", "no overlap")]
        return Compiled(
            expect=tuple({"what": what, "want": want} for what, want in wanted),
            args={"before_mbps": {move.cloud: _total(_loads(moment, move.cloud)) for move in moves}},
        )

    async def check(self, scene: Scene, step: StepDef) -> Finding:
        moves = takeovers(scene.site, step.args["port"])

        async def prove(since: Snapshot) -> list[Line]:
            seen = Moment(scene.site, since, scene.now(), {})
            known = moment_of(scene)  # what is announced is read every few polls: fresh is recent enough
            before = step.args.get("before_mbps", {})
            lines = [each for move in moves for each in _proof(seen, move, before.get(move.cloud))]
            return [*lines, no_ot_overlap(known.health, known.view)]

        return await until_proven(scene, step.timeout_s, prove)


def _wanted(move: Takeover) -> list[tuple[str, str]]:
    return [
        (f"{move.cloud} out and back", move.survivor.name),
        (f"{move.cloud} load", f"at least {SHARE:.0%} on {move.survivor.name}, or all but {FLOOR_MBPS:g} Mbps"),
        (f"{move.survivor.name} probes", "none lost"),
    ]


def _proof(moment: Moment, move: Takeover, before_mbps: float | None) -> list[Line]:
    told = (
        _ways(moment.health.cloud(move.cloud), move.survivor.name),
        _share(_loads(moment, move.cloud), move.survivor.name, before_mbps),
        _lost(moment.snapshot.fresh(Kind.PROBE, move.survivor.name, ProbeResult, moment.now)),
    )
    return [line(*wanted, now, ok=ok) for wanted, (now, ok) in zip(_wanted(move), told, strict=True)]


def _ways(cloud: CloudHealth, survivor: str) -> tuple[str, bool | None]:
    """Both ways and every prefix; unknown while a router cannot be asked or the way back cannot be told."""
    out, back = ", ".join(cloud.carried_by) or "unknown", ", ".join(cloud.way_back.paths) or "unknown"
    if not cloud.carried_by or not cloud.way_back.paths or cloud.unseen_routers:
        return f"out {out}, back {back}, not all known", None
    if cloud.lost:
        return f"out {out}, back {back}, lost: {', '.join(cloud.lost)}", False
    return (out if out == back else f"out {out}, back {back}"), out == back == survivor


def _lost(probe: ProbeResult | None) -> tuple[str, bool | None]:
    if probe is None or not probe.pinned or probe.sent == 0:
        return (f"unknown: {probe.why}" if probe and probe.why else "unknown"), None
    lost = probe.sent - probe.received
    return f"{lost} lost", lost == 0


def _share(loads: Mapping[str, float] | None, survivor: str, before_mbps: float | None) -> tuple[str, bool | None]:
    """The survivor's part of what the paths carry now; when that is nothing, it must have been idle before too."""
    if loads is None:
        return "unknown", None
    total = sum(loads.values())
    if total >= FLOOR_MBPS:
        share, elsewhere = loads[survivor] / total, total - loads[survivor]
        return f"{share:.1%}, {elsewhere:.2f} Mbps elsewhere", share >= SHARE or elsewhere < FLOOR_MBPS
    was = "unknown" if before_mbps is None else f"{before_mbps:.2f} Mbps"
    idle = None if before_mbps is None else before_mbps < FLOOR_MBPS
    return f"{total:.2f} Mbps in all, was {was}", idle


def _loads(moment: Moment, cloud: str) -> dict[str, float] | None:
    """What each path of the cloud carries, in and out, in Mbps; None when one cannot be measured."""
    loads: dict[str, float] = {}
    for path in moment.site.paths_of(cloud):
        name = f"{moment.site.session(path.session).router} {moment.site.interface(path)}"
        link = moment.snapshot.fresh(Kind.LINK, name, Link, moment.now)
        if link is None or link.in_mbps is None or link.out_mbps is None:
            return None
        loads[path.name] = link.in_mbps + link.out_mbps
    return loads


def _total(loads: Mapping[str, float] | None) -> float | None:
    return sum(loads.values()) if loads is not None else None
