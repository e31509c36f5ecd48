"""AWS's replies, read: Direct Connect, its gateway, the transit gateway and the tunnels.

Shapes name what they keep: BGP keys, router configurations and pre-shared keys stop here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ConfigDict
from pydantic.alias_generators import to_pascal

from connectors.errors import BadReply
from connectors.reply import Finding, Flag, Rows, Shape, Text, mapping, read
from network.inventory import AwsSide, Cloud, Path, Site
from network.observation import (
    Advert,
    Advertised,
    Attachment,
    Circuit,
    CloudRoute,
    CloudRoutes,
    Kind,
    SessionThere,
)

LOCAL_PREFERENCE = {"7224:7100": 0, "7224:7200": 1, "7224:7300": 2}
MEDIUM = 1  # what Direct Connect assumes without a community


class _Connection(Shape):
    connection_id: str
    connection_state: Text = ""


class _Connections(Shape):
    connections: tuple[_Connection, ...]


class _Peer(Shape):
    address_family: Text = ""
    customer_address: Text = ""
    bgp_peer_state: Text = ""
    bgp_status: Text = ""


class _Vif(Shape):
    virtual_interface_id: str
    virtual_interface_state: Text = ""
    direct_connect_gateway_id: Text = ""
    bgp_peers: tuple[_Peer, ...]


class _Vifs(Shape):
    virtual_interfaces: tuple[_Vif, ...]


class _Segment(Shape):
    path: Rows[int] = ()


class _VifRoute(Shape):
    cidr: str
    as_path: Rows[_Segment] = ()
    communities: Rows[str] = ()


class _VifRoutes(Shape):
    routes: tuple[_VifRoute, ...]


class _AssociatedGateway(Shape):
    id: Text = ""


class _Association(Shape):
    association_state: Text = ""
    associated_gateway: _AssociatedGateway | None = None


class _Associations(Shape):
    direct_connect_gateway_associations: tuple[_Association, ...]


class _Ec2(Shape):
    """EC2 spells its keys in PascalCase."""

    model_config = ConfigDict(alias_generator=to_pascal)


class _Telemetry(_Ec2):
    outside_ip_address: Text = ""
    status: Text = ""
    status_message: Text = ""
    accepted_route_count: int | None = None


class _VpnConnection(_Ec2):
    vpn_connection_id: str
    state: Text = ""
    vgw_telemetry: Rows[_Telemetry] = ()


class _VpnConnections(_Ec2):
    vpn_connections: tuple[_VpnConnection, ...]


class _TableAssociation(_Ec2):
    state: Text = ""
    transit_gateway_route_table_id: Text = ""


class _TgwAttachment(_Ec2):
    transit_gateway_attachment_id: str
    resource_type: Text = ""
    resource_id: Text = ""
    state: Text = ""
    association: _TableAssociation | None = None


class _TgwAttachments(_Ec2):
    transit_gateway_attachments: tuple[_TgwAttachment, ...]


class _Propagation(_Ec2):
    transit_gateway_attachment_id: Text = ""
    state: Text = ""


class _Propagations(_Ec2):
    transit_gateway_route_table_propagations: tuple[_Propagation, ...]


class _RouteAttachment(_Ec2):
    resource_type: Text = ""
    resource_id: Text = ""


class _TgwRoute(_Ec2):
    destination_cidr_block: Text = ""
    state: Text = ""
    transit_gateway_attachments: Rows[_RouteAttachment] = ()


class _TgwRoutes(_Ec2):
    routes: tuple[_TgwRoute, ...]
    additional_routes_available: Flag = False


def dx_paths(site: Site, cloud: Cloud) -> tuple[Path, ...]:
    return tuple(path for path in site.paths_of(cloud.name) if path.kind == "directconnect")


def vpn_paths(site: Site, cloud: Cloud) -> tuple[Path, ...]:
    return tuple(path for path in site.paths_of(cloud.name) if path.kind == "vpn")


def _side(cloud: Cloud) -> AwsSide:
    assert cloud.aws is not None, "the site file's model sees to it"
    return cloud.aws


def _only(data: Any, key: str, wanted: Sequence[str], identity: str, where: str) -> dict[str, Any]:
    """The reply with only those rows of `key` whose `identity` is `wanted`: others' oddities are not ours."""
    reply = dict(mapping(data, where))
    rows = reply.get(key)
    if isinstance(rows, list):
        reply[key] = [row for row in rows if isinstance(row, Mapping) and row.get(identity) in wanted]
    return reply


