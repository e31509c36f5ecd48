"""Both screens in both sizes, from fixed facts and a fixed log. A difference is looked at before it is accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from console.ui.app import InterlockApp
from console.ui.widgets.lines import Lines
from runbooks.journal import NewRun
from runbooks.standing import Away, Standing
from tests.sample import healthy
from tests.ui.world import (
    STEPS,
    Ticks,
    World,
    a_journal,
    a_plan,
    judged,
    press,
    raw,
    step_state,
    wait_for,
    with_faults,
)

SIZES = pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["120x40", "80x24"])
Before = Callable[[Pilot[None]], Awaitable[None]]


async def typed(pilot: Pilot[None], *keys: str) -> None:
    """Type; each screen is laid out before the next covers it, since it is in the picture, too."""
    for key in keys:
        await press(pilot, key)
        await pilot.pause()


def seen(app: InterlockApp, *keys: str) -> Before:
    async def before(pilot: Pilot[None]) -> None:
        await judged(app)
        await typed(pilot, *keys)

    return before


def running(world: World, app: InterlockApp, held: str, *keys: str) -> Before:
    world.stage.hold = {held: asyncio.Event()}
    step = held.rsplit(maxsplit=1)[-1]

    async def before(pilot: Pilot[None]) -> None:
        await wait_for(lambda: app.bridge.desk, "the desk is open")
        app.bridge.open_run(await world.desk.start(a_plan({"port": "port-a"}), "CHG0031234"))
        await wait_for(lambda: step_state(app, step) == "acted", f"the run is at {step}")
        await typed(pilot, "4", *keys)

    return before


@SIZES
def test_pulse(tmp_path: Path, snap_compare: Any, size: tuple[int, int]) -> None:
    app = World(tmp_path).app(desk=False)
    assert snap_compare(app, terminal_size=size, run_before=seen(app))


@SIZES
def test_pulse_with_faults(tmp_path: Path, snap_compare: Any, size: tuple[int, int]) -> None:
    world = World(tmp_path)
    world.snapshot = with_faults(world.site, raw(healthy(world.site)))
    app = world.app(desk=False)
    assert snap_compare(app, terminal_size=size, run_before=seen(app))


@SIZES
def test_run(tmp_path: Path, snap_compare: Any, size: tuple[int, int]) -> None:
    world = World(tmp_path)
    app = world.app(write=True)
    assert snap_compare(app, terminal_size=size, run_before=running(world, app, "verify move-aws"))


def test_abort_dialog(tmp_path: Path, snap_compare: Any) -> None:
    world = World(tmp_path)
    app = world.app(write=True)
    assert snap_compare(app, terminal_size=(80, 24), run_before=running(world, app, "verify move-aws", "X"))


def test_interrupted_run(tmp_path: Path, snap_compare: Any) -> None:
    world = World(tmp_path)
    app = world.app(write=True)

    async def before(pilot: Pilot[None]) -> None:
        dead = await a_journal(tmp_path, Ticks(), dead=True)
        await dead.create_run(NewRun("drain-port", "1", a_plan({"port": "port-a"}).definition(), ticket="CHG0031234"))
        await dead.close()
        await wait_for(lambda: app.picture.runs, "the run is listed")
        await typed(pilot, "4")

    assert snap_compare(app, terminal_size=(80, 24), run_before=before)


async def written(folder: Path, *, dead: bool = False) -> str:
    """A log as another console has written it: an act with a dead-man, and guards, one of which cannot see."""
    journal = await a_journal(folder, Ticks(), user="bob", dead=dead)
    row = await journal.create_run(
        NewRun("drain-port", "1", a_plan({"port": "port-a"}).definition(), ticket="CHG0031234")
    )
    run, fence = row.run_id, row.fence
    deadman = {"id": "t1", "seconds": 15.0, "places": ["edge-1"]}
    for kind, step, data in (
        ("step.started", "survivors", {}),
        ("check.passed", "survivors", {}),
        ("gate.passed", "move-azure", {}),
        ("act.intent", "move-azure", {"commands": STEPS[1]["commands"], "deadman": deadman}),
        ("act.result", "move-azure", {}),
        ("guard.clear", None, {"guard": "usable-domains", "margin": "azure 2 of 1, aws 2 of 1"}),
        ("guard.clear", None, {"guard": "survivor-load", "margin": "67 % < 80 %"}),
        ("guard.unknown", None, {"guard": "no-maintenance", "reason": "azure has not answered for 41 s"}),
    ):
        await journal.append(
            run, kind, step=step, phase="do" if step else None, attempt=1 if step else None, data=data, fence=fence
        )
    await journal.close()
    return run


@pytest.mark.parametrize("size", [(80, 24), (138, 40)], ids=["80x24", "138x40"])
def test_run_with_guards_and_a_dead_man(tmp_path: Path, snap_compare: Any, size: tuple[int, int]) -> None:
    app = World(tmp_path).app(write=True)

    async def before(pilot: Pilot[None]) -> None:
        run = await written(tmp_path)
        await wait_for(lambda: app.bridge.desk, "the desk is open")
        app.bridge.open_run(run)
        await wait_for(lambda: app.picture.run and app.picture.run.view.unsure, "the guards are shown")
        await typed(pilot, "4")

    assert snap_compare(app, terminal_size=size, run_before=before)


def armed(world: World, app: InterlockApp) -> Before:
    """A run that is driven here, held while its first act is verified; four seconds ago the routers were armed."""
    world.stage.hold, world.stage.routers = {"verify move-azure": asyncio.Event()}, ("edge-1", "edge-2")
    world.stage.silent = True

    async def before(pilot: Pilot[None]) -> None:
        await wait_for(lambda: app.bridge.desk, "the desk is open")
        definition = a_plan({"port": "port-a"}).definition()
        steps = [each | ({"deadman_s": 15.0} if each["kind"] == "act" else {}) for each in definition["steps"]]
        app.bridge.open_run(
            await world.desk.begin(NewRun("drain-port", "1", definition | {"steps": steps}, ticket="CHG0031234"))
        )
        await wait_for(lambda: app.picture.run and app.picture.run.fuses, "a dead-man is armed")
        await wait_for(lambda: step_state(app, "move-azure") == "acted", "its act is verified")
        await typed(pilot, "4")
        world.clock.later(4.0)
        await wait_for(lambda: "in 11 s" in app.screen.query_one("#detail", Lines).text, "it is counted down")

    return before


AWAY = Away(
    why="connection timeout expired",
    for_s=4.0,
    asks_after_s=15.0,
    waits="act.intent of move-aws",
    kept=("act.result of move-azure", "verify.ok of move-azure", "gate.passed of move-aws"),
    in_memory=False,
    lost=0,
    retry_s=1.6,
    glass="whole",
    lease_s=11.0,
)


def holding(world: World, app: InterlockApp, *keys: str) -> Before:
    """The same, and its shared journal is away: every figure stands still."""
    begun = armed(world, app)
    asked: list[asyncio.Task[str | None]] = []  # kept, so that it goes on asking

    async def before(pilot: Pilot[None]) -> None:
        await begun(pilot)
        assert app.picture.run is not None
        run = app.picture.run
        world.desk.shown = Standing(run.fuses, AWAY, run.view)
        asked.append(asyncio.create_task(app.bridge.operator.break_glass(run.row.run_id, 11.0)))
        await wait_for(lambda: "b break the glass" in app.screen.query_one("#hold", Lines).text, "it holds")
        await typed(pilot, *keys)

    return before


def test_run_with_a_dead_man_that_is_counted_down(tmp_path: Path, snap_compare: Any) -> None:
    world = World(tmp_path)
    app = world.app(write=True)
    assert snap_compare(app, terminal_size=(120, 40), run_before=armed(world, app))


def test_hold(tmp_path: Path, snap_compare: Any) -> None:
    world = World(tmp_path)
    app = world.app(write=True)
    assert snap_compare(app, terminal_size=(80, 24), run_before=holding(world, app))


def test_break_glass_form(tmp_path: Path, snap_compare: Any) -> None:
    world = World(tmp_path)
    app = world.app(write=True, theme="mono")
    assert snap_compare(app, terminal_size=(80, 24), run_before=holding(world, app, "b"))


def test_nobody_drives(tmp_path: Path, snap_compare: Any) -> None:
    app = World(tmp_path).app(write=True, theme="mono")

    async def before(pilot: Pilot[None]) -> None:
        run = await written(tmp_path, dead=True)
        await wait_for(lambda: app.bridge.desk, "the desk is open")
        app.bridge.open_run(run)
        await wait_for(lambda: app.picture.run and app.picture.run.row.orphaned, "nobody drives it")
        await typed(pilot, "4")

    assert snap_compare(app, terminal_size=(80, 24), run_before=before)


def test_decide_dialog(tmp_path: Path, snap_compare: Any) -> None:
    world = World(tmp_path)
    world.stage.refuse = {"empty"}
    app = world.app(write=True)

    async def before(pilot: Pilot[None]) -> None:
        await wait_for(lambda: app.bridge.desk, "the desk is open")
        app.bridge.open_run(await world.desk.start(a_plan({"port": "port-a"}), "CHG0031234"))
        await wait_for(lambda: app.picture.run and app.picture.run.view.question, "it asks")
        await wait_for(lambda: app.picture.run and app.picture.run.row.orphaned, "and lets go")
        await typed(pilot, "4", "d")

    assert snap_compare(app, terminal_size=(80, 24), run_before=before)


@pytest.mark.parametrize("keys", [["3"], ["3", "enter"]], ids=["catalogue", "parameters"])
def test_runbooks(tmp_path: Path, snap_compare: Any, keys: list[str]) -> None:
    app = World(tmp_path).app(desk=False)
    assert snap_compare(app, terminal_size=(80, 24), run_before=seen(app, *keys))


def test_drill(tmp_path: Path, snap_compare: Any) -> None:
    app = World(tmp_path).app(desk=False)
    assert snap_compare(app, terminal_size=(80, 24), run_before=seen(app, "j", "enter"))


@pytest.mark.parametrize("theme", ["light", "high-contrast", "colour-blind", "mono", "ansi"])
def test_themes(tmp_path: Path, snap_compare: Any, theme: str) -> None:
    world = World(tmp_path)
    world.snapshot = with_faults(world.site, raw(healthy(world.site)))
    app = world.app(desk=False, theme=theme)
    assert snap_compare(app, terminal_size=(80, 24), run_before=seen(app))
