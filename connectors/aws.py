"""AWS as a status source: Direct Connect, the transit gateway, the tunnels, CloudWatch and Health."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from connectors.aws_calls import HEALTH, AwsCalls, NoSupportPlan
from connectors.aws_direct import (
    BgpHistory,
    Vif,
    parse_connections,
    parse_sessions,
    parse_test_history,
    parse_vif_routes,
    parse_vifs,
)
from connectors.aws_health import events_asked, parse_events, questions
from connectors.aws_metrics import (
    LOAD_DAYS,
    LOAD_PERIOD,
    PERIOD,
    WINDOW,
    Points,
    Query,
    asked,
    bgp_history,
    dx_queries,
    loads,
    optics,
    parse_data,
    vpn_queries,
)
from connectors.aws_shapes import dx_paths, vpn_paths
from connectors.aws_transit import AttachmentReplies, parse_attachments, parse_tgw_routes
from connectors.aws_vpn import parse_replacement, parse_vpn
from connectors.errors import InterlockError, TimedOut
from connectors.http import CHECK_LINK
from connectors.parts import settle
from connectors.ports import AwsSecret, Clock, Credentials, PartlySeen, deadline_for
from connectors.reading import Reading, late
from connectors.reply import Finding, Origin, fresh_for
from network.events import Events, ProviderEvent
from network.inventory import AwsSide, Cloud, Path, Site
from network.observation import Advertised, Kind, Observation, SessionThere

SELDOM_S = 60.0
LOADS_EVERY_S = 600.0
CALL_SHARE = 0.8  # of a poll's deadline: a call that hangs leaves the others' answers in time


class AwsSource:
    """Thirteen calls a poll, all at the same time; the slower things every minute, a tunnel's week every ten.

    `systems.aws.address` may hold {service} and {region}. In mode lab the slower things come with every poll.
    """

    name = "aws"
    kind = "cloud"

    def __init__(self, site: Site, now: Clock, credentials: Credentials[AwsSecret]) -> None:
        system = site.systems.aws
        self.cadence_s = system.cadence_s
        self.deadline_s = deadline_for(system.cadence_s)
        self._site, self._now = site, now
        self._cloud, self._side = _aws(site)
        side, deadline_s = self._side, CALL_SHARE * self.deadline_s
        self._calls = AwsCalls(system.address, side.region, side.health_region, deadline_s, credentials)
        self._seldom_s = self.cadence_s if site.mode == "lab" else max(self.cadence_s, SELDOM_S)
        self.seldom = (
            Reading(self._metrics, self._seldom_s),
            Reading(self._failover_tests, self._seldom_s),
            Reading(self._events, self._seldom_s),
            Reading(self._loads, LOADS_EVERY_S),
        )
        self._asked_at = now()
        self._history: Mapping[str, BgpHistory] = {}
        self._planned = side.health

    def forget(self) -> None:
        """What is read seldom is read at the next poll, the tunnels' week aside: no event changes that."""
        for part in self.seldom[:-1]:
            part.forget()

    async def close(self) -> None:
        await asyncio.gather(*(part.close() for part in self.seldom))
        self._calls.close()

    async def late(self) -> Sequence[Observation]:
        return await late(self.seldom)

    async def collect(self) -> Sequence[Observation]:
        try:
            async with asyncio.timeout(self.deadline_s):
                return await self._collect()
        except TimeoutError as error:
            raise TimedOut(f"no answer within {self.deadline_s:g} s", where="aws", do_next=CHECK_LINK) from error

    async def _collect(self) -> list[Observation]:
        self._asked_at = self._now()
        vifs = asyncio.ensure_future(self._vifs())
        vifs.add_done_callback(lambda done: done.cancelled() or done.exception())  # told by whoever awaits it, if any
        accepted = asyncio.ensure_future(settle(map(self._accepted, dx_paths(self._site, self._cloud))))
        sessions = asyncio.ensure_future(self._sessions(vifs, accepted))
        parts: list[Awaitable[Sequence[Observation]]] = [
            self._connections(),
            sessions,
            accepted,
            self._vpn(),
            self._attachments(vifs),
            self._routes(sessions, accepted),
            *(part() for part in self.seldom),
        ]
        return await settle(parts)

    async def _connections(self) -> list[Observation]:
        origin = self._origin("DescribeConnections")
        data = await self._calls.rows("directconnect", "describe_connections", "connections")
        return origin.observe(parse_connections(data, self._site, self._cloud))

    async def _vifs(self) -> dict[str, Vif]:
        data = await self._calls.rows("directconnect", "describe_virtual_interfaces", "virtualInterfaces")
        return parse_vifs(data, self._site, self._cloud)

    async def _accepted(self, path: Path) -> list[Observation]:
        origin = self._origin("ListVirtualInterfaceRoutes")
        data = await self._calls.rows(
            "directconnect",
            "list_virtual_interface_routes",
            "routes",
            virtualInterfaceId=self._site.connection(path.connection or "").vif_id,
            filters={"routeDirection": "accepted"},
        )
        return origin.observe(parse_vif_routes(data, path))

    async def _sessions(
        self, vifs: Awaitable[dict[str, Vif]], accepted: Awaitable[list[Observation]]
    ) -> list[Observation]:
        origin = self._origin("DescribeVirtualInterfaces")
        routes = await _known(accepted, partly=True) or {}
        return origin.observe(parse_sessions(await vifs, routes, self._history, self._site, self._cloud))

    async def _vpn(self) -> list[Observation]:
        origin, ids = self._origin("DescribeVpnConnections"), list(self._side.vpn_connection_ids.values())
        data = await self._calls.rows("ec2", "describe_vpn_connections", "VpnConnections", VpnConnectionIds=ids)
        return origin.observe(parse_vpn(data, self._site, self._cloud))

    async def _attachments(self, vifs: Awaitable[dict[str, Vif]]) -> list[Observation]:
        origin = self._origin("DescribeTransitGatewayAttachments")
        replies = await asyncio.gather(*self._tgw_questions(), *self._dx_questions())
        try:
            by_path = await vifs
        except InterlockError:
            by_path = None  # told where the sessions are collected
        return origin.observe(parse_attachments(AttachmentReplies(*replies), by_path, self._site, self._cloud))

    def _tgw_questions(self) -> list[Awaitable[Any]]:
        """The first four of AttachmentReplies' fields, in their order."""
        side, rows = self._side, self._calls.rows
        table = {"TransitGatewayRouteTableId": side.tgw_route_table}
        of_tgw = {"Filters": [{"Name": "transit-gateway-id", "Values": [side.tgw_id]}]}
        spread = "TransitGatewayRouteTablePropagations"
        return [
            rows("ec2", "describe_transit_gateway_attachments", "TransitGatewayAttachments", **of_tgw),
            rows("ec2", "get_transit_gateway_route_table_propagations", spread, **table),
            rows("ec2", "get_transit_gateway_route_table_associations", "Associations", **table),
            rows("ec2", "describe_transit_gateways", "TransitGateways", TransitGatewayIds=[side.tgw_id]),
        ]

    def _dx_questions(self) -> list[Awaitable[Any]]:
        """The last three of AttachmentReplies' fields, in their order."""
        rows, of_gateway = self._calls.rows, {"directConnectGatewayId": self._side.dx_gateway_id}
        gateways = "directConnectGateways"
        joined, attached = "directConnectGatewayAssociations", "directConnectGatewayAttachments"
        return [
            rows("directconnect", "describe_direct_connect_gateways", gateways, **of_gateway),
            rows("directconnect", "describe_direct_connect_gateway_associations", joined, **of_gateway),
            rows("directconnect", "describe_direct_connect_gateway_attachments", attached, **of_gateway),
        ]

    async def _routes(
        self, sessions: Awaitable[list[Observation]], accepted: Awaitable[list[Observation]]
    ) -> list[Observation]:
        origin = self._origin("SearchTransitGatewayRoutes")
        data = await self._calls.rows(
            "ec2",
            "search_transit_gateway_routes",
            "Routes",
            TransitGatewayRouteTableId=self._side.tgw_route_table,
            Filters=[{"Name": "state", "Values": ["active", "blackhole"]}],
        )
        up = [item.name for item in await sessions if isinstance(item.fact, SessionThere) and item.fact.up]
        return origin.observe(parse_tgw_routes(data, await _known(accepted), up, self._site, self._cloud))

    async def _failover_tests(self) -> list[Observation]:
        origin = self._origin("ListVirtualInterfaceTestHistory", self._seldom_s)
        key = "virtualInterfaceTestHistory"
        data = await self._calls.rows("directconnect", "list_virtual_interface_test_history", key)
        return origin.observe(parse_test_history(data, self._site, self._cloud))

    async def _metrics(self) -> list[Observation]:
        """Light and MACsec; a session's recent past is kept for the next polls."""
        origin = self._origin("GetMetricData", WINDOW.total_seconds())
        listed = await self._calls.rows("cloudwatch", "list_metrics", "Metrics", Namespace="AWS/DX")
        points = await self._points(dx_queries(listed, self._site, self._cloud), WINDOW, PERIOD)
        self._history = bgp_history(points, self._site, self._cloud)
        return [
            seen
            for ends, finding in optics(points, self._site, self._cloud)
            for seen in Origin(origin.source, min(ends, origin.at), origin.fresh_s, origin.evidence).observe([finding])
        ]

    async def _loads(self) -> list[Observation]:
        origin = self._origin("GetMetricData of AWS/VPN", LOADS_EVERY_S)
        queries = vpn_queries(self._site, self._cloud)
        return origin.observe(loads(await self._points(queries, timedelta(LOAD_DAYS), LOAD_PERIOD)))

    async def _points(self, queries: Sequence[Query], window: timedelta, period: timedelta) -> dict[Query, Points]:
        if not queries:
            return {}
        now = self._now()
        parameters = asked(queries, now - window, now, period)
        data = await self._calls.rows("cloudwatch", "get_metric_data", "MetricDataResults", **parameters)
        return parse_data(data, queries)

    async def _events(self) -> list[Observation]:
        """Health's events and the tunnels' waiting maintenance; an account without Health is told once."""
        origin = self._origin("DescribeEvents, GetVpnTunnelReplacementStatus", self._seldom_s)
        waiting = [each for each in await asyncio.gather(*map(self._replacement, self._tunnel_paths())) if each]
        error: NoSupportPlan | None = None
        found: list[ProviderEvent] = []
        try:
            found = await self._health() if self._planned else []
        except NoSupportPlan as refusal:
            self._planned, error = False, refusal
        told = {name for each in found if each.kind == "maintenance" for name in each.touches}
        found += [each for each in waiting if not told & set(each.touches)]  # else Health tells of it, with its end
        seen = origin.observe([Finding(Kind.EVENTS, self.name, Events(tuple(found)), [each.id for each in found])])
        if error is not None:
            raise PartlySeen(seen, [error])
        return seen

    async def _health(self) -> list[ProviderEvent]:
        rows, now = self._calls.rows, self._now()
        data = await rows(HEALTH, "describe_events", "events", filter=events_asked(self._side))
        asking = [rows(HEALTH, "describe_affected_entities", "entities", filter=each) for each in questions(data)]
        return parse_events(data, await asyncio.gather(*asking), self._site, self._cloud, now)

    async def _replacement(self, path: Path) -> ProviderEvent | None:
        tunnel = self._site.tunnel(path.tunnel or "")
        data = await self._calls.rows(
            "ec2",
            "get_vpn_tunnel_replacement_status",
            "",
            VpnConnectionId=self._side.vpn_connection_ids[tunnel.name],
            VpnTunnelOutsideIpAddress=str(tunnel.outside),
        )
        return parse_replacement(data, path, self._site, self._now())

    def _tunnel_paths(self) -> list[Path]:
        known = self._side.vpn_connection_ids
        return [path for path in vpn_paths(self._site, self._cloud) if path.tunnel in known]

    def _origin(self, operation: str, every_s: float | None = None) -> Origin:
        """As old as its question: a reading that an act overtakes must not count as made after it."""
        if every_s is None:
            return Origin(self.name, self._asked_at, fresh_for(self.cadence_s), operation)
        return Origin(self.name, self._now(), fresh_for(every_s), operation)


async def _known(accepted: Awaitable[list[Observation]], *, partly: bool = False) -> dict[str, Advertised] | None:
    """What each path accepted, or None (with `partly`, what could be read).

    The failure itself is told where `accepted` is collected.
    """
    try:
        seen: Sequence[Observation] = await accepted
    except PartlySeen as part:
        if not partly:
            return None
        seen = part.seen
    except InterlockError:
        return None
    return {item.name: item.fact for item in seen if isinstance(item.fact, Advertised)}


def _aws(site: Site) -> tuple[Cloud, AwsSide]:
    for cloud in site.clouds:
        if cloud.aws is not None:
            return cloud, cloud.aws
    raise ValueError(f"site {site.name} has no cloud of provider aws: leave this source out")
