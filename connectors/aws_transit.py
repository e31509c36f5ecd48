"""The transit gateway and the Direct Connect gateway, read: attachments, their tables, and AWS's way back."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Network
from typing import Any, NamedTuple

from connectors.aws_direct import Vif
from connectors.aws_shapes import Ec2, Network, dx_paths, side_of, vpn_paths
from connectors.errors import BadReply
from connectors.reply import CHECK_VERSION, Finding, Flag, Rows, Shape, Text, excerpt, read
from network.coverage import without
from network.inventory import AwsSide, Cloud, Path, Site
from network.observation import Advert, Advertised, Attachment, CloudRoute, CloudRoutes, Kind

LOCAL_PREFERENCE = {"7224:7100": 0, "7224:7200": 1, "7224:7300": 2}
MEDIUM = 1  # what Direct Connect assumes without a community
SETTLING = frozenset({"modifying", "updating"})  # works, while it is being changed


class _Prefix(Shape):
    cidr: Network


class _Owner(Shape):
    id: Text = ""


class _Association(Shape):
    association_state: Text = ""
    associated_gateway: _Owner | None = None
    allowed_prefixes_to_direct_connect_gateway: Rows[_Prefix] = ()


class _Associations(Shape):
    direct_connect_gateway_associations: tuple[_Association, ...]


class _DxGateway(Shape):
    direct_connect_gateway_id: str
    direct_connect_gateway_state: Text = ""
    amazon_side_asn: int | None = None


class _DxGateways(Shape):
    direct_connect_gateways: tuple[_DxGateway, ...]


class _DxAttachment(Shape):
    virtual_interface_id: Text = ""
    attachment_state: Text = ""


class _DxAttachments(Shape):
    direct_connect_gateway_attachments: tuple[_DxAttachment, ...]


class _TgwOptions(Ec2):
    amazon_side_asn: int | None = None


class _Tgw(Ec2):
    transit_gateway_id: str
    state: Text = ""
    options: _TgwOptions | None = None


class _Tgws(Ec2):
    transit_gateways: tuple[_Tgw, ...]


class _TableAssociation(Ec2):
    state: Text = ""


class _TgwAttachment(Ec2):
    transit_gateway_attachment_id: str
    resource_type: Text = ""
    resource_id: Text = ""
    state: Text = ""
    association: _TableAssociation | None = None


class _TgwAttachments(Ec2):
    transit_gateway_attachments: tuple[_TgwAttachment, ...]


class _Propagation(Ec2):
    transit_gateway_attachment_id: Text = ""
    state: Text = ""


class _Propagations(Ec2):
    transit_gateway_route_table_propagations: tuple[_Propagation, ...]


class _TableUsers(Ec2):
    associations: tuple[_Propagation, ...]


class _RouteAttachment(Ec2):
    resource_type: Text = ""
    resource_id: Text = ""


class _TgwRoute(Ec2):
    destination_cidr_block: Network | None = None
    type: Text = ""
    state: Text = ""
    transit_gateway_attachments: Rows[_RouteAttachment] = ()


class _TgwRoutes(Ec2):
    routes: tuple[_TgwRoute, ...]
    additional_routes_available: Flag = False


@dataclass(frozen=True, slots=True)
class AttachmentReplies:
    """The replies that together say how each path is attached, as they came."""

    attachments: Any
    propagations: Any
    table_associations: Any
    transit_gateways: Any
    dx_gateways: Any
    dx_associations: Any
    dx_attachments: Any


class _Flaw(NamedTuple):
    """Something wrong with an attachment; `breaks` it, or impairs it."""

    text: str
    breaks: bool = True


def parse_attachments(
    replies: AttachmentReplies, vifs: Mapping[str, Vif] | None, site: Site, cloud: Cloud
) -> list[Finding]:
    """Attachment of every AWS path. Raises BadReply.

    All: the transit gateway, its attachment, association and propagation, and that some attachment looks its
    routes up in the site's table. Direct Connect: the gateway, its association with the allowed prefixes, the
    VIF's attachment. Allowed prefixes are advertised as listed: that they arrive proves the session alone.
    `vifs` is None when they could not be read.
    """
    side = side_of(cloud)
    rows = read(_TgwAttachments, replies.attachments, "aws DescribeTransitGatewayAttachments")
    spread = read(_Propagations, replies.propagations, "aws GetTransitGatewayRouteTablePropagations")
    enabled = {
        each.transit_gateway_attachment_id: each.state for each in spread.transit_gateway_route_table_propagations
    }
    by_resource = {each.resource_id: each for each in rows.transit_gateway_attachments}
    common = [*_tgw_flaws(replies, side), *_table_flaws(replies, side)]
    private = [*_dx_gateway_flaws(replies, side), *_association_flaws(replies, side)]
    by_vif = {each.virtual_interface_id: each.attachment_state for each in _dx_attachments(replies)}
    found = []
    for path in (*dx_paths(site, cloud), *vpn_paths(site, cloud)):
        direct = path.kind == "directconnect"
        resource = side.dx_gateway_id if direct else side.vpn_connection_ids.get(path.tunnel or "", "")
        row = by_resource.get(resource)
        flaws = [*common, *_attachment_flaws(row, enabled, side)]
        if direct:
            flaws += [*private, *_vif_flaws(path, vifs, by_vif, site, side)]
        fact = Attachment(
            up=not any(flaw.breaks for flaw in flaws),
            state=", ".join(flaw.text for flaw in flaws) or "available, associated, propagated",
            degraded=bool(flaws),
        )
        found.append(Finding(Kind.ATTACHMENT, path.name, fact, row.model_dump() if row else None))
    return found


def _dx_attachments(replies: AttachmentReplies) -> tuple[_DxAttachment, ...]:
    where = "aws DescribeDirectConnectGatewayAttachments"
    return read(_DxAttachments, replies.dx_attachments, where).direct_connect_gateway_attachments


def _state_flaws(what: str, state: str, wanted: str) -> Iterator[_Flaw]:
    if state != wanted:
        yield _Flaw(f"{what} {state or 'unknown'}", breaks=state not in SETTLING)


def _tgw_flaws(replies: AttachmentReplies, side: AwsSide) -> Iterator[_Flaw]:
    rows = read(_Tgws, replies.transit_gateways, "aws DescribeTransitGateways").transit_gateways
    tgw = next((each for each in rows if each.transit_gateway_id == side.tgw_id), None)
    yield from _state_flaws("TGW", tgw.state if tgw else "absent", "available")
    asn = tgw.options.amazon_side_asn if tgw and tgw.options else None
    if asn not in {None, side.tgw_asn}:
        yield _Flaw(f"TGW is AS {asn}, not {side.tgw_asn}", breaks=False)


def _table_flaws(replies: AttachmentReplies, side: AwsSide) -> Iterator[_Flaw]:
    where = "aws GetTransitGatewayRouteTableAssociations"
    users = read(_TableUsers, replies.table_associations, where).associations
    if not any(each.state == "associated" for each in users):
        yield _Flaw(f"no attachment looks up {side.tgw_route_table}")


def _attachment_flaws(row: _TgwAttachment | None, enabled: Mapping[str, str], side: AwsSide) -> Iterator[_Flaw]:
    if row is None:
        yield _Flaw("TGW attachment absent")
        return
    yield from _state_flaws("TGW attachment", row.state, "available")
    yield from _state_flaws("TGW association", row.association.state if row.association else "absent", "associated")
    spread = enabled.get(row.transit_gateway_attachment_id, "absent")
    yield from _state_flaws(f"propagation to {side.tgw_route_table}", spread, "enabled")


def _dx_gateway_flaws(replies: AttachmentReplies, side: AwsSide) -> Iterator[_Flaw]:
    rows = read(_DxGateways, replies.dx_gateways, "aws DescribeDirectConnectGateways").direct_connect_gateways
    gateway = next((each for each in rows if each.direct_connect_gateway_id == side.dx_gateway_id), None)
    yield from _state_flaws("DX gateway", gateway.direct_connect_gateway_state if gateway else "absent", "available")
    if gateway and gateway.amazon_side_asn not in {None, side.dx_gateway_asn}:
        yield _Flaw(f"DX gateway is AS {gateway.amazon_side_asn}, not {side.dx_gateway_asn}", breaks=False)


def _association_flaws(replies: AttachmentReplies, side: AwsSide) -> Iterator[_Flaw]:
    where = "aws DescribeDirectConnectGatewayAssociations"
    rows = read(_Associations, replies.dx_associations, where).direct_connect_gateway_associations
    ours = [each for each in rows if each.associated_gateway and each.associated_gateway.id == side.tgw_id]
    good = next((each for each in ours if each.association_state == "associated"), ours[0] if ours else None)
    yield from _state_flaws("DX gateway association", good.association_state if good else "absent", "associated")
    listed = [each.cidr for each in (good.allowed_prefixes_to_direct_connect_gateway if good else ())]
    missing = without(side.allowed_prefixes, [cidr for cidr in listed if not isinstance(cidr, IPv6Network)])
    if good and missing:
        yield _Flaw(f"not allowed towards on-prem: {', '.join(map(str, missing))}", breaks=False)


def _vif_flaws(
    path: Path, vifs: Mapping[str, Vif] | None, attached: Mapping[str, str], site: Site, side: AwsSide
) -> Iterator[_Flaw]:
    vif = vifs.get(path.name) if vifs is not None else None  # one that is not listed is the session's business
    if vif is not None and vif.direct_connect_gateway_id != side.dx_gateway_id:
        yield _Flaw(f"VIF is not on {side.dx_gateway}")
    else:
        state = attached.get(site.connection(path.connection or "").vif_id, "absent")
        yield from _state_flaws("VIF attachment", state, "attached")


def parse_tgw_routes(
    data: Any, accepted: Mapping[str, Advertised] | None, up: Sequence[str], site: Site, cloud: Cloud
) -> list[Finding]:
    """AWS's way back: the TGW table names the attachment; among Direct Connect legs it has to be inferred.

    `accepted` is what each leg's VIF accepted (None: not known), `up` the legs whose BGP is up. A route to the
    DX gateway is of the legs in `up` that accepted it with the highest 7224 preference, then the shortest AS
    path; equal legs share, as several attachments on one route do. A blackhole is a prefix with no way. When more
    than one leg could carry it and `accepted` is None nothing is found. IPv4 alone. Raises BadReply.
    """
    where = "aws SearchTransitGatewayRoutes"
    table = read(_TgwRoutes, data, where)
    if table.additional_routes_available:
        raise BadReply(
            f"more than {len(table.routes)} routes: what is not listed is not proven absent",
            where=where,
            do_next="Summarise the routes of this table, or give on-prem a route table of its own.",
        )
    side, choice = side_of(cloud), _LegChoice(accepted, up)
    via: dict[str, set[str]] = {
        str(prefix.prefix): set() for prefix in site.on_prem.prefixes if cloud.name in prefix.towards
    }
    tunnels: dict[str, set[str]] = {}
    for path in vpn_paths(site, cloud):  # the table names a VPN connection, never one of its tunnels
        tunnels.setdefault(side.vpn_connection_ids.get(path.tunnel or "", ""), set()).add(path.name)
    for row in table.routes:
        by = {each.resource_id for each in row.transit_gateway_attachments}
        ours, prefix = bool(by & {side.dx_gateway_id, *tunnels}), str(row.destination_cidr_block)
        lacks = "a destination" if ours and row.destination_cidr_block is None else ""
        lacks = "an attachment" if row.state == "active" and prefix in via and not by else lacks
        if lacks:
            evidence = excerpt(row.model_dump())
            raise BadReply(f"a route without {lacks}", where=where, do_next=CHECK_VERSION, evidence=evidence)
        if isinstance(row.destination_cidr_block, IPv6Network) or not (ours or _concerns(row, via)):
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


def _concerns(row: _TgwRoute, via: Mapping[str, set[str]]) -> bool:
    """A blackhole inside what is ours is our business, though no attachment of ours is behind it."""
    network = row.destination_cidr_block
    if network is None or isinstance(network, IPv6Network):
        return False
    inside = any(network.subnet_of(type(network)(prefix)) for prefix in via)
    return str(network) in via or (row.state == "blackhole" and inside)


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
