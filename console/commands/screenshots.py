"""`screenshots`: the pictures of the screens, taken from a lab that is started for it. Never drawn by hand."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from console.exits import Exit
from console.sites import Chosen, choose
from network.verdict import Verdict

if TYPE_CHECKING:
    from console.ui.app import InterlockApp

WIDE, NARROW = (120, 40), (80, 24)
#: How long the lab may take to show what a picture is of.
PATIENCE_S = 40.0


class NotSeen(RuntimeError):
    """What a picture is of did not come about in time."""


def screenshots(folder: Path) -> Exit:
    """Start a lab, take every picture, take the lab down. Prints the files."""
    from console.commands.screen import leaving_by_signal, temporary_lab

    folder.mkdir(parents=True, exist_ok=True)
    with leaving_by_signal(), temporary_lab("embedded"):
        for name, picture in asyncio.run(_pictures(choose(None))).items():
            (folder / f"{name}.svg").write_text(picture)
            print(folder / f"{name}.svg")
    return Exit.OK


async def _pictures(chosen: Chosen) -> dict[str, str]:
    change = await asyncio.to_thread(_lab, "change-new", ci=["port-a"], window=120, state="implement")
    made = {"pulse-120x40": await _pulse(chosen, WIDE), "pulse-80x24": await _pulse(chosen, NARROW)}
    made |= {"forecast-80x24": await _what_if(chosen)}
    made |= await _run(chosen, str(change["number"]))
    await asyncio.to_thread(_lab, "fail", thing="dx-1", silent=False, oneway=False, supernet=False, fault=None)
    made["fault-120x40"] = await _pulse(chosen, WIDE, down=True)
    await asyncio.to_thread(_lab, "heal", thing=None)
    return made


def _lab(verb: str, **what: object) -> dict[str, object]:
    from console.folders import state_dir
    from lab.client import LabClient
    from lab.state import lab_folder

    answer: dict[str, object] = LabClient(lab_folder(state_dir())).call(verb, **what)
    return answer


@contextlib.asynccontextmanager
async def _shown(chosen: Chosen, size: tuple[int, int]) -> AsyncIterator[tuple[InterlockApp, Any]]:
    from console.commands.screen import connected
    from console.ui.app import InterlockApp
    from console.ui.desk_port import Connection
    from console.ui.screen_operator import ScreenOperator

    async with contextlib.AsyncExitStack() as stack:

        async def connect(person: ScreenOperator) -> Connection:
            return await connected(stack, chosen, None, person)

        app = InterlockApp(
            chosen.site, connect, mode="LAB", operator="alice", write=False, clock=lambda: datetime.now(UTC)
        )
        async with app.run_test(size=size) as pilot:
            yield app, pilot


async def _pulse(chosen: Chosen, size: tuple[int, int], *, down: bool = False) -> str:
    async with _shown(chosen, size) as (app, pilot):
        await _until(lambda: _settled(app, down=down), "every source has answered")
        return await _picture(app, pilot)


async def _what_if(chosen: Chosen) -> str:
    """What the loss of the port that carries both clouds would do."""
    from console.ui.widgets.lines import Lines

    async with _shown(chosen, NARROW) as (app, pilot):
        await _until(lambda: _settled(app, down=False), "every source has answered")
        await pilot.press("f")
        await pilot.pause()
        foreseen = app.screen.query_one("#forecast", Lines)
        await _until(
            lambda: "UNKNOWN" not in foreseen.text and foreseen.text != "", "everything is known that it takes"
        )
        return await _picture(app, pilot)


def _settled(app: InterlockApp, *, down: bool) -> bool:
    sight = app.sight
    if sight.health is None or sight.picture.snapshot is None or app.bridge.desk is None:
        return False
    if any(path.load_mbps is None for path in sight.health.paths):
        return False  # a rate needs two samples
    if down:
        return {path.verdict for path in sight.health.paths} == {Verdict.UP, Verdict.DOWN}
    return sight.health.verdict == "healthy" and all(source.ok for source in sight.picture.snapshot.sources.values())


async def _run(chosen: Chosen, change: str) -> dict[str, str]:
    """A real drain of port-a, pictured while a cloud is moved; it is put back afterwards."""
    async with _shown(chosen, WIDE) as (app, pilot):
        await _until(lambda: _settled(app, down=False), "every source has answered")
        desk = app.bridge.desk
        assert desk is not None, "it is open when everything has settled"
        desk.write = True
        plan = await desk.plan("drain-port", {"port": "port-a"})
        run_id = await desk.start(plan, change)
        app.write = True
        await pilot.press("4")
        await _until(lambda: _moving(app), "a cloud is being moved")
        made = {"run-120x40": await _picture(app, pilot)}
        await pilot.resize_terminal(*NARROW)
        made["run-80x24"] = await _picture(app, pilot)
        await _until(lambda: _state(app) == "COMPLETED", "the drain is done")
        await desk.rollback(run_id)
        await _until(lambda: bool(app.bridge.operator.asked(_run_id(app))), "the undo asks whether the field is clear")
        app.bridge.operator.answer(_run_id(app), app.bridge.operator.asked(_run_id(app)))
        await _until(lambda: _state(app) == "COMPLETED" and _run_id(app) != run_id, "everything is put back")
        return made


def _moving(app: InterlockApp) -> bool:
    run = app.picture.run
    return run is not None and sum(step.do.state == "acted" for step in run.view.steps) > 0 and run.view.seq > MOVED


#: Entries of a run's log after which the second cloud is being moved.
MOVED = 8


def _state(app: InterlockApp) -> str:
    return app.picture.run.view.state if app.picture.run else ""


def _run_id(app: InterlockApp) -> str:
    return app.picture.run.row.run_id if app.picture.run else ""


async def _until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > end:
            raise NotSeen(f"no picture: {what}, did not come about within {PATIENCE_S:g} s")
        await asyncio.sleep(0.05)


async def _picture(app: InterlockApp, pilot: Any) -> str:
    """The screen as it stands, once it is drawn in the size that it has."""
    app.screen.refresh(layout=True)
    await pilot.pause()
    return app.export_screenshot(title="Interlock")
