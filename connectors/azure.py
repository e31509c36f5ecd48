"""Azure as a status source, over plain HTTP: the SDK costs half a second, 67 MB, and misreads some keys.

The tables (per leg, and the hub's effective routes) are long-running operations that leave an entry each in
the activity log: outside a lab they are read every five minutes, or when something has changed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

from pydantic import Field, FiniteFloat

from connectors import azure_lro
from connectors.azure_metrics import bgp_query, parse_bgp
from connectors.azure_parse import (
    parse_arp,
    parse_circuit,
    parse_effective_routes,
    parse_er_gateway,
    parse_hub,
    parse_route_table,
    parse_summary,
    parse_vpn_connections,
)
from connectors.errors import InterlockError
from connectors.http import Bearer, JsonApi, Token
from connectors.parts import settle
from connectors.ports import AzureSecret, Clock, Credentials, PartlySeen, deadline_for
from connectors.redact import redactor
from connectors.reply import Finding, Origin, Shape, fresh_for, read
from network.inventory import AzureSide, Cloud, Path, Site
from network.observation import Advertised, Circuit, Kind, Observation

API_VERSION = "2025-05-01"
SCOPE = "https://management.azure.com/.default"
LOGIN = "https://login.microsoftonline.com"
TABLES_EVERY_S = 300.0
TABLES_DEADLINE_S = 60.0
TABLES_PATIENCE_S = 1.0  # a poll waits this long for tables that are being read
TABLES_SLACK_S = 0.5  # a poll that comes a little early still reads them
EARLY_S = 300.0  # a token is renewed this long before its end, as azure-identity does


class _TokenReply(Shape):
    access_token: str = Field(alias="access_token", min_length=1)
    expires_in: FiniteFloat = Field(alias="expires_in", default=3599.0)


class AzureSource:
    """Four GETs a poll, and the tables when they are due; all at the same time."""

    name = "azure"
    kind = "cloud"

    def __init__(self, site: Site, now: Clock, credentials: Credentials[AzureSecret]) -> None:
        system = site.systems.azure
        self.cadence_s = system.cadence_s
        self.deadline_s = deadline_for(system.cadence_s)
        self._site, self._now, self._credentials = site, now, credentials
        self._cloud, self._side = _azure(site)
        self._base = (
            f"/subscriptions/{self._side.subscription}/resourceGroups/{self._side.resource_group}"
            "/providers/Microsoft.Network"
        )
        self._legs = [path for path in site.paths_of(self._cloud.name) if path.kind == "expressroute"]
        self._login = JsonApi(self.name, system.token_address or LOGIN, self.deadline_s)
        self._api = JsonApi(self.name, system.address, self.deadline_s, Bearer(self._token), common=self._base)
        self._tables_every_s = self.cadence_s if site.mode == "lab" else max(self.cadence_s, TABLES_EVERY_S)
        self._tables_due = 0.0
        self._reading: asyncio.Task[list[Observation]] | None = None
        self._arp: dict[str, str] = {}
        self._tables: dict[tuple[Kind, str], Observation] = {}

    def forget(self) -> None:
        self._tables_due = 0.0

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
        await asyncio.gather(self._login.close(), self._api.close())

    async def collect(self) -> Sequence[Observation]:
        side, site, cloud = self._side, self._site, self._cloud
        tables = await self._tables_read()
        parts: list[Awaitable[Sequence[Observation]]] = [
            self._get(
                f"/expressRouteCircuits/{side.circuit}",
                lambda data: parse_circuit(data, site, cloud, self._arp),
            ),
            self._get(f"/expressRouteGateways/{side.er_gateway}", lambda data: parse_er_gateway(data, site, cloud)),
            self._get(f"/virtualHubs/{side.hub}", lambda data: parse_hub(data, cloud)),
            self._tunnels(),
            *tables,
        ]
        return await settle(parts, self._tables.values())

    async def _tables_read(self) -> list[asyncio.Task[list[Observation]]]:
        """The reading of the tables, when one has just ended; the service may take a minute over it.

        It goes on from poll to poll, so that the GETs never wait long for it.
        """
        now = asyncio.get_running_loop().time()
        if self._reading is None and self._tables_due <= now:
            self._tables_due = now + self._tables_every_s - TABLES_SLACK_S
            self._reading = asyncio.create_task(self._read_tables())
        if self._reading is None:
            return []
        done, _ = await asyncio.wait({self._reading}, timeout=TABLES_PATIENCE_S)
        if done:
            self._reading = None
        return list(done)

    async def _read_tables(self) -> list[Observation]:
        legs = self._legs
        parts = [*map(self._layer_2, legs), *map(self._session, legs), self._routes(), self._vpn_sessions()]
        try:
            seen = await settle(parts)
        except InterlockError as error:
            self._tables_due = 0.0  # what was not read is due at the next poll
            self._remember(error.seen if isinstance(error, PartlySeen) else ())
            raise
        self._remember(seen)
        return seen

    def _remember(self, seen: Sequence[Observation]) -> None:
        self._tables.update({item.key: item for item in seen})

    async def _layer_2(self, path: Path) -> list[Observation]:
        """Keeps a leg's ARP verdict for the circuit's own; observes nothing by itself."""
        self._arp.pop(path.name, None)
        data, _ = await self._table(self._leg_path(path, "arpTables"))
        self._arp[path.name] = parse_arp(data, path)
        return []

    async def _tunnels(self) -> list[Observation]:
        return await self._get(
            f"/vpnGateways/{self._side.vpn_gateway}/vpnConnections",
            lambda data: parse_vpn_connections(data, self._site, self._cloud),
        )

    async def _vpn_sessions(self) -> list[Observation]:
        path = f"{self._base}/vpnGateways/{self._side.vpn_gateway}/providers/Microsoft.Insights/metrics"
        data = await self._api.get(path, params=bgp_query(self._now()))
        origin = self._origin(f"GET {path}", self._tables_every_s)
        return [
            seen
            for ends, finding in parse_bgp(data, self._site, self._cloud)
            for seen in replace(origin, at=min(ends, origin.at)).observe([finding])
        ]

    async def _get(self, path: str, parse: Callable[[Any], list[Finding]]) -> list[Observation]:
        full = self._base + path
        origin = self._origin(f"GET {full}", self.cadence_s)
        data = await self._api.get(full, params={"api-version": API_VERSION})
        return origin.observe(parse(data))

    async def _table(self, path: str, body: Any = None) -> tuple[Any, Origin]:
        """A table that is a long-running operation, and where and when it came from."""
        full = self._base + path
        origin = self._origin(f"POST {full}", self._tables_every_s)
        data = await azure_lro.run(self._api, full, {"api-version": API_VERSION}, body, TABLES_DEADLINE_S)
        return data, origin

    def _leg_path(self, path: Path, table: str) -> str:
        link = self._site.connection(path.connection or "").link or "primary"
        return f"/expressRouteCircuits/{self._side.circuit}/peerings/AzurePrivatePeering/{table}/{link}"

    async def _session(self, path: Path) -> list[Observation]:
        data, origin = await self._table(self._leg_path(path, "routeTablesSummary"))
        return origin.observe(parse_summary(data, self._site, path))

    async def _accepted(self, path: Path) -> list[Observation]:
        data, origin = await self._table(self._leg_path(path, "routeTables"))
        return origin.observe(parse_route_table(data, self._site, path))

    async def _routes(self) -> list[Observation]:
        """What the legs accepted and the hub's way back: the second cannot be told without the first."""
        hub = f"/virtualHubs/{self._side.hub}"
        table = f"{self._base}{hub}/hubRouteTables/defaultRouteTable"
        asked = {"resourceId": table, "virtualWanResourceType": "RouteTable"}
        (data, origin), vpn, *legs = await asyncio.gather(
            self._table(f"{hub}/effectiveRoutes", asked), self._tunnels(), *map(self._accepted, self._legs)
        )
        seen = [item for leg in legs for item in leg]
        accepted = {item.name: item.fact for item in seen if isinstance(item.fact, Advertised)}
        connected = [item.name for item in vpn if isinstance(item.fact, Circuit) and item.fact.up]
        back = parse_effective_routes(data, self._site, self._cloud, accepted, connected)
        return [*seen, *origin.observe(back)]

    def _origin(self, evidence: str, every_s: float) -> Origin:
        """As old as its question: a reading that an act overtakes must not count as made after it."""
        return Origin(self.name, self._now(), fresh_for(every_s), evidence)

    async def _token(self) -> Token:
        secret = await self._credentials()
        form = {
            "grant_type": "client_credentials",
            "client_id": secret.client_id,
            "client_secret": redactor.add(secret.client_secret),
            "scope": SCOPE,
        }
        reply = await self._login.send("POST", f"/{self._side.tenant}/oauth2/v2.0/token", data=form)
        token = read(_TokenReply, self._login.json(reply), "azure token")
        redactor.add(token.access_token)
        lasts = max(token.expires_in - EARLY_S, token.expires_in / 2)
        return Token(token.access_token, asyncio.get_running_loop().time() + lasts)


def _azure(site: Site) -> tuple[Cloud, AzureSide]:
    for cloud in site.clouds:
        if cloud.azure is not None:
            return cloud, cloud.azure
    raise ValueError(f"site {site.name} has no cloud of provider azure: leave this source out")
