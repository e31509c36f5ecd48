"""restored: after an undo, nothing of ours is left and the clouds are carried as they were."""

from __future__ import annotations

from collections.abc import Mapping

from network.health import judge
from runbooks.effects import Finding
from runbooks.model import StepDef
from runbooks.scene import Compiled, Moment, Scene


class Restored:
    """See the module. `carried_by` in the arguments is the baseline: cloud to paths."""

    def compile(self, moment: Moment, args: Mapping[str, str]) -> Compiled:  # noqa: ARG002 -- nothing to make exact
        return Compiled()

    async def check(self, scene: Scene, step: StepDef) -> Finding:
        deadline = scene.now().timestamp() + step.timeout_s
        baseline: Mapping[str, list[str]] = step.args["carried_by"]
        while True:
            snapshot = scene.snapshot
            health = judge(scene.site, snapshot, scene.now())
            lines = [
                {
                    "what": f"{name} out",
                    "want": ", ".join(paths),
                    "now": ", ".join(health.cloud(name).carried_by) or "unknown",
                }
                for name, paths in baseline.items()
            ]
            lines += [
                {
                    "what": f"{name} back",
                    "want": ", ".join(paths),
                    "now": ", ".join(health.cloud(name).way_back.paths) or "unknown",
                }
                for name, paths in baseline.items()
            ]
            proof = [line | {"ok": line["want"] == line["now"]} for line in lines]
            missing = [f"{line['what']}: {line['now']}, was {line['want']}" for line in proof if not line["ok"]]
            if not missing or scene.now().timestamp() >= deadline:
                return Finding(ok=not missing, reason="; ".join(missing), evidence={"expected": proof})
            await scene.newer(snapshot.revision, 1.0)
