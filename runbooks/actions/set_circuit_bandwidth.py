"""set-circuit-bandwidth: raise an ExpressRoute circuit so that a VXC's new rate fits into it. It never goes down again.

There is nothing that could put it back: a rollback leaves the circuit larger, and says so. Where the circuit is large
enough already, the plan leaves the step out and says that.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from connectors.errors import InterlockError
from connectors.errors import NotSent as ConnectorNotSent
from network.snapshot import Snapshot
from runbooks.circuits import growth
from runbooks.declares import Declaration
from runbooks.effects import Finding, NotSent, Seen
from runbooks.model import Phase, StepDef
from runbooks.proof import Line, Paced, line, until_proven
from runbooks.resizing import refusals
from runbooks.scene import CannotPlan, Compiled, Moment, Scene

if TYPE_CHECKING:
    from connectors.azure_bandwidth import CircuitDetails

CALL_S = 40.0  # for the calls of one act: a login, a read, and the change
WINDOW_S = 20.0  # for the login and the read that come before the send
LOOK_S = 1.0  # between two reads, and no more than
LOOKS = 100  # of them while it settles: both systems count their calls
SUCCEEDED = "Succeeded"


class Args(BaseModel):
    """The VXC that needs it, and its new rate in Mbps."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    vxc: str
    mbps: int = Field(gt=0)


class SetCircuitBandwidth:
    """See the module."""

    declares = Declaration(
        "set-circuit-bandwidth",
        "act",
        Args,
        reads=frozenset({"azure", "megaport"}),
        writes=frozenset({"azure"}),
        undoes=False,
    )

    def compile(self, moment: Moment, args: Mapping[str, str]) -> Compiled:
        """The smallest bandwidth on offer that is enough. Raises CannotPlan, also with what forbids the rate itself.

        Nothing is raised for ever for a rate that the fabric would not take.
        """
        vxc, mbps = moment.site.vxc(args["vxc"]), int(args["mbps"])
        if reasons := refusals(moment, vxc, mbps, circuit_first=True):
            raise CannotPlan("\n".join(reasons))
        grown = growth(moment, vxc, mbps)
        if grown is None:
            return Compiled(needless=f"No circuit bounds {vxc.name} at {mbps} Mbps: none is changed.")
        if not grown.needed:
            return Compiled(needless=f"Circuit {grown.circuit} has {grown.now} Mbps: enough, it is not changed.")
        side = next(cloud.azure for cloud in moment.site.clouds if cloud.azure)
        return Compiled(
            commands=(_put(side.subscription, side.resource_group, grown.circuit, grown.then),),
            expect=(
                {"what": f"circuit {grown.circuit} bandwidth", "want": f"{grown.then} Mbps, for ever: it only goes up"},
                {"what": f"circuit {grown.circuit} state", "want": SUCCEEDED},
                {"what": f"{vxc.name} as the fabric knows it", "want": f"may have {mbps} Mbps"},
            ),
            relied_on={"circuit_mbps": grown.now},
            args={"circuit": grown.circuit, "uid": vxc.uid, "from": grown.now, "to": grown.then},
            timeout_s=moment.site.policy.circuit_settle_s + CALL_S,
            window_s=WINDOW_S,
            touches=(grown.circuit,),
            locks=(f"circuit:{grown.circuit}",),
        )

    async def act(
        self,
        scene: Scene,
        step: StepDef,
        phase: Phase,  # noqa: ARG002 -- it has no undo
        send_allowed: Callable[[], None],
    ) -> Mapping[str, Any]:
        """Look, then send once. Raises NotSent: somebody else's change, or a clear no."""
        port, wanted = scene.circuit(), int(step.args["to"])
        try:
            seen = await port.circuit()
        except InterlockError as error:
            raise NotSent(str(error)) from error
        if seen.bandwidth_mbps == wanted:
            return {"sent": 0, "bandwidth_mbps": wanted, "why": "it is recorded already"}
        if seen.bandwidth_mbps != step.args["from"]:
            raise NotSent(_foreign(step, seen))
        if seen.provisioning_state != SUCCEEDED:
            raise NotSent(f"circuit {step.args['circuit']} is {seen.provisioning_state}, not {SUCCEEDED}")
        try:
            await port.set_bandwidth(seen, wanted, send_allowed)
        except ConnectorNotSent as proof:
            raise NotSent(str(proof)) from proof
        return {"sent": 1, "bandwidth_mbps": wanted}

    async def observe(self, scene: Scene, step: StepDef) -> Seen:
        """Read it back until it is certain: what was accepted, or lost on the way, may come as long as it may take."""
        ends, every_s = _now() + scene.site.policy.circuit_settle_s, _every_s(scene)
        while True:
            over = _now() >= ends
            try:
                seen = await scene.circuit().circuit()
            except InterlockError:
                if over:
                    raise
            else:
                if over or (seen.bandwidth_mbps == step.args["to"] and seen.provisioning_state == SUCCEEDED):
                    return _seen(step, seen)
            await asyncio.sleep(max(0.0, min(every_s, ends - _now())))

    async def verify(self, scene: Scene, step: StepDef, phase: Phase) -> Finding:  # noqa: ARG002 -- same
        """Recorded, through, and known to the fabric: before that a higher rate would be refused."""

        async def read() -> list[Line]:
            return [*await _recorded(scene, step), await _known_to_fabric(scene, step)]

        told = Paced(_every_s(scene), read)

        async def prove(since: Snapshot) -> list[Line]:  # noqa: ARG001 -- it is read here, not taken from a poll
            return await told.lines(scene.now())

        return await until_proven(scene, scene.site.policy.circuit_settle_s, prove)


