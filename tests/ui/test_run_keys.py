"""One key each: what it says first, what it orders, and what it leaves alone."""

from __future__ import annotations

import asyncio

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from console.ui.app import InterlockApp
from console.ui.screens.dialog import Dialog
from console.ui.screens.form import Form
from console.ui.screens.plan import PlanScreen
from console.ui.screens.run import RunScreen
from console.ui.widgets.lines import Lines
from console.ui.widgets.row_table import RowTable
from runbooks.engine import view_of
from runbooks.journal import Journal, NewRun
from tests.ui.world import (
    World,
    a_journal,
    a_plan,
    key_event,
    press,
    read,
    say,
    shows,
    state,
    step_state,
    told,
    wait_for,
)

SIZE = (80, 24)


def shown(app: InterlockApp, name: str) -> str:
    return app.screen.query_one(name, Lines).text


async def desk_open(app: InterlockApp) -> None:
    await wait_for(lambda: app.bridge.desk is not None, "the desk is open")


async def driven(world: World, app: InterlockApp, held: str) -> str:
    """A run of this console, held at a place of the stage."""
    world.stage.hold = {held: asyncio.Event()}
    await desk_open(app)
    run_id = await world.desk.start(a_plan({"port": "port-a"}), "CHG0031234")
    app.bridge.open_run(run_id)
    await wait_for(lambda: app.picture.run and app.picture.run.row.driver_alive, "the run is shown")
    return run_id


def definition(*more: dict[str, object]) -> dict[str, object]:
    made = a_plan({"port": "port-a"}).definition()
    return made | {"steps": [*more, *made["steps"]]}


async def elsewhere(world: World, *more: dict[str, object], user: str = "bob", dead: bool = False) -> Journal:
    """Another console, which has made a run and says that it drives it."""
    journal = await a_journal(world.folder, world.clock, dead=dead, user=user, name="elsewhere")
    await journal.create_run(NewRun("drain-port", "1", definition(*more), ticket="CHG1"))
    return journal


async def in_view(pilot: Pilot[None], app: InterlockApp, run_id: str) -> None:
    await desk_open(app)
    await wait_for(lambda: app.picture.runs, "the run is listed")
    await say(pilot, f"follow {run_id}")
    await wait_for(lambda: app.picture.run and isinstance(app.screen, RunScreen), "the run is in view")


async def test_p_pauses_at_once_and_asks_before_it_goes_on(world: World) -> None:
    app = world.app(write=True)
    async with app.run_test(size=SIZE) as pilot:
        await driven(world, app, "verify move-azure")
        await press(pilot, "4", "p")
        await wait_for(lambda: state(app) == "PAUSED", "it is paused")
        await wait_for(lambda: "! paused" in shown(app, "#detail"), "and says so")
        world.stage.hold["verify move-azure"].set()
        await wait_for(lambda: step_state(app, "move-azure") == "done", "the step under way has ended")
        await press(pilot, "p")
        await shows(app, Dialog)
        await press(pilot, "escape")
        assert state(app) == "PAUSED"
        assert world.stage.sent == [("move-azure", "do")]
        await press(pilot, "p", "enter")
        await wait_for(lambda: state(app) == "COMPLETED", "it goes on")


async def test_h_lets_the_run_go_and_t_takes_it_up_again(world: World) -> None:
    app = world.app(write=True)
    async with app.run_test(size=SIZE) as pilot:
        await driven(world, app, "verify move-azure")
        await press(pilot, "4", "h")
        await shows(app, Dialog)
        assert "alice ends the group under way" in shown(app, "#what")
        await press(pilot, "enter")
        await told(app, "handover")
        world.stage.hold["verify move-azure"].set()
        await wait_for(lambda: app.picture.run and app.picture.run.view.unmanned, "nobody drives it")
        await wait_for(lambda: app.picture.run and app.picture.run.row.orphaned, "the list knows")
        await wait_for(lambda: "! nobody drives it" in shown(app, "#detail"), "it says so")
        assert world.stage.sent == [("move-azure", "do")]
        await press(pilot, "t")
        await shows(app, Dialog)
        assert "alice on" in shown(app, "#what")
        await press(pilot, "enter")
        await wait_for(lambda: state(app) == "COMPLETED", "it is driven on from here")


