"""The classic alternative to a virtual WAN: virtual network gateways of a hub VNet, with connections of their own.

They tell their BGP peers and routes themselves, a row for each gateway instance: a neighbour in AS 65515 is the other
instance. A connection to the circuit has a null status while it is healthy, as the real service was seen to answer.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from lab.azure.circuit import GATEWAY_ADDRESSES, ByteCounters
from lab.azure.drain import DRAIN_PREPENDS, drained
from lab.azure.ids import JSON, Arm, resource
from lab.canary import canary, canary_guid
from lab.facts import Facts, FarSession
from network.inventory import Path

MSEE_ADDRESSES = ("10.50.254.4", "10.50.254.5")
LEARNED, OWN = 32769, 32768  # weights
_STATES = {"Established": "Connected", "Idle": "Idle"}


class Classic:
    """The answers of the two gateways, and of the connections of both."""

    def __init__(self, arm: Arm, facts: Facts, now: Callable[[], datetime]) -> None:
        self._arm, self._facts, self._now = arm, facts, now
        self._started = now()
        self._counters = ByteCounters(facts, now)
        self._authorization_key = canary_guid("authorizationKey", arm.side.er_connection)
        self._shared_keys = {path.name: canary("sharedKey", path.name) for path in arm.vpn_paths()}
        self.secrets = frozenset({self._authorization_key, *self._shared_keys.values()})

    def er_gateway(self) -> JSON:
        return self._gateway(self._arm.er_gateway, "ExpressRoute", "ErGw1AZ")

    def vpn_gateway(self) -> JSON:
        return self._gateway(self._arm.vpn_gateway, "Vpn", "VpnGw2AZ")

    def er_connection(self) -> JSON:
        properties: JSON = {
            "connectionType": "ExpressRoute",
            "connectionStatus": None,
            "routingWeight": 0,
            "peer": {"id": self._arm.circuit},
            "virtualNetworkGateway1": {"id": self._arm.er_gateway},
            "expressRouteGatewayBypass": False,
            "authorizationKey": self._authorization_key,
            "enableBgp": False,
        }
        return resource(self._arm.er_connection, "connections", properties, located=True)

    def vpn_connection(self, path: Path) -> JSON:
        """A tunnel's connection, by the tunnel's name."""
        read = self._counters.read(self._arm.vpn_paths())
        return self._vpn_connection(path, *read[path.name])

    def connections(self) -> JSON:
        return {"value": [self.er_connection(), *map(self.vpn_connection, self._arm.vpn_paths())]}

    def er_peers(self) -> JSON:
        """Both MSEEs and the sibling, as each instance sees them; the edge stays connected when a link of ours dies."""
        rows = []
        for local, sibling in _instances():
            rows += [self._peer(local, msee, self._edge_asn(), "Connected", 2) for msee in MSEE_ADDRESSES]
            rows.append(self._peer(local, sibling, self._arm.side.vpn_asn, "Connected", 3))
        return {"value": rows}

    def vpn_peers(self) -> JSON:
        """Each tunnel's session on the instance that it ends on, and the sibling."""
        rows = [self._peer(local, sibling, self._arm.side.vpn_asn, "Connected", 3) for local, sibling in _instances()]
        for local, path in self._by_instance():
            far = self._facts.far_session(path.name)
            state = _STATES.get(far.state, "Connecting")
            rows.append(self._peer(local, self._ours(path), self._arm.site.on_prem.asn, state, len(far.received), far))
        return {"value": rows}

    def er_learned(self) -> JSON:
        """Our prefixes by each MSEE, on each instance; one that drains puts its AS in front eight times more."""
        rows = [self._own(local) for local, _ in _instances()]
        for msee, path in zip(MSEE_ADDRESSES, self._arm.legs().values(), strict=False):
            far = self._facts.far_session(path.name)
            front = (self._edge_asn(),) * (1 + DRAIN_PREPENDS * drained(self._facts, path))
            for route in far.received if far.established else ():
                rows += [_learned(local, route.prefix, msee, (*front, *route.as_path)) for local, _ in _instances()]
        return {"value": rows}

    def vpn_learned(self) -> JSON:
        """Each tunnel's routes on its instance, and from there by IBgp on the other."""
        rows = [self._own(local) for local, _ in _instances()]
        siblings = dict(_instances())
        for local, path in self._by_instance():
            far = self._facts.far_session(path.name)
            for route in far.received if far.established else ():
                rows.append(_learned(local, route.prefix, self._ours(path), route.as_path))
                rows.append(_learned(siblings[local], route.prefix, local, route.as_path, "IBgp"))
        return {"value": rows}

    def advertised(self, peer: str) -> JSON:
        """What the VPN gateway sends to the neighbour `peer`."""
        rows = []
        for local, path in self._by_instance():
            far = self._facts.far_session(path.name)
            if self._ours(path) == peer and far.established:
                rows += [_learned(local, route.prefix, local, route.as_path, "Igp") for route in far.advertised]
        return {"value": rows}

    def _gateway(self, identifier: str, kind: str, sku: str) -> JSON:
        properties: JSON = {
            "gatewayType": kind,
            "vpnType": "RouteBased",
            "activeActive": True,
            "enableBgp": kind == "Vpn",
            "sku": {"name": sku, "tier": sku, "capacity": 2},
            "bgpSettings": {
                "asn": self._arm.side.vpn_asn,
                "bgpPeeringAddress": ",".join(GATEWAY_ADDRESSES),
                "peerWeight": 0,
            },
        }
        return resource(identifier, "virtualNetworkGateways", properties, located=True)

    def _vpn_connection(self, path: Path, into: int, out: int) -> JSON:
        tunnel = self._arm.site.tunnel(path.tunnel or "")
        properties: JSON = {
            "connectionType": "IPsec",
            "connectionStatus": "Connected" if self._facts.tunnel_up(tunnel.name) else "NotConnected",
            "connectionProtocol": "IKEv2",
            "virtualNetworkGateway1": {"id": self._arm.vpn_gateway},
            "localNetworkGateway2": {"id": f"{self._arm.network}/localNetworkGateways/{tunnel.isp}"},
            "enableBgp": True,
            "dpdTimeoutSeconds": 45,
            "routingWeight": 0,
            "sharedKey": self._shared_keys[path.name],
            "ingressBytesTransferred": into,
            "egressBytesTransferred": out,
        }
        return resource(self._arm.connection(tunnel.name), "connections", properties, located=True)

    def _peer(
        self, local: str, neighbor: str, asn: int, state: str, routes: int, far: FarSession | None = None
    ) -> JSON:
        up = state == "Connected"
        lasted = self._now() - (far.since if far else self._started)
        return {
            "localAddress": local,
            "neighbor": neighbor,
            "asn": asn,
            "state": state,
            "connectedDuration": time_span(lasted) if up else None,
            "routesReceived": routes if up else 0,
            "messagesSent": 1000,
            "messagesReceived": 1000,
        }

    def _own(self, local: str) -> JSON:
        prefix = self._arm.site.cloud(self._arm.cloud).prefixes[0].prefix
        row = _learned(local, str(prefix), local, (), "Network")
        return row | {"nextHop": None, "weight": OWN}

    def _by_instance(self) -> list[tuple[str, Path]]:
        paths = self._arm.vpn_paths()
        return [(GATEWAY_ADDRESSES[index % len(GATEWAY_ADDRESSES)], path) for index, path in enumerate(paths)]

    def _ours(self, path: Path) -> str:
        return str(self._arm.site.session(path.session).local)

    def _edge_asn(self) -> int:
        return next(self._arm.site.session(path.session).peer_asn for path in self._arm.legs().values())


def _instances() -> list[tuple[str, str]]:
    """Each gateway instance with its sibling."""
    one, other = GATEWAY_ADDRESSES
    return [(one, other), (other, one)]


def _learned(local: str, network: str, peer: str, as_path: tuple[int, ...], origin: str = "EBgp") -> JSON:
    return {
        "localAddress": local,
        "network": network,
        "nextHop": peer,
        "sourcePeer": peer,
        "origin": origin,
        "asPath": "-".join(map(str, as_path)),
        "weight": LEARNED,
    }


def time_span(lasted: timedelta) -> str:
    """A .NET TimeSpan: [d.]hh:mm:ss.fffffff."""
    days, seconds = max(lasted, timedelta()).days, max(lasted, timedelta()).seconds
    clock = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{lasted.microseconds:06}0"
    return f"{days}.{clock}" if days else clock
