"""survivors-ready: every cloud on the port has a standby that is proven able to carry it."""

from __future__ import annotations

from collections.abc import Mapping

from runbooks.effects import Finding
from runbooks.model import StepDef
from runbooks.scene import Compiled, Moment, Scene, moment_of
from runbooks.standby import objections, takeovers


class SurvivorsReady:
    """See the module. Unknown is not ready."""

    def compile(self, moment: Moment, args: Mapping[str, str]) -> Compiled:
        moves = takeovers(moment.site, args["port"])
        return Compiled(
            expect=tuple({"what": f"{move.cloud} standby", "want": f"{move.survivor.name} ready"} for move in moves)
        )

    async def check(self, scene: Scene, step: StepDef) -> Finding:
        moment = moment_of(scene)
        found = {move: objections(moment, move) for move in takeovers(scene.site, step.args["port"])}
        reasons = [f"{move.cloud}: {reason}" for move, all_ in found.items() for reason in all_]
        evidence = {
            "expected": [
                {
                    "what": f"{move.cloud} standby",
                    "want": f"{move.survivor.name} ready",
                    "now": "; ".join(all_) or f"{move.survivor.name} ready",
                    "ok": not all_,
                }
                for move, all_ in found.items()
            ]
        }
        return Finding(ok=bool(found) and not reasons, reason="; ".join(reasons) or "", evidence=evidence)
