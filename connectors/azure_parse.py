"""Azure Resource Manager's replies, read: circuit, gateways, hub, and the route tables behind them.

Enums are open strings and every list may be absent. A circuit's health comes from its two provisioning states,
its peering and BGP: a connection's status was null on a healthy one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import Field

from connectors.errors import BadReply
from connectors.reply import CHECK_VERSION, Finding, Rows, Shape, Text, excerpt, mapping, mappings, read
from network.inventory import AzureSide, Cloud, Path, Site
from network.observation import (
    Advert,
    Advertised,
    Attachment,
    Circuit,
    CloudRoute,
    CloudRoutes,
    HubPreference,
    Kind,
    SessionThere,
)

MSEE_ASN = 12076
LAYER_2_UP = "layer 2 up"
ORIGIN_MARKS = frozenset({"i", "e", "?"})


class _Reference(Shape):
    id: Text = ""


class _PeeringProperties(Shape):
    peering_type: Text = ""
    state: Text = ""


class _Peering(Shape):
    name: Text = ""
    properties: _PeeringProperties


class _CircuitProperties(Shape):
    circuit_provisioning_state: Text = ""
    service_provider_provisioning_state: Text = ""
    express_route_port: _Reference | None = None
    peerings: Rows[_Peering] = ()


class _Circuit(Shape):
    properties: _CircuitProperties


class _ErConnectionProperties(Shape):
    provisioning_state: Text = ""
    express_route_circuit_peering: _Reference | None = None


class _ErConnection(Shape):
    name: Text = ""
    properties: _ErConnectionProperties


class _ErGatewayProperties(Shape):
    provisioning_state: Text = ""
    virtual_hub: _Reference | None = None
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


class _SummaryRow(Shape):
    neighbor: str
    state_pfx_rcd: str
    up_down: Text = ""
    asn: int | None = Field(alias="as", default=None)


class _ArpRow(Shape):
    interface: Text = ""
    mac_address: Text = ""


class _TableRow(Shape):
    network: str
    path: Text = ""
    next_hop: Text = ""


class _EffectiveRow(Shape):
    address_prefixes: Rows[str] = ()
    next_hops: Rows[str] = ()
    next_hop_type: Text = ""
    as_path: Text = ""
    route_origin: Text = ""


def table_rows(data: Any, where: str) -> tuple[Mapping[str, Any], ...]:
    """The rows of `{"value": [...]}`; {} and [] are empty, anything else is not a table. Raises BadReply."""
    if data in ({}, []):
        return ()
    if isinstance(data, list):
        return mappings(data, where)
    reply = mapping(data, where)
    if "value" not in reply:
        raise BadReply("a table without its rows", where=where, do_next=CHECK_VERSION, evidence=excerpt(data))
    return mappings(reply["value"] or [], where)


def _legs(site: Site, cloud: Cloud) -> tuple[Path, ...]:
    return tuple(path for path in site.paths_of(cloud.name) if path.kind == "expressroute")


def _tunnels(site: Site, cloud: Cloud) -> tuple[Path, ...]:
    return tuple(path for path in site.paths_of(cloud.name) if path.kind == "vpn")


def parse_circuit(data: Any, site: Site, cloud: Cloud, layer_2: Mapping[str, str]) -> list[Finding]:
    """Circuit of each ExpressRoute path: Enabled, Provisioned (or a Direct port), private peering Enabled.

    These states are administrative and stay healthy on a dead leg, so `layer_2` (see `parse_arp`) has its say;
    a path that it does not name is judged without. Raises BadReply.
    """
    circuit = read(_Circuit, data, "azure circuit").properties
    private = [
        each.properties
        for each in circuit.peerings
        if "AzurePrivatePeering" in {each.name, each.properties.peering_type}
    ]
    peering = private[0].state if private else "absent"
    direct = circuit.express_route_port is not None and not circuit.service_provider_provisioning_state
    provider = "Direct" if direct else circuit.service_provider_provisioning_state
    ours = circuit.circuit_provisioning_state
    up = ours == "Enabled" and provider in {"Provisioned", "Direct"} and peering == "Enabled"
    state = f"circuit {ours or 'unknown'}, provider {provider or 'unknown'}, peering {peering or 'unknown'}"
    found = []
    for path in _legs(site, cloud):
        arp = layer_2.get(path.name, "")
        fact = Circuit(up and arp in {"", LAYER_2_UP}, f"{state}, {arp}" if arp else state)
        found.append(Finding(Kind.CIRCUIT, path.name, fact, circuit.model_dump()))
    return found


def parse_arp(data: Any, path: Path) -> str:
    """A leg's layer 2 in words, from its arpTables: an On-Prem row with a MAC is good.

    "" when the table is empty: Microsoft's side, or a provider-managed layer 3, and no verdict on ours.
    Raises BadReply.
    """
    where = f"azure arpTables of {path.name}"
    rows = [read(_ArpRow, row, where) for row in table_rows(data, where)]
    macs = [row.mac_address.lower() for row in rows if row.interface.lower() == "on-prem"]
    if not rows or any(mac not in {"", "incomplete"} for mac in macs):
        return LAYER_2_UP if rows else ""
    return "layer 2 incomplete" if macs else "no layer 2 neighbour"


def parse_er_gateway(data: Any, site: Site, cloud: Cloud) -> list[Finding]:
    """Attachment of each ExpressRoute path: gateway and connection Succeeded, of our circuit and our hub."""
    side, gateway = _side(cloud), read(_ErGateway, data, "azure ER gateway").properties
    ours = [each for each in gateway.express_route_connections if each.name == side.er_connection]
    wrong = [] if gateway.provisioning_state == "Succeeded" else [f"gateway {gateway.provisioning_state}"]
    if not _ends(gateway.virtual_hub, side.hub):
        wrong.append(f"gateway is not in {side.hub}")
    if not ours:
        wrong.append(f"connection {side.er_connection} absent")
    elif ours[0].properties.provisioning_state != "Succeeded":
        wrong.append(f"connection {ours[0].properties.provisioning_state}")
    elif f"/{side.circuit}/".lower() not in _id(ours[0].properties.express_route_circuit_peering):
        wrong.append(f"connection is not to {side.circuit}")
    fact = Attachment(up=not wrong, state=", ".join(wrong) or "Succeeded")
    raw = gateway.model_dump()
    return [Finding(Kind.ATTACHMENT, path.name, fact, raw) for path in _legs(site, cloud)]


def _id(reference: _Reference | None) -> str:
    return f"{reference.id.lower()}/" if reference else ""  # ARM ids compare without case


def _ends(reference: _Reference | None, name: str) -> bool:
    return _id(reference).endswith(f"/{name.lower()}/")


def _side(cloud: Cloud) -> AzureSide:
    assert cloud.azure is not None, "the site file's model sees to it"
    return cloud.azure


def parse_vpn_connections(data: Any, site: Site, cloud: Cloud) -> list[Finding]:
    """Circuit (its connection's or link's status) and Attachment of each VPN path, found by the tunnel's name."""
    where = "azure VPN connections"
    connections = [read(_VpnConnection, row, where) for row in table_rows(data, where)]
    known = {link.name: link.properties for each in connections for link in each.properties.vpn_link_connections}
    known |= {each.name: each.properties for each in connections}
    found: list[Finding] = []
    for path in _tunnels(site, cloud):
        found += _tunnel(path.name, known.get(path.tunnel or ""))
    return found


