"""BMP over real sockets: routers that are dialled and routers that dial, cuts, strangers, garbage, and a clean end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import AsyncIterator

import pytest

from lab import bmp
from lab.embedded.bmp import BmpSpeaker
from lab.embedded.shows.view import EdgeView
from lab.embedded.things import How, Things
from lab.embedded.timing import Clock
from lab.embedded.world import World
from tests.contract.bmp_router import BmpRouter, Watching, accepting, begin, peer, peer_down, site, watching
from tests.contract.line_router import until
from tests.sample import reference


def at(router: BmpRouter) -> str:
    return f"127.0.0.1:{router.port}"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextlib.asynccontextmanager
async def dialled(first: bytes) -> AsyncIterator[tuple[BmpRouter, Watching]]:
    async with accepting(first) as router, watching(site(dials={"edge-1": at(router)})) as watch:
        yield router, watch


async def call(watch_port: int, data: bytes) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A router that dials the station."""
    reader, writer = await asyncio.open_connection("127.0.0.1", watch_port)
    writer.write(data)
    return reader, writer


async def hung_up(reader: asyncio.StreamReader) -> bool:
    """The other side ended the connection."""
    async with asyncio.timeout(30):
        with contextlib.suppress(OSError):
            return await reader.read() == b""
    return True


# -- a router that we dial


async def test_a_dialled_router_is_up_and_its_peer_down_is_a_snapshot_at_once_and_a_poll() -> None:
    async with dialled(begin()) as (router, watch):
        await watch.until_feed("the feed is up")
        polls = watch.routers["edge-1"].polls
        router.say(peer_down())
        snapshot = await watch.until("the loss", lambda _: (s := watch.session()) and not s.established)
        assert snapshot.sources["edge-1"].ok, "a feed is no source"
        await until(lambda: watch.routers["edge-1"].polls > polls, "the poll that follows")
        await watch.until("what SSH says", lambda _: (s := watch.session()) and s.established)


async def test_a_cut_connection_is_told_made_anew_and_does_not_touch_the_source() -> None:
    async with dialled(begin()) as (router, watch):
        await watch.until_feed("the feed is up")
        await router.shut(keep_port=True)
        await watch.until_feed("refused", up=False, words=f"no connection to {at(router)} (Connection refused)")
        assert watch.collector.snapshot.sources["edge-1"].ok
        await router.open()
        await watch.until_feed("up again by itself")
        assert watch.collector.snapshot.sources["edge-1"].ok


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "version 72 where BMP has 3"),
        (peer_down(), "the first message is no Initiation"),
        (begin() + b"\x03\xff\xff\xff\xff\x00", "says that it has 4294967295 bytes"),
        (begin() + bmp.termination(0), "the router ended the stream: closed by its administrator"),
        (begin("edge-2"), "edge-2 answers"),
    ],
    ids=["no BMP", "no beginning", "an endless message", "an end", "another router"],
)
async def test_what_is_wrong_with_a_stream_ends_it_with_its_words_and_it_is_tried_again(
    said: bytes, words: str
) -> None:
    async with dialled(said) as (router, watch):
        await watch.until_feed("the reason", up=False, words=words)
        await until(lambda: router.met > 1, "a second attempt")
        router.first = begin()
        router.cut()
        await watch.until_feed("up, once it is mended")


async def test_messages_in_front_of_the_end_of_a_stream_still_count() -> None:
    async with dialled(begin()) as (router, watch):
        await watch.until_feed("the feed is up")
        router.say(peer_down() + bmp.termination(0))
        await watch.until("the loss", lambda _: (s := watch.session()) and not s.established)


async def test_two_consoles_watch_one_router_and_leave_cleanly() -> None:
    async with accepting(begin()) as router:
        declared = site(dials={"edge-1": at(router)})
        async with watching(declared) as one:
            async with watching(declared) as other:
                await one.until_feed("the first is up")
                await other.until_feed("the second too")
                assert router.stations == 2
            await until(lambda: router.stations == 1, "the one that left has hung up")
            assert one.feed().up
        left = [task for task in asyncio.all_tasks() if "bmp" in task.get_name()]
        assert left == []


