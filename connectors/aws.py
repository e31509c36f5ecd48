"""AWS as a status source: boto3 in a small pool of threads, shut off from the ambient environment.

This is the only module that imports boto3 and botocore, and it does so in the pool: with the clients it takes
a third of a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from connectors.aws_parse import (
    dx_paths,
    parse_attachments,
    parse_connections,
    parse_sessions,
    parse_tgw_routes,
    parse_vif_routes,
    parse_vifs,
    parse_vpn,
)
from connectors.errors import BadReply, Denied, InterlockError, NotFound, Throttled, TimedOut, Unreachable
from connectors.http import CHECK_LINK, loopback
from connectors.parts import settle
from connectors.ports import AwsSecret, Clock, Credentials, deadline_for
from connectors.redact import redactor
from connectors.reply import CHECK_VERSION, Finding, Origin, fresh_for
from network.inventory import AwsSide, Cloud, Path, Site
from network.observation import Advertised, Observation, SessionThere

THREADS = 8
MOST_PAGES = 50
EXPIRED = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "RequestExpired",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        "AuthFailure",
    }
)


class AwsCalls:
    """AWS operations by name, in the pool. Clients are made on one thread, anew when their credential ends."""

    def __init__(self, address: str, region: str, deadline_s: float, credentials: Credentials[AwsSecret]) -> None:
        self._address, self._region, self._deadline_s = address, region, deadline_s
        self._credentials, self._clients = credentials, dict[str, Any]()
        self._lock = asyncio.Lock()
        self._pool = ThreadPoolExecutor(THREADS, thread_name_prefix="aws")

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def rows(self, service: str, operation: str, key: str, **parameters: Any) -> Any:
        """The reply of `operation` (its Python name) with the rows of all pages under `key`.

        Raises an InterlockError. A reply without `key` comes as it is: its parser says what is wrong.
        """
        clients = await self._ready({})
        try:
            return await self._run(_rows, clients[service], operation, key, parameters)
        except _CredentialEnded:
            clients = await self._ready(clients)
        try:
            return await self._run(_rows, clients[service], operation, key, parameters)
        except _CredentialEnded as ended:
            raise Denied(
                f"a fresh credential was refused too ({ended})",
                where=f"aws {operation}",
                do_next="Check the clock of this machine and the role that Vault issues for.",
            ) from None

    async def _ready(self, refused: dict[str, Any]) -> dict[str, Any]:
        """The clients, made anew when there are none or when those are the `refused` ones."""
        async with self._lock:
            if not self._clients or self._clients is refused:
                self._clients = await self._run(self._connect, await self._credentials())
            return self._clients

    def _connect(self, secret: AwsSecret) -> dict[str, Any]:
        """Clients with explicit keys: no profile, endpoint or (on loopback) proxy of the environment counts."""
        import boto3.session
        import botocore.config
        import botocore.session

        core = botocore.session.Session(session_vars={"profile": (None, None, None, None)})
        redactor.add(secret.secret_key)
        redactor.add(secret.session_token or "")
        core.set_credentials(secret.access_key, secret.secret_key, secret.session_token)
        config = botocore.config.Config(
            region_name=self._region,
            connect_timeout=min(3.0, self._deadline_s),
            read_timeout=self._deadline_s,
            retries={"mode": "standard", "total_max_attempts": 2},
            max_pool_connections=THREADS,
            ignore_configured_endpoint_urls=True,
            proxies={} if loopback(self._address) else None,
        )
        session = boto3.session.Session(botocore_session=core)
        return {
            service: session.client(
                service,
                config=config,
                endpoint_url=self._address.format(service=service, region=self._region),
            )
            for service in ("directconnect", "ec2")
        }

    async def _run(self, work: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *arguments)


class _CredentialEnded(Exception):
    """The service no longer takes the clients' credential."""


