"""The journal's disk is full in the middle of a run: nothing is sent, no result is lost, and with space it goes on."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from pathlib import Path

import pytest

from runbooks.effects import Finding
from runbooks.engine import Engine
from runbooks.journal import Journal, JournalUnavailable
from tests.engine.little_device import Clock, MortalJournal, World, act, book, console, until
from tests.engine.watcher import Watcher

pytestmark = pytest.mark.disk

ONE = {"steps": [act("shut")]}
TWO = {"steps": [act("egress"), act("shut")]}


@contextmanager
def disk_at(folder: Path) -> Iterator[Path]:
    """A disk of two megabytes of its own."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], check=True)
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with disk_at(tmp_path / "disk") as disk:
        yield disk


def fill(disk: Path) -> None:
    """Take all the space that is left."""
    with (disk / "filler").open("wb", buffering=0) as file:
        while shutil.disk_usage(disk).free:
            file.write(bytes(4096))


def full_at(world: World, moment: str, disk: Path) -> None:
    """The disk is full from the first such moment on."""

    def at(name: str) -> None:
        if name == moment and not (disk / "filler").exists():
            world.moment = lambda _name: None
            fill(disk)

    world.moment = at


def holding(
    journal: Path, world: World, spool: Path, watcher: Watcher
) -> AbstractAsyncContextManager[tuple[MortalJournal, Engine]]:
    """A console that holds through it; after an outage that was long by its clock the run would ask."""
    return console(journal, world, spool=spool, outage=watcher, boottime=Clock())


async def waiting(journal: Journal, run_id: str) -> list[str]:
    assert journal.spool is not None
    return [entry.kind for entry in await journal.spool.waiting(run_id)]


async def test_without_a_spool_the_driver_stops_before_it_sends(small_disk: Path) -> None:
    world = World()
    full_at(world, "after entry gate.passed shut", small_disk)
    async with console(small_disk / "journal.db", world) as (journal, engine):
        journal.moment = world.moment
        row = await journal.create_run(book(ONE))
        with pytest.raises(JournalUnavailable, match="full"):
            await engine.drive(row.run_id, row.fence)
        assert world.device.ledger == []
        (small_disk / "filler").unlink()
        assert (await engine.drive(row.run_id, row.fence)).state == "COMPLETED"
    assert world.device.ledger == [("shut", "do")]


async def test_full_at_an_intent_holds_and_sends_nothing(small_disk: Path, tmp_path: Path) -> None:
    world, watcher = World(), Watcher()
    full_at(world, "after entry gate.passed shut", small_disk)
    async with holding(small_disk / "journal.db", world, tmp_path / "s.db", watcher) as (journal, engine):
        journal.moment = world.moment
        row = await journal.create_run(book(ONE))
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        await until(lambda: "asked" in watcher.told, "it holds before the act")
        assert (world.device.ledger, await waiting(journal, row.run_id)) == ([], [])
        (small_disk / "filler").unlink()
        assert (await asyncio.wait_for(driving, 20)).state == "COMPLETED"
        kinds = [event.kind for event in await journal.events(row.run_id)]
        assert (await journal.verify())[0].ok
    assert world.device.ledger == [("shut", "do")], "sent once in all"
    assert kinds == [
        *("run.created", "gate.passed", "journal.returned", "act.intent", "act.result", "verify.ok", "run.closed"),
    ]
    assert watcher.told == ["holding", "asked", "returned 0"]


@pytest.mark.parametrize("spool", ["on another disk", "on the same disk", "on a disk that is full for longer"])
async def test_full_at_a_result_keeps_it_and_brings_it_back_in_order(
    small_disk: Path, tmp_path: Path, spool: str
) -> None:
    world, watcher = World(), Watcher()
    full_at(world, "sent v6 of do egress", small_disk)
    with disk_at(tmp_path / "other") as other:
        if spool == "on a disk that is full for longer":
            fill(other)
        place = (small_disk if spool == "on the same disk" else other) / "spool.db"
        async with holding(small_disk / "journal.db", world, place, watcher) as (journal, engine):
            row = await journal.create_run(book(TWO))
            driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
            await until(lambda: "asked" in watcher.told, "it holds before the next act")
            assert world.device.ledger == [("egress", "do")]
            assert await waiting(journal, row.run_id) == ["act.result", "verify.ok"]
            assert any("memory only" in told for told in watcher.told) == (spool != "on another disk")
            (small_disk / "filler").unlink()
            assert (await asyncio.wait_for(driving, 20)).state == "COMPLETED"
            assert await waiting(journal, row.run_id) == []
            events = await journal.events(row.run_id)
            assert (await journal.verify())[0].ok
    assert world.device.ledger == [("egress", "do"), ("shut", "do")], "each once"
    assert [event.kind for event in events if "spooled_at" in event.data] == ["act.result", "verify.ok"]
    assert watcher.told[-1] == "returned 2"


async def test_no_glass_is_broken_where_no_intent_can_be_kept(small_disk: Path) -> None:
    world, watcher = World(), Watcher(reason="both ports dark")
    full_at(world, "check safe", small_disk)
    world.answers["check safe"] = Finding(True)
    place = small_disk / "spool.db"
    async with holding(small_disk / "journal.db", world, place, watcher) as (journal, engine):
        row = await journal.create_run(book())
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        await until(lambda: any("no intent could be kept" in told for told in watcher.told), "it is told")
        assert (world.device.ledger, driving.done()) == ([], False)
        (small_disk / "filler").unlink()
        assert (await asyncio.wait_for(driving, 20)).state == "COMPLETED"
        assert "journal.break_glass" not in [event.kind for event in await journal.events(row.run_id)]


async def test_glass_broken_over_a_full_disk_keeps_its_intents_elsewhere(small_disk: Path, tmp_path: Path) -> None:
    world, watcher = World(), Watcher(reason="both ports dark")
    full_at(world, "check safe", small_disk)
    async with holding(small_disk / "journal.db", world, tmp_path / "s.db", watcher) as (journal, engine):
        row = await journal.create_run(book())
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        await until(lambda: ("shut", "do") in world.device.ledger, "the work is done meanwhile")
        (small_disk / "filler").unlink()
        assert (await asyncio.wait_for(driving, 20)).state == "COMPLETED"
        kinds = [event.kind for event in await journal.events(row.run_id)]
        assert (await journal.verify())[0].ok
    assert world.device.ledger == [("egress", "do"), ("return", "do"), ("shut", "do")]
    assert kinds.count("act.intent") == kinds.count("act.result") == 3