def parse_connections(data: Any, site: Site, cloud: Cloud) -> list[Finding]:
    """Circuit of each Direct Connect path: its connection is `available`. Raises BadReply."""
    where = "aws DescribeConnections"
    ids = {path.name: site.connection(path.connection or "").connection_id for path in dx_paths(site, cloud)}
    ours = _only(data, "connections", list(ids.values()), "connectionId", where)
    known = {each.connection_id: each for each in read(_Connections, ours, where).connections}
    found = []
    for path, identity in ids.items():
        seen = known.get(identity)
        state = seen.connection_state or "unknown" if seen else "absent"
        raw = seen.model_dump() if seen else None
        found.append(Finding(Kind.CIRCUIT, path, Circuit(state == "available", f"connection {state}"), raw))
    return found


def parse_vifs(data: Any, site: Site, cloud: Cloud) -> dict[str, _Vif]:
    """The virtual interface of each Direct Connect path, where the reply has one. Raises BadReply."""
    where = "aws DescribeVirtualInterfaces"
    ids = {site.connection(path.connection or "").vif_id: path.name for path in dx_paths(site, cloud)}
    ours = _only(data, "virtualInterfaces", list(ids), "virtualInterfaceId", where)
    return {ids[vif.virtual_interface_id]: vif for vif in read(_Vifs, ours, where).virtual_interfaces}


def parse_sessions(
    vifs: Mapping[str, _Vif], accepted: Mapping[str, Advertised], site: Site, cloud: Cloud
) -> list[Finding]:
    """SessionThere of each Direct Connect path from the peer with our address; state is per peer, not per VIF."""
    found = []
    for path in dx_paths(site, cloud):
        vif, local = vifs.get(path.name), str(site.session(path.session).local)
        peers = vif.bgp_peers if vif else ()
        peer = next((each for each in peers if each.customer_address.partition("/")[0] == local), None)
        if vif is None or peer is None:
            fact = SessionThere(up=False, state="VIF absent" if vif is None else "peer absent")
        else:
            routes = accepted.get(path.name)
            testing = vif.virtual_interface_state == "testing"  # a failover test holds the peering down
            fact = SessionThere(
                up=peer.bgp_status == "up" and not testing,
                state=f"{peer.bgp_status or 'unknown'}, VIF {vif.virtual_interface_state or 'unknown'}",
                received=len(routes.routes) if routes else None,
            )
        found.append(Finding(Kind.SESSION_THERE, path.name, fact, vif.model_dump() if vif else None))
    return found


def parse_vif_routes(data: Any, path: Path) -> list[Finding]:
    """What the path's VIF accepted from us: AS path and communities. Raises BadReply."""
    rows = read(_VifRoutes, data, f"aws ListVirtualInterfaceRoutes of {path.name}").routes
    adverts = tuple(
        Advert(row.cidr, tuple(asn for part in row.as_path for asn in part.path), tuple(row.communities))
        for row in rows
    )
    return [Finding(Kind.ACCEPTED, path.name, Advertised(adverts), [row.model_dump() for row in rows])]


