"""Run: read-only refuses, writing is confirmed by name, abort says first what it will undo, the past is listed."""

from __future__ import annotations

import asyncio

from console.ui.app import InterlockApp
from console.ui.screens.dialog import Dialog
from console.ui.screens.plan import PlanScreen
from console.ui.screens.run import RunScreen
from console.ui.widgets.header import Header
from console.ui.widgets.lines import Lines
from console.ui.widgets.row_table import RowTable
from runbooks.journal import Journal, NewRun, RunRow
from tests.ui.world import World, a_journal, a_plan, press, say, shows, state, step_state, told, wait_for

SIZE = (100, 30)
RUN = "run drain-port port=port-a change=CHG0031234"


def shown(app: InterlockApp, name: str) -> str:
    return app.screen.query_one(name, Lines).text


async def opened(world: World, app: InterlockApp) -> None:
    await wait_for(lambda: app.bridge.desk is not None, "the desk is open")


async def test_read_only_refuses_and_plans_all_the_same(world: World) -> None:
    app = world.app()
    async with app.run_test(size=SIZE) as pilot:
        await opened(world, app)
        await say(pilot, RUN)
        await wait_for(lambda: "READ-ONLY: press R" in shown(app, "#notice"), "it is refused")
        assert await world.desk.journal.runs() == []
        await say(pilot, "plan drain-port port=port-a")
        await wait_for(lambda: "set local-preference 120" in shown(app, "#plan"), "the plan is shown")
        assert isinstance(app.screen, PlanScreen)
        for words in ("er-primary  →  out and back er-secondary", "set local-preference 200", "9c41e7d2ab10"):
            assert words in shown(app, "#plan")


async def test_writing_is_confirmed_by_a_typed_word_and_given_up_without(world: World) -> None:
    app = world.app()
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "R", *"yes", "enter")
        await wait_for(lambda: "'yes' is not WRITE: nothing was done" in shown(app, "#hint"), "the word is refused")
        assert isinstance(app.screen, Dialog)
        assert not app.write
        await press(pilot, *["backspace"] * 3, *"WRITE", "enter")
        await wait_for(lambda: "WRITE" in app.screen.query_one(Header).text, "it is said where it always stands")
        assert app.write
        await press(pilot, "R")
        await wait_for(lambda: "READ-ONLY" in app.screen.query_one(Header).text, "it is read-only again")
        assert not app.write


async def test_what_cannot_be_planned_lands_in_the_pane(world: World) -> None:
    app = world.app()
    async with app.run_test(size=SIZE) as pilot:
        await opened(world, app)
        await say(pilot, "plan drain-prot port=port-a")
        await wait_for(lambda: "nearest: drain-port" in shown(app, "#plan"), "the reason is shown")
        await press(pilot, "escape")
        await say(pilot, "pln x")
        await wait_for(lambda: "plan" in shown(app, "#notice"), "the nearest verb is named")


async def test_run_is_started_by_its_targets_name_and_shown(world: World) -> None:
    app = world.app(write=True)
    async with app.run_test(size=SIZE) as pilot:
        await opened(world, app)
        await say(pilot, RUN)
        await shows(app, Dialog)
        await press(pilot, *"port-b", "enter")
        await wait_for(lambda: "'port-b' is not port-a: nothing was done" in shown(app, "#hint"), "the name is refused")
        assert isinstance(app.screen, Dialog)
        assert await world.desk.journal.runs() == []
        await press(pilot, *["backspace"] * 6, *"port-a", "enter")
        await wait_for(lambda: state(app) == "COMPLETED", "the run is done")
        await wait_for(lambda: isinstance(app.screen, RunScreen) and "COMPLETED" in shown(app, "#title"), "and shown")
        assert world.stage.sent == [("move-azure", "do"), ("move-aws", "do")]
        assert "= 2 " in shown(app, "#steps")
        assert "run.closed" in shown(app, "#journal")
        assert "window 1h12m  lease 13m00s" in shown(app, "#counts")


async def test_current_step_shows_its_commands_and_what_is_expected(world: World) -> None:
    world.stage.hold = {"verify move-aws": asyncio.Event()}
    app = world.app(write=True)
    async with app.run_test(size=SIZE) as pilot:
        await opened(world, app)
        await world.desk.start(a_plan({"port": "port-a"}), "CHG0031234")
        await wait_for(lambda: state(app) == "RUNNING", "the run is followed by itself")
        await press(pilot, "4")
        await wait_for(lambda: "route-map OUT-dx-router-1 permit 10" in shown(app, "#detail"), "its commands")
        assert "not seen yet" in shown(app, "#detail")
        assert "edge-1 > clear bgp ipv4 unicast 10.255.1.2 soft" in app.screen.commands()  # type: ignore[attr-defined]
        world.stage.hold["verify move-aws"].set()
        await wait_for(lambda: state(app) == "COMPLETED", "it goes on")


