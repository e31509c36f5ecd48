"""Kill the console at every moment of a run, in both directions, and let a fresh one go on from the file."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from runbooks.engine import Engine
from runbooks.journal import Journal
from runbooks.view import RunView
from tests.engine.little_device import ACTS, Device, Died, MortalJournal, World, book, console


class Fate:
    """Counts moments; the chosen one is fatal, and so is every later one: the dead do nothing."""

    def __init__(self, fatal: int) -> None:
        self.fatal, self.count, self.name = fatal, 0, ""

    def __call__(self, name: str) -> None:
        self.count += 1
        if self.count >= self.fatal:
            self.name = self.name or name
            raise Died(name)


async def live_and_die(file: Path, world: World, fate: Fate) -> str:
    """Run until the fatal moment; return the run's id."""
    world.moment = fate
    async with console(file, world, dead=True) as (journal, engine):
        row = await journal.create_run(book())
        with suppress(Died):
            await engine.drive(row.run_id, row.fence)
        world.moment = lambda _name: None
        return row.run_id


async def recover(journal: Journal, engine: Engine, run_id: str, decision: str) -> tuple[RunView, int]:
    """Drive to the end, deciding every question the same way. Returns the view and how often it asked."""
    fence = await journal.claim(run_id)
    for asked in range(10):
        view = await engine.drive(run_id, fence)
        if view.question is None:
            return view, asked
        await journal.append(run_id, "cmd.decide", reply_to=view.question.seq, data={"choice": decision})
    raise AssertionError("it never stops asking")


@pytest.mark.parametrize("answers", [{}, {"confirm clear": False}], ids=["forward", "back"])
async def test_killed_at_every_moment(tmp_path: Path, answers: dict[str, Any]) -> None:
    asked_in_all, fatal, died = 0, 0, True
    while died:
        fatal += 1
        file, world = tmp_path / f"{fatal}.db", World(answers=dict(answers))
        fate = Fate(fatal)
        run_id = await live_and_die(file, world, fate)
        died = bool(fate.name)
        where = f"killed at moment {fatal}, {fate.name}"
        async with console(file, world, "bob") as (journal, engine):
            if (await journal.run(run_id)).closed_at:
                continue
            assert [run.run_id for run in await journal.orphans()] == [run_id], where
            view, asked = await recover(journal, engine, run_id, "redo")
            asked_in_all += asked
            assert view.state == ("ROLLED_BACK" if answers else "COMPLETED"), where
            assert all(report.ok for report in await journal.verify()), where
        times = Counter(world.device.ledger)
        assert sum(times.values()) - len(times) <= asked, f"{where}: done twice unasked: {times}"
        wanted = Device().values if answers else dict.fromkeys(Device().values, 120)
        assert world.device.values == wanted, where
    assert fatal > 45
    assert asked_in_all > 5


async def test_killed_at_every_moment_and_then_rolled_back(tmp_path: Path) -> None:
    fatal, died = 0, True
    while died:
        fatal += 1
        file, world, fate = tmp_path / f"{fatal}.db", World(), Fate(fatal)
        run_id = await live_and_die(file, world, fate)
        died = bool(fate.name)
        where = f"killed at moment {fatal}, {fate.name}"
        async with console(file, world, "bob") as (journal, engine):
            if (await journal.run(run_id)).closed_at:
                continue
            fence = await journal.claim(run_id)
            await engine.request_rollback(run_id, fence, "found it dead")
            view = await engine.drive(run_id, fence)
            assert view.state == "ROLLED_BACK", where  # without a single question
            intents = [e.step for e in await journal.events(run_id) if (e.kind, e.phase) == ("act.intent", "do")]
        assert world.device.values == Device().values, where
        times = Counter(world.device.ledger)
        assert set(times.values()) <= {1}, f"{where}: {times}"
        undone = [step for step, phase in world.device.ledger if phase == "undo"]
        assert set(undone) <= set(intents), where
        assert undone == [step for step in reversed(ACTS) if step in undone], where
    assert fatal > 45


async def test_killed_at_every_moment_of_the_rollback_and_asked_again(tmp_path: Path) -> None:
    """`rollback RUN` a second time is a person's word: what is still there is undone without a question."""
    fatal, died = 0, True
    while died:
        fatal += 1
        file, world = tmp_path / f"{fatal}.db", World(answers={"confirm clear": [None]})
        async with console(file, world, dead=True) as (journal, engine):
            row = await journal.create_run(book())
            await engine.drive(row.run_id, row.fence)
            await engine.request_rollback(row.run_id, row.fence, "first")
            fate = Fate(fatal)
            world.moment = journal.moment = fate
            with suppress(Died):
                await engine.drive(row.run_id, row.fence)
            world.moment = lambda _name: None
        died = bool(fate.name)
        async with console(file, world, "bob") as (journal, engine):
            if (await journal.run(row.run_id)).closed_at:
                continue
            fence = await journal.claim(row.run_id)
            await engine.request_rollback(row.run_id, fence, "second")
            assert (await engine.drive(row.run_id, fence)).state == "ROLLED_BACK", fate.name
        assert world.device.values == Device().values, fate.name
        undone = Counter(step for step, phase in world.device.ledger if phase == "undo")
        assert max(undone.values(), default=0) <= 2, fate.name
    assert fatal > 15


def test_a_mortal_journal_is_the_real_one() -> None:
    assert issubclass(MortalJournal, Journal)
    assert set(vars(MortalJournal)) - {"__module__", "__doc__", "__annotations__"} == {"moment", "append"}