async def test_d_answers_the_question_that_was_shown(world: World) -> None:
    world.stage.refuse = {"empty"}
    app = world.app(write=True)
    async with app.run_test(size=SIZE) as pilot:
        await desk_open(app)
        await in_view(pilot, app, await world.desk.start(a_plan({"port": "port-a"}), "CHG0031234"))
        await wait_for(lambda: state(app) == "NEEDS_DECISION", "it asks")
        await press(pilot, "d")
        await shows(app, Dialog)
        said = shown(app, "#what")
        for words in ("port-a still carries 12 Mbps", "expected", "redo", "accept", "skip", "rollback"):
            assert words in said
        await press(pilot, *"yes", "enter")
        await wait_for(lambda: "'yes' is not " in shown(app, "#hint"), "that is no answer")
        assert app.picture.run is not None
        asks = app.picture.run.view.question
        assert asks is not None
        await press(pilot, *["backspace"] * 3, *"skip", "enter")
        await wait_for(lambda: state(app) == "COMPLETED", "it goes on without the step")
        events = await world.desk.journal.events(app.picture.run.row.run_id)
        answer = next(event for event in events if event.kind == "cmd.decide")
        assert (answer.data["choice"], answer.reply_to) == ("skip", asks.seq)


async def test_t_takes_a_run_from_a_driver_that_may_live_only_by_its_id(world: World) -> None:
    other = await elsewhere(world)
    run = (await other.runs())[0].run_id
    app = world.app(write=True)
    async with app.run_test(size=SIZE) as pilot:
        await in_view(pilot, app, run)
        await press(pilot, "t")
        await shows(app, Dialog)
        assert "bob on" in shown(app, "#what")
        assert "drives it, since" in shown(app, "#what")
        assert "it may live" in shown(app, "#what")
        await press(pilot, *"port-a", "enter")
        await wait_for(lambda: f"'port-a' is not {run}" in shown(app, "#hint"), "another word does not do")
        await press(pilot, *["backspace"] * 6, *run, "enter")
        await wait_for(lambda: state(app) == "COMPLETED", "it is driven from here")
        claims = [event for event in await other.events(run) if event.kind == "driver.claimed"]
        assert [(event.actor, event.data["forced"]) for event in claims] == [("alice", True)]
    await other.close()


async def test_t_in_read_only_says_how_to_write(world: World) -> None:
    other = await elsewhere(world, dead=True)
    app = world.app()
    async with app.run_test(size=SIZE) as pilot:
        await in_view(pilot, app, (await other.runs())[0].run_id)
        await press(pilot, "t")
        await wait_for(lambda: "READ-ONLY: press R" in shown(app, "#notice"), "it says how to write")
    await other.close()


@pytest.mark.parametrize(("creator", "counts"), [("bob", True), ("alice", False)])
async def test_a_approves_as_the_second_person_only(world: World, creator: str, *, counts: bool) -> None:
    other = await elsewhere(world, read("second", "approve", "a second person looks"), user=creator)
    row = (await other.runs())[0]
    await other.append(row.run_id, "step.started", step="second", fence=row.fence)
    app = world.app()
    async with app.run_test(size=SIZE) as pilot:
        await in_view(pilot, app, row.run_id)
        await wait_for(lambda: f"not {creator}" in shown(app, "#detail"), "it says who may not")
        await press(pilot, "a")
        await shows(app, Dialog)
        for words in ("9c41e7d2ab10ff", f"not by {creator}", "second: a second person looks", "set local-preference"):
            assert words in shown(app, "#what")
        await press(pilot, *"port-a", "enter")
        if counts:
            await wait_for(lambda: app.picture.run and app.picture.run.view.steps[0].do.state == "done", "approved")
        else:
            await wait_for(lambda: "a second person must approve" in shown(app, "#notice"), "it is refused by text")
            assert (await view_of(other, row.run_id)).steps[0].do.state == "asked"
    await other.close()


async def test_abandoning_takes_two_people(world: World) -> None:
    dead = await elsewhere(world, dead=True)
    run = (await dead.runs())[0].run_id
    app = world.app()
    async with app.run_test(size=SIZE) as pilot:
        await desk_open(app)
        await wait_for(lambda: isinstance(app.screen, RunScreen), "the start opens on what the crash left")
        await wait_for(lambda: app.screen.query("#runs") and app.screen.query_one(RowTable).row_count, "it is listed")
        for words in ("1 interrupted run", "resume t", "roll back b", "abandon A", "two people"):
            assert words in shown(app, "#interrupted")
        await press(pilot, "A", *run, "enter")
        await wait_for(lambda: app.picture.run and app.picture.run.view.abandon, "it is asked for")
        await wait_for(lambda: "asked to be abandoned by alice" in shown(app, "#detail"), "and shown")
        await press(pilot, "a", *run, "enter")
        await wait_for(lambda: "cannot approve it" in shown(app, "#notice"), "the same person is refused")
    await dead.close()
    world.clock.later(1.0)
    second = await a_journal(world.folder, world.clock, user="bob")
    assert (await view_of(second, run)).state != "ABANDONED"
    await second.close()


