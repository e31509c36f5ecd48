"""The switch between all nodes: what is wrong with each of its ports, as the sum of the failures that are active."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from lab.frr.namespaces import LAN_BRIDGE
from lab.frr.shell import run
from lab.frr.things import Cut
from lab.frr.topology import FABRIC, Topology

_FLAGS = "flood {0} mcast_flood {0} bcast_flood {0} learning {0}"


class Fabric:
    """`cuts` is the book of the ports that are not well; readers may keep it, it changes in place."""

    def __init__(self, topology: Topology, prefix: str) -> None:
        self.cuts: dict[str, Cut] = {}
        self._namespace = prefix + FABRIC
        wires = topology.wires.values()
        self._bridges = {end.switch_port: wire.bridge for wire in wires for end in (wire.a, wire.b)}
        self._bridges |= {f"lan-{node}": LAN_BRIDGE for node in topology.lan}

    async def cut(self, failures: Iterable[Mapping[str, Cut]]) -> None:
        """Bring every port to the worst that any active failure asks of it; ports in none are mended."""
        wanted: dict[str, Cut] = {}
        for cuts in failures:
            for port, cut in cuts.items():
                wanted[port] = max(cut, wanted.get(port, Cut.NONE))
        lines = [
            line
            for port in sorted({*wanted, *self.cuts})
            for line in self._switch(port, self.cuts.get(port, Cut.NONE), wanted.get(port, Cut.NONE))
        ]
        if lines:
            await run("ip", "-n", self._namespace, "-batch", "-", stdin="\n".join(lines) + "\n")
        self.cuts.clear()
        self.cuts.update(wanted)

    def moved(self, port: str, bridge: str) -> list[str]:
        """The `ip` lines that plug a port into another bridge, as cut as it is."""
        self._bridges[port] = bridge
        cut = self.cuts.get(port, Cut.NONE)
        return [f"link set {port} master {bridge}", *self._switch(port, Cut.NONE, cut)]

    def _switch(self, port: str, old: Cut, new: Cut) -> list[str]:
        """The `ip` lines from one state to another. A fabric port itself has no bridge: it only has or lacks light."""
        bridge = self._bridges.get(port)
        slave = f"link set {port} type bridge_slave"
        if old == new:
            return []
        undo = {
            Cut.DOWN: [f"link set {port} up"],
            Cut.SILENT: [f"link set {port} master {bridge}"] if bridge else [],
            Cut.ONEWAY: [f"{slave} {_FLAGS.format('on')}"] if bridge else [],
        }
        do = {
            Cut.DOWN: [f"link set {port} down"],
            Cut.SILENT: [f"link set {port} nomaster"] if bridge else [],
            # Nothing is learnt and nothing unknown is flooded: no frame leaves by this port, those that enter pass.
            Cut.ONEWAY: [f"{slave} {_FLAGS.format('off')}", f"{slave} fdb_flush"] if bridge else [],
        }
        return [*undo.get(old, []), *do.get(new, [])]
