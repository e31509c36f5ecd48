"""Every shipped book, killed at every moment in every direction: a fresh console goes on from what that leaves.

A moment is: before and after each entry, before each effect and each send, after each act. What a death leaves is the
journal and the outside, and nothing else. So a run is walked through once, what it would leave at each moment is kept,
and from each the next console goes on, on either engine; moments that leave the very same are one. (In the random
deaths below the console itself dies, on the journal that it had.) The ledger that is compared is the outside's: what
the network in memory was sent.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from runbooks.book import shipped
from runbooks.engine import Engine
from runbooks.journal import Journal, LockHeld, NewRun
from runbooks.journal.where import Where
from runbooks.machine import apply, fold, next_op
from runbooks.model import steps_of
from runbooks.ops import Observe, Reject
from runbooks.putback import undo_definition
from runbooks.view import OPEN, RunView
from tests.engine.journal_copies import Copy, JournalCopies, copies_of
from tests.engine.library_runs import BOOKS, Fate, Stage, staged
from tests.engine.little_device import Died
from tests.postgres import roomy

pytestmark = pytest.mark.timeout(300)  # hundreds of runs

every_book = pytest.mark.parametrize("book", BOOKS)
FUZZED = int(os.environ.get("INTERLOCK_KILLS", "8"))


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def copies(request: pytest.FixtureRequest) -> Iterator[JournalCopies]:
    """Of the consoles' common journal, on each engine."""
    with TemporaryDirectory(dir=roomy()) as folder:  # a process that dies takes nothing from a disk with it
        file = Path(folder) / "journal.db"
        taken = copies_of(file if request.param == "sqlite" else request.getfixturevalue("pg_database"))
        yield taken
        taken.close()


@dataclass(frozen=True)
class Left:
    """What a console that dies at this moment leaves: the journal, and the outside as the stage has it."""

    moment: str
    journal: Copy
    stage: Stage


class Walk:
    """Looks at a run as it goes on, and keeps what its console would leave at each of its moments."""

    def __init__(self, stage: Stage, copies: JournalCopies) -> None:
        self._stage, self._copies = stage, copies
        self._last: Any = None
        self.left: list[Left] = []

    def __call__(self, moment: str) -> None:
        if (now := (self._copies.take(), self._stage.outside)) != self._last:
            self._last = now
            self.left.append(Left(moment, now[0], self._stage.twin()))


async def walked(stage: Stage, copies: JournalCopies, new: NewRun) -> tuple[str, list[Left]]:
    """A run to its end, and what its console would leave at each moment; at the last it is closed."""
    walk = Walk(stage, copies)
    run_id = await stage.live_and_die(copies.where, new, walk)
    assert walk.left[-1].moment == "after entry run.closed"
    return run_id, walk.left


@asynccontextmanager
async def next_console(left: Left, copies: JournalCopies) -> AsyncIterator[tuple[Journal, Engine]]:
    """The console that comes after a death."""
    copies.put_back(left.journal)
    async with left.stage.console(copies.where, "bob") as (journal, engine):
        yield journal, engine


async def recover(journal: Journal, engine: Engine, run_id: str, fence: int) -> tuple[RunView, int]:
    """Drive a run to its end and answer "again" to every question; also how many there were."""
    for asked in range(10):
        view = await engine.drive(run_id, fence)
        if view.question is None:
            return view, asked
        await journal.append(run_id, "cmd.decide", reply_to=view.question.seq, data={"choice": "redo"})
    raise AssertionError(f"it never stops asking: {view.question}")


async def prove_log(journal: Journal, run_id: str) -> None:
    """The chain is whole, and at no prefix of the log would an open intent have been acted on."""
    assert [report.ok for report in await journal.verify(run_id)] == [True]
    view = fold(steps_of((await journal.run(run_id)).definition), ())
    for event in await journal.events(run_id):
        view = apply(view, event)
        if not view.closed and any(step.phase(view.phase).state in OPEN for step in view.steps):
            assert isinstance(next_op(view), Observe | Reject), f"{run_id} after entry {event.seq}"


async def undo_of(stage: Stage, where: Where, run_id: str) -> NewRun:
    """The linked run that puts a completed one back."""
    async with stage.console(where) as (journal, _):
        row = await journal.run(run_id)
    definition = undo_definition(row.definition, run_id)
    return NewRun(row.book, row.version, definition, row.actions, row.ticket, stage.plan.locks, run_id)


def acts(stage: Stage) -> int:
    return sum(step.kind == "act" for step in stage.plan.steps)


