"""Virtual network gateways' replies, read: gateways, connections, BGP peers and routes of a hub VNet.

An ExpressRoute connection's status was null on a healthy one: null is no verdict. A neighbour in the gateway's own AS
is its other instance, not a path. Rows come once for each instance, and one instance vanishes during maintenance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import IPv4Network
from typing import Any

from pydantic import Field

from connectors.azure_parse import MSEE_ASN, READY, cloud_routes, legs_of_route, no_way_back
from connectors.azure_site import Reference, legs_of, refers_to, side_of, tunnels_of
from connectors.azure_tables import as_path, table_rows
from connectors.reply import Finding, Shape, Text, read
from network.inventory import Cloud, Path, Site
from network.observation import (
    Advert,
    Advertised,
    Attachment,
    Circuit,
    CloudRoutes,
    HubPreference,
    Kind,
    SessionThere,
)

CONNECTED = "Connected"


class _GatewayProperties(Shape):
    provisioning_state: Text = ""
    gateway_type: Text = ""


class _Gateway(Shape):
    properties: _GatewayProperties


class _ConnectionProperties(Shape):
    provisioning_state: Text = ""
    connection_type: Text = ""
    connection_status: Text = ""
    routing_weight: int | None = None
    peer: Reference | None = None
    virtual_network_gateway1: Reference | None = Field(alias="virtualNetworkGateway1", default=None)


class Connection(Shape):
    """A connection of a gateway to the circuit or to a VPN site."""

    name: Text = ""
    properties: _ConnectionProperties


class Peer(Shape):
    """One row of getBgpPeerStatus."""

    local_address: Text = ""
    neighbor: Text = ""
    asn: int | None = None
    state: Text = ""
    connected_duration: Text = ""
    routes_received: int | None = None


class Learned(Shape):
    """One row of getLearnedRoutes or getAdvertisedRoutes."""

    network: Text = ""
    source_peer: Text = ""
    origin: Text = ""
    as_path: Text = ""
    weight: int | None = None


def parse_gateway(data: Any, cloud: Cloud) -> tuple[str, list[Finding]]:
    """What is wrong with the ExpressRoute gateway ("" when nothing is), and the preference that its kind has.

    Without a virtual hub there is none to set: for the same prefix a VNet takes ExpressRoute before VPN.
    """
    gateway = read(_Gateway, data, "azure ExpressRoute gateway").properties
    wrong = [] if gateway.provisioning_state in READY else [f"gateway {gateway.provisioning_state or 'unknown'}"]
    if gateway.gateway_type.lower() != "expressroute":
        wrong.append(f"{side_of(cloud).er_gateway} is a gateway of type {gateway.gateway_type or 'unknown'}")
    fact = HubPreference("ExpressRoute")
    found = [] if wrong else [Finding(Kind.HUB_PREFERENCE, cloud.name, fact, gateway.model_dump())]
    return ", ".join(wrong), found


def parse_connection(data: Any) -> Connection:
    """One connection. Raises BadReply."""
    return read(Connection, data, "azure connection")


def er_attachment(
    ours: Connection | None, gateway_wrong: str, peers: Sequence[Peer], site: Site, cloud: Cloud
) -> list[Finding]:
    """Attachment of each ExpressRoute path: gateway and connection ready, of our circuit, and BGP with an MSEE.

    `ours` is None when there is no such connection, `peers` is () while they are not known. One connected neighbour is
    enough: which MSEE it is, no row tells.
    """
    side = side_of(cloud)
    wrong = [gateway_wrong] if gateway_wrong else []
    if ours is None:
        wrong.append(f"connection {side.er_connection} absent")
    else:
        told = ours.properties
        if told.provisioning_state not in READY:
            wrong.append(f"connection {told.provisioning_state or 'unknown'}")
        if not refers_to(told.peer, side.circuit):
            wrong.append(f"connection is not to {side.circuit}")
        if not refers_to(told.virtual_network_gateway1, side.er_gateway):
            wrong.append(f"connection is not of {side.er_gateway}")
    msees = {peer.neighbor: False for peer in peers if peer.asn == MSEE_ASN}
    msees |= {peer.neighbor: True for peer in peers if peer.asn == MSEE_ASN and peer.state == CONNECTED}
    if msees and not any(msees.values()):
        wrong.append("gateway has no BGP with Microsoft's edge")
    heard = f", BGP with {sum(msees.values())} of {len(msees)} MSEEs" if msees else ""
    fact = Attachment(up=not wrong, state=", ".join(wrong) or f"Succeeded{heard}")
    raw = {"connection": ours.model_dump() if ours else None, "peers": [peer.model_dump() for peer in peers]}
    return [Finding(Kind.ATTACHMENT, path.name, fact, raw) for path in legs_of(site, cloud)]


def parse_vpn_connections(
    data: Any, advertised: Mapping[str, Sequence[Learned]], site: Site, cloud: Cloud
) -> list[Finding]:
    """Circuit (IPsec) and Attachment of each VPN path, by the connection that bears the tunnel's name.

    `advertised` is what the gateway sends us on each path whose session is up: one that sends none of the cloud's
    prefixes is not attached to them. Raises BadReply.
    """
    where = "azure connections"
    connections = {each.name: each for each in (read(Connection, row, where) for row in table_rows(data, where))}
    found: list[Finding] = []
    for path in tunnels_of(site, cloud):
        ours = connections.get(path.tunnel or "")
        status = (ours.properties.connection_status or "Unknown") if ours else "absent"
        raw = ours.model_dump() if ours else None
        attached = _vpn_attachment(ours, advertised.get(path.name), cloud)
        found += [
            Finding(Kind.CIRCUIT, path.name, Circuit(status == CONNECTED, status), raw),
            Finding(Kind.ATTACHMENT, path.name, attached, raw),
        ]
    return found


def _vpn_attachment(ours: Connection | None, advertised: Sequence[Learned] | None, cloud: Cloud) -> Attachment:
    state = (ours.properties.provisioning_state or "unknown") if ours else "absent"
    if state not in READY or advertised is None:
        return Attachment(state in READY, state)
    sent = [network for row in advertised if (network := _network(row.network))]
    count = sum(any(each.overlaps(prefix.prefix) for each in sent) for prefix in cloud.prefixes)
    return Attachment(count > 0, f"{state}, advertises {count} of {len(cloud.prefixes)} prefixes to us")


def _network(text: str) -> IPv4Network | None:
    """None for one of another family, or that is none."""
    try:
        return IPv4Network(text, strict=False)
    except ValueError:
        return None


def parse_peers(data: Any) -> tuple[Peer, ...]:
    """Rows of getBgpPeerStatus. Raises BadReply."""
    where = "azure BGP peers"
    return tuple(read(Peer, row, where) for row in table_rows(data, where))


def vpn_sessions(peers: Iterable[Peer], site: Site, cloud: Cloud) -> list[Finding]:
    """SessionThere of each VPN path: up when any instance of the gateway is connected to our address."""
    by_neighbor: dict[str, list[Peer]] = {}
    for peer in peers:
        by_neighbor.setdefault(peer.neighbor, []).append(peer)
    return [
        _session(path, by_neighbor.get(str(site.session(path.session).local), [])) for path in tunnels_of(site, cloud)
    ]


def _session(path: Path, rows: list[Peer]) -> Finding:
    best = min(rows, key=lambda row: row.state != CONNECTED, default=None)
    if best is None:
        return Finding(Kind.SESSION_THERE, path.name, SessionThere(up=False, state="absent"))
    up = best.state == CONNECTED
    fact = SessionThere(
        up, best.state or "unknown", best.routes_received if up else None, best.connected_duration if up else ""
    )
    return Finding(Kind.SESSION_THERE, path.name, fact, [row.model_dump() for row in rows])


def parse_routes(data: Any) -> tuple[Learned, ...]:
    """Rows of getLearnedRoutes and getAdvertisedRoutes. Raises BadReply."""
    where = "azure gateway routes"
    rows = tuple(read(Learned, row, where) for row in table_rows(data, where))
    for row in rows:
        as_path(row.as_path, where)
    return rows


def vpn_accepted(learned: Iterable[Learned], site: Site, cloud: Cloud) -> list[Finding]:
    """What the VPN gateway accepted from us on each tunnel; a route that both instances hold counts once."""
    rows = tuple(learned)
    found = []
    for path in tunnels_of(site, cloud):
        peer = str(site.session(path.session).local)
        mine = [row for row in rows if row.source_peer == peer]
        routes = dict.fromkeys(Advert(row.network, as_path(row.as_path, "")) for row in mine)
        raw = [row.model_dump() for row in mine]
        found.append(Finding(Kind.ACCEPTED, path.name, Advertised(tuple(routes)), raw))
    return found


def way_back(
    er: Iterable[Learned], vpn: Iterable[Learned], accepted: Mapping[str, Advertised], site: Site, cloud: Cloud
) -> list[Finding]:
    """How the VNet reaches each of our prefixes, inferred from what its two gateways learned.

    `accepted` is what each leg accepted. ExpressRoute wins over VPN; in each gateway the shortest AS path, and
    equal ones share. A leg that Microsoft drains has eight more 12076 in front, and so is the longer one.
    """
    via = no_way_back(site, cloud)
    over_er = _shortest(er, site, lambda row: MSEE_ASN in as_path(row.as_path, ""))
    peers = {str(site.session(path.session).local): path.name for path in tunnels_of(site, cloud)}
    over_vpn = _shortest(vpn, site, lambda row: row.source_peer in peers)
    for prefix in {*over_er, *over_vpn}:
        legs = [legs_of_route(accepted, prefix, as_path(row.as_path, "")) for row in over_er.get(prefix, ())]
        tunnels = {peers[row.source_peer] for row in over_vpn.get(prefix, ())}
        via[prefix] = set().union(*legs) if legs else tunnels
    raw = [row.model_dump() for rows in (*over_er.values(), *over_vpn.values()) for row in rows]
    return [Finding(Kind.CLOUD_ROUTES, cloud.name, CloudRoutes(cloud_routes(via, site, cloud), "inferred"), raw)]


def _shortest(rows: Iterable[Learned], site: Site, of_us: Callable[[Learned], bool]) -> dict[str, list[Learned]]:
    """The rows with the shortest AS path to each prefix, of those that came from us by the way that `of_us` knows."""
    found: dict[str, list[Learned]] = {}
    for row in rows:
        if of_us(row) and site.on_prem.asn in as_path(row.as_path, ""):
            found.setdefault(row.network, []).append(row)
    best = {prefix: min(_length(row) for row in mine) for prefix, mine in found.items()}
    return {prefix: [row for row in mine if _length(row) == best[prefix]] for prefix, mine in found.items()}


def _length(row: Learned) -> int:
    return len(as_path(row.as_path, ""))
