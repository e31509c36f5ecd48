"""stays-restored: for policy.soak_s the clouds stay carried as before, both ways, by paths that stay up."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from math import ceil

from pydantic import BaseModel, ConfigDict, Field

from network.health import SiteHealth
from network.observation import Kind
from network.verdict import Verdict
from runbooks.actions.ways import way
from runbooks.declares import Declaration
from runbooks.effects import Finding
from runbooks.model import StepDef
from runbooks.proof import Line, finding, line
from runbooks.putback import at_rest
from runbooks.scene import CannotPlan, Compiled, Moment, Report, Scene, moment_of
from runbooks.until import Sample, until

_SEEN = {Verdict.UP: True, Verdict.DOWN: False, Verdict.DEGRADED: False}


class Args(BaseModel):
    """Cloud to the paths that carry it, out and back. A book leaves both to the record."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    carried_by: dict[str, list[str]] = Field(default_factory=dict)
    return_by: dict[str, list[str]] = Field(default_factory=dict)


class StaysRestored:
    """See the module. One sample each policy.empty_spacing_s; one that is not so begins the soak anew.

    A way that was not known before cannot be compared; `restored` says so.
    """

    declares = Declaration("stays-restored", "wait_until", Args, reads=frozenset({"routers", "probes"}))

    def compile(self, moment: Moment, args: Mapping[str, str]) -> Compiled:  # noqa: ARG002 -- the record says it all
        if moment.undoing is None:
            raise CannotPlan("stays-restored watches what a run put back: only a book that `undoes` another has one")
        rest, policy = at_rest(moment.undoing.definition), moment.site.policy
        ways = {key: {cloud: list(each[key]) for cloud, each in rest.items()} for key in ("carried_by", "return_by")}
        return Compiled(
            args=ways,
            expect=tuple({"what": name, "want": f"up for {policy.soak_s:g} s"} for name in _paths(ways)),
            samples=1 + ceil(policy.soak_s / policy.empty_spacing_s),
            spacing_s=policy.empty_spacing_s,
        )

    async def wait(self, scene: Scene, step: StepDef, report: Report) -> Finding:
        return await until(scene, step, self.sample, report)

    def sample(self, scene: Scene, step: StepDef) -> Sample:
        """Both ways and each path's verdict; as old as the oldest session that was looked at."""
        moment, paths = moment_of(scene), _paths(step.args)
        health = moment.health
        lines = [*_ways(health, step), *(_up(health, name) for name in paths)]
        found = finding(lines)
        return Sample(_oldest(moment, paths), found.ok, tuple(lines), found.reason)


def _paths(ways: Mapping[str, Mapping[str, list[str]]]) -> list[str]:
    names = (name for key in ("carried_by", "return_by") for each in ways[key].values() for name in each)
    return list(dict.fromkeys(names))


def _ways(health: SiteHealth, step: StepDef) -> list[Line]:
    found = []
    for name, out in step.args["carried_by"].items():
        cloud, back = health.cloud(name), step.args["return_by"][name]
        found += [way(f"{name} out", tuple(out), cloud.carried_by, known=not cloud.unseen_routers)] if out else []
        found += [way(f"{name} back", tuple(back), cloud.way_back.paths, known=True)] if back else []
    return found


def _up(health: SiteHealth, name: str) -> Line:
    path = health.path(name)
    return line(name, "up", f"{path.verdict.value} {path.why}".strip(), ok=_SEEN.get(path.verdict))


def _oldest(moment: Moment, paths: list[str]) -> datetime | None:
    seen = [moment.snapshot.get(Kind.SESSION_HERE, moment.site.path(name).session) for name in paths]
    times = [each.at for each in seen if each is not None]
    return min(times) if times and len(times) == len(seen) else None
