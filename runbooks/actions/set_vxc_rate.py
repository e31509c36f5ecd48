"""set-vxc-rate: give a VXC another rate in place, one field in one update, and prove that it is recorded and effective.

The fabric takes one update of a service in five minutes: what restores waits until that is over, inside its act, and
asks for its moment directly before each send. An answer proves nothing, and after a lost one the old rate may be read
for minutes: a look waits until what this console sent is seen, or until nothing can come any more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from connectors.errors import InterlockError, Throttled, TooEarly
from connectors.errors import NotSent as ConnectorNotSent
from network.observation import Kind, SessionHere
from network.snapshot import Snapshot
from runbooks.declares import Declaration
from runbooks.effects import Finding, NotSent, Seen
from runbooks.model import Phase, StepDef
from runbooks.proof import Line, Paced, line, until_proven
from runbooks.resizing import known, port_of, refusals, unshaped, weighed
from runbooks.scene import CannotPlan, Compiled, Fabric, Moment, Scene
from runbooks.steady import up_since, uptime_line

if TYPE_CHECKING:
    from connectors.megaport_vxc import VxcDetails

CALL_S = 20.0  # for the calls of one act
MARGIN_S = 5.0  # the fabric's clock is not ours
UNSHAPED = "shapes nothing: the rate is the fabric's alone"
LOOK_S = 1.0  # between two reads of the VXC: it is minutes in which 500 calls are all there are


class Args(BaseModel):
    """The VXC, and its new rate in Mbps. `circuit_first`: a step of the book raises the circuit where it must."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vxc: str
    mbps: int = Field(gt=0)
    circuit_first: bool = False


class SetVxcRate:
    """See the module."""

    declares = Declaration(
        "set-vxc-rate",
        "act",
        Args,
        reads=frozenset({"megaport", "routers"}),
        writes=frozenset({"megaport"}),
        undoes=True,
    )

    def compile(self, moment: Moment, args: Mapping[str, str]) -> Compiled:
        """The call and its inverse, from the rate as the fabric records it. Raises CannotPlan with every reason."""
        vxc, mbps, policy = moment.site.vxc(args["vxc"]), int(args["mbps"]), moment.site.policy
        path = next(path for path in moment.site.paths if path.vxc == vxc.name)
        since = up_since(moment.snapshot, path.session)
        seen, port = known(moment, vxc), port_of(moment, vxc)
        reasons = refusals(moment, vxc, mbps, circuit_first=bool(args["circuit_first"]))
        if since is None:
            reasons.append(f"{path.session} is not seen established: that the change drops nothing could not be proven")
        if reasons or seen is None or port is None or since is None:
            raise CannotPlan("\n".join(reasons))
        return Compiled(
            commands=(_put(vxc.uid, mbps),),
            undo=(_put(vxc.uid, seen.rate_mbps),),
            expect=(
                {"what": f"{vxc.name} recorded", "want": f"{mbps} Mbps"},
                {"what": f"{vxc.name} effective", "want": f"{mbps} Mbps"},
                {"what": f"{vxc.name} service", "want": "LIVE"},
                {"what": f"{path.session} uptime", "want": "only ever increases"},
                *({"what": router, "want": UNSHAPED} for router in unshaped(moment.site, vxc)),
            ),
            relied_on={
                "rate_mbps": seen.rate_mbps,
                "status": seen.status,
                "locked": [seen.locked, port.locked],
                "waiting": seen.waiting,
            },
            args={
                "uid": vxc.uid,
                "from": seen.rate_mbps,
                "to": mbps,
                "session": path.session,
                "since": since.isoformat(),
            },
            timeout_s=policy.megaport_update_gap_s + policy.megaport_settle_s + CALL_S,
            window_s=policy.megaport_update_gap_s + 2 * MARGIN_S,
            touches=(vxc.name,),
            locks=(f"vxc:{vxc.name}", f"port:{vxc.port}"),
        )

    async def act(
        self, scene: Scene, step: StepDef, phase: Phase, send_allowed: Callable[[], None]
    ) -> Mapping[str, Any]:
        """Send the change. What restores waits for the fabric's gap, anything else is told at once.

        Raises NotSent with proof that nothing changed: somebody else's change, a lock, a clear no of the fabric.
        """
        fabric, gap_s = scene.fabric(), scene.site.policy.megaport_update_gap_s
        ends = _now() + (gap_s + MARGIN_S if _restores(step, phase) else 0.0)
        if _restores(step, phase) and (sent := fabric.sent(step.args["uid"])):
            await asyncio.sleep(max(0.0, gap_s - sent.age_s))
        while True:
            try:
                return await _changed(fabric, step, phase, send_allowed)
            except (TooEarly, Throttled) as early:
                asked_s = early.wait_s if isinstance(early, TooEarly) else early.retry_after_s
                pause_s = asked_s or gap_s / 10
                if _now() + pause_s > ends:
                    raise NotSent(str(early)) from early
                await asyncio.sleep(pause_s)
            except ConnectorNotSent as proof:
                raise NotSent(str(proof)) from proof

    async def observe(self, scene: Scene, step: StepDef) -> Seen:
        """Read the rate back until it is certain: a change that was accepted may not be recorded yet."""
        fabric, uid, settle_s = scene.fabric(), step.args["uid"], scene.site.policy.megaport_settle_s
        ends = _now() + settle_s
        while True:
            over = _now() >= ends
            try:
                details, sent = await fabric.vxc(uid), fabric.sent(uid)
            except InterlockError:
                if over:
                    raise
            else:
                settled = sent is not None and (sent.mbps == details.rate_limit or sent.age_s > settle_s)
                if settled or over:
                    return _seen(step, details)
            await asyncio.sleep(max(0.0, min(LOOK_S, ends - _now())))

    def going_back(self, moment: Moment, step: StepDef) -> list[Line]:
        """The fabric would take it, nobody works on the path, and it is up; lossy is no reason against more room."""
        return weighed(moment, moment.site.vxc(step.args["vxc"]), _mbps(step, "undo"))

    async def verify(self, scene: Scene, step: StepDef, phase: Phase) -> Finding:
        """Wait until the rate is recorded and effective and the service LIVE; and nothing may have dropped for it.

        As long as the fabric may take: what is not so by then will not become so by itself.
        """
        uid, name = str(step.args["uid"]), str(step.args["vxc"])
        told = Paced(LOOK_S, lambda: _read(scene.fabric(), uid, name, _mbps(step, phase)))

        async def prove(since: Snapshot) -> list[Line]:
            lines = await told.lines(scene.now())
            if _restores(step, phase):
                return lines  # the baseline is the rate; what became of the session meanwhile is no part of it
            session, before = str(step.args["session"]), datetime.fromisoformat(step.args["since"])
            return [*lines, uptime_line(session, since.fact(Kind.SESSION_HERE, session, SessionHere), before)]

        return await until_proven(scene, scene.site.policy.megaport_settle_s + 2 * LOOK_S, prove)