@every_book
async def test_whoever_goes_on_arrives_at_the_goal(book: str, copies: JournalCopies) -> None:
    goal, asked = await staged(book, copies.where), 0
    run_id, moments = await walked(goal, copies, goal.new_run)
    assert goal.sent == goal.forth
    for left in moments:
        stage = left.stage
        async with next_console(left, copies) as (journal, engine):
            if (await journal.run(run_id)).closed_at is None:
                assert [run.run_id for run in await journal.orphans()] == [run_id], left.moment
                with pytest.raises(LockHeld):
                    await journal.create_run(stage.new_run)
                view, questions = await recover(journal, engine, run_id, await journal.claim(run_id))
                assert view.state == "COMPLETED", f"{left.moment}: {view.why}"
                assert stage.sent <= stage.forth, f"{left.moment}: sent twice"
                lacking = [line for _, line in stage.forth - stage.sent]  # a router acts without a clear too, later
                assert all(line.startswith("clear ") for line in lacking), f"{left.moment}: never sent: {lacking}"
                asked += bool(questions)
            await prove_log(journal, run_id)
        assert stage.state == goal.state, left.moment
    assert asked >= acts(goal), "it died between intent and effect"


@every_book
async def test_whoever_rolls_back_finds_it_as_before(book: str, copies: JournalCopies) -> None:
    first = await staged(book, copies.where)
    run_id, (*moments, _closed) = await walked(first, copies, first.new_run)
    for left in moments:
        stage = left.stage
        async with next_console(left, copies) as (journal, engine):
            fence = await journal.claim(run_id)
            await engine.request_rollback(run_id, fence, "found it dead")
            view = await engine.drive(run_id, fence)
            assert view.state == "ROLLED_BACK", f"{left.moment}: {view.question}"  # without a single question
            await prove_log(journal, run_id)
        assert stage.state == stage.before, left.moment
        assert stage.sent <= stage.forth + stage.back, f"{left.moment}: sent twice"


@every_book
async def test_whoever_dies_on_the_way_back_is_followed(book: str, copies: JournalCopies) -> None:
    first = await staged(book, copies.where)
    run_id, (*_, done, _closed) = await walked(first, copies, first.new_run)  # all is done but its close
    copies.put_back(done.journal)
    way_back = Walk(done.stage, copies)
    await done.stage.turn_round_and_die(copies.where, run_id, way_back)
    assert done.stage.state == first.before
    for left in way_back.left:
        stage = left.stage
        async with next_console(left, copies) as (journal, engine):
            if (await journal.run(run_id)).closed_at is None:
                fence = await journal.claim(run_id)
                await engine.request_rollback(run_id, fence, "found it dead again")
                assert (await engine.drive(run_id, fence)).state == "ROLLED_BACK", left.moment
            await prove_log(journal, run_id)
        assert stage.state == stage.before, left.moment
        assert stage.sent <= stage.forth + stage.back, f"{left.moment}: sent twice"
    assert len(way_back.left) > 4 * acts(first)


@pytest.mark.parametrize("book", [book for book in BOOKS if not shipped(book).undoes])  # an undo is never undone
async def test_whoever_dies_in_a_linked_undo_is_followed(book: str, copies: JournalCopies) -> None:
    first = await staged(book, copies.where)
    original = await first.completed(copies.where)
    undo, moments = await walked(first, copies, await undo_of(first, copies.where, original))
    assert first.state == first.before
    for left in moments:
        stage = left.stage
        async with next_console(left, copies) as (journal, engine):
            if (await journal.run(undo)).closed_at is None:
                view, _ = await recover(journal, engine, undo, await journal.claim(undo))
                assert view.state == "COMPLETED", left.moment
                assert stage.sent <= stage.forth + stage.back, f"{left.moment}: sent twice"
            await prove_log(journal, undo)
        assert stage.state == stage.before, left.moment
    assert len(moments) > 4 * acts(first)


@every_book
async def test_random_deaths_one_after_the_other(book: str, copies: JournalCopies) -> None:
    goal = await staged(book, copies.where)
    await goal.completed(copies.where)
    for seed in range(FUZZED if isinstance(copies.where, Path) else FUZZED // 4):
        random, stage = Random(f"{book} {seed}"), await staged(book, copies.where)
        run_id = await stage.live_and_die(copies.where, stage.new_run, Fate(random.randint(1, 45)))
        for _ in range(60):
            fate = Fate(random.randint(1, 30))
            async with stage.console(copies.where, "bob", fate=fate, dead=True) as (journal, engine):
                if (closed := await journal.run(run_id)).closed_at is not None:
                    await prove_log(journal, run_id)
                    break
                with suppress(Died):
                    fence = await journal.claim(run_id)
                    if random.random() < 0.2:
                        await engine.request_rollback(run_id, fence, "found it dead")
                    await recover(journal, engine, run_id, fence)
        wanted = goal.state if closed.state == "COMPLETED" else stage.before
        assert stage.state == wanted, f"seed {seed}: {closed.state}"
        assert stage.sent <= stage.forth + stage.back, f"seed {seed}: sent twice"
