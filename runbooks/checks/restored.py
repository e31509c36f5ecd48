"""restored: after an undo, nothing of ours is left and the clouds are carried as they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from network.health import judge
from runbooks.effects import Finding
from runbooks.model import StepDef
from runbooks.scene import Compiled, Moment, Scene


class Restored:
    """See the module. `carried_by` and `return_by` in the arguments are the baseline: cloud to paths."""

    def compile(self, moment: Moment, args: Mapping[str, str]) -> Compiled:  # noqa: ARG002 -- nothing to make exact
        return Compiled()

    async def check(self, scene: Scene, step: StepDef) -> Finding:
        deadline = scene.now().timestamp() + step.timeout_s
        out: Mapping[str, list[str]] = step.args["carried_by"]
        back: Mapping[str, list[str]] = step.args["return_by"]
        while True:
            snapshot = scene.snapshot
            health = judge(scene.site, snapshot, scene.now())
            clouds = {name: health.cloud(name) for name in out}
            proof = [_line(f"{name} out", out[name], cloud.carried_by) for name, cloud in clouds.items()]
            proof += [_line(f"{name} back", back[name], cloud.way_back.paths) for name, cloud in clouds.items()]
            missing = [f"{line['what']}: {line['now']}, was {line['want']}" for line in proof if not line["ok"]]
            if not missing or scene.now().timestamp() >= deadline:
                return Finding(ok=not missing, reason="; ".join(missing), evidence={"expected": proof})
            await scene.newer(snapshot.revision, 1.0)


def _line(what: str, was: Sequence[str], now: Sequence[str]) -> dict[str, Any]:
    return {
        "what": what,
        "want": ", ".join(was) or "unknown",
        "now": ", ".join(now) or "unknown",
        "ok": bool(was) and tuple(was) == tuple(now),
    }