def _rows(client: Any, operation: str, key: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Blocking: every page of an operation. Several of these operations have no paginator in botocore."""
    call = getattr(client, operation, None)
    if call is None:
        raise NotFound(f"this botocore has no {operation}", where="aws", do_next="Upgrade boto3 to 1.44 or later.")
    rows: list[Any] = []
    following: dict[str, Any] = {}
    for _ in range(MOST_PAGES):
        reply = _answer(call, operation, {**parameters, **following})
        if key not in reply:
            return reply
        rows += reply[key]
        following = {name: reply[name] for name in ("nextToken", "NextToken") if reply.get(name)}
        if not following:
            return {**reply, key: rows}
    raise BadReply(f"more than {MOST_PAGES} pages", where=f"aws {operation}", do_next="Narrow the account's view.")


def _answer(call: Any, operation: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """Blocking: one call, its reply without transport metadata, botocore's errors under our names."""
    from botocore import exceptions
    from botocore.parsers import ResponseParserError

    where = f"aws {operation}"
    try:
        reply = dict(call(**parameters))
    except exceptions.ClientError as error:
        raise _refusal(error.response, where) from None
    except (exceptions.ConnectTimeoutError, exceptions.ReadTimeoutError) as error:
        raise TimedOut(str(error), where=where, do_next=CHECK_LINK) from error
    except (exceptions.ConnectionError, exceptions.HTTPClientError) as error:
        raise Unreachable(str(error), where=where, do_next=CHECK_LINK) from error
    except ResponseParserError as error:
        raise BadReply(
            "not an AWS reply",
            where=where,
            do_next="A proxy or login page may stand in between.",
            evidence=str(error),
        ) from None
    reply.pop("ResponseMetadata", None)
    return reply


def _refusal(response: Mapping[str, Any], where: str) -> Exception:
    error = response.get("Error", {})
    code, status = str(error.get("Code", "")), response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in EXPIRED:
        return _CredentialEnded(code)
    said = f"HTTP {status} {code}: {str(error.get('Message', ''))[:200]}"
    if status == 429 or "Throttl" in code or code in {"RequestLimitExceeded", "TooManyRequestsException"}:
        return Throttled(said, where=where, do_next="It is asked less often.")
    if status in {401, 403} or code in {"UnauthorizedOperation", "AccessDenied", "AccessDeniedException"}:
        return Denied(said, where=where, do_next="Check the rights of the role that Vault issues for.")
    if "NotFound" in code or "does not exist" in said:
        return NotFound(said, where=where, do_next="Check the id in the site file and its region.")
    if status in {502, 503, 504}:
        return Unreachable(said, where=where, do_next="Its front answers, the service does not: wait.")
    return BadReply(said, where=where, do_next=CHECK_VERSION)


class AwsSource:
    """Nine calls a poll, all at the same time; `systems.aws.address` may hold {service} and {region}."""

    name = "aws"
    kind = "cloud"

    def __init__(self, site: Site, now: Clock, credentials: Credentials[AwsSecret]) -> None:
        system = site.systems.aws
        self.cadence_s = system.cadence_s
        self.deadline_s = deadline_for(system.cadence_s)
        self._site, self._now = site, now
        self._cloud, self._side = _aws(site)
        self._calls = AwsCalls(system.address, self._side.region, self.deadline_s, credentials)
        self._asked_at = now()

    async def close(self) -> None:
        self._calls.close()

    async def collect(self) -> Sequence[Observation]:
        try:
            async with asyncio.timeout(self.deadline_s):
                return await self._collect()
        except TimeoutError as error:
            raise TimedOut(f"no answer within {self.deadline_s:g} s", where="aws", do_next=CHECK_LINK) from error

    async def _collect(self) -> list[Observation]:
        self._asked_at = self._now()
        vifs = asyncio.ensure_future(self._vifs())
        accepted = asyncio.ensure_future(settle(map(self._accepted, dx_paths(self._site, self._cloud))))
        sessions = asyncio.ensure_future(self._sessions(vifs, accepted))
        parts: list[Awaitable[Sequence[Observation]]] = [
            self._connections(),
            sessions,
            accepted,
            self._vpn(),
            self._attachments(vifs),
            self._routes(sessions, accepted),
        ]
        return await settle(parts)

    async def _connections(self) -> list[Observation]:
        data = await self._calls.rows("directconnect", "describe_connections", "connections")
        return self._seen("DescribeConnections", parse_connections(data, self._site, self._cloud))

    async def _vifs(self) -> dict[str, Any]:
        data = await self._calls.rows("directconnect", "describe_virtual_interfaces", "virtualInterfaces")
        return parse_vifs(data, self._site, self._cloud)

    async def _accepted(self, path: Path) -> list[Observation]:
        data = await self._calls.rows(
            "directconnect",
            "list_virtual_interface_routes",
            "routes",
            virtualInterfaceId=self._site.connection(path.connection or "").vif_id,
            filters={"routeDirection": "accepted"},
        )
        return self._seen("ListVirtualInterfaceRoutes", parse_vif_routes(data, path))

    async def _sessions(
        self, vifs: Awaitable[dict[str, Any]], accepted: Awaitable[list[Observation]]
    ) -> list[Observation]:
        routes = await _known(accepted) or {}
        found = parse_sessions(await vifs, routes, self._site, self._cloud)
        return self._seen("DescribeVirtualInterfaces", found)

    async def _vpn(self) -> list[Observation]:
        ids = list(self._side.vpn_connection_ids.values())
        data = await self._calls.rows("ec2", "describe_vpn_connections", "VpnConnections", VpnConnectionIds=ids)
        return self._seen("DescribeVpnConnections", parse_vpn(data, self._site, self._cloud))

    async def _attachments(self, vifs: Awaitable[dict[str, Any]]) -> list[Observation]:
        side, rows = self._side, self._calls.rows
        attachments, propagations, associations, by_path = await asyncio.gather(
            rows(
                "ec2",
                "describe_transit_gateway_attachments",
                "TransitGatewayAttachments",
                Filters=[{"Name": "transit-gateway-id", "Values": [side.tgw_id]}],
            ),
            rows(
                "ec2",
                "get_transit_gateway_route_table_propagations",
                "TransitGatewayRouteTablePropagations",
                TransitGatewayRouteTableId=side.tgw_route_table,
            ),
            rows(
                "directconnect",
                "describe_direct_connect_gateway_associations",
                "directConnectGatewayAssociations",
                directConnectGatewayId=side.dx_gateway_id,
            ),
            vifs,
        )
        found = parse_attachments(attachments, propagations, associations, by_path, self._site, self._cloud)
        return self._seen("DescribeTransitGatewayAttachments", found)

    async def _routes(
        self, sessions: Awaitable[list[Observation]], accepted: Awaitable[list[Observation]]
    ) -> list[Observation]:
        data = await self._calls.rows(
            "ec2",
            "search_transit_gateway_routes",
            "Routes",
            TransitGatewayRouteTableId=self._side.tgw_route_table,
            Filters=[{"Name": "state", "Values": ["active", "blackhole"]}],
            MaxResults=1000,
        )
        up = [item.name for item in await sessions if isinstance(item.fact, SessionThere) and item.fact.up]
        found = parse_tgw_routes(data, await _known(accepted), up, self._site, self._cloud)
        return self._seen("SearchTransitGatewayRoutes", found)

    def _seen(self, operation: str, found: Sequence[Finding]) -> list[Observation]:
        """As old as the poll's beginning: a reading that an act overtakes must not count as made after it."""
        return Origin(self.name, self._asked_at, fresh_for(self.cadence_s), operation).observe(found)


async def _known(accepted: Awaitable[list[Observation]]) -> dict[str, Advertised] | None:
    """What each path accepted, or None: the failure itself is told where `accepted` is collected."""
    try:
        seen = await accepted
    except InterlockError:
        return None
    return {item.name: item.fact for item in seen if isinstance(item.fact, Advertised)}


def _aws(site: Site) -> tuple[Cloud, AwsSide]:
    for cloud in site.clouds:
        if cloud.aws is not None:
            return cloud, cloud.aws
    raise ValueError(f"site {site.name} has no cloud of provider aws: leave this source out")
