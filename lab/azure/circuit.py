"""The ExpressRoute circuit: its object, its peering, its byte counters and its three tables.

What tells what of the way back. The hub's effective routes name the ExpressRoute gateway and never the link;
which link carries is read here: `routeTables/primary` and `/secondary` show each MSEE's routes with the AS path
as it was received from us (`path`, space-separated) and our session address as `nextHop`. The gateway prefers
the shorter path and shares over both links when they are equal.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import datetime
from uuid import NAMESPACE_URL, uuid5

from lab.azure.ids import JSON, PEERING, Arm, resource
from lab.canary import canary, canary_guid
from lab.circuit_bandwidth import CircuitBandwidth
from lab.facts import Facts
from network.inventory import Path

GATEWAY_ADDRESSES = ("10.50.254.12", "10.50.254.13")
TABLES = ("arpTables", "routeTables", "routeTablesSummary")


class ByteCounters:
    """Bytes per path since the lab's start, summed from the load at each reading: they only grow."""

    def __init__(self, facts: Facts, now: Callable[[], datetime]) -> None:
        self._facts = facts
        self._now = now
        self._read_at = now()
        self._bytes: dict[str, tuple[float, float]] = {}

    def read(self, paths: list[Path]) -> dict[str, tuple[int, int]]:
        """(into the cloud, out of the cloud) in bytes for each path. Pass the same paths each time."""
        at = self._now()
        seconds, self._read_at = max(0.0, (at - self._read_at).total_seconds()), at
        for path in paths:
            into, out = self._bytes.get(path.name, (0.0, 0.0))
            mbps_in, mbps_out = self._facts.mbps(path.name)
            self._bytes[path.name] = (into + mbps_in * 125000 * seconds, out + mbps_out * 125000 * seconds)
        return {name: (int(into), int(out)) for name, (into, out) in self._bytes.items()}


