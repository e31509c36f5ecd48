"""Looks at business feeds over real TCP and HTTP on loopback, and the account that outlives the console."""

from __future__ import annotations

import asyncio
import json
import os
import resource
import socket
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from importlib.abc import MetaPathFinder
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from connectors.errors import Unreachable
from connectors.feed_account import AccountUnreadable, FeedAccount
from connectors.feeds import FeedSource
from connectors.ports import PartlySeen
from lab.serve import Served
from network.inventory import Site
from network.measured import FeedResult
from network.surroundings import Feed
from tests.sample import NOW, reference

SITE = reference()
LOADS_S = 0.3


def site(*feeds: Feed) -> Site:
    return SITE.model_copy(update={"feeds": feeds})


def feed(kind: str, address: str, **changed: object) -> Feed:
    wanted = {"name": "f", "cloud": "azure", "kind": kind, "address": address, "cadence_s": 0.01}
    patient = {"timeout_s": 30, "slow_ms": 30_000}
    return Feed.model_validate(wanted | patient | changed)


async def looked(one: Feed, file: Path) -> FeedResult:
    source = FeedSource(site(one), FeedAccount(file, "s", keeps=True), lambda: NOW)
    try:
        (seen,) = await source.collect()
    finally:
        await source.close()
    assert isinstance(seen.fact, FeedResult)
    return seen.fact


@asynccontextmanager
async def serving(status: int, late_s: float = 0.0) -> AsyncIterator[str]:
    async def answer(_: Request) -> Response:
        await asyncio.sleep(late_s)
        return Response(status_code=status)

    served = Served("feed", Starlette(routes=[Route("/", answer)]))
    await served.start()
    try:
        yield f"{served.address}/"
    finally:
        await served.stop()


@pytest.mark.parametrize(
    ("status", "late_s", "why"),
    [
        (200, 0.0, ""),
        (204, 0.0, ""),
        (302, 0.0, "answered 302"),
        (503, 0.0, "answered 503"),
        (200, 60.0, "no answer within 0.5 s"),
        (200, 0.2, "answered after"),
    ],
)
async def test_an_http_feed_is_good_when_it_answers_with_success_in_time(
    tmp_path: Path, status: int, late_s: float, why: str
) -> None:
    limits = {60.0: {"timeout_s": 0.5}, 0.2: {"slow_ms": 150}}.get(late_s, {})
    async with serving(status, late_s) as address:
        result = await looked(feed("http", address, **limits), tmp_path / "feeds.json")
    assert result.why.startswith(why)
    assert (result.ok, result.latency_ms is not None) == (not why, not why)
    assert (result.good, result.total, result.hour_good, result.hour_total) == (int(not why), 1, int(not why), 1)


class Slow(MetaPathFinder):
    """A library that takes its time to be loaded."""

    def find_spec(self, name: str, *_: object) -> None:
        if name == "httpx":
            time.sleep(LOADS_S)


async def test_what_this_process_must_load_for_a_look_is_no_part_of_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "httpx", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Slow(), *sys.meta_path])
    async with serving(200) as address:
        began = time.monotonic()
        result = await looked(feed("http", address), tmp_path / "feeds.json")
        took_ms = 1000 * (time.monotonic() - began)
    assert result.latency_ms is not None
    assert result.latency_ms <= took_ms - 1000 * LOADS_S


async def test_a_tcp_feed_is_good_when_it_accepts_and_bad_when_it_refuses(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        assert (await looked(feed("tcp", address), tmp_path / "a.json")).ok
    for kind, where in (("tcp", address), ("http", f"http://{address}/")):
        refused = await looked(feed(kind, where), tmp_path / f"{kind}.json")
        assert (refused.ok, refused.why, refused.total) == (False, "no connection (Connection refused)", 1)


async def test_a_look_that_this_host_could_not_make_counts_as_neither(tmp_path: Path) -> None:
    account = FeedAccount(tmp_path / "feeds.json", "s", keeps=True)
    source = FeedSource(site(feed("tcp", "127.0.0.1:9")), account, lambda: NOW)
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    await asyncio.to_thread(account.load)
    source._loaded = True  # the account's own file needs a descriptor too
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, limits[1]))
    try:
        with pytest.raises(Unreachable, match="this host could not look at f"):
            await source.collect()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert account.count("f", NOW - timedelta(hours=1)) == (0, 0)


async def test_the_account_survives_a_restart_and_two_consoles_add_up(tmp_path: Path) -> None:
    file, since = tmp_path / "deep" / "feeds.json", NOW - timedelta(days=1)
    first, second = (FeedAccount(file, "s", keeps=True) for _ in range(2))
    for account in (first, second):
        account.load()
        account.look("f", NOW, ok=True)
    first.look("f", NOW, ok=False)
    first.save(since)
    second.save(since)
    again = FeedAccount(file, "s", keeps=True)
    again.load()
    assert again.count("f", since) == (2, 3)
    assert second.count("f", since) == (2, 3)
    assert json.loads(file.read_text())["sites"]["s"]["f"] == {"2026-11-23T03": [2, 3]}
    assert [each.name for each in file.parent.iterdir() if each.suffix not in {".json", ".lock"}] == []


async def test_a_single_look_reads_the_account_and_leaves_it(tmp_path: Path) -> None:
    file = tmp_path / "feeds.json"
    kept = FeedAccount(file, "s", keeps=True)
    kept.look("f", NOW, ok=True)
    kept.save(NOW - timedelta(days=1))
    before = file.read_bytes()
    once = FeedAccount(file, "s", keeps=False)
    once.load()
    once.look("f", NOW, ok=False)
    once.save(NOW)
    assert once.count("f", NOW) == (1, 2)
    assert file.read_bytes() == before


async def test_what_is_older_than_the_window_is_forgotten(tmp_path: Path) -> None:
    account = FeedAccount(tmp_path / "feeds.json", "s", keeps=True)
    account.look("f", NOW - timedelta(days=31), ok=False)
    account.look("f", NOW, ok=True)
    assert account.count("f", NOW - timedelta(days=30)) == (1, 1)
    account.save(NOW - timedelta(days=30))
    assert account.count("f", datetime.min.replace(tzinfo=UTC)) == (1, 1)


async def test_an_account_that_cannot_be_read_is_told_and_never_overwritten(tmp_path: Path) -> None:
    file = tmp_path / "feeds.json"
    file.write_text("{half")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        one = feed("tcp", f"127.0.0.1:{listener.getsockname()[1]}")
        source = FeedSource(site(one), FeedAccount(file, "s", keeps=True), lambda: NOW)
        with pytest.raises(PartlySeen, match="Move it away") as caught:
            await source.collect()
        await source.close()
    assert isinstance(caught.value.errors[0], AccountUnreadable)
    assert len(caught.value.seen) == 1
    assert file.read_text() == "{half"
