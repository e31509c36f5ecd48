"""What the engine itself costs: a run's overhead, the event loop's lag while it acts, an entry's way to a follower.

Everything outside is instant here, so what is left is fold, journal and notes; the disk's own fsync stands beside it.
"""

from __future__ import annotations

import asyncio
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import monotonic, perf_counter, process_time
from typing import Any

import pytest

from runbooks.effects import Finding
from runbooks.model import Phase, StepDef
from tests.bench.test_bench_journal import bare_fsync
from tests.engine.children import children
from tests.engine.little_device import ACTS, World, act, book, console

pytestmark = pytest.mark.bench

STEPS, TOLD, ACTED = 10, 100, 60
#: A step of an act writes so many entries: gate, intent, result, verification.
ENTRIES = 4 * STEPS + 2

FOLLOWER = """
async def main():
    async with console(path, World(), "bob") as (journal, _):
        run = (await journal.runs())[0].run_id
        say(ready=True)
        async for event in journal.follow(run):
            say(seq=event.seq, at=time.monotonic())
asyncio.run(main())
"""


def acts(count: int) -> dict[str, Any]:
    """A definition of so many acts, each there and back on one of the device's values."""
    made = [act(ACTS[n % 3], before=100 + n, after=120 + n) for n in range(count)]
    return {"steps": [step | {"id": f"step-{n}"} for n, step in enumerate(made)]}


class Wide(World):
    """A world whose acts are instant and always as wanted."""

    async def act(
        self, _step: StepDef, _phase: Phase, token: str, send_allowed: Callable[[], None]
    ) -> Mapping[str, Any]:
        send_allowed()
        return {"token": token}

    async def verify(self, _step: StepDef, _phase: Phase) -> Finding:
        return Finding(True)


def percentile(values: Sequence[float], part: int) -> float:
    return statistics.quantiles(values, n=100)[part - 1]


async def test_overhead_of_a_run(tmp_path: Path) -> None:
    took, used = [], []
    async with console(tmp_path / "journal.db", Wide()) as (journal, engine):
        for _ in range(5):
            began, cpu = perf_counter(), process_time()
            row = await journal.create_run(book(acts(STEPS)))
            assert (await engine.drive(row.run_id, row.fence)).state == "COMPLETED"
            took.append(1000 * (perf_counter() - began))
            used.append(1000 * (process_time() - cpu))
            assert (await journal.run(row.run_id)).head_seq == ENTRIES
    whole, cpu, disk = statistics.median(took), statistics.median(used), ENTRIES * bare_fsync(tmp_path / "f")
    print(f"\n{STEPS}-step run: {whole:.0f} ms of the engine, {cpu:.0f} ms CPU; {ENTRIES} fdatasyncs {disk:.0f} ms")
    assert cpu < 200


async def test_lag_of_the_loop_while_it_acts(tmp_path: Path) -> None:
    lags: list[float] = []

    async def metronome() -> None:
        while True:
            began = perf_counter()
            await asyncio.sleep(0.001)
            lags.append(1000 * (perf_counter() - began - 0.001))

    async with console(tmp_path / "journal.db", Wide()) as (journal, engine):
        row = await journal.create_run(book(acts(ACTED)))
        ticking = asyncio.create_task(metronome())
        assert (await engine.drive(row.run_id, row.fence)).state == "COMPLETED"
        ticking.cancel()
    print(f"\nloop lag during {ACTED} acts: p50 {percentile(lags, 50):.2f} ms, p99 {percentile(lags, 99):.2f} ms")
    assert percentile(lags, 99) < 100


async def test_an_entry_reaches_a_follower_in_another_process(tmp_path: Path) -> None:
    path, durable = tmp_path / "journal.db", dict[int, float]()
    async with console(path, World()) as (journal, _):
        row = await journal.create_run(book())
        with children(FOLLOWER, str(path)) as (follower,):
            assert await asyncio.to_thread(follower.heard) == {"ready": True}
            await asyncio.to_thread(follower.heard)  # run.created: it follows
            for n in range(TOLD):
                event = await journal.append(row.run_id, "wait.progress", step="empty", data={"n": n}, fence=row.fence)
                durable[event.seq] = monotonic()
                await asyncio.sleep(0.013 * (n % 7))  # at every moment of its poll
            seen = [await asyncio.to_thread(follower.heard) for _ in range(TOLD)]
    late = [1000 * (each["at"] - durable[each["seq"]]) for each in seen]
    assert [each["seq"] for each in seen] == sorted(durable)
    print(f"\nan entry to a follower elsewhere: p50 {percentile(late, 50):.0f} ms, p95 {percentile(late, 95):.0f} ms")
    assert percentile(late, 95) < 1000