async def test_manual_step_takes_its_evidence_from_a_form(world: World) -> None:
    step = read("field", "manual", "Megaport has closed its ticket") | {"evidence": ["ticket", "who"]}
    app = world.app(write=True)
    async with app.run_test(size=SIZE) as pilot:
        await desk_open(app)
        new = NewRun("drain-port", "1", definition(step), ticket="CHG1")
        run = await world.desk.begin(new)
        await wait_for(lambda: app.bridge.operator.asked(run) and app.picture.run, "the step waits")
        await press(pilot, "4", "enter")
        await shows(app, Form)
        await press(pilot, "enter", "enter")
        await wait_for(lambda: "ticket is missing" in shown(app, "#hint"), "what is missing is said")
        await press(pilot, *"MP-77", "enter", *"carol", "enter")
        await wait_for(lambda: state(app) == "COMPLETED", "it goes on")
        given = next(event for event in await world.desk.journal.events(run) if event.kind == "cmd.confirm")
        assert given.data["evidence"] == {"ticket": "MP-77", "who": "carol"}


async def test_answer_to_an_older_question_answers_nothing(world: World) -> None:
    steps = [read(name, "confirm", name) for name in ("first", "next")]
    app = world.app(write=True)
    async with app.run_test(size=SIZE):
        await desk_open(app)
        run = await world.desk.begin(NewRun("drain-port", "1", definition(*steps), ticket="CHG1"))
        operator = app.bridge.operator
        await wait_for(lambda: operator.asked(run) == "first", "the first question")
        operator.answer(run, "first")
        await wait_for(lambda: operator.asked(run) == "next", "the next one")
        operator.answer(run, "first")  # a dialog that was opened before
        assert operator.asked(run) == "next"
        assert (await view_of(world.desk.journal, run)).step("next").do.state == "asked"  # type: ignore[union-attr]


async def test_words_say_what_they_lack(world: World) -> None:
    app = world.app(write=True)
    async with app.run_test(size=SIZE) as pilot:
        await desk_open(app)
        for text, answer in (
            ("pause", "no run is in view"),
            ("decide R-20260101-01", "not in view"),
            ("follow R-20260101-01", "not in this journal"),
            ("approve R-1 step", "takes a run and nothing else"),
            ("pauze", "pause"),
        ):
            await say(pilot, text)
            await wait_for(lambda answer=answer: answer in shown(app, "#notice"), answer)  # type: ignore[misc]


async def test_3_plans_a_runbook_with_the_names_of_the_site(world: World) -> None:
    app = world.app(write=True)
    async with app.run_test(size=SIZE) as pilot:
        await desk_open(app)
        await press(pilot, "3")
        await wait_for(lambda: app.screen.query("#books"), "the catalogue")
        await wait_for(lambda: "Move every cloud off one fabric port" in shown(app, "#book"), "what it is for")
        assert "allowed: port-a, port-b" in shown(app, "#book")
        await press(pilot, "enter")
        await shows(app, Form)
        await press(pilot, *"port-a", "enter", "enter")
        await wait_for(lambda: isinstance(app.screen, PlanScreen), "the plan")
        await wait_for(lambda: "set local-preference 120" in shown(app, "#plan"), "is shown, and nothing is asked")
        assert isinstance(app.screen, PlanScreen)
        await press(pilot, "escape", "enter")
        await shows(app, Form)
        await press(pilot, *"port-a", "enter", *"CHG0031234", "enter")
        await shows(app, Dialog)
        assert await world.desk.journal.runs() == []
        await press(pilot, *"port-a", "enter")
        await wait_for(lambda: state(app) == "COMPLETED", "it is run")


async def test_what_is_typed_right_after_enter_belongs_to_the_next_field(world: World) -> None:
    app = world.app()
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "3", "enter")
        await shows(app, Form)
        for key in (*"port-a", "enter", *"CHG1"):  # all of it is there before the first is handled, as when pasted
            app.post_message(key_event(key))
        await wait_for(lambda: [each.value for each in app.screen.query(Input)] == ["port-a", "CHG1"], "each its own")
