"""Many real processes want the same resource at the same moment: one has it, and nobody keeps a part."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from runbooks.journal import LockHeld
from tests.engine.children import children
from tests.engine.little_device import World, book, console

RACERS, ROUNDS = 8, 100

# Every racer's locks hold `port:a` and one of its own, on either side of it in the order in which they are taken.
RACE = """
async def main():
    mine = ["port:a", f"{'abz'[int(sys.argv[2]) % 3]}:{sys.argv[2]}"]
    async with console(path, World()) as (journal, engine):
        say(ready=True)
        while told() == "race":
            try:
                row = await journal.create_run(book(locks=mine))
            except LockHeld as held:
                say(held_by=held.run_id)
                continue
            say(run=row.run_id)
            if told() == "close":
                data = {"outcome": "ROLLED_BACK", "reason": "refused"}
                await journal.append(row.run_id, "run.closed", data=data, fence=row.fence)
                say(closed=row.run_id)
asyncio.run(main())
"""


async def test_of_eight_processes_one_wins_each_of_a_hundred_rounds(tmp_path: Path) -> None:
    path, winners = tmp_path / "journal.db", set[str]()
    with children(RACE, str(path), count=RACERS) as racers:
        assert [racer.heard() for racer in racers] == [{"ready": True}] * RACERS

        def race() -> dict[int, str]:
            for racer in racers:
                racer.tell("race")
            said = [racer.heard() for racer in racers]
            won = {n: words["run"] for n, words in enumerate(said) if "run" in words}
            assert len(won) == 1, f"one winner: {said}"
            assert {words.get("held_by") for words in said} - {None} == set(won.values())
            return won

        for _ in range(ROUNDS):
            ((winner, run),) = race().items()
            assert run not in winners
            winners.add(run)
            racers[winner].tell("close")
            assert racers[winner].heard() == {"closed": run}
            assert held(path) == set(), "no loser kept a part, and the winner freed all"

        ((winner, run),) = race().items()
        racers[winner].process.kill()
        racers[winner].process.wait(10)
        async with console(path, World(), "bob") as (journal, _):
            assert [row.run_id for row in await journal.orphans()] == [run]
            with pytest.raises(LockHeld, match=run):  # a crashed run keeps its locks
                await journal.create_run(book(locks=["port:a"]))
            assert "port:a" in await asyncio.to_thread(held, path)
            assert all(report.ok for report in await journal.verify())
    assert len(winners) == ROUNDS


def held(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as db:
        return {name for (name,) in db.execute("SELECT resource FROM res_lock WHERE run_id IS NOT NULL")}
