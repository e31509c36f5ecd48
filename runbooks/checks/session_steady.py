"""session-steady: after a change of a VXC its session stays up for the site's soak time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict

from network.observation import Kind, SessionHere
from runbooks.declares import Declaration
from runbooks.effects import Finding
from runbooks.model import StepDef
from runbooks.proof import LOOK_S, line
from runbooks.scene import CannotPlan, Compiled, Moment, Report, Scene
from runbooks.steady import kept_up, up_since

MARGIN_S = 60.0  # for samples that are missing: each one starts the soak anew


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
        return Compiled(
            expect=({"what": f"{session} uptime", "want": _wanted(soak_s)},),
            args={"session": session, "since": since.isoformat(), "soak_s": soak_s},
            timeout_s=soak_s + MARGIN_S,
        )

    async def wait(self, scene: Scene, step: StepDef, report: Report) -> Finding:
        session, soak_s = str(step.args["session"]), float(step.args["soak_s"])
        before, began = datetime.fromisoformat(step.args["since"]), scene.now()
        deadline = began + timedelta(seconds=step.timeout_s)
        steady_from, snapshot = None, scene.snapshot
        while (now := scene.now()) < deadline:
            snapshot = await scene.newer(snapshot.revision, min(LOOK_S, (deadline - now).total_seconds()))
            now = scene.now()
            here = snapshot.since(began).fresh(Kind.SESSION_HERE, session, SessionHere, now)
            steady = kept_up(here, before)
            steady_from = (steady_from or now) if steady else None
            held_s = (now - steady_from).total_seconds() if steady_from else 0.0
            told = "unknown" if steady is None else "dropped" if not steady else f"steady for {held_s:.0f} s"
            proof = {"expected": [line(f"{session} uptime", _wanted(soak_s), told, ok=held_s >= soak_s)]}
            report(proof)
            if steady is False:
                return Finding(ok=False, reason=f"{session} dropped since the change was planned", evidence=proof)
            if steady and held_s >= soak_s:
                return Finding(ok=True, evidence=proof)
        return Finding(ok=None, reason=f"{session} was not seen steady for {soak_s:g} s in {step.timeout_s:g} s")


def _wanted(soak_s: float) -> str:
    return f"only ever increases, for {soak_s:g} s"
