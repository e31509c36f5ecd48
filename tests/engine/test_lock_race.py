"""Many real processes want the same resource at the same moment: one has it, and nobody keeps a part."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from runbooks.book import parse, shipped
from runbooks.journal import LockHeld, NewRun
from runbooks.plan import compile_plan
from tests.engine.children import children
from tests.engine.little_device import World, book, console
from tests.engine.little_network import LittleScene
from tests.sample import REFERENCE

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


CALLER = """
runbook: caller
version: 1
title: Drain by another book
purpose: To see that a called book takes its locks.
target: port
parameters:
  port: {type: port, help: the port}
steps:
  - {id: inner, kind: call, book: drain-port, with: {port: "${port}"}}
"""


async def test_a_called_book_takes_its_own_locks_and_bypasses_none(tmp_path: Path) -> None:
    moment = LittleScene().moment()
    called = compile_plan(shipped("drain-port"), {"port": "port-a"}, moment, REFERENCE.read_text())
    caller = compile_plan(parse(CALLER, "caller.yaml"), {"port": "port-a"}, moment, REFERENCE.read_text())
    assert set(called.locks) <= set(caller.locks)
    async with console(tmp_path / "journal.db", World()) as (journal, _):
        first = await journal.create_run(NewRun("drain-port", "1", called.definition(), locks=called.locks))
        with pytest.raises(LockHeld) as refused:
            await journal.create_run(NewRun("caller", "1", caller.definition(), locks=caller.locks))
        assert refused.value.run_id == first.run_id
