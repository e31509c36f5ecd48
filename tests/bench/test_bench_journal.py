"""What one durable entry costs, beside a bare fsync of the same disk in the same run."""

from __future__ import annotations

import os
import statistics
from pathlib import Path
from time import perf_counter

import pytest

from tests.engine.little_device import World, book, console

ENTRIES = 300


def bare_fsync(path: Path) -> float:
    times = []
    with path.open("wb") as file:
        for _ in range(ENTRIES):
            start = perf_counter()
            file.write(b"x" * 400)
            file.flush()
            os.fdatasync(file.fileno())
            times.append(perf_counter() - start)
    return statistics.median(times) * 1000


@pytest.mark.bench
async def test_durable_append(tmp_path: Path) -> None:
    times = []
    async with console(tmp_path / "journal.db", World()) as (journal, _):
        row = await journal.create_run(book())
        for n in range(ENTRIES):
            start = perf_counter()
            await journal.append(row.run_id, "wait.progress", step="empty", data={"mbps": n}, fence=row.fence)
            times.append(perf_counter() - start)
    median, slowest = statistics.median(times) * 1000, max(times) * 1000
    bare = bare_fsync(tmp_path / "f")
    print(f"\ndurable append: {median:.2f} ms median, {slowest:.2f} ms slowest; fdatasync {bare:.2f} ms")
    assert median < 50