def _tunnel(path: str, connection: _VpnProperties | None) -> list[Finding]:
    if connection is None:
        return [
            Finding(Kind.CIRCUIT, path, Circuit(up=False, state="absent")),
            Finding(Kind.ATTACHMENT, path, Attachment(up=False, state="absent")),
        ]
    raw, status = connection.model_dump(), connection.connection_status
    attached = Attachment(connection.provisioning_state == "Succeeded", connection.provisioning_state)
    return [
        Finding(Kind.CIRCUIT, path, Circuit(status == "Connected", status or "Unknown"), raw),
        Finding(Kind.ATTACHMENT, path, attached, raw),
    ]


def parse_hub(data: Any, cloud: Cloud) -> list[Finding]:
    """How the hub prefers between its attachments: ExpressRoute, VpnGateway or ASPath."""
    hub = read(_Hub, data, "azure hub").properties
    fact = HubPreference(hub.hub_routing_preference)
    return [Finding(Kind.HUB_PREFERENCE, cloud.name, fact, hub.model_dump())]


def parse_summary(data: Any, site: Site, path: Path) -> list[Finding]:
    """SessionThere from a leg's routeTablesSummary: our row's `statePfxRcd` is digits once established."""
    where = f"azure routeTablesSummary of {path.name}"
    rows = [read(_SummaryRow, row, where) for row in table_rows(data, where)]
    local = str(site.session(path.session).local)
    row = next((each for each in rows if each.neighbor == local), None)
    if row is None:
        raw = [each.model_dump() for each in rows]
        return [Finding(Kind.SESSION_THERE, path.name, SessionThere(up=False, state="absent"), raw)]
    word = row.state_pfx_rcd.strip()
    count = int(word) if re.fullmatch(r"[0-9]{1,9}", word) else None
    fact = SessionThere(
        up=count is not None,
        state="Established" if count is not None else word or "unknown",
        received=count,
        uptime=row.up_down,
    )
    return [Finding(Kind.SESSION_THERE, path.name, fact, row.model_dump())]