def parse_vpn(data: Any, site: Site, cloud: Cloud) -> list[Finding]:
    """Circuit (IPsec) and SessionThere of each VPN path, from the telemetry of its tunnel's outside address.

    Status DOWN with "IPSEC IS UP" is a tunnel without BGP; UP with no accepted route is a session that brings
    nothing, and not up: the count decides. Raises BadReply.
    """
    where, ids = "aws DescribeVpnConnections", _side(cloud).vpn_connection_ids
    ours = _only(data, "VpnConnections", list(ids.values()), "VpnConnectionId", where)
    known = {each.vpn_connection_id: each for each in read(_VpnConnections, ours, where).vpn_connections}
    found: list[Finding] = []
    for path in vpn_paths(site, cloud):
        tunnel = site.tunnel(path.tunnel or "")
        vpn = known.get(ids.get(tunnel.name, ""))
        rows = vpn.vgw_telemetry if vpn else ()
        row = next((each for each in rows if each.outside_ip_address == str(tunnel.outside)), None)
        found += _tunnel(path.name, row)
    return found


def _tunnel(path: str, row: _Telemetry | None) -> list[Finding]:
    if row is None:
        return [
            Finding(Kind.CIRCUIT, path, Circuit(up=False, state="absent")),
            Finding(Kind.SESSION_THERE, path, SessionThere(up=False, state="absent")),
        ]
    message, count = row.status_message.upper(), row.accepted_route_count
    ipsec = "IPSEC IS UP" in message or (row.status == "UP" and "IPSEC IS DOWN" not in message)
    state = f"{row.status or 'unknown'} {row.status_message}".strip()
    session = SessionThere(up=row.status == "UP" and (count or 0) > 0, state=state, received=count)
    raw = row.model_dump()
    return [
        Finding(Kind.CIRCUIT, path, Circuit(ipsec, state), raw),
        Finding(Kind.SESSION_THERE, path, session, raw),
    ]


def parse_attachments(
    attachments: Any, propagations: Any, associations: Any, vifs: Mapping[str, _Vif], site: Site, cloud: Cloud
) -> list[Finding]:
    """Attachment of every AWS path: TGW attachment, its association and propagation; DXGW association and VIF.

    Raises BadReply.
    """
    side = _side(cloud)
    rows = read(_TgwAttachments, attachments, "aws DescribeTransitGatewayAttachments")
    spread = read(_Propagations, propagations, "aws GetTransitGatewayRouteTablePropagations")
    gateways = read(_Associations, associations, "aws DescribeDirectConnectGatewayAssociations")
    enabled = {
        each.transit_gateway_attachment_id: each.state for each in spread.transit_gateway_route_table_propagations
    }
    by_resource = {each.resource_id: each for each in rows.transit_gateway_attachments}
    dxgw = _gateway_faults(gateways, side)
    found = []
    for path in (*dx_paths(site, cloud), *vpn_paths(site, cloud)):
        private = path.kind == "directconnect"
        resource = side.dx_gateway_id if private else side.vpn_connection_ids.get(path.tunnel or "", "")
        row = by_resource.get(resource)
        wrong = _attachment_faults(row, enabled, side)
        if private:
            wrong += dxgw + _vif_faults(vifs.get(path.name), side)
        fact = Attachment(up=not wrong, state=", ".join(wrong) or "available, associated, propagated")
        found.append(Finding(Kind.ATTACHMENT, path.name, fact, row.model_dump() if row else None))
    return found


def _attachment_faults(row: _TgwAttachment | None, enabled: Mapping[str, str], side: AwsSide) -> list[str]:
    if row is None:
        return ["TGW attachment absent"]
    wrong = [] if row.state == "available" else [f"TGW attachment {row.state or 'unknown'}"]
    state = row.association.state if row.association else "absent"
    if state != "associated":
        wrong.append(f"TGW association {state or 'unknown'}")
    spread = enabled.get(row.transit_gateway_attachment_id, "absent")
    if spread != "enabled":
        wrong.append(f"propagation to {side.tgw_route_table} {spread or 'unknown'}")
    return wrong


