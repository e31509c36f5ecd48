"""standby-carries: after the move, the survivors carry it all, both ways, and nothing was lost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from network.health import CloudHealth
from network.observation import Kind, Link, ProbeResult
from runbooks.effects import Finding
from runbooks.model import StepDef
from runbooks.scene import Compiled, Moment, Scene, moment_of
from runbooks.standby import Takeover, takeovers

#: The survivor must carry this share of what the cloud's paths carry.
SHARE = 0.98


class StandbyCarries:
    """See the module. Asked until it is so or the step's time is over: clouds answer late."""

    def compile(self, moment: Moment, args: Mapping[str, str]) -> Compiled:
        moves = takeovers(moment.site, args["port"])
        return Compiled(
            expect=tuple({"what": what, "want": want} for move in moves for what, want in _wanted(move)),
        )

    async def check(self, scene: Scene, step: StepDef) -> Finding:
        deadline = scene.now().timestamp() + step.timeout_s
        while True:
            snapshot = scene.snapshot
            moment = moment_of(scene)
            lines = [line for move in takeovers(scene.site, step.args["port"]) for line in _proof(moment, move)]
            missing = [f"{line['what']}: {line['now']}" for line in lines if not line["ok"]]
            if not missing:
                return Finding(ok=True, evidence={"expected": lines})
            if scene.now().timestamp() >= deadline:
                return Finding(ok=False, reason="; ".join(missing), evidence={"expected": lines})
            await scene.newer(snapshot.revision, 1.0)


def _wanted(move: Takeover) -> list[tuple[str, str]]:
    return [
        (f"{move.cloud} out and back", move.survivor.name),
        (f"{move.cloud} load", f"at least {SHARE:.0%} on {move.survivor.name}"),
        (f"{move.survivor.name} probes", "none lost"),
    ]


def _proof(moment: Moment, move: Takeover) -> list[dict[str, Any]]:
    cloud = moment.health.cloud(move.cloud)
    probe = moment.snapshot.fresh(Kind.PROBE, move.survivor.name, ProbeResult, moment.now)
    share = _share(moment, move)
    lost = probe.sent - probe.received if probe else None
    told = (
        (_ways(cloud), cloud.carried_by == cloud.way_back.paths == (move.survivor.name,)),
        ("unknown" if share is None else f"{share:.1%}", share is not None and share >= SHARE),
        ("unknown" if lost is None else f"{lost} lost", lost == 0),
    )
    wanted = _wanted(move)
    return [{"what": w[0], "want": w[1], "now": now, "ok": ok} for w, (now, ok) in zip(wanted, told, strict=True)]


def _ways(cloud: CloudHealth) -> str:
    out, back = ", ".join(cloud.carried_by) or "unknown", ", ".join(cloud.way_back.paths) or "unknown"
    return out if out == back else f"out {out}, back {back}"


def _share(moment: Moment, move: Takeover) -> float | None:
    """The survivor's part of what the cloud's paths carry now, in and out; None when it cannot be measured."""
    loads: dict[str, float] = {}
    for path in moment.site.paths_of(move.cloud):
        name = f"{moment.site.session(path.session).router} {moment.site.interface(path)}"
        link = moment.snapshot.fresh(Kind.LINK, name, Link, moment.now)
        if link is None or link.in_mbps is None or link.out_mbps is None:
            return None
        loads[path.name] = link.in_mbps + link.out_mbps
    total = sum(loads.values())
    return loads[move.survivor.name] / total if total else None
