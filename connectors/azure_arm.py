"""Azure Resource Manager's calls: one that is throttled waits on its own, the others go on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from connectors import azure_lro
from connectors.azure_site import azure_of, network_of
from connectors.azure_tables import table_rows
from connectors.errors import BadReply, Throttled
from connectors.http import JsonApi
from connectors.ports import Clock
from connectors.reply import CHECK_VERSION, Finding, Origin, fresh_for
from network.inventory import Site
from network.observation import Observation

API_VERSION = "2025-05-01"
TABLES_EVERY_S = 300.0  # each reading is an entry in the activity log
SIGNS_EVERY_S = 60.0
TABLES_DEADLINE_S = 60.0
HOLD_S = 10.0  # for a 429 that does not say how long
MOST_PAGES = 20

Reply = TypeVar("Reply")


class Arm:
    """What every Azure reading shares: the site, our resources' place, the paces, and the calls.

    Paces in seconds: the cadence, that of tables and that of signs (metrics, health); in a lab all are the cadence.
    """

    def __init__(self, site: Site, api: JsonApi, now: Clock) -> None:
        self.site, self.now, self._api = site, now, api
        self.cloud, self.side = azure_of(site)
        self.subscription, self.network = f"/subscriptions/{self.side.subscription}", network_of(self.side)
        self.cadence_s = site.systems.azure.cadence_s
        slow = site.mode != "lab"
        self.tables_every_s = max(self.cadence_s, TABLES_EVERY_S) if slow else self.cadence_s
        self.signs_every_s = max(self.cadence_s, SIGNS_EVERY_S) if slow else self.cadence_s
        self._held: dict[str, float] = {}

    def origin(self, evidence: str, every_s: float) -> Origin:
        """As old as its question: a reading that an act overtakes must not count as made after it."""
        return Origin("azure", self.now(), fresh_for(every_s), evidence)

    async def observe(self, resource: str, parse: Callable[[Any], list[Finding]]) -> list[Observation]:
        """What a GET of one of our network resources says, fresh for the cadence."""
        path = self.network + resource
        origin = self.origin(f"GET {path}", self.cadence_s)
        return origin.observe(parse(await self.get(path)))

    async def get(self, path: str, params: Mapping[str, str] | None = None) -> Any:
        """GET a whole path."""
        asked = params or {"api-version": API_VERSION}
        return await self._unless_held(f"GET {path}", lambda: self._api.get(path, params=asked))

    async def rows(self, path: str, params: Mapping[str, str]) -> list[Mapping[str, Any]]:
        """Every row of a list, from all its pages; they too must be on this service. Raises BadReply."""
        return await self._unless_held(f"GET {path}", lambda: self._pages(path, params))

    async def _pages(self, path: str, params: Mapping[str, str]) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        page = await self._api.get(path, params=params)
        for _ in range(MOST_PAGES):
            found += table_rows(page, f"azure {path}")
            following = page.get("nextLink") if isinstance(page, Mapping) else None
            if not following:
                return found
            page = await self._api.get(azure_lro.poll_address(str(following), self._api.base))
        raise BadReply(f"more than {MOST_PAGES} pages", where=f"azure {path}", do_next=CHECK_VERSION)

    async def table(
        self, resource: str, body: Any = None, params: Mapping[str, str] | None = None
    ) -> tuple[Any, Origin]:
        """The result of a long-running POST on one of our network resources, and where and when it came from."""
        path = self.network + resource
        asked = {"api-version": API_VERSION, **(params or {})}
        origin = self.origin(f"POST {path}", self.tables_every_s)
        data = await self._unless_held(
            f"POST {path}", lambda: azure_lro.run(self._api, path, asked, body, TABLES_DEADLINE_S)
        )
        return data, origin

    async def _unless_held(self, call: str, ask: Callable[[], Awaitable[Reply]]) -> Reply:
        """Asks, unless the service wanted this very call to wait and the time is not over.

        The errors carry no Retry-After: what waits is the call, not the source.
        """
        loop, where = asyncio.get_running_loop(), self._api.where(call.partition(" ")[2])
        left = self._held.get(call, 0.0) - loop.time()
        if left > 0:
            raise Throttled(
                f"throttled: asked again in {left:.0f} s", where=where, do_next="The other calls go on meanwhile."
            )
        try:
            return await ask()
        except Throttled as error:
            wait = HOLD_S if error.retry_after_s is None else error.retry_after_s
            self._held[call] = loop.time() + wait
            raise Throttled(
                f"{error.what}; asked again in {wait:.0f} s",
                where=error.where,
                do_next="The other calls go on meanwhile.",
            ) from error
