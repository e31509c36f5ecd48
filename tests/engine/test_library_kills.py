"""Every shipped book, killed at every moment in every direction: a fresh console goes on from the journal.

A moment is: before and after each entry, before each effect and each send, after each act. The ledger that is
compared is the outside's: what the network in memory was sent.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from itertools import count, takewhile
from pathlib import Path
from random import Random
from zlib import crc32

import pytest

from runbooks.book import shipped
from runbooks.engine import Engine
from runbooks.journal import Journal, LockHeld, NewRun
from runbooks.journal.where import Where
from runbooks.machine import fold, next_op
from runbooks.model import steps_of
from runbooks.ops import Observe, Reject
from runbooks.putback import undo_definition
from runbooks.view import OPEN, RunView
from tests.engine.library_runs import BOOKS, Fate, Stage, staged
from tests.engine.little_device import Died

pytestmark = pytest.mark.timeout(300)  # hundreds of runs, each on a disk that syncs

every_book = pytest.mark.parametrize("book", BOOKS)
FUZZED = int(os.environ.get("INTERLOCK_KILLS", "20"))
STRIDE = 12  # on a server each of so many moments dies, beginning with another one in every test and book


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def journal_at(request: pytest.FixtureRequest, tmp_path: Path) -> Where:
    """Where consoles open their common journal, on each engine."""
    place: Where = tmp_path / "journal.db"
    return place if request.param == "sqlite" else str(request.getfixturevalue("pg_database"))


@pytest.fixture
def moments(request: pytest.FixtureRequest, journal_at: Where) -> Iterator[int]:
    """At which of its moments a console dies, one run after the other: in a file at all of them."""
    if isinstance(journal_at, Path):
        return count(1)
    return count(1 + crc32(request.node.name.encode()) % STRIDE, STRIDE)


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
    steps, events = steps_of((await journal.run(run_id)).definition), await journal.events(run_id)
    for length in range(len(events) + 1):
        view = fold(steps, events[:length])
        if not view.closed and any(step.phase(view.phase).state in OPEN for step in view.steps):
            assert isinstance(next_op(view), Observe | Reject), f"{run_id} after entry {length}"


async def undo_of(stage: Stage, journal_at: Where, run_id: str) -> NewRun:
    """The linked run that puts a completed one back."""
    async with stage.console(journal_at) as (journal, _):
        row = await journal.run(run_id)
    definition = undo_definition(row.definition, run_id)
    return NewRun(row.book, row.version, definition, row.actions, row.ticket, stage.plan.locks, run_id)


async def deaths(book: str, journal_at: Where, moments: Iterator[int]) -> AsyncIterator[tuple[Stage, str, str]]:
    """The moments at which a run of the book can die: its stage then, the run, and where that was."""
    await (await staged(book, journal_at)).completed(journal_at, every := Fate(None))
    for fatal in takewhile(lambda moment: moment <= every.count + 1, moments):
        stage, fate = await staged(book, journal_at), Fate(fatal)
        run_id = await stage.live_and_die(journal_at, stage.new_run, fate)
        assert fate.name
        yield stage, run_id, f"died at moment {fatal}, {fate.name}"


@every_book
async def test_whoever_goes_on_arrives_at_the_goal(book: str, journal_at: Where, moments: Iterator[int]) -> None:
    goal, asked = await staged(book, journal_at), 0
    await goal.completed(journal_at)
    assert goal.sent == goal.forth
    async for stage, run_id, where in deaths(book, journal_at, moments):
        async with stage.console(journal_at, "bob") as (journal, engine):
            if (await journal.run(run_id)).closed_at is None:
                assert [run.run_id for run in await journal.orphans()] == [run_id], where
                with pytest.raises(LockHeld):
                    await journal.create_run(stage.new_run)
                view, questions = await recover(journal, engine, run_id, await journal.claim(run_id))
                assert view.state == "COMPLETED", f"{where}: {view.why}"
                assert stage.sent <= stage.forth, f"{where}: sent twice"
                lacking = [line for _, line in stage.forth - stage.sent]  # a router acts without a clear too, later
                assert all(line.startswith("clear ") for line in lacking), f"{where}: never sent: {lacking}"
                asked += bool(questions)
            await prove_log(journal, run_id)
        assert stage.state == goal.state, where
    assert not isinstance(journal_at, Path) or asked >= 2 * sum(step.kind == "act" for step in goal.plan.steps), (
        "it died between intent and effect"
    )


@every_book
async def test_whoever_rolls_back_finds_it_as_before(book: str, journal_at: Where, moments: Iterator[int]) -> None:
    async for stage, run_id, where in deaths(book, journal_at, moments):
        async with stage.console(journal_at, "bob") as (journal, engine):
            if (await journal.run(run_id)).closed_at is not None:
                continue
            fence = await journal.claim(run_id)
            await engine.request_rollback(run_id, fence, "found it dead")
            view = await engine.drive(run_id, fence)
            assert view.state == "ROLLED_BACK", f"{where}: {view.question}"  # without a single question
            await prove_log(journal, run_id)
        assert stage.state == stage.before, where
        assert stage.sent <= stage.forth + stage.back, f"{where}: sent twice"


@every_book
async def test_whoever_dies_on_the_way_back_is_followed(book: str, journal_at: Where, moments: Iterator[int]) -> None:
    await (await staged(book, journal_at)).completed(journal_at, every := Fate(None))
    for fatal in moments:
        stage, fate = await staged(book, journal_at), Fate(fatal)
        run_id = await stage.live_and_die(journal_at, stage.new_run, Fate(every.count))  # all is done but its close
        await stage.turn_round_and_die(journal_at, run_id, fate)
        where = f"died at moment {fatal} of the way back, {fate.name}"
        async with stage.console(journal_at, "carol") as (journal, engine):
            if (await journal.run(run_id)).closed_at is None:
                fence = await journal.claim(run_id)
                await engine.request_rollback(run_id, fence, "found it dead again")
                assert (await engine.drive(run_id, fence)).state == "ROLLED_BACK", where
            await prove_log(journal, run_id)
        assert stage.state == stage.before, where
        assert stage.sent <= stage.forth + stage.back, f"{where}: sent twice"
        if not fate.name:
            break
    assert fatal > 5 * sum(step.kind == "act" for step in stage.plan.steps)


@pytest.mark.parametrize("book", [book for book in BOOKS if not shipped(book).undoes])  # an undo is never undone
async def test_whoever_dies_in_a_linked_undo_is_followed(book: str, journal_at: Where, moments: Iterator[int]) -> None:
    for fatal in moments:
        stage, fate = await staged(book, journal_at), Fate(fatal)
        original = await stage.completed(journal_at)
        undo = await stage.live_and_die(journal_at, await undo_of(stage, journal_at, original), fate)
        where = f"died at moment {fatal} of the linked undo, {fate.name}"
        async with stage.console(journal_at, "bob") as (journal, engine):
            if (await journal.run(undo)).closed_at is None:
                view, _ = await recover(journal, engine, undo, await journal.claim(undo))
                assert view.state == "COMPLETED", where
                assert stage.sent <= stage.forth + stage.back, f"{where}: sent twice"
            await prove_log(journal, undo)
        assert stage.state == stage.before, where
        if not fate.name:
            break
    assert fatal > 5 * sum(step.kind == "act" for step in stage.plan.steps)


@every_book
async def test_random_deaths_one_after_the_other(book: str, journal_at: Where) -> None:
    goal = await staged(book, journal_at)
    await goal.completed(journal_at)
    for seed in range(FUZZED if isinstance(journal_at, Path) else FUZZED // 10):
        random, stage = Random(f"{book} {seed}"), await staged(book, journal_at)
        run_id = await stage.live_and_die(journal_at, stage.new_run, Fate(random.randint(1, 45)))
        for _ in range(60):
            async with stage.console(journal_at, "bob", fate=Fate(random.randint(1, 30)), dead=True) as (
                journal,
                engine,
            ):
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
