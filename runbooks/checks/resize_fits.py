"""resize-fits: the new rate suits what the VXC carries, and the other path could take it meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field

from network.inventory import Vxc
from network.observation import Kind, SessionHere
from runbooks.declares import Declaration
from runbooks.effects import Finding
from runbooks.model import StepDef
from runbooks.proof import LOOK_S, line
from runbooks.resizing import known, objections, refusals
from runbooks.scene import Compiled, Moment, Scene, moment_of
from runbooks.standby import only_hidden
from runbooks.steady import kept_up, up_since


class Args(BaseModel):
    """The VXC, and its new rate in Mbps. `circuit_first`: a step of the book raises the circuit where it must."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vxc: str
    mbps: int = Field(gt=0)
    circuit_first: bool = False


class ResizeFits:
    """See the module. Up: port and circuit allow it. Down: a week's load leaves room, here and on the other path."""

    declares = Declaration(
        "resize-fits", "check", Args, reads=frozenset({"routers", "megaport", "azure", "aws", "probes"})
    )

    def compile(self, moment: Moment, args: Mapping[str, str]) -> Compiled:
        wanted = _wanted(moment, moment.site.vxc(args["vxc"]), int(args["mbps"]))
        session = next(path.session for path in moment.site.paths if path.vxc == args["vxc"])
        since = up_since(moment.snapshot, session)
        return Compiled(
            expect=({"what": f"{args['vxc']} at {args['mbps']} Mbps", "want": wanted},),
            args={"wanted": wanted, "session": session, "since": since.isoformat() if since else None},
        )

    async def check(self, scene: Scene, step: StepDef) -> Finding:
        """Answers at once what it sees; while something is only not known, never seen or too old, it looks on."""
        vxc, mbps = scene.site.vxc(step.args["vxc"]), int(step.args["mbps"])
        deadline = scene.now() + timedelta(seconds=step.timeout_s)
        while True:
            moment = moment_of(scene)
            steady = _steady(moment, step)
            refused = refusals(moment, vxc, mbps, circuit_first=bool(step.args.get("circuit_first")))
            objected = objections(moment, vxc, mbps)
            against = [*refused, *(each.words for each in objected), *_dropped(step, steady)]
            left_s = (deadline - moment.now).total_seconds()
            hidden = steady is None or known(moment, vxc) is None or (steady and not refused and only_hidden(objected))
            if not against or left_s <= 0 or not hidden:
                break
            await scene.newer(moment.snapshot.revision, min(LOOK_S, left_s))
        wanted = str(step.args["wanted"])
        told = line(f"{vxc.name} at {mbps} Mbps", wanted, "; ".join(against) or wanted, ok=not against)
        return Finding(ok=not against, reason="; ".join(against), evidence={"expected": [told]})


def _steady(moment: Moment, step: StepDef) -> bool | None:
    """Whether the session is up, and has been since the plan was made: a later drop would be taken for the change's."""
    here = moment.snapshot.fresh(Kind.SESSION_HERE, step.args["session"], SessionHere, moment.now)
    return kept_up(here, datetime.fromisoformat(step.args["since"])) if step.args["since"] else None


def _dropped(step: StepDef, steady: bool | None) -> list[str]:
    if steady:
        return []
    return [f"{step.args['session']} {'has dropped since the plan was made' if steady is False else 'is unknown'}"]


def _wanted(moment: Moment, vxc: Vxc, mbps: int) -> str:
    seen = known(moment, vxc)
    if seen is None or mbps > seen.rate_mbps:
        return "port and circuit allow it"
    return f"a week's p95 is at most {moment.site.policy.resize_p95_pct:g} % of it, the other path is ready"
