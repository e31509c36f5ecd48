"""Whether a circuit must be raised for a VXC's new rate, and to what: from what the cloud says of it. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from network.inventory import AzureSide, Vxc
from network.observation import Circuit, FabricVxc, Kind
from runbooks.scene import CannotPlan, Moment


@dataclass(frozen=True, slots=True)
class Growth:
    """A circuit, its bandwidth now, and the one that it needs, in Mbps. `then` is `now` where that is enough."""

    circuit: str
    now: int
    then: int

    @property
    def needed(self) -> bool:
        return self.then > self.now


def circuit_of(moment: Moment, vxc: Vxc) -> AzureSide | None:
    """The Azure side whose circuit's key the VXC ends on; None where it ends on no circuit."""
    clouds = {path.cloud for path in moment.site.paths if path.vxc == vxc.name}
    side = next((cloud.azure for cloud in moment.site.clouds if cloud.name in clouds), None)
    return side if vxc.b_end == "azure-key" else None


def growth(moment: Moment, vxc: Vxc, mbps: int) -> Growth | None:
    """What the circuit needs for that rate; None where no circuit bounds it: another B end, or no higher rate.

    Raises CannotPlan: its bandwidth is not known, or none that is offered is enough.
    """
    side, seen = circuit_of(moment, vxc), moment.snapshot.fresh(Kind.VXC, vxc.name, FabricVxc, moment.now)
    if side is None or (seen is not None and mbps <= seen.rate_mbps):
        return None
    path = next(path for path in moment.site.paths if path.vxc == vxc.name)
    told = moment.snapshot.fresh(Kind.CIRCUIT, path.name, Circuit, moment.now)
    if told is None or told.bandwidth_mbps is None:
        if seen is not None and seen.max_mbps is not None and mbps <= seen.max_mbps:
            return Growth(side.circuit, seen.max_mbps, seen.max_mbps)  # the fabric has it from the circuit's key
        unknown = f"the bandwidth of circuit {side.circuit} is unknown"
        raise CannotPlan(f"{unknown}: whether {vxc.name} may have {mbps} Mbps cannot be said")
    if mbps <= told.bandwidth_mbps:
        return Growth(side.circuit, told.bandwidth_mbps, told.bandwidth_mbps)
    offered = moment.site.policy.circuit_bandwidths_mbps
    enough = [each for each in offered if each >= mbps]
    if not enough:
        most = max(offered, default=0)
        raise CannotPlan(f"no circuit has {mbps} Mbps: the largest is {most} (policy.circuit_bandwidths_mbps)")
    return Growth(side.circuit, told.bandwidth_mbps, min(enough))
