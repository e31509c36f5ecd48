"""Virtual network gateways in a hub VNet asked: the classic alternative to a virtual WAN.

Unlike a virtual WAN's, these gateways tell their BGP peers and routes themselves, each by a long-running operation.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence

from connectors.azure_arm import Arm
from connectors.azure_circuit import Circuit
from connectors.azure_classic_parse import (
    Connection,
    Learned,
    Peer,
    er_attachment,
    parse_connection,
    parse_gateway,
    parse_peers,
    parse_routes,
    parse_vpn_connections,
    vpn_accepted,
    vpn_sessions,
    way_back,
)
from connectors.azure_load import LOAD_EVERY_S, tunnel_load
from connectors.errors import InterlockError, NotFound
from connectors.parts import settle
from connectors.ports import PartlySeen
from connectors.reading import Reading
from network.inventory import Path
from network.observation import Advertised, Observation, SessionThere


class ClassicGateways:
    """The gateways of a hub VNet: each end of the cloud that is not the circuit."""

    def __init__(self, arm: Arm, circuit: Circuit) -> None:
        self._arm, self._circuit, side = arm, circuit, arm.side
        self.er_gateway = f"/virtualNetworkGateways/{side.er_gateway}"
        self._vpn = f"/virtualNetworkGateways/{side.vpn_gateway}"
        self._msees: tuple[Peer, ...] = ()
        self._advertised: dict[str, tuple[Learned, ...]] = {}
        asks = (self._edge, self._sessions, self._way_back)
        self.readings = [Reading(ask, arm.tables_every_s) for ask in asks]
        self.loads = Reading(lambda: tunnel_load(arm, self._vpn), LOAD_EVERY_S, spares_first=True)

    def each_poll(self) -> list[Awaitable[Sequence[Observation]]]:
        arm = self._arm
        vpn = arm.observe(
            "/connections", lambda data: parse_vpn_connections(data, self._advertised, arm.site, arm.cloud)
        )
        return [self._attachment(), vpn]

    async def _attachment(self) -> list[Observation]:
        arm, path = self._arm, self._arm.network + self.er_gateway
        origin = arm.origin(f"GET {path}", arm.cadence_s)
        gateway, connection = await asyncio.gather(arm.get(path), self._er_connection())
        wrong, found = parse_gateway(gateway, arm.cloud)
        return origin.observe([*found, *er_attachment(connection, wrong, self._msees, arm.site, arm.cloud)])

    async def _er_connection(self) -> Connection | None:
        try:
            return parse_connection(
                await self._arm.get(f"{self._arm.network}/connections/{self._arm.side.er_connection}")
            )
        except NotFound:
            return None

    async def _edge(self) -> list[Observation]:
        """The gateway's sessions with Microsoft's edge have their say in the attachment."""
        try:
            data, _ = await self._arm.table(f"{self.er_gateway}/getBgpPeerStatus")
            self._msees = parse_peers(data)
        except InterlockError:
            self._msees = ()
            raise
        return []

    async def _sessions(self) -> list[Observation]:
        """The sessions of the VPN, and what the gateway sends us on those that are up."""
        arm = self._arm
        self._advertised.clear()
        data, origin = await arm.table(f"{self._vpn}/getBgpPeerStatus")
        seen = origin.observe(vpn_sessions(parse_peers(data), arm.site, arm.cloud))
        up = [arm.site.path(item.name) for item in seen if isinstance(item.fact, SessionThere) and item.fact.up]
        try:
            await settle(map(self._sent, up))
        except InterlockError as error:
            raise PartlySeen(seen, [error]) from error
        return seen

    async def _sent(self, path: Path) -> list[Observation]:
        peer = str(self._arm.site.session(path.session).local)
        data, _ = await self._arm.table(f"{self._vpn}/getAdvertisedRoutes", params={"peer": peer})
        self._advertised[path.name] = parse_routes(data)
        return []

    async def _way_back(self) -> list[Observation]:
        """What legs and tunnels accepted, and which of them the VNet takes back."""
        arm = self._arm
        (er, origin), (vpn, vpn_origin), *legs = await asyncio.gather(
            arm.table(f"{self.er_gateway}/getLearnedRoutes"),
            arm.table(f"{self._vpn}/getLearnedRoutes"),
            *map(self._circuit.accepted, self._circuit.legs),
        )
        seen = [item for leg in legs for item in leg]
        accepted = {item.name: item.fact for item in seen if isinstance(item.fact, Advertised)}
        learned = parse_routes(vpn)
        seen += vpn_origin.observe(vpn_accepted(learned, arm.site, arm.cloud))
        return [*seen, *origin.observe(way_back(parse_routes(er), learned, accepted, arm.site, arm.cloud))]