def _gateway_faults(gateways: _Associations, side: AwsSide) -> list[str]:
    states = [
        each.association_state
        for each in gateways.direct_connect_gateway_associations
        if each.associated_gateway and each.associated_gateway.id == side.tgw_id
    ]
    return [] if "associated" in states else [f"DX gateway association {states[0] if states else 'absent'}"]


def _vif_faults(vif: _Vif | None, side: AwsSide) -> list[str]:
    if vif is None:
        return ["VIF absent"]
    return [] if vif.direct_connect_gateway_id == side.dx_gateway_id else [f"VIF is not on {side.dx_gateway}"]


def parse_tgw_routes(
    data: Any, accepted: Mapping[str, Advertised] | None, up: Sequence[str], site: Site, cloud: Cloud
) -> list[Finding]:
    """AWS's way back: the TGW table names the attachment; among Direct Connect legs it has to be inferred.

    `accepted` is what each leg's VIF accepted (None: not known), `up` the legs whose BGP is up. A route to the
    DX gateway is of the legs in `up` that accepted it with the highest 7224 preference, then the shortest AS
    path; equal legs share. When more than one leg could carry it and `accepted` is None nothing is found.
    Raises BadReply.
    """
    table = read(_TgwRoutes, data, "aws SearchTransitGatewayRoutes")
    if table.additional_routes_available:
        raise BadReply(
            f"more than {len(table.routes)} routes: what is not listed is not proven absent",
            where="aws SearchTransitGatewayRoutes",
            do_next="Summarise the routes of this table, or give on-prem a route table of its own.",
        )
    side, choice = _side(cloud), _LegChoice(accepted, up)
    via: dict[str, set[str]] = {
        str(prefix.prefix): set() for prefix in site.on_prem.prefixes if cloud.name in prefix.towards
    }
    tunnels: dict[str, set[str]] = {}
    for path in vpn_paths(site, cloud):  # the table names a VPN connection, never one of its tunnels
        tunnels.setdefault(side.vpn_connection_ids.get(path.tunnel or "", ""), set()).add(path.name)
    for row in table.routes:
        prefix, by = row.destination_cidr_block, {each.resource_id for each in row.transit_gateway_attachments}
        if prefix not in via and not by & {side.dx_gateway_id, *tunnels}:
            continue  # the way to AWS's own networks
        winners = via.setdefault(prefix, set())
        if row.state == "active":
            winners |= set[str]().union(*(tunnels[each] for each in by & set(tunnels)))
            winners |= choice.legs(prefix) if side.dx_gateway_id in by else set()
    if choice.unknown:
        return []
    order = [path.name for path in site.paths_of(cloud.name)]
    routes = tuple(CloudRoute(prefix, tuple(sorted(by, key=order.index))) for prefix, by in via.items())
    basis = CloudRoutes(routes, "inferred" if choice.inferred else "table")
    return [Finding(Kind.CLOUD_ROUTES, cloud.name, basis, [row.model_dump() for row in table.routes])]


class _LegChoice:
    """Which Direct Connect legs carry a prefix. `inferred`: a comparison decided; `unknown`: none could."""

    def __init__(self, accepted: Mapping[str, Advertised] | None, up: Sequence[str]) -> None:
        self._accepted, self._up = accepted, up
        self.inferred = self.unknown = False

    def legs(self, prefix: str) -> set[str]:
        if self._accepted is None:
            self.unknown |= len(self._up) > 1
            return set(self._up)
        ranks = {
            leg: (_preference(route), -len(route.as_path))
            for leg in self._up
            for route in (self._accepted[leg].routes if leg in self._accepted else ())
            if route.prefix == prefix
        }
        self.inferred |= len(ranks) > 1
        best = max(ranks.values(), default=None)
        return {leg for leg, rank in ranks.items() if rank == best}


def _preference(route: Advert) -> int:
    """Direct Connect's local preference for a route, judged before its AS path."""
    known = [LOCAL_PREFERENCE[each] for each in route.communities or () if each in LOCAL_PREFERENCE]
    return max(known, default=MEDIUM)
