"""A virtual WAN's replies, read: the hub, its gateways with their connections, and its way back to us.

Enums are open strings and every list may be absent. An ExpressRoute connection has no status of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from connectors.azure_site import Reference, legs_of, refers_to, side_of, tunnels_of
from connectors.azure_tables import as_path, table_rows
from connectors.reply import Finding, Rows, Shape, Text, read
from network.inventory import Cloud, Path, Site
from network.observation import Advertised, Attachment, Circuit, CloudRoute, CloudRoutes, HubPreference, Kind

MSEE_ASN = 12076
READY = frozenset({"Succeeded", "Provisioned"})  # the second is in no list of values, and was seen


class _ErConnectionProperties(Shape):
    provisioning_state: Text = ""
    express_route_circuit_peering: Reference | None = None


class _ErConnection(Shape):
    name: Text = ""
    properties: _ErConnectionProperties


class _ErGatewayProperties(Shape):
    provisioning_state: Text = ""
    virtual_hub: Reference | None = None
    express_route_connections: Rows[_ErConnection] = ()


class _ErGateway(Shape):
    properties: _ErGatewayProperties


class _VpnProperties(Shape):
    provisioning_state: Text = ""
    connection_status: Text = ""


class _VpnLink(Shape):
    name: Text = ""
    properties: _VpnProperties


class _VpnConnectionProperties(_VpnProperties):
    vpn_link_connections: Rows[_VpnLink] = ()


class _VpnConnection(Shape):
    name: Text = ""
    properties: _VpnConnectionProperties


class _HubProperties(Shape):
    hub_routing_preference: str
    provisioning_state: Text = ""


class _Hub(Shape):
    properties: _HubProperties


class _EffectiveRow(Shape):
    address_prefixes: Rows[str] = ()
    next_hops: Rows[str] = ()
    next_hop_type: Text = ""
    as_path: Text = ""
    route_origin: Text = ""


def parse_er_gateway(data: Any, site: Site, cloud: Cloud) -> list[Finding]:
    """Attachment of each ExpressRoute path: gateway and connection Succeeded, of our circuit and our hub."""
    side, gateway = side_of(cloud), read(_ErGateway, data, "azure ER gateway").properties
    ours = [each for each in gateway.express_route_connections if each.name == side.er_connection]
    wrong = [] if gateway.provisioning_state in READY else [f"gateway {gateway.provisioning_state}"]
    if not refers_to(gateway.virtual_hub, side.hub):
        wrong.append(f"gateway is not in {side.hub}")
    if not ours:
        wrong.append(f"connection {side.er_connection} absent")
    elif ours[0].properties.provisioning_state not in READY:
        wrong.append(f"connection {ours[0].properties.provisioning_state}")
    elif not refers_to(ours[0].properties.express_route_circuit_peering, side.circuit):
        wrong.append(f"connection is not to {side.circuit}")
    fact = Attachment(up=not wrong, state=", ".join(wrong) or "Succeeded")
    raw = gateway.model_dump()
    return [Finding(Kind.ATTACHMENT, path.name, fact, raw) for path in legs_of(site, cloud)]


def parse_vpn_connections(data: Any, site: Site, cloud: Cloud) -> list[Finding]:
    """Circuit (its connection's or link's status) and Attachment of each VPN path, found by the tunnel's name."""
    where = "azure VPN connections"
    connections = [read(_VpnConnection, row, where) for row in table_rows(data, where)]
    known = {link.name: link.properties for each in connections for link in each.properties.vpn_link_connections}
    known |= {each.name: each.properties for each in connections}
    found: list[Finding] = []
    for path in tunnels_of(site, cloud):
        found += _tunnel(path.name, known.get(path.tunnel or ""))
    return found


def _tunnel(path: str, connection: _VpnProperties | None) -> list[Finding]:
    if connection is None:
        return [
            Finding(Kind.CIRCUIT, path, Circuit(up=False, state="absent")),
            Finding(Kind.ATTACHMENT, path, Attachment(up=False, state="absent")),
        ]
    raw, status = connection.model_dump(), connection.connection_status
    attached = Attachment(connection.provisioning_state in READY, connection.provisioning_state)
    return [
        Finding(Kind.CIRCUIT, path, Circuit(status == "Connected", status or "Unknown"), raw),
        Finding(Kind.ATTACHMENT, path, attached, raw),
    ]


