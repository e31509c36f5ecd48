"""restored: after an undo, nothing of ours is left and the clouds are carried as they were."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import BaseModel, ConfigDict, Field

from network.health import CloudHealth
from network.snapshot import Snapshot
from runbooks.declares import Declaration
from runbooks.effects import Finding
from runbooks.leftbehind import Traces, left_behind
from runbooks.model import StepDef
from runbooks.proof import Line, finding, line, no_ot_overlap, until_proven
from runbooks.putback import baseline
from runbooks.scene import CannotPlan, Compiled, Moment, Scene, moment_of


class Args(BaseModel):
    """The baseline: cloud to the paths that carried it, out and back. A book leaves all of it to the record.

    `run` is the one that is put back, `sent` by router the lines that its acts have sent.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    carried_by: dict[str, list[str]] = Field(default_factory=dict)
    return_by: dict[str, list[str]] = Field(default_factory=dict)
    run: str = ""
    sent: dict[str, list[str]] = Field(default_factory=dict)


class Restored:
    """See the module. `carried_by` and `return_by` in the arguments are the baseline: cloud to paths."""

    declares = Declaration("restored", "check", Args, reads=frozenset({"routers", "azure", "aws", "probes"}))

    def compile(self, moment: Moment, args: Mapping[str, str]) -> Compiled:  # noqa: ARG002 -- the record says it all
        if moment.undoing is None:
            raise CannotPlan(
                "restored compares with the run that is put back: only a book that `undoes` another has one"
            )
        wanted, expect = baseline(moment.undoing.definition, moment.undoing.run_id)
        return Compiled(args=wanted, expect=tuple(expect))

    async def check(self, scene: Scene, step: StepDef) -> Finding:
        out: Mapping[str, list[str]] = step.args["carried_by"]
        back: Mapping[str, list[str]] = step.args["return_by"]

        async def prove(since: Snapshot) -> list[Line]:
            seen, known = Moment(scene.site, since, scene.now(), {}).health, moment_of(scene)
            clouds = {name: seen.cloud(name) for name in out}
            lines = [_way(f"{name} out", out[name], _out(cloud)) for name, cloud in clouds.items()]
            lines += [_way(f"{name} back", back[name], cloud.way_back.paths) for name, cloud in clouds.items()]
            return [*lines, no_ot_overlap(known.health, known.view)]

        ways = await until_proven(scene, step.timeout_s, prove, "was")
        if not ways.ok:
            return ways
        left = await left_behind(scene, Traces(step.args.get("run", ""), step.args.get("sent", {})))
        return finding([*ways.evidence["expected"], *left], "was")


def _out(cloud: CloudHealth) -> tuple[str, ...]:
    """Who carries the cloud; not known while a router that may do otherwise cannot be asked."""
    return () if cloud.unseen_routers else cloud.carried_by


def _way(what: str, was: Sequence[str], now: Sequence[str]) -> Line:
    same = tuple(was) == tuple(now) if was and now else None
    return line(what, ", ".join(was) or "unknown", ", ".join(now) or "unknown", ok=same)
