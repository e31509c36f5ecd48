"""Azure as a status source, over plain HTTP: the SDK costs half a second, 67 MB, and misreads some keys.

The tables (per leg, and the gateways' or the hub's routes) are long-running operations that leave an entry each in
the activity log: outside a lab they are read every five minutes, or when something has changed. Metrics and health
come every minute there, a week of tunnel load every ten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Sequence
from dataclasses import asdict
from datetime import timedelta

from connectors import azure_failover, azure_health
from connectors.azure_arm import Arm
from connectors.azure_circuit import Circuit
from connectors.azure_classic import ClassicGateways
from connectors.azure_login import Login
from connectors.azure_site import azure_of, network_of
from connectors.azure_vwan import VirtualWan
from connectors.errors import InterlockError
from connectors.http import Bearer, JsonApi, Token
from connectors.parts import settle
from connectors.ports import AzureSecret, Clock, Credentials, deadline_for
from connectors.reading import PATIENCE_S, Reading, late
from connectors.reply import Finding
from network.events import Events, ProviderEvent
from network.inventory import Site
from network.observation import FailoverTests, Kind, Observation

FIRST_PATIENCE_S = 2.0  # and the first one longer: before it nothing is known at all


class AzureSource:
    """Four GETs a poll, and whatever is due beside them; one that fails or is throttled leaves the rest."""

    name = "azure"
    kind = "cloud"

    def __init__(self, site: Site, now: Clock, credentials: Credentials[AzureSecret]) -> None:
        system = site.systems.azure
        self.cadence_s = system.cadence_s
        self.deadline_s = deadline_for(system.cadence_s)
        _, side = azure_of(site)
        self._patience_s = FIRST_PATIENCE_S
        self._login = Login(side.tenant, system.token_address, self.deadline_s, credentials)
        self._refused: InterlockError | None = None
        bearer = Bearer(self._token)
        self._api = JsonApi(self.name, system.address, self.deadline_s, bearer, common=network_of(side))
        self._arm = arm = Arm(site, self._api, now)
        self._circuit = Circuit(arm)
        classic = arm.side.gateways == "classic"
        self._gateways = ClassicGateways(arm, self._circuit) if classic else VirtualWan(arm, self._circuit)
        self._changing = [*self._circuit.readings, *self._gateways.readings]
        self._steady = [
            self._gateways.loads,
            Reading(self._events, arm.signs_every_s),
            Reading(self._tests, arm.tables_every_s),
        ]
        self._impacted: dict[tuple[str, object], tuple[str, ...]] = {}

    def forget(self) -> None:
        for reading in self._changing:
            reading.forget()

    async def close(self) -> None:
        await asyncio.gather(*(reading.close() for reading in self._readings))
        await asyncio.gather(self._login.close(), self._api.close())

    async def late(self) -> Sequence[Observation]:
        return await late(self._readings)

    @property
    def _readings(self) -> list[Reading]:
        return [*self._changing, *self._steady]

    async def collect(self) -> Sequence[Observation]:
        self._refused = None
        patience_s, self._patience_s = self._patience_s, PATIENCE_S
        read = await asyncio.gather(*(reading.done(patience_s) for reading in self._readings))
        parts: list[Awaitable[Sequence[Observation]]] = [
            *self._circuit.each_poll(),
            *self._gateways.each_poll(),
            *(task for tasks in read for task in tasks),
        ]
        return await settle(parts, [item for reading in self._readings for item in reading.kept])

    async def _token(self) -> Token:
        """The calls of a poll share a refusal as they share a token: a secret is minted for each login."""
        if self._refused is not None:
            raise self._refused
        try:
            return await self._login.token()
        except InterlockError as error:
            self._refused = error
            raise

    async def _events(self) -> list[Observation]:
        """Planned maintenance and service issues of the calendar's days that touch us."""
        arm, now = self._arm, self._arm.now()
        path = f"{arm.subscription}/providers/Microsoft.ResourceHealth/events"
        origin = arm.origin(f"GET {path}", arm.signs_every_s)
        rows = await arm.rows(path, azure_health.events_query(now))
        near = azure_health.parse_events(rows, now, timedelta(days=arm.site.policy.calendar_days))
        touched = await asyncio.gather(*(self._touched(path, event) for event in near))
        self._impacted = {_version(event): ids for event, ids in zip(near, touched, strict=True)}
        told = [
            azure_health.provider_event(event, ids, arm.site, arm.cloud, now)
            for event, ids in zip(near, touched, strict=True)
        ]
        ours: tuple[ProviderEvent, ...] = tuple(event for event in told if event is not None)
        raw = [event.model_dump() for event in near]
        return origin.observe([Finding(Kind.EVENTS, self.name, Events(ours), raw)])

    async def _touched(self, path: str, event: azure_health.HealthEvent) -> tuple[str, ...]:
        """The resources of an event, asked once for each of its updates."""
        known = self._impacted.get(_version(event))
        if known is not None:
            return known
        query = {"api-version": azure_health.HEALTH_VERSION}
        return azure_health.parse_impacted(await self._arm.rows(f"{path}/{event.name}/impactedResources", query))

    async def _tests(self) -> list[Observation]:
        """The provider's own failover tests, of links and of locations."""
        arm, circuit = self._arm, f"/expressRouteCircuits/{self._arm.side.circuit}"
        (links, origin), (sites, _) = await asyncio.gather(
            arm.table(f"{circuit}/getCircuitLinkFailoverAllTestsDetails", params=azure_failover.LINK_TESTS),
            arm.table(f"{self._gateways.er_gateway}/getFailoverAllTestsDetails", params=azure_failover.SITE_TESTS),
        )
        tests = [
            *azure_failover.parse_link_tests(links, arm.site, arm.cloud),
            *azure_failover.parse_site_tests(sites, arm.site, arm.cloud),
        ]
        fact = FailoverTests(azure_failover.newest_first(tests))
        raw = [asdict(test) for test in fact.tests]
        return origin.observe([Finding(Kind.FAILOVER_TESTS, arm.cloud.name, fact, raw)])


def _version(event: azure_health.HealthEvent) -> tuple[str, object]:
    return event.name, event.properties.last_update_time
