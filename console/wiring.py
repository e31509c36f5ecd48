"""The composition root: the only place that names concrete connectors."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from connectors.collector import Collector
from connectors.ports import StatusSource
from connectors.pulse import PulseSource
from connectors.routers.bmp import bmp_stream
from connectors.servicenow import ServiceNow
from console.folders import state_dir
from console.session import OperatorSession
from console.sites import Chosen
from network.inventory import Router, Site
from network.observation import Kind, SessionHere
from network.snapshot import Snapshot

if TYPE_CHECKING:
    from connectors.routers.pings import Pings
    from connectors.routers.ssh import Login
    from connectors.sizes import Sizes

#: A cloud's tables follow its sessions by about this much (measured on the lab's routers: updates go out 1.2 s late).
CLOUDS_LAG_S = 2.0
CLOUDS = ("azure", "aws")
LOOK_GAP_S = 0.1
PINGS_S = 10.0  # a ping ends by itself after 3 s


def utc_now() -> datetime:
    """The product's clock."""
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Watch:
    """A site being watched: its collector, and the session whose credentials it uses."""

    chosen: Chosen
    session: OperatorSession
    collector: Collector
    tickets: Callable[[], Awaitable[ServiceNow]]

    @property
    def site(self) -> Site:
        return self.chosen.site

    def look_again(self) -> None:
        """Have the routers and the clouds asked now."""
        for name in (*(router.name for router in self.site.routers), *CLOUDS):
            self.collector.poke(name)


@contextlib.asynccontextmanager
async def watching(
    chosen: Chosen, operator: str | None, *, once: bool = False, token: str = ""
) -> AsyncIterator[Watch]:
    """Watch a site until the block ends. Nothing is awaited before the first poll: sources log in by themselves.

    `once`: a single look, which reads the feeds' account and does not write it. `token`: a login handed on by another
    console.
    """
    session = OperatorSession(chosen.site, chosen.lab_folder, operator, token)
    desk = _TicketDesk(chosen.site, session)
    jitter = random.Random()  # noqa: S311 -- nobody could use knowing it
    streams = bmp_stream(chosen.site, utc_now, jitter)
    collector = Collector(_sources(chosen.site, session, desk, once=once), utc_now, jitter, streams)
    await collector.start()
    follow = asyncio.create_task(_look_again(chosen.site, collector), name="look again")
    try:
        yield Watch(chosen, session, collector, desk.tickets)
    finally:
        follow.cancel()
        await asyncio.gather(follow, return_exceptions=True)
        await collector.stop()
        await desk.close()
        with contextlib.suppress(Exception):  # leaving: the token ends by itself too
            await session.close()


class _TicketDesk:
    """One client of the ticket system for the whole session, made with the credential that Vault holds for it."""

    def __init__(self, site: Site, session: OperatorSession) -> None:
        self._system, self._session = site.systems.servicenow, session
        self._client: ServiceNow | None = None
        self._turn = asyncio.Lock()

    async def tickets(self) -> ServiceNow:
        async with self._turn:
            if self._client is None:
                secret = await self._session.kv(self._system.credential)
                self._client = ServiceNow(self._system.address, secret["user"], secret["password"], deadline_s=8.0)
            return self._client

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()


def _sources(site: Site, session: OperatorSession, desk: _TicketDesk, *, once: bool) -> list[StatusSource]:
    from connectors.aws import AwsSource
    from connectors.azure import AzureSource
    from connectors.megaport import MegaportSource
    from connectors.probes import probe_source
    from connectors.servicenow_calendar import TicketSource
    from connectors.sizes import Sizes

    systems, sizes = site.systems, Sizes(site)

    return [
        *(_router(site, router, session) for router in site.routers),
        MegaportSource(site, utc_now, lambda: session.kv(systems.megaport.credential)),
        AzureSource(site, utc_now, session.azure),
        AwsSource(site, utc_now, session.aws),
        PulseSource("vault", "secrets", systems.vault.cadence_s, session.pulse),
        TicketSource(site, utc_now, desk.tickets),
        probe_source(
            site,
            utc_now,
            lambda line: session.sign(systems.vault.probe_role, systems.vault.probe_principal, line),
            sizes,
        ),
        *(_legs(site, router, session, sizes) for router in site.routers),
        *([_feeds(site, once=once)] if site.feeds else []),
    ]


def _feeds(site: Site, *, once: bool) -> StatusSource:
    from connectors.feed_account import FeedAccount
    from connectors.feeds import FeedSource

    return FeedSource(site, FeedAccount(state_dir() / "feeds.json", site.name, keeps=not once), utc_now)


def _router(site: Site, router: Router, session: OperatorSession) -> StatusSource:
    from connectors.routers.session import RouterSession
    from connectors.routers.source import RouterSource

    return RouterSource(site, router, RouterSession(router, reading_login(site, session)), utc_now)


def _legs(site: Site, router: Router, session: OperatorSession, sizes: Sizes) -> StatusSource:
    """Beside the router's source, on a connection of its own: a ping takes seconds."""
    from connectors.routers.legs import LegSource

    return LegSource(site, router, pings(site, router, session), sizes, utc_now)


def pings(site: Site, router: Router, session: OperatorSession) -> Pings:
    """Pings from a router, over a connection of their own."""
    from connectors.routers.pings import Pings
    from connectors.routers.session import RouterSession

    return Pings(RouterSession(router, reading_login(site, session), show_s=PINGS_S))


def reading_login(site: Site, session: OperatorSession) -> Login:
    """The account that reads routers, with a certificate of the operator's."""
    from connectors.routers.ssh import Login

    vault = site.systems.vault
    return Login(
        vault.read_principal,
        vault.host_ca,
        lambda line: session.sign(vault.read_role, vault.read_principal, line),
    )


async def _look_again(site: Site, collector: Collector) -> None:
    """A session that changed makes the clouds and the fabric be asked at once, and the clouds once more: they lag."""
    loop = asyncio.get_running_loop()
    revision, before = 0, dict[str, Any]()
    while True:
        snapshot = await collector.wait(revision, 60.0)
        revision = snapshot.revision
        now = _sessions(site, snapshot)
        if before and now != before:
            for name in ("megaport", *CLOUDS):
                collector.poke(name)
            for name in CLOUDS:
                loop.call_later(CLOUDS_LAG_S, collector.poke, name)
        before = now or before
        await asyncio.sleep(LOOK_GAP_S)  # reading a snapshot folds it: not for each of two hundred routers' polls


def _sessions(site: Site, snapshot: Snapshot) -> dict[str, Any]:
    facts = ((s.name, snapshot.fact(Kind.SESSION_HERE, s.name, SessionHere)) for s in site.sessions)
    return {name: (fact.state, fact.received, fact.advertised) for name, fact in facts if fact}