async def test_abort_says_first_what_it_undoes_and_can_be_repeated(world: World) -> None:
    world.stage.hold = {"verify move-aws": asyncio.Event()}
    app = world.app(write=True)
    async with app.run_test(size=SIZE) as pilot:
        await opened(world, app)
        app.bridge.open_run(await world.desk.start(a_plan({"port": "port-a"}), "CHG0031234"))
        await wait_for(lambda: step_state(app, "move-aws") == "acted", "both clouds are moved, and the screens know")
        await press(pilot, "1", "X")  # from another screen
        await shows(app, Dialog)
        said = shown(app, "#what")
        assert said.index("move-aws") < said.index("move-azure")
        assert "no set as-path prepend" in said
        await press(pilot, "escape")
        assert state(app) == "RUNNING"
        await press(pilot, "X", "enter")
        await told(app, "abort")
        world.stage.hold["verify move-aws"].set()
        await wait_for(lambda: state(app) == "ROLLED_BACK", "everything is put back")
        assert world.stage.sent[2:] == [("move-aws", "undo"), ("move-azure", "undo")]
        await press(pilot, "X")
        assert not isinstance(app.screen, Dialog)


async def test_rollback_of_a_completed_run_asks_is_the_field_clear(world: World) -> None:
    app = world.app(write=True)
    async with app.run_test(size=SIZE) as pilot:
        await opened(world, app)
        first = await world.desk.start(a_plan({"port": "port-a"}), "CHG0031234")
        await world.desk.finished()
        await wait_for(lambda: app.picture.runs and app.picture.runs[0].state == "COMPLETED", "it is listed")
        await press(pilot, "4", "escape")
        await wait_for(lambda: app.screen.query_one("#runs", RowTable).row_count, "the list")
        await press(pilot, "b")
        await wait_for(lambda: "set local-preference 200" in shown(app, "#what"), "what it would send")
        await press(pilot, *"port-a", "enter")
        await wait_for(lambda: "field clear" in shown(app, "#detail"), "the question of the undo")
        assert app.picture.run is not None
        assert app.picture.run.view.undo_of == first
        assert len(world.stage.sent) == 2
        undo = app.picture.run.row.run_id
        await wait_for(lambda: app.bridge.operator.asked(undo), "it waits for the answer")
        await press(pilot, "enter", "enter")
        await wait_for(lambda: len(world.stage.sent) == 4, "the undo is sent")


class Unlisted(Journal):
    """A journal whose list of runs takes its time."""

    async def runs(self) -> list[RunRow]:
        await asyncio.Event().wait()
        return []


async def test_a_run_can_be_put_back_as_soon_as_it_is_seen_to_be_completed(world: World) -> None:
    """Its row is read once a second; its log says that it is closed before."""
    world.stage.hold = {"verify": asyncio.Event()}
    app = world.app(write=True)
    async with app.run_test(size=SIZE) as pilot:
        await opened(world, app)
        world.desk.journal.__class__ = Unlisted
        await press(pilot, "4")
        app.bridge.open_run(await world.desk.start(a_plan({"port": "port-a"}), "CHG0031234"))
        await wait_for(lambda: state(app) == "RUNNING", "it is shown")
        world.stage.hold["verify"].set()
        await wait_for(lambda: state(app) == "COMPLETED", "it is completed")
        await press(pilot, "b")
        await shows(app, Dialog)
        assert "COMPLETED" in shown(app, "#what")


async def test_interrupted_run_comes_first_after_a_restart(world: World) -> None:
    dead = await a_journal(world.folder, world.clock, dead=True)
    row = await dead.create_run(NewRun("drain-port", "1", a_plan({"port": "port-a"}).definition(), ticket="CHG1"))
    await dead.close()
    app = world.app(write=True)
    async with app.run_test(size=SIZE) as pilot:
        await opened(world, app)
        await press(pilot, "4")
        await wait_for(lambda: "1 interrupted run" in shown(app, "#interrupted"), "it says so")
        assert row.run_id in shown(app, "#interrupted")
        await press(pilot, "b", *"port-a", "enter")
        await wait_for(lambda: state(app) == "ROLLED_BACK", "it is taken up and turned round")


async def test_leaving_during_a_run_asks(world: World) -> None:
    world.stage.hold = {"verify move-azure": asyncio.Event()}
    app = world.app(write=True)
    async with app.run_test(size=SIZE) as pilot:
        await opened(world, app)
        app.bridge.open_run(await world.desk.start(a_plan({"port": "port-a"}), "CHG0031234"))
        await wait_for(lambda: app.sight.run_open, "the run is open")
        await press(pilot, "q")
        await shows(app, Dialog)
        await press(pilot, "escape")
        await wait_for(lambda: not isinstance(app.screen, Dialog), "it stays")
        assert app.is_running


async def test_when_a_run_appears_the_hidden_list_of_runs_gives_the_keys_away(world: World) -> None:
    app = world.app(write=True)
    async with app.run_test(size=SIZE) as pilot:
        await opened(world, app)
        await press(pilot, "4")
        await wait_for(lambda: isinstance(app.screen.focused, RowTable), "the list has the keys")
        world.stage.hold = {"verify move-aws": asyncio.Event()}
        await world.desk.start(a_plan({"port": "port-a"}), "CHG0031234")
        await wait_for(lambda: app.picture.run is not None and app.screen.query_one("#now").display, "the run is shown")
        await wait_for(lambda: app.screen.focused is app.screen.query_one("#detail-box"), "the step has the keys")
        await press(pilot, "escape")
        await wait_for(lambda: app.screen.query_one("#past").display, "the past runs are shown")
        await wait_for(lambda: isinstance(app.screen.focused, RowTable), "and the list has the keys")