async def _read(fabric: Fabric, uid: str, name: str, wanted: int) -> list[Line]:
    """The VXC as the fabric has it, beside what it should be."""
    want = f"{wanted} Mbps"
    try:
        seen = await fabric.vxc(uid)
    except InterlockError as error:
        return [line(f"{name} recorded", want, f"could not be read: {error}", ok=None)]
    mbps, against = seen.effective_mbps, "; ".join(seen.against_change)
    told, effective = ("unknown", None) if mbps is None else (f"{mbps} Mbps", mbps == wanted)
    return [
        line(f"{name} recorded", want, f"{seen.rate_limit} Mbps", ok=seen.rate_limit == wanted),
        line(f"{name} effective", want, told, ok=effective),
        line(f"{name} service", "LIVE", against or seen.provisioning_status, ok=not against),
    ]


def _put(uid: str, mbps: int) -> dict[str, Any]:
    return {"system": "megaport", "put": f"/v3/product/vxc/{uid}", "json": {"rateLimit": mbps}}


def _restores(step: StepDef, phase: Phase) -> bool:
    """Whether a phase puts the old rate back: an undo does, and the `do` of a run that undoes another."""
    return (phase == "undo") != bool(step.args.get("inverse"))


def _mbps(step: StepDef, phase: Phase) -> int:
    """The rate that a phase leaves, in Mbps."""
    return int(step.args["from" if _restores(step, phase) else "to"])


async def _changed(fabric: Fabric, step: StepDef, phase: Phase, send_allowed: Callable[[], None]) -> Mapping[str, Any]:
    """Look, then send: nobody else's rate is written over, and what is there already is not sent again."""
    uid, wanted = step.args["uid"], _mbps(step, phase)
    seen = await _looked(fabric, uid)
    if seen.rate_limit == wanted:
        return {"sent": 0, "rate_mbps": wanted, "why": "it is recorded already"}
    if foreign := _foreign(step, seen):
        raise NotSent(foreign)
    if seen.against_change:
        raise NotSent(f"{step.args['vxc']}: {'; '.join(seen.against_change)}")
    await fabric.set_rate(uid, wanted, send_allowed)
    return {"sent": 1, "rate_mbps": wanted}


async def _looked(fabric: Fabric, uid: str) -> VxcDetails:
    try:
        return await fabric.vxc(uid)
    except Throttled:
        raise
    except InterlockError as error:
        raise NotSent(str(error)) from error


def _foreign(step: StepDef, seen: VxcDetails) -> str:
    """Somebody else's rate in words, beside ours; "" when it is one of ours."""
    ours = (step.args["from"], step.args["to"])
    if seen.rate_limit in ours:
        return ""
    return (
        f"{step.args['vxc']} has {seen.rate_limit} Mbps, which somebody else has set;"
        f" this run knows {ours[0]} and {ours[1]} Mbps"
    )


def _seen(step: StepDef, details: VxcDetails) -> Seen:
    if foreign := _foreign(step, details):
        return Seen("unknown", {"foreign": [foreign]})
    evidence = {"rate_mbps": details.rate_limit, "effective_mbps": details.effective_mbps}
    return Seen("do" if details.rate_limit == _mbps(step, "do") else "undo", evidence)


def _now() -> float:
    return asyncio.get_running_loop().time()