def parse_route_table(data: Any, site: Site, path: Path) -> list[Finding]:
    """What a leg accepted from us: the rows whose AS path begins with our AS."""
    where = f"azure routeTables of {path.name}"
    rows = [read(_TableRow, row, where) for row in table_rows(data, where)]
    paths = [(row.network, as_path(row.path, where)) for row in rows]
    ours = tuple(Advert(network, ases) for network, ases in paths if ases[:1] == (site.on_prem.asn,))
    raw = [row.model_dump() for row in rows]
    return [Finding(Kind.ACCEPTED, path.name, Advertised(ours), raw)]


def as_path(text: str, where: str) -> tuple[int, ...]:
    """AS numbers of a path written with spaces (circuit tables) or hyphens (gateways, hub). Raises BadReply."""
    words = [word for word in re.split(r"[\s\-{}()\[\],]+", text) if word and word.lower() not in ORIGIN_MARKS]
    if all(re.fullmatch(r"[0-9]{1,10}", word) for word in words):
        return tuple(map(int, words))
    raise BadReply("an AS path with a word in it", where=where, do_next=CHECK_VERSION, evidence=text)


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
    via: dict[str, set[str]] = {
        str(prefix.prefix): set() for prefix in site.on_prem.prefixes if cloud.name in prefix.towards
    }
    back = _WayBack(tuple(p.name for p in _legs(site, cloud)), _tunnels(site, cloud), accepted, set(connected))
    for row in rows:
        ases = as_path(row.as_path, where)
        if ours in ases:
            for prefix in row.address_prefixes:
                via.setdefault(prefix, set()).update(back.paths(row, prefix, ases))
    order = [path.name for path in site.paths_of(cloud.name)]
    routes = tuple(CloudRoute(prefix, tuple(sorted(by, key=order.index))) for prefix, by in via.items())
    raw = [row.model_dump() for row in rows]
    return [Finding(Kind.CLOUD_ROUTES, cloud.name, CloudRoutes(routes, "table"), raw)]


class _WayBack:
    """From a hub route to the site's paths."""

    def __init__(
        self,
        legs: Sequence[str],
        tunnels: Sequence[Path],
        accepted: Mapping[str, Advertised],
        connected: set[str],
    ) -> None:
        self._legs, self._tunnels, self._accepted, self._connected = legs, tunnels, accepted, connected

    def paths(self, row: _EffectiveRow, prefix: str, ases: tuple[int, ...]) -> set[str]:
        kind = row.next_hop_type.lower()
        private = "expressroute" in kind or ("vpn" not in kind and ases[0] == MSEE_ASN)
        return self._of_legs(prefix, ases) if private else self._of_tunnels(row)

    def _of_legs(self, prefix: str, ases: tuple[int, ...]) -> set[str]:
        tail = tuple(asn for asn in ases if asn != MSEE_ASN)
        known = {
            leg: route.as_path for leg in self._legs for route in self._accepted[leg].routes if route.prefix == prefix
        }
        same = {leg for leg, path in known.items() if path == tail}
        shortest = min(map(len, known.values()), default=0)
        return same or {leg for leg, path in known.items() if len(path) == shortest}

    def _of_tunnels(self, row: _EffectiveRow) -> set[str]:
        named = {part for each in (*row.next_hops, row.route_origin) for part in each.lower().split("/")}
        by_name = {path.name for path in self._tunnels if (path.tunnel or "") in named}
        return by_name or {path.name for path in self._tunnels if path.name in self._connected}
