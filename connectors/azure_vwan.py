"""A virtual WAN's hub asked: its gateways at every poll; its way back, VPN sessions and tunnel load at their paces."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import replace

from connectors.azure_arm import Arm
from connectors.azure_circuit import Circuit
from connectors.azure_load import LOAD_EVERY_S, tunnel_load
from connectors.azure_metrics import bgp_query, parse_bgp
from connectors.azure_parse import parse_effective_routes, parse_er_gateway, parse_hub, parse_vpn_connections
from connectors.reading import Reading
from network.observation import Advertised, Observation
from network.observation import Circuit as CircuitFact


class VirtualWan:
    """The gateways of a hub: each end of the cloud that is not the circuit."""

    def __init__(self, arm: Arm, circuit: Circuit) -> None:
        self._arm, self._circuit, side = arm, circuit, arm.side
        self._er, self._vpn = f"/expressRouteGateways/{side.er_gateway}", f"/vpnGateways/{side.vpn_gateway}"
        self._hub = f"/virtualHubs/{side.hub}"
        self.er_gateway = self._er
        self.readings = [
            Reading(self._way_back, arm.tables_every_s),
            Reading(self._sessions, arm.signs_every_s),
        ]
        self.loads = Reading(lambda: tunnel_load(arm, self._vpn), LOAD_EVERY_S, spares_first=True)

    def each_poll(self) -> list[Awaitable[Sequence[Observation]]]:
        arm = self._arm
        return [
            arm.observe(self._er, lambda data: parse_er_gateway(data, arm.site, arm.cloud)),
            arm.observe(self._hub, lambda data: parse_hub(data, arm.cloud)),
            self._tunnels(),
        ]

    async def _tunnels(self) -> list[Observation]:
        arm = self._arm
        return await arm.observe(
            f"{self._vpn}/vpnConnections", lambda data: parse_vpn_connections(data, arm.site, arm.cloud)
        )

    async def _sessions(self) -> list[Observation]:
        arm, path = self._arm, f"{self._arm.network}{self._vpn}/providers/Microsoft.Insights/metrics"
        # Asked often, and yet fresh for as long as a table: the service lags by minutes.
        origin = arm.origin(f"GET {path}", arm.tables_every_s)
        data = await arm.get(path, bgp_query(arm.now()))
        return [
            seen
            for ends, finding in parse_bgp(data, arm.site, arm.cloud)
            for seen in replace(origin, at=min(ends, origin.at)).observe([finding])
        ]

    async def _way_back(self) -> list[Observation]:
        """What the legs accepted and the hub's way back: the second cannot be told without the first."""
        arm = self._arm
        table = f"{arm.network}{self._hub}/hubRouteTables/defaultRouteTable"
        asked = {"resourceId": table, "virtualWanResourceType": "RouteTable"}
        (data, origin), vpn, *legs = await asyncio.gather(
            arm.table(f"{self._hub}/effectiveRoutes", asked),
            self._tunnels(),
            *map(self._circuit.accepted, self._circuit.legs),
        )
        seen = [item for leg in legs for item in leg]
        accepted = {item.name: item.fact for item in seen if isinstance(item.fact, Advertised)}
        connected = [item.name for item in vpn if isinstance(item.fact, CircuitFact) and item.fact.up]
        back = parse_effective_routes(data, arm.site, arm.cloud, accepted, connected)
        return [*seen, *origin.observe(back)]