class Circuit:
    """The circuit's answers.

    `circuitProvisioningState` and the provider's state are administrative: they stay healthy while a link is
    dead, as they do on the real service.
    """

    def __init__(self, arm: Arm, facts: Facts, now: Callable[[], datetime], bandwidth: CircuitBandwidth) -> None:
        self._arm = arm
        self._facts = facts
        self._now = now
        self._bandwidth = bandwidth
        self._counters = ByteCounters(facts, now)
        name = arm.side.circuit
        # The service key is the one that the fabric shows on its VXCs: both know it.
        self._service_key = canary_guid("service_key", name)
        self._shared_key = canary("sharedKey", name)
        self._authorization_key = canary_guid("authorizationKey", name)
        self.secrets = frozenset({self._service_key, self._shared_key, self._authorization_key})

    def object(self) -> JSON:
        side, arm = self._arm.side, self._arm
        authorization = {"authorizationKey": self._authorization_key, "authorizationUseStatus": "Available"}
        properties: JSON = {
            "provisioningState": "Updating" if self._bandwidth.updating else "Succeeded",
            "circuitProvisioningState": "Enabled",
            "serviceProviderProvisioningState": "Provisioned",
            "serviceProviderProperties": {
                "serviceProviderName": "Megaport",
                "peeringLocation": side.peering_location,
                "bandwidthInMbps": self._bandwidth.mbps,
            },
            "serviceKey": self._service_key,
            "stag": 100,
            "allowClassicOperations": False,
            "globalReachEnabled": False,
            "resiliencyLevel": "Standard",
            "gatewayManagerEtag": "1",
            "authorizations": [
                resource(f"{arm.circuit}/authorizations/a1", "expressRouteCircuits/authorizations", authorization)
            ],
            "peerings": [self.peering()],
        }
        sku = {"name": "Premium_MeteredData", "tier": "Premium", "family": "MeteredData"}
        version = {"etag": f'W/"{uuid5(NAMESPACE_URL, arm.circuit)}-{self._bandwidth.version}"'}
        return resource(arm.circuit, "expressRouteCircuits", properties, located=True) | version | {"sku": sku}

    def peering(self) -> JSON:
        arm, legs = self._arm, self._arm.legs()
        sessions = {link: arm.site.session(path.session) for link, path in legs.items()}
        prefixes = {f"{link}PeerAddressPrefix": _slash_30(int(item.local)) for link, item in sessions.items()}
        ports = {f"{link}AzurePort": arm.site.connection(path.connection or "").device for link, path in legs.items()}
        properties: JSON = prefixes | ports | {
            "peeringType": PEERING,
            "state": "Enabled",
            "azureASN": next(iter(sessions.values())).peer_asn,
            "peerASN": arm.site.on_prem.asn,
            "vlanId": 100,
            "sharedKey": self._shared_key,
            "gatewayManagerEtag": "1",
            "lastModifiedBy": "Customer",
            "expressRouteConnection": None if arm.classic else {"id": arm.er_connection},
            "connections": [],
            "peeredConnections": [],
        }  # fmt: skip
        return resource(arm.peering, "expressRouteCircuits/peerings", properties)

    def circuit_stats(self) -> JSON:
        """Byte counters in the real service's spelling (`primaryBytesIn`)."""
        return self._stats("Bytes")

    def peering_stats(self) -> JSON:
        """The same counters in the specification's spelling (`primarybytesIn`): a client must take either."""
        return self._stats("bytes")

    def table(self, table: str, device: str) -> JSON:
        """One of TABLES as one MSEE holds it. Raises KeyError for a device that the circuit has not."""
        path = self._arm.legs()[device]
        rows = {"arpTables": self._arp, "routeTables": self._routes, "routeTablesSummary": self._summary}
        return {"value": rows[table](path), "nextLink": None}

    def _stats(self, word: str) -> JSON:
        legs = self._arm.legs()
        read = self._counters.read(list(legs.values()))
        stats = {}
        for link, path in legs.items():
            stats[f"{link}{word}In"], stats[f"{link}{word}Out"] = read[path.name]
        return stats

    def _arp(self, path: Path) -> list[JSON]:
        session = self._arm.site.session(path.session)
        alive = self._facts.connection_up(path.connection or "") and self._facts.vxc_up(path.vxc or "")
        ours = _mac(str(session.local)) if alive else "Incomplete"
        return [
            {"age": 7, "interface": "On-Prem", "ipAddress": str(session.local), "macAddress": ours},
            {"age": 0, "interface": "Microsoft", "ipAddress": str(session.peer), "macAddress": _mac(str(session.peer))},
        ]

    def _routes(self, path: Path) -> list[JSON]:
        """The MSEE's table: the VNet's prefixes from the gateway, and ours while the session is Established."""
        far, session = self._facts.far_session(path.name), self._arm.site.session(path.session)
        rows = [
            _row(str(prefix.prefix), address, str(self._arm.side.vpn_asn))
            for prefix in self._arm.site.cloud(self._arm.cloud).prefixes
            for address in GATEWAY_ADDRESSES
        ]
        if far.established:
            ours = str(session.local)
            rows += [_row(route.prefix, ours, " ".join(map(str, route.as_path))) for route in far.received]
        return rows

    def _summary(self, path: Path) -> list[JSON]:
        """Neighbours of the MSEE: us by our session address, and the hub's gateway instances (AS 65515)."""
        far, session = self._facts.far_session(path.name), self._arm.site.session(path.session)
        state = str(len(far.received)) if far.established else far.state
        hub_prefixes = len(self._arm.site.cloud(self._arm.cloud).prefixes)
        gateway = {"v": 4, "as": self._arm.side.vpn_asn, "upDown": "8w4d", "statePfxRcd": str(hub_prefixes)}
        return [
            {
                "neighbor": str(session.local),
                "v": 4,
                "as": self._arm.site.on_prem.asn,
                "upDown": up_down((self._now() - far.since).total_seconds()),
                "statePfxRcd": state,
            },
            *({"neighbor": address, **gateway} for address in GATEWAY_ADDRESSES),
        ]


def up_down(seconds: float) -> str:
    """Time in the present state as the tables print it: 00:03:09, 1d14h, 8w4d."""
    whole = max(0, int(seconds))
    days, hours = whole // 86400, whole // 3600 % 24
    if days >= 7:
        return f"{days // 7}w{days % 7}d"
    if days:
        return f"{days}d{hours:02}h"
    return f"{hours:02}:{whole // 60 % 60:02}:{whole % 60:02}"


def _row(network: str, next_hop: str, path: str) -> JSON:
    return {"network": network, "nextHop": next_hop, "locPrf": "", "weight": 0, "path": path}


def _mac(address: str) -> str:
    digits = hashlib.sha256(address.encode()).hexdigest()
    return f"0600.{digits[:4]}.{digits[4:8]}"


def _slash_30(address: int) -> str:
    network = address & ~3
    return ".".join(str(network >> shift & 255) for shift in (24, 16, 8, 0)) + "/30"
