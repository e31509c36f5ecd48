"""Keys that arrive all at once, as from a quick hand over a slow line, do what they would do one by one."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest
from textual.events import Event, Key
from textual.pilot import Pilot
from textual.widgets import Input

from console.ui.app import InterlockApp
from console.ui.asking import Said
from console.ui.keyboard import Keyboard
from console.ui.screens.dialog import Dialog
from console.ui.screens.plan import PlanScreen
from console.ui.widgets.lines import Lines
from tests.ui.world import World, a_plan, key_event, press, state, told, wait_for

SIZE = (80, 24)


def hint(app: InterlockApp) -> str:
    """What a dialog says of the word that was typed."""
    return app.screen.query_one("#hint", Lines).text


def at_once(app: InterlockApp, *keys: str) -> None:
    """All of them are there before the first is heard."""
    for key in keys:
        app.post_message(key_event(key))


async def run_in_view(world: World, app: InterlockApp, pilot: Pilot[None], held: str = "", keys: str = "4") -> str:
    world.stage.hold = {held: asyncio.Event()} if held else {}
    await wait_for(lambda: app.bridge.desk is not None, "the desk is open")
    run = await world.desk.start(a_plan({"port": "port-a"}), "CHG0031234")
    app.bridge.open_run(run)
    await wait_for(lambda: state(app) == ("RUNNING" if held else "COMPLETED"), "the run is in view")
    await wait_for(lambda: app.picture.run and (held or app.picture.run.row.closed_at), "as the list has it, too")
    await press(pilot, *keys)
    return run


async def test_word_that_is_typed_as_the_dialog_opens_is_its_word(world: World) -> None:
    app = world.app(write=True)
    async with app.run_test(size=SIZE) as pilot:
        run = await run_in_view(world, app, pilot)
        at_once(app, "b", *"port-b", "enter")
        await wait_for(lambda: "'port-b' is not port-a" in hint(app), "every key has arrived, in its order")
        assert isinstance(app.screen, Dialog), "a wrong word does nothing"
        assert [row.run_id for row in await world.desk.journal.runs()] == [run]
        at_once(app, "escape", "b", *"port-a", "enter")
        await wait_for(lambda: app.picture.run and app.picture.run.view.undo_of == run, "it is rolled back")


async def test_command_typed_at_once_is_no_order_of_single_keys(world: World) -> None:
    app = world.app(write=True)
    async with app.run_test(size=SIZE) as pilot:
        run = await run_in_view(world, app, pilot, "verify move-azure")
        at_once(app, *":plan drain-port port=port-a", "enter")
        await wait_for(lambda: isinstance(app.screen, PlanScreen), "the plan that was asked for")
        at_once(app, "X", "enter")
        await told(app, "abort")
        world.stage.hold["verify move-azure"].set()
        await wait_for(lambda: state(app) == "ROLLED_BACK", "an abort and its confirmation in one stroke")
        told_to_it = [event.kind for event in await world.desk.journal.events(run) if event.kind.startswith("cmd.")]
        assert told_to_it == ["cmd.abort"], "the p of plan pauses nothing"


@pytest.mark.parametrize("keys", [":pla", "X"], ids=["a command", "a dialog"])
async def test_answer_that_comes_late_takes_nothing_from_who_types(world: World, keys: str) -> None:
    app = world.app(write=True)
    async with app.run_test(size=SIZE) as pilot:
        run = await run_in_view(world, app, pilot, "verify move-azure")
        await press(pilot, "1", *keys)
        before = app.screen, app.focused
        app.post_message(Said("told meanwhile", "degraded", run))
        await wait_for(lambda: app.notice, "it is said")
        await press(pilot, "n")
        assert (app.screen, app.focused) == before, "the rest of :plan would be keys of the run"
        await press(pilot, "escape")
        await wait_for(lambda: "told meanwhile" in app.screen.query_one("#notice", Lines).text, "and read after that")


async def test_run_that_appears_takes_no_key_from_a_command(world: World) -> None:
    app = world.app(write=True)
    async with app.run_test(size=SIZE) as pilot:
        await press(pilot, "4", *":pla")
        run = await run_in_view(world, app, pilot, "verify move-azure", keys="")
        await wait_for(lambda: app.screen.query_one("#now").display, "it is shown")
        await press(pilot, *"n drain-port port=port-a", "enter")
        await wait_for(lambda: isinstance(app.screen, PlanScreen), "the plan that was asked for")
        await press(pilot, "escape")
        now = app.screen.query_one("#now")
        await wait_for(lambda: app.focused and now in app.focused.ancestors, "then the keys are the run's")
        events = await world.desk.journal.events(run)
        assert not [event.kind for event in events if event.kind.startswith("cmd.")]


async def test_form_filled_in_one_stroke(world: World) -> None:
    app = world.app(write=True)
    async with app.run_test(size=SIZE):
        await wait_for(lambda: app.bridge.desk is not None, "the desk is open")
        at_once(app, "3", "enter", "enter", *"CHG1", "enter")
        await wait_for(lambda: "CHG1" in [each.value for each in app.screen.query(Input)], "all has arrived")
        await wait_for(lambda: app.screen.query(Input).first().has_focus, "the missing field is asked for")
        at_once(app, *"port-a", "enter", "enter")
        await wait_for(lambda: isinstance(app.screen, Dialog), "the plan is compiled, and asks for the target")
        assert await world.desk.journal.runs() == []


async def test_keys_go_on_when_a_screen_is_gone_before_it_has_heard_them(world: World) -> None:
    app = world.app()
    async with app.run_test(size=SIZE):
        await wait_for(lambda: app.bridge.desk is not None, "the desk is open")
        at_once(app, "R", "escape", "R", "escape", "?", "escape", "R", *"WRONG", "enter", "escape", "4")
        await wait_for(lambda: app.current_mode == "run", "the last of them")
        assert not app.write


class SlowWidget:
    """It has the focus, and hears what it is sent when it is told to. The app and its screen are it too."""

    def __init__(self) -> None:
        self.ancestors_with_self, self.focused, self.screen = [self], self, self
        self.sent = deque[Callable[[], object]]()
        self.tasks = list[asyncio.Task[None]]()

    def call_later(self, callback: Callable[..., Any], *event: Event) -> bool:
        if event:  # the keyboard's own: the next key's turn
            self.tasks.append(asyncio.create_task(callback(*event)))
        else:
            self.sent.append(callback)
        return True


async def test_keys_keep_their_order_when_the_machine_stands_still(world: World) -> None:
    widget, heard = SlowWidget(), list[str]()

    async def hear(event: Event) -> None:
        assert isinstance(event, Key)
        heard.append(event.key)

    keyboard = Keyboard(widget, hear, patience_s=0.12)  # type: ignore[arg-type]
    await keyboard.typed(key_event("a"))
    await keyboard.typed(key_event("b"))
    await wait_for(lambda: widget.sent, "the first is on its way")
    time.sleep(0.3)  # noqa: ASYNC251 -- the whole process stands still
    for _ in range(5):
        await asyncio.sleep(0)
    assert heard == ["a"], "it had no time to hear it"

    def answered() -> bool:
        while widget.sent:
            widget.sent.popleft()()
        return heard == ["a", "b"]

    await wait_for(answered, "the next one's turn")
    await keyboard.typed(key_event("c"))
    await wait_for(
        lambda: heard == ["a", "b", "c"], "one that is never heard keeps the others for so long and no longer"
    )
    keyboard.stop()
