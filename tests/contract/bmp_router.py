"""A BMP speaker on a real socket for tests: it accepts stations or dials one, and says what a test tells it to."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime

from connectors.collector import Collector
from connectors.routers.bmp import bmp_stream
from lab import bmp
from lab.ports import Port
from network.inventory import Site
from network.observation import BmpFeed, Kind, Observation, SessionHere
from network.sitefile import load
from network.snapshot import Snapshot
from tests.sample import REFERENCE

ER, DX = "10.255.1.2", "10.255.3.2"


def peer(address: str = ER) -> bmp.Peer:
    return bmp.Peer(address, 12076, "1.1.1.3")


def begin(name: str = "edge-1", *addresses: str) -> bytes:
    """How a router begins: its name, the sessions that are up, the end of their tables."""
    opens = bmp.bgp_open(65010, 30, "1.1.1.1"), bmp.bgp_open(12076, 30, "1.1.1.3")
    ups = [bmp.peer_up(peer(each), "10.255.1.1", (179, 179), *opens) for each in addresses or (ER, DX)]
    ends = [bmp.monitoring(peer(each), bmp.end_of_rib()) for each in addresses or (ER, DX)]
    return b"".join([bmp.initiation(name, "FRRouting 8.4.4"), *ups, *ends])


def peer_down(address: str = ER) -> bytes:
    return bmp.peer_down(peer(address), 2, bytes(2))


class BmpRouter:
    """Accepts stations on loopback: `first` is what each is told, `say` what all are told, `cut` hangs up on them."""

    def __init__(self, first: bytes) -> None:
        self.first, self.met = first, 0
        self._port = Port()
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def port(self) -> int:
        return self._port.number

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._met, sock=self._port.taken())

    async def shut(self, *, keep_port: bool = False) -> None:
        if self._server:
            self._server.close()
            self._port.shut(keep=keep_port)
            self.cut()
            await self._server.wait_closed()

    def say(self, data: bytes) -> None:
        for writer in self._writers:
            writer.write(data)

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()

    @property
    def stations(self) -> int:
        return len(self._writers)

    async def _met(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.met += 1
        self._writers.add(writer)
        writer.write(self.first)
        with contextlib.suppress(OSError):
            await reader.read()
        self._writers.discard(writer)
        writer.close()


@contextlib.asynccontextmanager
async def accepting(first: bytes) -> AsyncIterator[BmpRouter]:
    router = BmpRouter(first)
    await router.open()
    try:
        yield router
    finally:
        await router.shut()


class Polled:
    """A router's SSH in these tests: its session is in `state`, as often as it is asked."""

    kind, cadence_s, deadline_s = "router", 3600.0, 5.0

    def __init__(self, name: str) -> None:
        self.name, self.polls, self.state = name, 0, "Established"

    async def collect(self) -> Sequence[Observation]:
        self.polls += 1
        fact = SessionHere(self.state, datetime.now(UTC), 2, 3, 100)
        sessions = {"edge-1": "er-primary", "edge-2": "er-secondary"}
        name = sessions[self.name]
        return [Observation(Kind.SESSION_HERE, name, fact, self.name, datetime.now(UTC), 3600, "show bgp")]

    async def close(self) -> None:
        """Nothing is open."""


def site(*, dials: dict[str, str] | None = None, listen: str | None = None) -> Site:
    """The reference site with its BMP: `dials` by router, or the address that we listen on."""
    found = load(REFERENCE.read_text()).site
    routers = tuple(r.model_copy(update={"bmp": (dials or {}).get(r.name)}) for r in found.routers)
    systems = found.systems.model_copy(update={"bmp_listen": listen})
    return found.model_copy(update={"routers": routers, "systems": systems})


class Watching:
    """A collector with the site's BMP and polled routers."""

    def __init__(self, site: Site) -> None:
        self.routers = {name: Polled(name) for name in ("edge-1", "edge-2")}
        rng = random.Random(7)
        streams = bmp_stream(site, lambda: datetime.now(UTC), rng)
        self.collector = Collector(tuple(self.routers.values()), lambda: datetime.now(UTC), rng, streams)

    def feed(self, name: str = "edge-1") -> BmpFeed:
        fact = self.collector.snapshot.fact(Kind.BMP, name, BmpFeed)
        assert fact is not None
        return fact

    def session(self, name: str = "er-primary") -> SessionHere | None:
        return self.collector.snapshot.fact(Kind.SESSION_HERE, name, SessionHere)

    async def until(self, what: str, holds: Callable[[Snapshot], object], within_s: float = 30.0) -> Snapshot:
        snapshot = self.collector.snapshot
        try:
            async with asyncio.timeout(within_s):
                while not holds(snapshot):
                    snapshot = await self.collector.wait(snapshot.revision, within_s)
        except TimeoutError:
            feeds = [item.fact for key, item in snapshot.observations.items() if key[0] is Kind.BMP]
            raise AssertionError(f"never: {what}; feeds {feeds}") from None
        return snapshot

    async def until_feed(self, what: str, name: str = "edge-1", *, up: bool = True, words: str = "") -> None:
        await self.until(what, lambda _: self.feed(name).up is up and words in self.feed(name).state)


@contextlib.asynccontextmanager
async def watching(site: Site) -> AsyncIterator[Watching]:
    watch = Watching(site)
    await watch.collector.start()
    try:
        await watch.until("the first polls", lambda s: all(source.ok for source in s.sources.values()))
        yield watch
    finally:
        await watch.collector.stop()
