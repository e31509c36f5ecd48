"""survivors-ready: every cloud on the port has a standby that is proven able to carry it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import chain

from pydantic import BaseModel, ConfigDict

from network.takeover import Takeover, takeovers
from runbooks.declares import Declaration
from runbooks.effects import Finding
from runbooks.model import StepDef
from runbooks.proof import LOOK_S, line
from runbooks.scene import CannotPlan, Compiled, Moment, Scene, moment_of
from runbooks.standby import Against, objections, only_hidden


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
        """Answers at once what it sees; while something is only not known, never seen or too old, it looks on."""
        deadline = scene.now() + timedelta(seconds=step.timeout_s)
        moves = takeovers(scene.site, step.args["port"])
        while True:
            moment = moment_of(scene)
            found = {move: objections(moment, move) for move in moves}
            left_s = (deadline - moment.now).total_seconds()
            if left_s <= 0 or not only_hidden([*chain.from_iterable(found.values())]):
                return _finding(found)
            await scene.newer(moment.snapshot.revision, min(LOOK_S, left_s))


def _finding(found: Mapping[Takeover, Sequence[Against]]) -> Finding:
    lines, reasons = [], []
    for move, against in found.items():
        words, ready = [each.words for each in against], f"{move.survivor.name} ready"
        lines.append(line(f"{move.cloud} standby", ready, "; ".join(words) or ready, ok=not words))
        reasons += [f"{move.cloud}: {each}" for each in words]
    return Finding(ok=bool(found) and not reasons, reason="; ".join(reasons), evidence={"expected": lines})
