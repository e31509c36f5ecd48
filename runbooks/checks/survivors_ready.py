"""survivors-ready: every cloud on the port has a standby that is proven able to carry it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

from pydantic import BaseModel, ConfigDict

from network.takeover import Takeover, takeovers
from network.verdict import Verdict
from runbooks.declares import Declaration
from runbooks.effects import Finding
from runbooks.model import StepDef
from runbooks.proof import LOOK_S, line
from runbooks.scene import CannotPlan, Compiled, Moment, Scene, moment_of
from runbooks.standby import objections


class Args(BaseModel):
    """The port to be drained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    port: str


class SurvivorsReady:
    """See the module. Unknown is not ready."""

    declares = Declaration(
        "survivors-ready", "check", Args, reads=frozenset({"routers", "megaport", "azure", "aws", "probes"})
    )

    def compile(self, moment: Moment, args: Mapping[str, str]) -> Compiled:
        moves = takeovers(moment.site, args["port"])
        if not moves:
            raise CannotPlan(f"no cloud on {args['port']} has a private path elsewhere: nothing could take over")
        return Compiled(
            expect=tuple({"what": f"{move.cloud} standby", "want": f"{move.survivor.name} ready"} for move in moves)
        )

    async def check(self, scene: Scene, step: StepDef) -> Finding:
        """Answers at once, except while something has never been seen: a console that has just started looks first."""
        deadline = scene.now() + timedelta(seconds=step.timeout_s)
        moves = takeovers(scene.site, step.args["port"])
        while True:
            moment = moment_of(scene)
            found = {move: objections(moment, move) for move in moves}
            left_s = (deadline - moment.now).total_seconds()
            if not any(found.values()) or left_s <= 0 or not _unseen(moment, moves):
                return _finding(found)
            await scene.newer(moment.snapshot.revision, min(LOOK_S, left_s))


def _unseen(moment: Moment, moves: Sequence[Takeover]) -> bool:
    clouds = {move.cloud for move in moves}
    return any(p.verdict is Verdict.UNKNOWN for p in moment.health.paths if p.path.cloud in clouds)


def _finding(found: Mapping[Takeover, Sequence[str]]) -> Finding:
    lines = [
        line(f"{move.cloud} standby", (ready := f"{move.survivor.name} ready"), "; ".join(all_) or ready, ok=not all_)
        for move, all_ in found.items()
    ]
    reasons = [f"{move.cloud}: {reason}" for move, all_ in found.items() for reason in all_]
    return Finding(ok=bool(found) and not reasons, reason="; ".join(reasons), evidence={"expected": lines})
