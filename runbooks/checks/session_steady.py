"""session-steady: after a change of a VXC its session stays up for the site's soak time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from pydantic import BaseModel, ConfigDict

from network.observation import Kind, SessionHere
from runbooks.declares import Declaration
from runbooks.effects import Finding
from runbooks.model import StepDef
from runbooks.scene import CannotPlan, Compiled, Moment, Report, Scene
from runbooks.steady import kept_up, up_since, uptime_line
from runbooks.until import Sample, until

MARGIN_S = 60.0  # for samples that are missing: each one starts the soak anew
#: The soak is looked at so often at most, and no oftener than every PART_S. An uptime that still goes on at its end has
#: gone on all the time: what lies between shows only how far it is.
PARTS, PART_S = 10, 10.0


class Args(BaseModel):
    """The VXC whose session must not drop."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vxc: str


class SessionSteady:
    """See the module. A drop ends the wait at once; a sample that is missing is no proof and starts it anew."""

    declares = Declaration("session-steady", "wait_until", Args, reads=frozenset({"routers"}))

    def compile(self, moment: Moment, args: Mapping[str, str]) -> Compiled:
        session = next(path.session for path in moment.site.paths if path.vxc == args["vxc"])
        since = up_since(moment.snapshot, session)
        if since is None:
            raise CannotPlan(f"since when {session} is established is unknown")
        soak_s = moment.site.policy.soak_s
        parts = max(1, min(PARTS, int(soak_s / PART_S)))
        return Compiled(
            expect=({"what": f"{session} uptime", "want": f"only ever increases, for {soak_s:g} s"},),
            args={"session": session, "since": since.isoformat()},
            timeout_s=soak_s + MARGIN_S,
            samples=parts + 1,
            spacing_s=soak_s / parts,
        )

    async def wait(self, scene: Scene, step: StepDef, report: Report) -> Finding:
        return await until(scene, step, self.sample, report)

    def sample(self, scene: Scene, step: StepDef) -> Sample:
        """The session's uptime against that of the plan. One that dropped since then can never have kept up."""
        session, before = str(step.args["session"]), datetime.fromisoformat(step.args["since"])
        here = scene.snapshot.fresh(Kind.SESSION_HERE, session, SessionHere, scene.now())
        seen, steady = scene.snapshot.get(Kind.SESSION_HERE, session), kept_up(here, before)
        against = f"{session} dropped since the change was planned" if steady is False else f"{session} is unknown"
        proof = uptime_line(session, here, before)
        return Sample(seen.at if seen else None, steady, (proof,), against, never=steady is False)
