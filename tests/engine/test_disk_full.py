"""The journal's disk is full when an intent is due: nothing is sent; with space again, the run goes on."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runbooks.journal import JournalUnavailable
from tests.engine.little_device import World, act, book, console, until


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of half a megabyte of its own."""
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(command, check=False).returncode:
        pytest.skip("a disk of its own cannot be mounted here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(disk)], check=True)


def fill(disk: Path) -> None:
    """Take all the space that is left."""
    with (disk / "filler").open("wb", buffering=0) as file:
        while shutil.disk_usage(disk).free:
            file.write(bytes(4096))


@pytest.mark.parametrize(
    ("at", "failing", "sent"),
    [
        ("after entry gate.passed shut", "before entry act.intent shut", []),
        ("before entry act.result shut", "before entry act.result shut", [("shut", "do")]),
    ],
    ids=["intent", "result"],
)
async def test_full_disk(small_disk: Path, at: str, failing: str, sent: list[tuple[str, str]]) -> None:
    world, moments = World(), list[str]()

    def moment(name: str) -> None:
        moments.append(name)
        if moments.count(at) == 1 and name == at:
            fill(small_disk)

    world.moment = moment
    async with console(small_disk / "journal.db", world) as (journal, engine):
        row = await journal.create_run(book({"steps": [act("shut")]}))
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        await until(lambda: driving.done() or moments.count(failing) > 1, "it stops, or tries again")
        assert world.device.ledger == sent
        (small_disk / "filler").unlink()
        if driving.done():
            assert isinstance(driving.exception(), JournalUnavailable)
            driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        assert (await driving).state == "COMPLETED"
        assert [report.ok for report in await journal.verify()] == [True]
    assert world.device.ledger == [("shut", "do")], "sent once in all"