def _every_s(scene: Scene) -> float:
    return max(LOOK_S, scene.site.policy.circuit_settle_s / LOOKS)


async def _recorded(scene: Scene, step: StepDef) -> list[Line]:
    name, want = f"circuit {step.args['circuit']}", f"{step.args['to']} Mbps"
    try:
        seen = await scene.circuit().circuit()
    except InterlockError as error:
        return [line(f"{name} bandwidth", want, f"could not be read: {error}", ok=None)]
    mbps, state = seen.bandwidth_mbps, seen.provisioning_state or "unknown"
    return [
        line(f"{name} bandwidth", want, f"{mbps} Mbps", ok=mbps == step.args["to"]),
        line(f"{name} state", SUCCEEDED, state, ok=seen.provisioning_state == SUCCEEDED),
    ]


async def _known_to_fabric(scene: Scene, step: StepDef) -> Line:
    what, want = f"{step.args['vxc']} as the fabric knows it", f"may have {step.args['mbps']} Mbps"
    try:
        most = (await scene.fabric().vxc(step.args["uid"])).most_mbps
    except InterlockError as error:
        return line(what, want, f"could not be read: {error}", ok=None)
    if most is None:
        return line(what, want, "unknown", ok=None)
    return line(what, want, f"may have {most} Mbps", ok=most >= int(step.args["mbps"]))


def _put(subscription: str, group: str, circuit: str, mbps: int) -> dict[str, Any]:
    """The change as it is told; what is sent is the circuit as it was read, with this field changed."""
    path = f"/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Network"
    change = {"properties": {"serviceProviderProperties": {"bandwidthInMbps": mbps}}}
    return {"system": "azure", "put": f"{path}/expressRouteCircuits/{circuit}", "json": change}


def _foreign(step: StepDef, seen: CircuitDetails) -> str:
    return (
        f"circuit {step.args['circuit']} has {seen.bandwidth_mbps} Mbps, which somebody else has set;"
        f" this run knows {step.args['from']} and {step.args['to']} Mbps"
    )


def _seen(step: StepDef, seen: CircuitDetails) -> Seen:
    evidence = {"bandwidth_mbps": seen.bandwidth_mbps, "provisioning_state": seen.provisioning_state}
    if seen.bandwidth_mbps == step.args["to"]:
        return Seen("do", evidence)
    if seen.bandwidth_mbps == step.args["from"] and seen.provisioning_state == SUCCEEDED:
        return Seen("undo", evidence)
    return Seen("unknown", {**evidence, "foreign": [_foreign(step, seen)]})


def _now() -> float:
    return asyncio.get_running_loop().time()
