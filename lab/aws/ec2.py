"""EC2: VPN connections with their tunnels' telemetry, and the transit gateway with its route table.

A transit gateway's table shows the winner alone: the Direct Connect gateway's attachment while any VIF brings
the prefix, else the VPN attachments (several on one route share the load). It never tells one VIF from another.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import IPv4Network, ip_network
from typing import Any
from xml.etree import ElementTree as ET

from lab.announcements import Announcement, Announcements
from lab.aws.habits import Habits
from lab.aws.side import Side, made_up
from lab.aws.wire import JSON, AwsError, page, wire_time
from lab.canary import canary
from lab.facts import Facts
from network.inventory import Path

Filters = dict[str, list[str]]

_CREATED = datetime(2025, 1, 1, tzinfo=UTC)
_PAGE = 1000
_ATTACHMENT_FILTERS = (
    "attachment.resource-type",
    "attachment.resource-id",
    "attachment.transit-gateway-attachment-id",
)
_SEARCHES: dict[str, Callable[[IPv4Network, IPv4Network], bool]] = {
    "route-search.exact-match": lambda route, asked: route == asked,
    "route-search.subnet-of-match": lambda route, asked: route.subnet_of(asked),
    "route-search.supernet-of-match": lambda route, asked: route.supernet_of(asked),
    "route-search.longest-prefix-match": lambda route, asked: route.supernet_of(asked),
}


class Ec2:
    """Answers by action. Arguments are the query form, as sent."""

    def __init__(
        self, side: Side, facts: Facts, habits: Habits, announcements: Announcements, now: Callable[[], datetime]
    ) -> None:
        self._side = side
        self._facts = facts
        self._habits = habits
        self._announcements = announcements
        self._now = now
        self.secrets = frozenset(canary("PreSharedKey", path.name) for path in side.vpn_paths())
        self.actions: dict[str, Callable[[dict[str, str]], JSON]] = {
            "DescribeVpnConnections": self._vpn_connections,
            "DescribeTransitGateways": self._transit_gateways,
            "DescribeTransitGatewayAttachments": self._attachments,
            "SearchTransitGatewayRoutes": self._search,
            "GetTransitGatewayRouteTablePropagations": self._propagations,
            "GetTransitGatewayRouteTableAssociations": self._associations,
            "GetVpnTunnelReplacementStatus": self._replacement,
        }

    def _vpn_connections(self, form: dict[str, str]) -> JSON:
        filters, known = _filters(form), self._side.vpn_connections()
        asked = _listed(form, "VpnConnectionId") or list(known)
        unknown = [vpn for vpn in asked if vpn not in known]
        if unknown:
            text = f"The vpnConnection ID '{unknown[0]}' does not exist"
            raise AwsError("InvalidVpnConnectionID.NotFound", text)
        rows = [self._vpn_connection(vpn, known[vpn]) for vpn in known if vpn in asked]
        keys = ("vpn-connection-id", "transit-gateway-id", "customer-gateway-id", "state")
        return {"vpnConnectionSet": _filtered(rows, filters, keys)}

    def _transit_gateways(self, form: dict[str, str]) -> JSON:
        side = self._side.side
        asked = _listed(form, "TransitGatewayIds")
        if asked and asked != [side.tgw_id]:
            text = f"Transit Gateway {asked[0]} was deleted or does not exist."
            raise AwsError("InvalidTransitGatewayID.NotFound", text)
        gateway = {
            "transitGatewayId": side.tgw_id,
            "transitGatewayArn": f"arn:aws:ec2:{side.region}:{side.account}:transit-gateway/{side.tgw_id}",
            "state": "available",
            "ownerId": side.account,
            "description": side.tgw,
            "creationTime": _CREATED,
            "options": {
                "amazonSideAsn": side.tgw_asn,
                "autoAcceptSharedAttachments": "disable",
                "defaultRouteTableAssociation": "enable",
                "associationDefaultRouteTableId": side.tgw_route_table,
                "defaultRouteTablePropagation": "enable",
                "propagationDefaultRouteTableId": side.tgw_route_table,
                "vpnEcmpSupport": "enable",
                "dnsSupport": "enable",
                "multicastSupport": "disable",
            },
            "tagSet": _name_tag(side.tgw),
        }
        return {"transitGatewaySet": [gateway]}

    def _attachments(self, form: dict[str, str]) -> JSON:
        side = self._side.side
        rows = [
            {
                "transitGatewayAttachmentId": attachment,
                "transitGatewayId": side.tgw_id,
                "transitGatewayOwnerId": side.account,
                "resourceOwnerId": side.account,
                "resourceType": kind,
                "resourceId": resource,
                "state": "available",
                "association": {"transitGatewayRouteTableId": side.tgw_route_table, "state": "associated"},
                "creationTime": _CREATED,
                "tagSet": [],
            }
            for attachment, kind, resource in self._all_attachments()
        ]
        keys = ("transit-gateway-attachment-id", "transit-gateway-id", "resource-type", "resource-id", "state")
        asked = _listed(form, "TransitGatewayAttachmentIds")
        rows = [row for row in rows if not asked or row["transitGatewayAttachmentId"] in asked]
        return self._paged("transitGatewayAttachments", _filtered(rows, _filters(form), keys), form)

    def _propagations(self, form: dict[str, str]) -> JSON:
        self._check_table(form)
        rows = [
            {"transitGatewayAttachmentId": attachment, "resourceType": kind, "resourceId": resource, "state": "enabled"}
            for attachment, kind, resource in self._all_attachments()
        ]
        keys = ("transit-gateway-attachment-id", "resource-type", "resource-id")
        return self._paged("transitGatewayRouteTablePropagations", _filtered(rows, _filters(form), keys), form)

    def _associations(self, form: dict[str, str]) -> JSON:
        self._check_table(form)
        rows = [
            {"transitGatewayAttachmentId": name, "resourceType": kind, "resourceId": resource, "state": "associated"}
            for name, kind, resource in self._all_attachments()
        ]
        keys = ("transit-gateway-attachment-id", "resource-type", "resource-id")
        return self._paged("associations", _filtered(rows, _filters(form), keys), form)

    def _replacement(self, form: dict[str, str]) -> JSON:
        """Maintenance waits for a tunnel from the moment that it is announced until it is over."""
        vpn, outside = form.get("VpnConnectionId", ""), form.get("VpnTunnelOutsideIpAddress", "")
        tunnels = [self._side.site.tunnel(p.tunnel or "") for p in self._side.vpn_connections().get(vpn, [])]
        tunnel = next((each for each in tunnels if str(each.outside) == outside), None)
        if tunnel is None:
            text = f"The vpnConnection ID '{vpn}' with the tunnel {outside} does not exist"
            raise AwsError("InvalidVpnConnectionID.NotFound", text)
        waiting = next((each for each in self._announcements.of("aws") if self._waits(each, tunnel.name)), None)
        details = {"pendingMaintenance": "available" if waiting else "none"}
        if waiting:
            details["maintenanceAutoAppliedAfter"] = wire_time(waiting.starts)
        return {
            "vpnConnectionId": vpn,
            "transitGatewayId": self._side.side.tgw_id,
            "vpnTunnelOutsideIpAddress": outside,
            "maintenanceDetails": details,
        }

    def _waits(self, entry: Announcement, tunnel: str) -> bool:
        ours = entry.kind == "maintenance" and tunnel in entry.things
        return ours and entry.state(self._now()) in {"announced", "running"}

    def _search(self, form: dict[str, str]) -> JSON:
        self._check_table(form)
        filters = _filters(form)
        if not filters:
            raise AwsError("MissingParameter", "The request must contain the parameter Filters")
        size = int(form.get("MaxResults", _PAGE))
        if not 5 <= size <= _PAGE:
            raise AwsError(
                "InvalidParameterValue", f"Value ({size}) for parameter MaxResults is invalid: 5 to {_PAGE}."
            )
        found = [row for row in self._routes() if _route_passes(row, filters)]
        if "route-search.longest-prefix-match" in filters:
            found = sorted(found, key=lambda row: ip_network(row["destinationCidrBlock"]).prefixlen)[-1:]
        shown = self._paged("routeSet", found, form)
        return shown | {"additionalRoutesAvailable": shown["nextToken"] is not None}

    def _routes(self) -> list[JSON]:
        rows = [_route(prefix, [(attachment, "vpc", vpc)]) for prefix, (attachment, vpc) in self._side.vpcs().items()]
        for prefix, winners in self._facts.chosen(self._side.cloud).items():
            attachments = [self._side.attachment(self._side.site.path(name)) for name in winners]
            if attachments:
                rows.append(_route(prefix, list(dict.fromkeys(attachments))))
        holes = [_route(prefix, []) | {"type": "static", "state": "blackhole"} for prefix in self._habits.blackholes]
        return rows + holes

    def _paged(self, name: str, rows: list[JSON], form: dict[str, str]) -> JSON:
        try:
            size = min(int(form.get("MaxResults", _PAGE)), self._habits.page)
            shown, token = page(rows, size, form.get("NextToken"))
        except ValueError as error:
            raise AwsError("InvalidParameterValue", str(error)) from error
        return {name: shown, "nextToken": token}

    def _all_attachments(self) -> list[tuple[str, str, str]]:
        vpcs = [(attachment, "vpc", vpc) for attachment, vpc in self._side.vpcs().values()]
        paths = [*self._side.dx_paths(), *self._side.vpn_paths()]
        return vpcs + list(dict.fromkeys(self._side.attachment(path) for path in paths))

    def _check_table(self, form: dict[str, str]) -> None:
        table = form.get("TransitGatewayRouteTableId", "")
        if table != self._side.side.tgw_route_table:
            raise AwsError("InvalidRouteTableID.NotFound", f"Transit Gateway Route Table {table} does not exist.")

    def _vpn_connection(self, vpn: str, paths: list[Path]) -> JSON:
        tunnels = [self._side.site.tunnel(path.tunnel or "") for path in paths]
        keys = [canary("PreSharedKey", path.name) for path in paths]
        options = [
            {"outsideIpAddress": str(tunnel.outside), "preSharedKey": key, "startupAction": "add"}
            for tunnel, key in zip(tunnels, keys, strict=True)
        ]
        return {
            "vpnConnectionId": vpn,
            "state": "available",
            "type": "ipsec.1",
            "category": "VPN",
            "customerGatewayId": made_up("cgw", tunnels[0].isp),
            "transitGatewayId": self._side.side.tgw_id,
            "gatewayAssociationState": "associated",
            "customerGatewayConfiguration": _gateway_config(vpn, [str(tunnel.outside) for tunnel in tunnels], keys),
            "options": {
                "enableAcceleration": False,
                "staticRoutesOnly": False,
                "outsideIpAddressType": "PublicIpv4",
                "tunnelInsideIpVersion": "ipv4",
                "tunnelOptionSet": options,
            },
            "routes": [],
            "tagSet": _name_tag(tunnels[0].name),
            "vgwTelemetry": [self._telemetry(path) for path in paths],
        }

    def _telemetry(self, path: Path) -> JSON:
        """UP needs IPsec and BGP both; with IPsec alone AWS says DOWN and "IPSEC IS UP"."""
        far, tunnel = self._facts.far_session(path.name), self._side.site.tunnel(path.tunnel or "")
        ipsec = self._facts.tunnel_up(tunnel.name)
        up = ipsec and far.established
        message = f"{len(far.received)} BGP ROUTES" if up else "IPSEC IS UP" if ipsec else "IPSEC IS DOWN"
        return {
            "outsideIpAddress": str(tunnel.outside),
            "status": "UP" if up else "DOWN",
            "statusMessage": message,
            "acceptedRouteCount": len(far.received) if up else 0,
            "lastStatusChange": far.since,
        }


def _route(prefix: str, attachments: list[tuple[str, str, str]]) -> JSON:
    return {
        "destinationCidrBlock": prefix,
        "type": "propagated",
        "state": "active",
        "transitGatewayAttachments": [
            {"resourceId": resource, "resourceType": kind, "transitGatewayAttachmentId": attachment}
            for attachment, kind, resource in attachments
        ],
    }


def _route_passes(row: JSON, filters: Filters) -> bool:
    return all(_route_matches(row, name, values) for name, values in filters.items())


def _route_matches(row: JSON, name: str, values: list[str]) -> bool:
    if name in _SEARCHES:
        route = IPv4Network(row["destinationCidrBlock"])
        return any(_SEARCHES[name](route, IPv4Network(value)) for value in values)
    if name in {"type", "state"}:
        return row[name] in values
    if name not in _ATTACHMENT_FILTERS:
        raise AwsError("InvalidParameterValue", f"The filter '{name}' is invalid")
    return any(item[_member(name)] in values for item in row["transitGatewayAttachments"])


def _filtered(rows: list[JSON], filters: Filters, keys: tuple[str, ...]) -> list[JSON]:
    for name, values in filters.items():
        if name not in keys:
            raise AwsError("InvalidParameterValue", f"The filter '{name}' is invalid")
        rows = [row for row in rows if row[_member(name)] in values]
    return rows


def _member(filter_name: str) -> str:
    """The member that a filter looks at: attachment.resource-type is resourceType."""
    first, *rest = filter_name.rpartition(".")[2].split("-")
    return first + "".join(word.capitalize() for word in rest)


def _filters(form: dict[str, str]) -> Filters:
    """Filter.N.Name with Filter.N.Value.M, as EC2's query protocol writes them."""
    found: Filters = {}
    for key, name in form.items():
        number = re.fullmatch(r"Filter\.(\d+)\.Name", key)
        if number:
            found[name] = _listed(form, f"Filter.{number[1]}.Value")
    return found


def _listed(form: dict[str, str], name: str) -> list[str]:
    return [value for key, value in form.items() if re.fullmatch(rf"{re.escape(name)}\.\d+", key)]


def _name_tag(name: str) -> list[dict[str, Any]]:
    return [{"key": "Name", "value": name}]


def _gateway_config(vpn: str, outside: list[str], keys: list[str]) -> str:
    root = ET.Element("vpn_connection", id=vpn)
    for address, key in zip(outside, keys, strict=True):
        tunnel = ET.SubElement(root, "ipsec_tunnel")
        ET.SubElement(ET.SubElement(tunnel, "vpn_gateway"), "tunnel_outside_address").text = address
        ET.SubElement(ET.SubElement(tunnel, "ike"), "pre_shared_key").text = key
    return ET.tostring(root, encoding="unicode", xml_declaration=True)