# -- routers that dial us


async def test_a_router_that_dials_is_recognised_by_its_name_and_forgotten_when_it_goes() -> None:
    port = free_port()
    async with watching(site(listen=f"127.0.0.1:{port}")) as watch:
        await watch.until_feed("listening", up=False, words=f"waiting for the router to connect to 127.0.0.1:{port}")
        _, writer = await call(port, begin("edge-2", "10.255.2.2"))
        await watch.until_feed("edge-2 is up", "edge-2")
        assert not watch.feed("edge-1").up
        writer.write(bmp.peer_down(peer("10.255.2.2"), 4))
        await watch.until("the loss", lambda _: (s := watch.session("er-secondary")) and not s.established)
        writer.close()
        await watch.until_feed("gone", "edge-2", up=False, words="the router closed the connection")


async def test_a_router_of_another_name_is_recognised_by_an_address_of_its_own(
    caplog: pytest.LogCaptureFixture,
) -> None:
    port = free_port()
    declared = site(listen=f"127.0.0.1:{port}")
    first, second = declared.routers
    declared = declared.model_copy(update={"routers": (first, second.model_copy(update={"address": "192.0.2.2"}))})
    async with watching(declared) as watch:
        await watch.until_feed("listening", up=False, words="waiting")
        await call(port, begin("frr-a.example.net"))
        await watch.until_feed("edge-1, whose address it is", "edge-1")


async def test_strangers_and_second_connections_are_refused_with_their_reason(caplog: pytest.LogCaptureFixture) -> None:
    port = free_port()
    with caplog.at_level(logging.WARNING):
        async with watching(site(listen=f"127.0.0.1:{port}")) as watch:
            await watch.until_feed("listening", up=False, words="waiting")
            stranger, _ = await call(port, begin("core-9"))
            assert await hung_up(stranger)
            _, kept = await call(port, begin("edge-1"))
            await watch.until_feed("edge-1 is up")
            second, _ = await call(port, begin("edge-1"))
            assert await hung_up(second)
            garbage, _ = await call(port, b"GET /")
            assert await hung_up(garbage)
            assert watch.feed("edge-1").up
            kept.write(peer_down())
            await watch.until("the first one still counts", lambda _: (s := watch.session()) and not s.established)
    assert "no router of the site that is expected here" in caplog.text
    assert "edge-1 is connected already" in caplog.text
    assert "version 71" in caplog.text


async def test_an_address_that_is_taken_is_told_and_polling_goes_on() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        async with watching(site(listen=address)) as watch:
            await watch.until_feed("why", up=False, words=f"cannot listen on {address} (Address already in use)")
            assert watch.collector.snapshot.sources["edge-1"].ok


# -- the embedded edges' own speaker


@contextlib.asynccontextmanager
async def speaking() -> AsyncIterator[tuple[World, BmpSpeaker]]:
    world = World(reference(), Clock(1_795_000_000.0))
    speaker = BmpSpeaker(EdgeView(world, "edge-1"))
    await speaker.open()
    try:
        yield world, speaker
    finally:
        await speaker.shut()
        world.clock.stop()


async def test_an_embedded_edge_tells_losses_returns_and_routes_as_they_happen() -> None:
    async with speaking() as (world, speaker), watching(site(dials={"edge-1": f"127.0.0.1:{speaker.port}"})) as watch:
        await watch.until_feed("the feed is up")
        things = Things(world)
        things.fail("er-primary", How(silent=True))
        await watch.until("the loss", lambda _: (s := watch.session()) and s.state == "Idle")
        await watch.until("what SSH says, once it has been asked", lambda _: (s := watch.session()) and s.established)
        polls = watch.routers["edge-1"].polls
        things.heal(None)
        await until(lambda: watch.routers["edge-1"].polls > polls, "its return makes the router be asked")
        speaker.cut()
        await watch.until_feed("cut", up=False, words="the router closed the connection")
        await watch.until_feed("and back")
