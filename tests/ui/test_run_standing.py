"""What only the driver's screen knows: the dead-man counts down, and a run that holds says why."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import pytest
from textual.pilot import Pilot

from console.ui.app import InterlockApp
from console.ui.bridge import GAP_S, IDLE_S
from console.ui.screens.form import Form
from console.ui.widgets.key_line import KeyLine
from console.ui.widgets.lines import Lines
from runbooks.journal import Journal, JournalUnavailable, NewRun
from tests.stuck_journal import stuck
from tests.ui.world import World, a_journal, a_plan, press, shows, state, step_state, wait_for

SIZE = (100, 30)


def shown(app: InterlockApp, name: str) -> str:
    lines = app.screen.query_one(name, Lines)
    return lines.text if lines.display else ""


def guarded(seconds: float) -> dict[str, Any]:
    made = a_plan({"port": "port-a"}).definition()
    steps = [step | ({"deadman_s": seconds} if step["kind"] == "act" else {}) for step in made["steps"]]
    return made | {"steps": steps}


@asynccontextmanager
async def driving(world: World, held: str, seconds: float = 15.0, **more: Any) -> AsyncIterator[Pilot[None]]:
    """The run screen of a run that is driven here and is held at a place of the stage."""
    world.stage.hold = {held: asyncio.Event()}
    world.stage.routers = ("edge-1", "edge-2")
    app = world.app(**({"write": True} | more))
    async with app.run_test(size=SIZE) as pilot:
        await wait_for(lambda: app.bridge.desk is not None, "the desk is open")
        run = await world.desk.begin(NewRun("drain-port", "1", guarded(seconds), ticket="CHG1", locks=["port:port-a"]))
        app.bridge.open_run(run)
        await press(pilot, "4")
        await wait_for(lambda: step_state(app, held.rsplit(maxsplit=1)[-1]) == "acted", "its result is written")
        yield pilot
        world.stage.hold[held].set()


async def test_dead_man_is_counted_down_while_it_is_armed(world: World) -> None:
    world.stage.silent = True
    async with driving(world, "verify move-azure") as pilot:
        app: InterlockApp = pilot.app  # type: ignore[assignment]
        await wait_for(lambda: "edge-1, edge-2: restores in 15 s" in shown(app, "#detail"), "it is armed")
        world.clock.later(4.2)
        await wait_for(lambda: "restores in 10 s" in shown(app, "#detail"), "it burns down")
        assert "dead-man 10 s" in shown(app, "#counts")
        world.clock.later(20)
        await wait_for(lambda: "does not answer: should have fired" in shown(app, "#detail"), "nothing below nothing")
        world.stage.hold["verify move-azure"].set()
        await wait_for(lambda: state(app) == "COMPLETED", "it goes on")
        await wait_for(lambda: "dead-man" not in shown(app, "#counts"), "and nothing is armed")


@pytest.mark.alone
async def test_pictures_come_faster_while_seconds_are_counted_and_never_too_fast(world: World) -> None:
    async with driving(world, "verify move-azure") as pilot:
        app: InterlockApp = pilot.app  # type: ignore[assignment]
        await wait_for(lambda: app.picture.run and app.picture.run.counts_down, "it is armed")
        seen, begun = [app.picture], monotonic()

        def more() -> bool:
            if app.picture is not seen[-1]:
                seen.append(app.picture)
            return len(seen) > 3

        await wait_for(more, "three further pictures")
        assert 3 * GAP_S * 0.9 < monotonic() - begun < 3 * IDLE_S * 0.9
        world.stage.hold["verify move-azure"].set()
        await wait_for(lambda: state(app) == "COMPLETED", "it goes on")
        assert not app.picture.run.counts_down  # type: ignore[union-attr]


async def test_hold_is_a_box_that_says_what_waits_and_leaves_by_itself(world: World) -> None:
    async with driving(world, "verify move-azure") as pilot:
        app: InterlockApp = pilot.app  # type: ignore[assignment]
        await wait_for(lambda: "restores in" in shown(app, "#detail"), "the act is under way")
        assert not app.screen.query_one("#hold").display
        async with stuck(world.desk.journal):
            world.stage.hold["verify move-azure"].set()
            for words in (
                "gate.passed of move-aws",
                "readonly",
                "1 here: verify.ok of move-azure",
                "again in",  # between two tries
                "b break the glass",
                "see nothing",
            ):
                await wait_for(lambda words=words: words in shown(app, "#hold"), words)  # type: ignore[misc]
            assert "! HOLD" in shown(app, "#title")
            assert "readonly" not in shown(app, "#sources"), "it is said once"
            assert app.screen.query_one("#hold").border_title == "HOLD: nothing new is sent"
            await press(pilot, "1")
            await wait_for(
                lambda: "the journal is away; 4 shows what waits" in shown(app, "#sources"), "elsewhere a line"
            )
            await press(pilot, "4")
            app.write = False
            await wait_for(lambda: "(R first: READ-ONLY)" in shown(app, "#hold"), "who only reads breaks no glass")
            await press(pilot, "b")
            await wait_for(lambda: "READ-ONLY: press R" in shown(app, "#notice"), "it says how to write")
            assert world.stage.sent == [("move-azure", "do")]
        await wait_for(lambda: state(app) == "COMPLETED", "it goes on by itself")
        await wait_for(lambda: not app.screen.query_one("#hold").display, "the box has gone")
        assert "COMPLETED" in shown(app, "#title")


async def test_b_breaks_the_glass_for_a_reason_and_only_once(world: World) -> None:
    async with driving(world, "verify move-azure") as pilot:
        app: InterlockApp = pilot.app  # type: ignore[assignment]
        journal = world.desk.journal
        await wait_for(lambda: "restores in" in shown(app, "#detail"), "the act is under way")
        async with stuck(journal):
            world.stage.hold["verify move-azure"].set()
            await wait_for(lambda: "b break the glass" in shown(app, "#hold"), "it may be broken")
            await wait_for(lambda: "b break the glass" in app.screen.query_one(KeyLine).text, "its key is named")
            await press(pilot, "b")
            await shows(app, Form)
            assert "gate.passed of move-aws" in shown(app, "#what")
            await press(pilot, "enter")
            await wait_for(lambda: "reason is missing" in shown(app, "#hint"), "there is none without a reason")
            await press(pilot, *"dark", "enter")
            await wait_for(lambda: ("move-aws", "do") in world.stage.sent, "it acts")
            box = app.screen.query_one("#hold")
            await wait_for(lambda: str(box.border_title).startswith("GLASS BROKEN"), "and says so")
            await wait_for(lambda: "! NO JOURNAL" in shown(app, "#title"), "in the title too")
            await wait_for(lambda: "run.closed" in shown(app, "#hold"), "only the close waits")
            assert "= 3 " in shown(app, "#steps"), "the steps are those that this console believes"
            await wait_for(lambda: "break the glass" not in app.screen.query_one(KeyLine).text, "only once")
        await wait_for(lambda: state(app) == "COMPLETED", "it is told to the journal")
        assert app.picture.run is not None
        events = await journal.events(app.picture.run.row.run_id)
        glass = next(event for event in events if event.kind == "journal.break_glass")
        assert glass.data["reason"] == "dark"


async def test_run_that_nobody_drives_says_who_did_and_what_is_next(world: World) -> None:
    dead = await a_journal(world.folder, world.clock, dead=True, user="bob")
    row = await dead.create_run(NewRun("drain-port", "1", guarded(15.0), ticket="CHG1"))
    await dead.close()
    world.clock.later(192)
    app = world.app(write=True)
    async with app.run_test(size=SIZE) as pilot:
        await wait_for(lambda: app.picture.runs, "it is listed")
        app.bridge.open_run(row.run_id)
        await press(pilot, "4")
        await wait_for(lambda: app.picture.run, "the run is in view")
        await wait_for(lambda: "! nobody drives" in shown(app, "#title"), "the title says so")
        assert "driver" not in shown(app, "#title")
        line = shown(app, "#nobody")
        assert line.startswith("last bob, last heard ")
        assert "3m12s ago" in line
        assert f"t  interlock resume {row.run_id} --write" in line
        await press(pilot, "t", "enter")
        await wait_for(lambda: state(app) == "COMPLETED", "it is driven from here")
        await wait_for(lambda: not app.screen.query_one("#nobody").display, "the line has gone")
        await wait_for(lambda: "driver alice" in shown(app, "#title"), "and the title says by whom")


class Late(Journal):
    """A journal that is away for who looks at a run, until it is back."""

    back = False

    async def run(self, run_id: str) -> Any:
        if not self.back:
            raise JournalUnavailable("here", "it is being restarted")
        return await super().run(run_id)


async def test_run_is_followed_again_after_an_outage_and_the_trouble_is_over(world: World) -> None:
    other = await a_journal(world.folder, world.clock, user="bob")
    row = await other.create_run(NewRun("drain-port", "1", guarded(15.0), ticket="CHG1"))
    app = world.app()
    async with app.run_test(size=SIZE):
        await wait_for(lambda: app.bridge.desk is not None, "the desk is open")
        app.bridge.close_run()
        journal = world.desk.journal
        journal.__class__ = Late
        app.bridge.open_run(row.run_id)
        await wait_for(lambda: "being restarted" in app.picture.trouble, "the outage is said")
        assert isinstance(journal, Late)
        journal.back = True
        await wait_for(lambda: app.picture.run is not None, "the run is in view after all")
        await wait_for(lambda: app.picture.trouble == "", "and nothing is wrong any more")
    await other.close()


async def test_reason_that_comes_too_late_breaks_nothing(world: World) -> None:
    async with driving(world, "verify move-azure") as pilot:
        app: InterlockApp = pilot.app  # type: ignore[assignment]
        await wait_for(lambda: "restores in" in shown(app, "#detail"), "the act is under way")
        async with stuck(world.desk.journal):
            world.stage.hold["verify move-azure"].set()
            await wait_for(lambda: "b break the glass" in shown(app, "#hold"), "it may be broken")
            await press(pilot, "b")
            await shows(app, Form)
        await wait_for(lambda: not app.bridge.operator.holds, "the journal is back meanwhile")
        await press(pilot, *"dark", "enter")
        await wait_for(lambda: "no glass was broken" in shown(app, "#notice"), "it is said")
        await wait_for(lambda: state(app) == "COMPLETED", "the run went on by itself")
