"""Orders to a run, with the journal alone: what counts is written once, and what does not is not written at all."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from runbooks.driving import Driving
from runbooks.effects import Finding
from runbooks.engine import view_of
from runbooks.journal import Event, Journal, NewRun
from runbooks.orders import NotTaken, Orders
from tests.engine.little_device import Device, World, act, book, console

APPROVED: dict[str, Any] = {"steps": [{"id": "second", "kind": "approve"}, act("shut")]}


@pytest.fixture
async def bob(file: Path) -> AsyncIterator[Journal]:
    async with console(file, World(), "bob") as (journal, _):
        yield journal


async def begun_by_a_dead_console(file: Path, new: NewRun, answers: dict[str, Any] | None = None) -> str:
    """A run of alice's, as far as it went before its console was gone without a word."""
    async with console(file, World(answers=answers or {}), dead=True) as (journal, engine):
        row = await journal.create_run(new)
        await engine.drive(row.run_id, row.fence)
        return row.run_id


async def entries(journal: Journal, run_id: str) -> list[Event]:
    return await journal.events(run_id)


async def test_an_abort_asked_twice_leaves_the_same_journal(file: Path, bob: Journal) -> None:
    world = World(answers={"wait empty": asyncio.Event().wait})
    async with console(file, world) as (journal, engine):
        row = await journal.create_run(book())
        driving = Driving(engine, row.run_id, row.fence)
        async for event in journal.follow(row.run_id):
            if event.kind == "wait.progress":
                break
        orders = Orders(bob)
        first = await orders.abort(row.run_id)
        assert first is not None
        assert await orders.abort(row.run_id) is None
        assert (await driving.result()).state == "ROLLED_BACK"
        once = await entries(bob, row.run_id)
        assert await orders.abort(row.run_id) is None
        assert await entries(bob, row.run_id) == once
    assert [event.kind for event in once].count("cmd.abort") == 1
    assert world.device.values == Device().values


async def test_a_completed_run_is_not_aborted_but_rolled_back(file: Path, bob: Journal) -> None:
    run_id = await begun_by_a_dead_console(file, book())
    with pytest.raises(NotTaken, match=f"interlock rollback {run_id} --write"):
        await Orders(bob).abort(run_id)


@pytest.mark.parametrize(
    ("order", "why"),
    [
        (lambda orders, run: orders.approve(run, "second"), "is COMPLETED"),
        (lambda orders, run: orders.pause(run), "is COMPLETED"),
        (lambda orders, run: orders.decide(run, "redo", 4), "is COMPLETED"),
        (lambda orders, run: orders.abandon(run), "is COMPLETED"),
    ],
)
async def test_nothing_can_be_asked_of_a_closed_run(
    file: Path, bob: Journal, order: Callable[[Orders, str], Awaitable[Event | None]], why: str
) -> None:
    run_id = await begun_by_a_dead_console(file, book())
    before = await entries(bob, run_id)
    with pytest.raises(NotTaken, match=why):
        await order(Orders(bob), run_id)
    assert await entries(bob, run_id) == before


async def test_an_approval_by_a_second_person_says_what_it_approves(file: Path, bob: Journal) -> None:
    run_id = await begun_by_a_dead_console(file, book(APPROVED))
    async with console(file, World()) as (alice, engine):
        with pytest.raises(NotTaken, match="a second person must approve"):
            await Orders(alice).approve(run_id, "second")
        with pytest.raises(NotTaken, match="no approval of 'shut' is open"):
            await Orders(bob).approve(run_id, "shut")
        event = await Orders(bob).approve(run_id, "second")
        assert event is not None
        assert event.data["definition_sha"] == (await bob.run(run_id)).definition_sha
        assert event.data["step"] == "second"
        with pytest.raises(NotTaken, match="no approval of 'second' is open"):
            await Orders(bob).approve(run_id, "second")
        assert (await engine.drive(run_id, await alice.claim(run_id))).state == "COMPLETED"


