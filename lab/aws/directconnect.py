"""Direct Connect: connections, virtual interfaces with their BGP peers, gateways, and the routes of a VIF."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from ipaddress import ip_network
from xml.etree import ElementTree as ET

from lab.aws.habits import Habits, VifTest
from lab.aws.side import Side, made_up
from lab.aws.wire import JSON, AwsError, page, without_none
from lab.canary import canary
from lab.facts import Facts, Route
from network.inventory import Path

_PAGE = 100


class DirectConnect:
    """Answers by operation name. A VIF is `available` while its BGP session is up, else `down`, as in AWS.

    A running failover test of `habits.tests` shows it `testing`; starting one is not served: the world has no verb.
    The MD5 key stands in each VIF three times, as AWS returns it: authKey, bgpPeers[].authKey, and inside
    customerRouterConfig.
    """

    def __init__(self, side: Side, facts: Facts, habits: Habits, now: Callable[[], datetime]) -> None:
        self._side = side
        self._facts = facts
        self._habits = habits
        self._now = now
        self.secrets = frozenset(canary("authKey", path.name) for path in side.dx_paths())
        self.operations: dict[str, Callable[[JSON], JSON]] = {
            "DescribeConnections": self._connections,
            "DescribeVirtualInterfaces": self._interfaces,
            "DescribeDirectConnectGateways": self._gateways,
            "DescribeDirectConnectGatewayAssociations": self._associations,
            "DescribeDirectConnectGatewayAttachments": self._attachments,
            "ListVirtualInterfaceRoutes": self._routes,
            "ListVirtualInterfaceTestHistory": self._tests,
        }

    def _connections(self, asked: JSON) -> JSON:
        rows = [self._connection(path) for path in self._listed("connection_id")]
        return self._paged("connections", _only(rows, asked, "connectionId", "Connection"), asked)

    def _interfaces(self, asked: JSON) -> JSON:
        rows = [self._interface(path) for path in self._listed("vif_id")]
        rows = _only(rows, asked, "virtualInterfaceId", "Virtual Interface")
        rows = _only(rows, asked, "connectionId", "Connection")
        return self._paged("virtualInterfaces", rows, asked)

    def _listed(self, identity: str) -> list[Path]:
        connection, hidden = self._side.site.connection, self._habits.unlisted
        return [p for p in self._side.dx_paths() if getattr(connection(p.connection or ""), identity) not in hidden]

    def _gateways(self, asked: JSON) -> JSON:
        side = self._side.side
        limits = [self._side.site.session(path.session).max_prefix_there for path in self._side.dx_paths()]
        gateway = {
            "directConnectGatewayId": side.dx_gateway_id,
            "directConnectGatewayName": side.dx_gateway,
            "amazonSideAsn": side.dx_gateway_asn,
            "ownerAccount": side.account,
            "directConnectGatewayState": "available",
            "totalPrefixPoolAllocations": sum(limit or 0 for limit in limits),
        }
        rows = _only([gateway], asked, "directConnectGatewayId", "Direct Connect Gateway")
        return self._paged("directConnectGateways", rows, asked)

    def _associations(self, asked: JSON) -> JSON:
        side = self._side.side
        if not {"directConnectGatewayId", "associationId", "associatedGatewayId", "virtualGatewayId"} & set(asked):
            raise _client_error("At least one of the gateway or association ids is required.")
        association: JSON = {
            "directConnectGatewayId": side.dx_gateway_id,
            "directConnectGatewayOwnerAccount": side.account,
            "associationState": "associated",
            "associationId": made_up("dxassoc", side.tgw_id),
            "associatedGateway": {
                "id": side.tgw_id,
                "type": "transitGateway",
                "ownerAccount": side.account,
                "region": side.region,
            },
            "allowedPrefixesToDirectConnectGateway": [{"cidr": str(prefix)} for prefix in side.allowed_prefixes],
        }
        rows = [association] if asked.get("directConnectGatewayId", side.dx_gateway_id) == side.dx_gateway_id else []
        return self._paged("directConnectGatewayAssociations", rows, asked)

    def _attachments(self, asked: JSON) -> JSON:
        if not {"directConnectGatewayId", "virtualInterfaceId"} & set(asked):
            raise _client_error("A Direct Connect gateway or virtual interface id is required.")
        side = self._side.side
        rows = [
            {
                "directConnectGatewayId": side.dx_gateway_id,
                "virtualInterfaceId": self._side.site.connection(path.connection or "").vif_id,
                "virtualInterfaceRegion": side.region,
                "virtualInterfaceOwnerAccount": side.account,
                "attachmentState": "attached",
                "attachmentType": "TransitVirtualInterface",
            }
            for path in self._side.dx_paths()
        ]
        for key in ("directConnectGatewayId", "virtualInterfaceId"):
            rows = [row for row in rows if asked.get(key, row[key]) == row[key]]
        return self._paged("directConnectGatewayAttachments", rows, asked)

    def _routes(self, asked: JSON) -> JSON:
        """Accepted (from us) and advertised (to us) routes of a VIF; none while its session is down."""
        vif = asked.get("virtualInterfaceId", "")
        paths = {self._side.site.connection(path.connection or "").vif_id: path for path in self._side.dx_paths()}
        if vif not in paths:
            raise _client_error(f"Virtual Interface {vif} could not be found.")
        path, filters = paths[vif], asked.get("filters", {})
        far = self._facts.far_session(path.name)
        device = self._side.site.connection(path.connection or "").device
        found = {"accepted": far.received, "advertised": far.advertised} if far.established else {}
        rows = [
            {
                "cidr": route.prefix,
                "routeDirection": direction,
                "addressFamily": "ipv4",
                "asPath": [{"pathType": "seq", "path": list(route.as_path)}],
                "communities": list(route.communities),
                "awsLogicalDeviceId": device,
                "routeInstalledAt": far.since.timestamp(),
            }
            for direction, routes in found.items()
            for route in routes
            if filters.get("routeDirection", direction) == direction and _passes(route, filters)
        ]
        return self._paged("routes", rows, asked) | {"virtualInterfaceId": vif}

    def _tests(self, asked: JSON) -> JSON:
        """The history; the guide and the service spell a status differently, so the lab does too."""
        rows = [
            {
                "testId": made_up("test", f"{test.vif} {test.starts}"),
                "virtualInterfaceId": test.vif,
                "bgpPeers": [made_up("dxpeer", test.vif)],
                "status": test.status,
                "ownerAccount": self._side.side.account,
                "testDurationInMinutes": test.minutes,
                "startTime": test.starts.timestamp(),
                "endTime": (test.starts + timedelta(minutes=test.minutes)).timestamp(),
            }
            for test in self._habits.tests
        ]
        for key in ("testId", "virtualInterfaceId", "status"):
            rows = [row for row in rows if asked.get(key, row[key]) == row[key]]
        return self._paged("virtualInterfaceTestHistory", rows, asked)

    def _running(self, vif: str) -> VifTest | None:
        tests = (test for test in self._habits.tests if test.vif == vif)
        return next((test for test in tests if test.running(self._now())), None)

    def _paged(self, name: str, rows: list[JSON], asked: JSON) -> JSON:
        try:
            size = min(int(asked.get("maxResults") or _PAGE), self._habits.page)
            shown, token = page(rows, size, asked.get("nextToken"))
        except ValueError as error:
            raise _client_error(str(error)) from error
        return without_none({name: shown, "nextToken": token})

    def _connection(self, path: Path) -> JSON:
        connection, side = self._side.site.connection(path.connection or ""), self._side.side
        return {
            "ownerAccount": side.account,
            "connectionId": connection.connection_id,
            "connectionName": connection.name,
            "connectionState": "available" if self._facts.connection_up(connection.name) else "down",
            "region": side.region,
            "location": connection.location,
            "bandwidth": _speed(self._side.site.rate_mbps(path)),
            "vlan": _vlan(path),
            "partnerName": "Megaport",
            "providerName": "Megaport",
            "awsDevice": connection.device,
            "awsDeviceV2": connection.device,
            "awsLogicalDeviceId": connection.device,
            "hasLogicalRedundancy": "no",
            "jumboFrameCapable": True,
            **self._encryption(connection.name),
            "tags": [],
        }

    def _encryption(self, connection: str) -> JSON:
        up = self._habits.encrypted.get(connection)
        return {
            "macSecCapable": up is not None,
            "encryptionMode": "no_encrypt" if up is None else "should_encrypt",
            "portEncryptionStatus": "Encryption Up" if up else "Encryption Down",
        }

    def _interface(self, path: Path) -> JSON:
        site, side = self._side.site, self._side.side
        connection, session = site.connection(path.connection or ""), site.session(path.session)
        up = self._facts.far_session(path.name).established
        key = canary("authKey", path.name)
        peering: JSON = {
            "asn": site.on_prem.asn if site.on_prem.asn < 65536 else 0,
            "asnLong": site.on_prem.asn,
            "authKey": key,
            "addressFamily": "ipv4",
            "amazonAddress": f"{session.peer}/30",
            "customerAddress": f"{session.local}/30",
            "awsDeviceV2": connection.device,
            "awsLogicalDeviceId": connection.device,
        }
        peer = {
            "bgpPeerId": made_up("dxpeer", connection.vif_id),
            "bgpPeerState": "available",
            "bgpStatus": "up" if up else "down",
        }
        return peering | {
            "ownerAccount": side.account,
            "virtualInterfaceId": connection.vif_id,
            "virtualInterfaceName": connection.name,
            "virtualInterfaceType": "transit",
            "virtualInterfaceState": "testing" if self._running(connection.vif_id) else "available" if up else "down",
            "connectionId": connection.connection_id,
            "location": connection.location,
            "region": side.region,
            "vlan": _vlan(path),
            "amazonSideAsn": session.peer_asn,
            "mtu": 8500,
            "jumboFrameCapable": True,
            "siteLinkEnabled": False,
            "virtualGatewayId": "",
            "directConnectGatewayId": side.dx_gateway_id,
            "routeFilterPrefixes": [],
            "prefixPoolAllocatedCountIpv4": session.max_prefix_there or _PAGE,
            "customerRouterConfig": _router_config(connection.vif_id, _vlan(path), peering, session.peer_asn),
            "bgpPeers": [peering | peer],
            "tags": [],
        }  # fmt: skip


def _passes(route: Route, filters: JSON) -> bool:
    cidrs, communities = filters.get("cidrs", []), filters.get("communities", [])
    return (
        filters.get("addressFamily", "ipv4") == "ipv4"
        and (not cidrs or any(ip_network(cidr) == ip_network(route.prefix) for cidr in cidrs))
        and (not communities or bool(set(communities) & set(route.communities)))
        and (not filters.get("asPath") or tuple(filters["asPath"]) == route.as_path)
    )


def _only(rows: list[JSON], asked: JSON, key: str, noun: str) -> list[JSON]:
    if key not in asked:
        return rows
    found = [row for row in rows if row[key] == asked[key]]
    if not found:
        raise _client_error(f"{noun} {asked[key]} could not be found.")
    return found


def _client_error(message: str) -> AwsError:
    return AwsError("DirectConnectClientException", message)


def _speed(mbps: int) -> str:
    return f"{mbps // 1000}Gbps" if mbps % 1000 == 0 else f"{mbps}Mbps"


def _vlan(path: Path) -> int:
    return 100 + sum(path.name.encode()) % 900


def _router_config(vif: str, vlan: int, peering: JSON, amazon_asn: int) -> str:
    root = ET.Element("logical_connection", id=vif)
    for name, value in (
        ("vlan", vlan),
        ("customer_address", peering["customerAddress"]),
        ("amazon_address", peering["amazonAddress"]),
        ("bgp_asn", peering["asnLong"]),
        ("bgp_auth_key", peering["authKey"]),
        ("amazon_bgp_asn", amazon_asn),
        ("connection_type", "transit"),
    ):
        ET.SubElement(root, name).text = str(value)
    return ET.tostring(root, encoding="unicode", xml_declaration=True)
