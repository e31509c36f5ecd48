"""BMP stations: routers that dial us, and routers that we dial. Either way one stream a router, always made anew."""

from __future__ import annotations

import asyncio
import logging
import os
import random
from collections.abc import Awaitable, Sequence

from connectors.errors import InterlockError
from connectors.ports import Clock, Sink
from connectors.redact import redactor
from connectors.routers.bmp_connection import Incoming
from connectors.routers.bmp_feed import RouterFeed, observe
from connectors.routers.bmp_message import Initiation, Message
from network.inventory import Site
from network.observation import BmpFeed

CONNECT_S = 3.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 10.0
KEEP_GAP_S = 0.1
KEEP_S, FRESH_S = 5.0, 15.0  # how often a feed's state is said again, and for how long it holds
LASTING_S = 10.0  # a stream that lasted so long was well: the next attempt need not wait
STRANGERS = 16  # connections that have not yet said who they are

log = logging.getLogger(__name__)


class UnknownRouter(InterlockError):
    """Somebody dialled the station whose name and address are of no router that is expected to."""


class SecondConnection(InterlockError):
    """A router that is connected already: one stream counts, and the first is it."""


class WrongRouter(InterlockError):
    """Where one router was dialled another one answers."""


class BmpStream:
    """Every BMP stream of a site. `rng` spreads the attempts to connect."""

    name = "bmp"

    def __init__(self, site: Site, clock: Clock, rng: random.Random) -> None:
        self._clock, self._rng = clock, rng
        self._listen = site.systems.bmp_listen
        expected = [router for router in site.routers if router.bmp or self._listen]
        self._routers = {router.name: router for router in expected}
        self._names = {router.name for router in site.routers}
        self._feeds = {router.name: RouterFeed(site, router, clock()) for router in expected}
        self._said: dict[str, tuple[BmpFeed, float]] = {}
        self._strangers = 0
        self._refused = ""
        self._sink: Sink

    async def run(self, sink: Sink) -> None:
        self._sink = sink
        self._publish()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._keep())
            for name, router in self._routers.items():
                if router.bmp:
                    group.create_task(self._dial(self._feeds[name], router.bmp), name=f"bmp {name}")
            if self._listen:
                group.create_task(self._accept(self._listen, group), name="bmp listener")

    async def _keep(self) -> None:
        """Hold what is polled against what was told, and say again how the feeds are."""
        revision = -1
        while True:
            snapshot = await self._sink.wait(revision, KEEP_S)
            for feed in self._feeds.values():
                feed.compare(snapshot, self._clock())
            self._publish()
            revision = max(snapshot.revision, self._sink.snapshot.revision)
            await asyncio.sleep(KEEP_GAP_S)  # reading a snapshot folds it: not for each router's poll

    async def _dial(self, feed: RouterFeed, address: str) -> None:
        failures = 0
        while True:
            failures = 0 if await self._guarded(feed, self._visit(feed, address), address) else failures + 1
            await asyncio.sleep(self._pause_s(failures))

    async def _visit(self, feed: RouterFeed, address: str) -> None:
        """One connection to a router that accepts stations, from its beginning to its end."""
        host, _, port = address.rpartition(":")
        async with asyncio.timeout(CONNECT_S):
            reader, writer = await asyncio.open_connection(host.strip("[]"), int(port))
        incoming = Incoming(reader, writer, f"BMP of {feed.name} ({address})")
        try:
            initiation, more = await incoming.first()
            if initiation.name != feed.name and initiation.name in self._names:
                raise WrongRouter(
                    f"{initiation.name} answers",
                    where=f"BMP of {feed.name} ({address})",
                    do_next=f"Correct routers[{feed.name}].bmp in the site file.",
                )
            await self._follow(feed, incoming, more)
        finally:
            incoming.close()

    async def _accept(self, address: str, group: asyncio.TaskGroup) -> None:
        """Listen for routers for as long as the console lives; an address that is taken is tried again."""
        host, _, port = address.rpartition(":")
        while True:
            try:
                server = await asyncio.start_server(
                    lambda reader, writer: self._arrived(Incoming(reader, writer, "BMP station"), group),
                    host.strip("[]"),
                    int(port),
                )
            except OSError as error:
                self._waiting(f"cannot listen on {address} ({_words(error)})")
                await asyncio.sleep(self._pause_s(5))
                continue
            self._waiting(f"waiting for the router to connect to {address}")
            async with server:
                await server.serve_forever()

    def _arrived(self, incoming: Incoming, group: asyncio.TaskGroup) -> None:
        if self._strangers >= STRANGERS:
            incoming.close()
            return
        group.create_task(self._welcome(incoming))

    async def _welcome(self, incoming: Incoming) -> None:
        """One connection from its arrival to its end."""
        try:
            if met := await self._met(incoming):
                feed, more = met
                await self._guarded(feed, self._follow(feed, incoming, more), incoming.address)
        finally:
            incoming.close()

    async def _met(self, incoming: Incoming) -> tuple[RouterFeed, list[Message]] | None:
        """Whose feed it is and what it has said besides; None for one that is refused."""
        self._strangers += 1
        try:
            initiation, more = await incoming.first()
            return self._recognised(initiation, incoming.address), more
        except InterlockError as error:
            self._refuse(error)
            return None
        finally:
            self._strangers -= 1

    def _recognised(self, initiation: Initiation, address: str) -> RouterFeed:
        """The feed of whoever dialled: by name, else by address when that is one router's alone."""
        dialling = [router for router in self._routers.values() if router.bmp is None]
        names = [router.name for router in dialling if router.name == initiation.name]
        names = names or [router.name for router in dialling if router.address == address]
        where = f"BMP station, from {address} ({initiation.name or 'without a name'})"
        if len(names) != 1:
            do_next = "Give the router the name that it has in the site file, or take its `bmp targets` away."
            raise UnknownRouter("no router of the site that is expected here", where=where, do_next=do_next)
        feed = self._feeds[names[0]]
        if feed.connected:
            do_next = "Look for a second router of that name, or wait until the first connection is given up."
            raise SecondConnection(f"{feed.name} is connected already", where=where, do_next=do_next)
        return feed

    def _refuse(self, error: InterlockError) -> None:
        if str(error) != self._refused:  # who is refused comes again and again: once is news
            self._refused = str(error)
            log.warning("refused: %s", error)

    async def _follow(self, feed: RouterFeed, incoming: Incoming, messages: Sequence[Message]) -> None:
        feed.opened(self._clock())
        while True:
            self._take(feed, messages)
            messages = await incoming.batch()

    def _take(self, feed: RouterFeed, messages: Sequence[Message]) -> None:
        news = feed.take(messages, self._sink.snapshot, self._clock())
        if news.seen:
            self._sink.push(news.seen)
        if news.ask:
            self._sink.poke(feed.name)
        self._publish()

    async def _guarded(self, feed: RouterFeed, connection: Awaitable[None], where: str) -> bool:
        """Go through one connection whatever happens on it; True when it had been a stream for a while."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            await connection
        except InterlockError as error:
            why = error.what
        except TimeoutError:
            why = f"no connection to {where} within {CONNECT_S:g} s"
        except OSError as error:
            why = f"no connection to {where} ({_words(error)})"
        except Exception as error:
            log.exception("the BMP stream of %s failed in our own code", feed.name)
            why = f"our own fault, {type(error).__name__}: {error}"
        feed.lost(redactor.text(why), self._clock())
        self._publish()
        return loop.time() - began >= LASTING_S

    def _waiting(self, why: str) -> None:
        for name, router in self._routers.items():
            if router.bmp is None and not self._feeds[name].connected:
                self._feeds[name].lost(why, self._clock())
        self._publish()

    def _pause_s(self, failures: int) -> float:
        """Seconds to the next attempt: doubling up to the longest, spread out."""
        return min(LONGEST_PAUSE_S, FIRST_PAUSE_S * 2.0 ** min(failures, 10)) * self._rng.uniform(0.5, 1.0)

    def _publish(self) -> None:
        """Say what has changed of the feeds, and what has not been said for a while."""
        at = asyncio.get_running_loop().time()
        due = [
            feed
            for feed in self._feeds.values()
            if (said := self._said.get(feed.name)) is None or said[0] != feed.fact or at - said[1] >= KEEP_S
        ]
        for feed in due:
            self._said[feed.name] = (feed.fact, at)
        if due:
            self._sink.push([observe(feed, self._clock(), FRESH_S) for feed in due])


def _words(error: OSError) -> str:
    """The system's own words: asyncio puts the address in their place."""
    return os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)


def bmp_stream(site: Site, clock: Clock, rng: random.Random) -> Sequence[BmpStream]:
    """The site's BMP, if it has any."""
    configured = site.systems.bmp_listen or any(router.bmp for router in site.routers)
    return (BmpStream(site, clock, rng),) if configured else ()