async def test_a_decision_answers_the_question_that_it_names(file: Path, bob: Journal) -> None:
    run_id = await begun_by_a_dead_console(file, book(), {"do egress": ConnectionResetError("gone")})
    question = (await view_of(bob, run_id)).question
    assert question is not None
    before = await entries(bob, run_id)
    with pytest.raises(NotTaken, match=f"asks something else by now: entry {question.seq}"):
        await Orders(bob).decide(run_id, "redo", question.seq - 1)
    with pytest.raises(NotTaken, match="'hope' is no answer"):
        await Orders(bob).decide(run_id, "hope", question.seq)
    assert await entries(bob, run_id) == before, "what does not count is not written"
    assert await Orders(bob).decide(run_id, "redo", question.seq)
    with pytest.raises(NotTaken, match="asks nothing: it is RUNNING"):
        await Orders(bob).decide(run_id, "redo", question.seq)


async def test_an_answer_to_a_driver_that_still_tells_its_notes_is_obeyed_by_it(file: Path, bob: Journal) -> None:
    """Until it lets go, a driver lives, and nobody else takes the run up."""
    told = asyncio.Event()
    world = World(answers={"tell": told.wait, "verify do egress": [Finding(ok=False, reason="nothing moved")]})
    async with console(file, world) as (journal, engine), asyncio.timeout(60):
        row = await journal.create_run(book())
        driving = Driving(engine, row.run_id, row.fence)
        async for _ in journal.follow(row.run_id):
            if question := (await view_of(bob, row.run_id)).question:
                break
        assert (await bob.run(row.run_id)).driver_alive
        assert await Orders(bob).decide(row.run_id, "redo", question.seq)
        told.set()
        assert (await driving.result()).state == "COMPLETED"
        assert [event.kind for event in await entries(bob, row.run_id)].count("driver.released") == 0


async def test_two_people_give_up_a_run_whose_driver_died_and_its_locks_are_free(file: Path, bob: Journal) -> None:
    run_id = await begun_by_a_dead_console(file, book(APPROVED))
    async with console(file, World()) as (alice, _):
        with pytest.raises(NotTaken, match=f"nobody asks to abandon {run_id}"):
            await Orders(bob).approve(run_id, "abandon")
        assert await Orders(bob).abandon(run_id)
        assert await Orders(bob).abandon(run_id) is None
        with pytest.raises(NotTaken, match="the one who asks to abandon cannot approve it"):
            await Orders(bob).approve(run_id, "abandon")
        closing = await Orders(alice).approve(run_id, "abandon")
        assert closing is not None
        row = await alice.run(run_id)
        assert (row.state, row.closed_at, row.driver) == ("ABANDONED", closing.ts, None)
        await alice.create_run(book())  # takes the same lock
        assert all(report.ok for report in await alice.verify())


async def test_what_is_driven_is_neither_abandoned_nor_taken(file: Path, bob: Journal) -> None:
    async with console(file, World()) as (alice, _):
        row = await alice.create_run(book())
        with pytest.raises(NotTaken, match="driven by alice"):
            await Orders(bob).abandon(row.run_id)
        assert (await bob.run(row.run_id)).fence == row.fence
        assert await Orders(bob).hand_over(row.run_id)
        assert await Orders(bob).hand_over(row.run_id) is None
        await alice.release(row.run_id, row.fence)
        with pytest.raises(NotTaken, match=f"interlock resume {row.run_id} --write"):
            await Orders(bob).hand_over(row.run_id)


async def test_pause_and_resume_from_beside(file: Path, bob: Journal) -> None:
    async with console(file, World()) as (alice, _):
        row = await alice.create_run(book())
        assert await Orders(bob).pause(row.run_id)
        assert await Orders(bob).pause(row.run_id) is None
        assert await Orders(bob).resume(row.run_id)
        with pytest.raises(NotTaken, match="it does not apply while the run is RUNNING"):
            await Orders(bob).resume(row.run_id)
