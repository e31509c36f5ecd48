"""The circuit asked: its object at every poll, its legs' tables and the signs around it at their own paces."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from functools import partial

from connectors.azure_arm import Arm
from connectors.azure_circuit_parse import (
    CircuitMetrics,
    Signs,
    circuit_query,
    parse_circuit,
    parse_circuit_metrics,
    parse_health,
    parse_stats,
)
from connectors.azure_health import HEALTH_VERSION
from connectors.azure_site import legs_of, link_of
from connectors.azure_tables import LAYER_2_UP, parse_arp, parse_route_table, parse_summary
from connectors.errors import BadReply, InterlockError
from connectors.reading import Reading
from connectors.reply import CHECK_VERSION
from network.inventory import Path
from network.observation import Observation, SessionThere


class Circuit:
    """`readings` first, so that what they find has its say in what `each_poll` observes."""

    def __init__(self, arm: Arm) -> None:
        self._arm, self._signs = arm, Signs()
        self.legs = legs_of(arm.site, arm.cloud)
        self._name = f"/expressRouteCircuits/{arm.side.circuit}"
        self._path = arm.network + self._name
        tables = [partial(ask, leg) for leg in self.legs for ask in (self._layer_2, self._session)]
        self.readings = [
            *(Reading(ask, arm.tables_every_s) for ask in tables),
            *(Reading(ask, arm.signs_every_s) for ask in (self._metrics, self._stats, self._health)),
        ]

    def each_poll(self) -> list[Awaitable[Sequence[Observation]]]:
        arm = self._arm
        return [arm.observe(self._name, lambda data: parse_circuit(data, arm.site, arm.cloud, self._signs))]

    async def accepted(self, leg: Path) -> list[Observation]:
        """What a leg accepted from us."""
        data, origin = await self._arm.table(self._of_leg(leg, "routeTables"))
        return origin.observe(parse_route_table(data, self._arm.site, leg))

    def _of_leg(self, leg: Path, table: str) -> str:
        return f"{self._name}/peerings/AzurePrivatePeering/{table}/{link_of(self._arm.site, leg)}"

    async def _session(self, leg: Path) -> list[Observation]:
        try:
            data, origin = await self._arm.table(self._of_leg(leg, "routeTablesSummary"))
            seen = origin.observe(parse_summary(data, self._arm.site, leg))
        except InterlockError:
            self._signs.session_up.pop(leg.name, None)
            raise
        up = all(item.fact.up for item in seen if isinstance(item.fact, SessionThere))
        if up and self._signs.session_up.get(leg.name) is False:
            self._signs.bgp_back[leg.name] = self._arm.now()
        self._signs.session_up[leg.name] = up
        return seen

    # What follows observes nothing by itself: it has its say in the circuit, and is forgotten when it cannot be read.

    async def _layer_2(self, leg: Path) -> list[Observation]:
        try:
            data, _ = await self._arm.table(self._of_leg(leg, "arpTables"))
            layer_2 = parse_arp(data, leg)
        except InterlockError:
            self._signs.layer_2.pop(leg.name, None)
            raise
        if layer_2 == LAYER_2_UP != self._signs.layer_2.get(leg.name, LAYER_2_UP):
            self._signs.arp_back[leg.name] = self._arm.now()
        self._signs.layer_2[leg.name] = layer_2
        return []

    async def _metrics(self) -> list[Observation]:
        arm, path = self._arm, f"{self._path}/providers/Microsoft.Insights/metrics"
        try:
            data = await arm.get(path, circuit_query(arm.now()))
            self._signs.metrics = parse_circuit_metrics(data, arm.site, arm.cloud)
        except InterlockError:
            self._signs.metrics = CircuitMetrics()
            raise
        if self._signs.metrics.errors:
            raise BadReply("; ".join(self._signs.metrics.errors), where="azure circuit metrics", do_next=CHECK_VERSION)
        return []

    async def _stats(self) -> list[Observation]:
        self._signs.stats = {}
        self._signs.stats = parse_stats(await self._arm.get(f"{self._path}/stats"))
        return []

    async def _health(self) -> list[Observation]:
        path = f"{self._path}/providers/Microsoft.ResourceHealth/availabilityStatuses/current"
        try:
            self._signs.health = parse_health(await self._arm.get(path, {"api-version": HEALTH_VERSION}))
        except InterlockError:
            self._signs.health = {}
            raise
        return []
