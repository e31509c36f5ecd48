"""Both screens in both sizes, from fixed facts and a fixed log. A difference is looked at before it is accepted."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from console.ui.app import InterlockApp
from runbooks.journal import NewRun
from tests.sample import healthy
from tests.ui.world import Ticks, World, a_journal, a_plan, raw, wait_for, with_faults

SIZES = pytest.mark.parametrize("size", [(120, 40), (80, 24)], ids=["120x40", "80x24"])
Before = Callable[[Pilot[None]], Awaitable[None]]


def seen(app: InterlockApp, *keys: str) -> Before:
    async def before(pilot: Pilot[None]) -> None:
        await wait_for(lambda: app.sight.health is not None, "the site is judged")
        await pilot.press(*keys)
        await pilot.pause()

    return before


def running(world: World, app: InterlockApp, held: str, *keys: str) -> Before:
    world.stage.hold = {held: asyncio.Event()}
    step = held.rsplit(maxsplit=1)[-1]

    async def before(pilot: Pilot[None]) -> None:
        await wait_for(lambda: world.desks, "the desk is open")
        await world.desk.start(a_plan({"port": "port-a"}), "CHG0031234")
        await wait_for(lambda: held_at(app, step), f"the run is at {step}")
        await pilot.press("4", *keys)
        await pilot.pause()

    return before


def held_at(app: InterlockApp, step: str) -> bool:
    run = app.picture.run
    at = run.view.step(step) if run else None
    return at is not None and at.state in {"acted", "running"}


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
        await pilot.press("4")
        await pilot.pause()

    assert snap_compare(app, terminal_size=(80, 24), run_before=before)


def test_drill(tmp_path: Path, snap_compare: Any) -> None:
    app = World(tmp_path).app(desk=False)
    assert snap_compare(app, terminal_size=(80, 24), run_before=seen(app, "j", "enter"))


@pytest.mark.parametrize("theme", ["light", "high-contrast", "colour-blind", "mono", "ansi"])
def test_themes(tmp_path: Path, snap_compare: Any, theme: str) -> None:
    world = World(tmp_path)
    world.snapshot = with_faults(world.site, raw(healthy(world.site)))
    app = world.app(desk=False, theme=theme)
    assert snap_compare(app, terminal_size=(80, 24), run_before=seen(app))