def parse_hub(data: Any, cloud: Cloud) -> list[Finding]:
    """How the hub prefers between its attachments: ExpressRoute, VpnGateway or ASPath."""
    hub = read(_Hub, data, "azure hub").properties
    fact = HubPreference(hub.hub_routing_preference)
    return [Finding(Kind.HUB_PREFERENCE, cloud.name, fact, hub.model_dump())]


def parse_effective_routes(
    data: Any,
    site: Site,
    cloud: Cloud,
    accepted: Mapping[str, Advertised],
    connected: Iterable[str],
) -> list[Finding]:
    """The hub's way back to each of our prefixes, as site path names; () where it has none.

    `accepted` is what each ExpressRoute leg accepted: a hub route is of the legs whose AS path it carries
    behind Microsoft's own (which tells a drained leg, whose 12076s are eight more, from the other). Legs that
    carry the same path share by ECMP. A VPN route is of the tunnel that it names, or of all `connected` ones.
    """
    where, ours = "azure effectiveRoutes", site.on_prem.asn
    rows = [read(_EffectiveRow, row, where) for row in table_rows(data, where)]
    via = no_way_back(site, cloud)
    back = _WayBack(tunnels_of(site, cloud), accepted, set(connected))
    for row in rows:
        ases = as_path(row.as_path, where)
        if ours in ases:
            for prefix in row.address_prefixes:
                via.setdefault(prefix, set()).update(back.paths(row, prefix, ases))
    raw = [row.model_dump() for row in rows]
    return [Finding(Kind.CLOUD_ROUTES, cloud.name, CloudRoutes(cloud_routes(via, site, cloud), "table"), raw)]


def no_way_back(site: Site, cloud: Cloud) -> dict[str, set[str]]:
    """Each of our prefixes that the cloud should reach, with no path yet."""
    return {str(prefix.prefix): set() for prefix in site.on_prem.prefixes if cloud.name in prefix.towards}


def cloud_routes(via: Mapping[str, set[str]], site: Site, cloud: Cloud) -> tuple[CloudRoute, ...]:
    """The way back with its paths in site-file order."""
    order = [path.name for path in site.paths_of(cloud.name)]
    return tuple(CloudRoute(prefix, tuple(sorted(by, key=order.index))) for prefix, by in via.items())


def legs_of_route(accepted: Mapping[str, Advertised], prefix: str, ases: tuple[int, ...]) -> set[str]:
    """The legs that a gateway's ExpressRoute route came over: those that accepted its AS path from us.

    Microsoft's own AS in front is left out. When no leg has that path (the tables are of different moments), the
    legs with the shortest one.
    """
    tail = tuple(asn for asn in ases if asn != MSEE_ASN)
    known = {leg: route.as_path for leg, told in accepted.items() for route in told.routes if route.prefix == prefix}
    same = {leg for leg, path in known.items() if path == tail}
    shortest = min(map(len, known.values()), default=0)
    return same or {leg for leg, path in known.items() if len(path) == shortest}


class _WayBack:
    """From a hub route to the site's paths."""

    def __init__(self, tunnels: Sequence[Path], accepted: Mapping[str, Advertised], connected: set[str]) -> None:
        self._tunnels, self._accepted, self._connected = tunnels, accepted, connected

    def paths(self, row: _EffectiveRow, prefix: str, ases: tuple[int, ...]) -> set[str]:
        kind = row.next_hop_type.lower()
        private = "expressroute" in kind or ("vpn" not in kind and ases[0] == MSEE_ASN)
        return legs_of_route(self._accepted, prefix, ases) if private else self._of_tunnels(row)

    def _of_tunnels(self, row: _EffectiveRow) -> set[str]:
        named = {part for each in (*row.next_hops, row.route_origin) for part in each.lower().split("/")}
        by_name = {path.name for path in self._tunnels if (path.tunnel or "") in named}
        return by_name or {path.name for path in self._tunnels if path.name in self._connected}
