"""The Megaport fabric as a status source: ports, VXCs and MCRs, a week of load, light, what is announced.

The fabric samples its links about every five minutes, so a fresh reply may tell an old truth. What is asked on
demand (looking glass, keys, prices) hangs on the same client: one token, one budget.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import Any

from connectors.errors import Denied, NotFound
from connectors.megaport_client import BadRequest, MegaportClient
from connectors.megaport_events import ASKED, parse_events
from connectors.megaport_glass import LookingGlass
from connectors.megaport_keys import Lookups
from connectors.megaport_price import Prices
from connectors.megaport_products import parse_products
from connectors.megaport_telemetry import parse_load, parse_optics
from connectors.parts import settle
from connectors.ports import Clock, Credentials, deadline_for
from connectors.reply import Origin, fresh_for
from network.inventory import Site, Vxc
from network.observation import Kind, Observation

LOAD_EVERY_S = 600.0
LOAD_DAYS = 7
LIGHT_EVERY_S = 300.0  # the fabric samples no oftener
EVENTS_EVERY_S = 120.0  # six calls
LAB_EVENTS_EVERY_S = 10.0
LONGEST_LIST_S = 60.0  # all products of a large account take the fabric up to 50 s
#: Requests of an average poll: the products, and the share of what is read less often.
POLL_COST = 2


class MegaportSource:
    """One GET of all products a poll, the rest when it is due; slower as the fabric's request budget runs low."""

    name = "megaport"
    kind = "fabric"

    def __init__(self, site: Site, now: Clock, credentials: Credentials[Mapping[str, str]]) -> None:
        system = site.systems.megaport
        self.cadence_s = self._declared_s = system.cadence_s
        self.deadline_s = max(deadline_for(system.cadence_s), min(system.cadence_s, LONGEST_LIST_S))
        self.client = MegaportClient(system, credentials, self.deadline_s)
        self.glass = LookingGlass(self.client.asked)
        self.lookups = Lookups(self.client.asked)
        self.prices = Prices(self.client.asked, site)
        self._site, self._now = site, now
        self._events_every_s = LAB_EVENTS_EVERY_S if site.mode == "lab" else EVENTS_EVERY_S
        self._due: dict[str, float] = {}
        self._kept: dict[tuple[Kind, str], Observation] = {}

    @property
    def requests_left(self) -> int:
        """Of the 500 that the fabric answers in five minutes."""
        return self.client.requests_left

    async def close(self) -> None:
        await self.client.close()

    async def collect(self) -> Sequence[Observation]:
        self.cadence_s = max(self._declared_s, POLL_COST * self.client.budget.pace_s(_loop_s()))
        parts: list[Awaitable[Sequence[Observation]]] = [self._products()]
        parts += self._when_due("events", self._events_every_s, self._events)
        parts += self._when_due("light", LIGHT_EVERY_S, self._light)
        for vxc in self._site.vxcs:
            parts += self._when_due(f"load of {vxc.name}", LOAD_EVERY_S, partial(self._load, vxc))
        return await settle(parts, self._kept.values())

    def _when_due(
        self, name: str, every_s: float, part: Callable[[], Coroutine[Any, Any, Sequence[Observation]]]
    ) -> list[Awaitable[Sequence[Observation]]]:
        """The part, unless it was read well less than `every_s` ago; stretched as the cadence is."""
        if self._due.get(name, 0.0) > _loop_s():
            return []

        async def reading() -> Sequence[Observation]:
            seen = await part()
            self._kept.update({item.key: item for item in seen})
            self._due[name] = _loop_s() + self._stretched(every_s)
            return seen

        return [reading()]

    async def _products(self) -> list[Observation]:
        origin = self._origin(self.cadence_s, "GET /v2/products")
        data = await self.client.polled.get("/v2/products")
        return origin.observe(parse_products(data, self._site))

    async def _load(self, vxc: Vxc) -> list[Observation]:
        path = f"/v2/product/vxc/{vxc.uid}/telemetry"
        origin = self._origin(self._stretched(LOAD_EVERY_S), f"GET {path}")
        data = await self.client.polled.get(path, params={"type": "BITS", "days": LOAD_DAYS})
        return origin.observe(parse_load(data, vxc.name))

    async def _light(self) -> list[Observation]:
        """Nothing where the fabric does not offer it (a beta), or not to us."""
        origin = self._origin(self._stretched(LIGHT_EVERY_S), "GET /v1/openmetrics")
        try:
            reply = await self.client.polled.send("GET", "/v1/openmetrics")
        except (NotFound, BadRequest, Denied):
            return []
        return origin.observe(parse_optics(reply.text, self._site))

    async def _events(self) -> list[Observation]:
        origin = self._origin(
            self._stretched(self._events_every_s), "GET /ens/v1/status/maintenance and outage, by state"
        )
        calls = [self.client.polled.get(f"/ens/v1/status/{kind}", params={"state": state}) for kind, state in ASKED]
        replies = await asyncio.gather(*calls)
        kinds = (kind for kind, _ in ASKED)
        return origin.observe(parse_events(zip(kinds, replies, strict=True), self._site, self._now()))

    def _origin(self, every_s: float, evidence: str) -> Origin:
        """As old as its question: a reading that an act overtakes must not count as made after it."""
        return Origin(self.name, self._now(), fresh_for(every_s), evidence)

    def _stretched(self, every_s: float) -> float:
        return every_s * self.cadence_s / self._declared_s


def _loop_s() -> float:
    return asyncio.get_running_loop().time()
