"""The exit table, performed: a driver leaves in mid-group on every path and by every policy."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from runbooks.driving import Driving
from runbooks.engine import view_of
from runbooks.exits import ExitPath
from runbooks.journal import FenceLost, Journal
from tests.engine.little_device import BOOK, Device, World, act, book, console

SIGNALS: tuple[ExitPath, ...] = ("ctrl-c", "sigterm", "sighup", "closed-terminal")


def steps(**exits: str) -> dict[str, Any]:
    """The book with the same exits on each act."""
    named = {path.replace("_", "-"): policy for path, policy in exits.items()}
    return {"steps": [step | {"exits": named} if step["kind"] == "act" else step for step in BOOK["steps"]]}


async def kinds(journal: Journal, run_id: str, after: str) -> list[str]:
    """What was written behind the first entry of a kind."""
    found = [e.kind for e in await journal.events(run_id) if e.kind not in {"wait.progress", "step.started"}]
    return found[found.index(after) + 1 :]


class Halfway:
    """Holds the run in the middle of its first act until it is let go on, with one half sent."""

    def __init__(self, world: World) -> None:
        self.there, self.on = asyncio.Event(), asyncio.Event()
        world.answers["after v4 of do egress"] = self

    async def __call__(self) -> None:
        self.there.set()
        await self.on.wait()


@pytest.mark.parametrize("path", SIGNALS)
async def test_by_default_the_half_moved_group_is_finished_and_the_run_let_go(tmp_path: Path, path: ExitPath) -> None:
    world = World()
    halfway = Halfway(world)
    async with console(tmp_path / "j.db", world) as (journal, engine):
        row = await journal.create_run(book())
        driving = Driving(engine, row.run_id, row.fence)
        await halfway.there.wait()
        leaving = asyncio.create_task(driving.leave(path))
        async for event in journal.follow(row.run_id):
            if event.kind == "driver.left":
                break
        assert event.data == {"path": path, "policy": "finish"}
        assert not driving.done
        halfway.on.set()
        await leaving
        view = await driving.result()
        assert view.state == "RUNNING"
        assert world.device.ledger == [("egress", "do"), ("return", "do")], "both halves, and nothing further"
        assert await kinds(journal, row.run_id, "driver.left") == [
            *("act.result", "verify.ok"),
            *("act.intent", "act.result", "verify.ok"),
            "driver.released",
        ]
        assert (await journal.run(row.run_id)).orphaned
        assert (await engine.drive(row.run_id, await journal.claim(row.run_id))).state == "COMPLETED"


@pytest.mark.parametrize("path", SIGNALS)
async def test_undo_turns_round_and_undoes_before_it_leaves(tmp_path: Path, path: ExitPath) -> None:
    world = World()
    halfway = Halfway(world)
    async with console(tmp_path / "j.db", world) as (journal, engine):
        row = await journal.create_run(book(steps(**{path: "undo"})))
        driving = Driving(engine, row.run_id, row.fence)
        await halfway.there.wait()
        leaving = asyncio.create_task(driving.leave(path))
        async for event in journal.follow(row.run_id):
            if event.kind == "driver.left":
                break
        halfway.on.set()
        await leaving
        view = await driving.result()
        assert (view.state, view.reason) == ("ROLLED_BACK", f"{path}: undone before alice left")
        assert world.device.values == Device().values
        assert world.device.ledger == [("egress", "do"), ("egress", "undo")], "the second half was never begun"


@pytest.mark.parametrize("path", SIGNALS)
async def test_hold_stops_at_once_and_the_next_driver_looks_first(tmp_path: Path, path: ExitPath) -> None:
    world = World()
    halfway = Halfway(world)
    async with console(tmp_path / "j.db", world) as (journal, engine):
        row = await journal.create_run(book(steps(**{path: "hold"})))
        driving = Driving(engine, row.run_id, row.fence)
        await halfway.there.wait()
        await driving.leave(path)
        assert (await driving.result()).state == "RUNNING"
        assert await kinds(journal, row.run_id, "act.intent") == ["driver.left", "act.interrupted", "driver.released"]
        view = await engine.drive(row.run_id, await journal.claim(row.run_id))
        assert view.state == "NEEDS_DECISION", "half an act was seen: a person decides"


async def test_asked_twice_it_holds_now(tmp_path: Path) -> None:
    world = World()
    halfway = Halfway(world)
    async with console(tmp_path / "j.db", world) as (journal, engine):
        row = await journal.create_run(book())
        driving = Driving(engine, row.run_id, row.fence)
        await halfway.there.wait()
        leaving = asyncio.create_task(driving.leave("ctrl-c"))
        async for event in journal.follow(row.run_id):
            if event.kind == "driver.left":
                break
        await driving.stop()
        await leaving
        assert await kinds(journal, row.run_id, "driver.left") == ["act.interrupted", "driver.released"]


@pytest.mark.parametrize(("exits", "ended"), [({}, "WAITING"), ({"exception": "undo"}, "ROLLED_BACK")])
async def test_a_fault_of_ours_is_written_down_and_held_unless_the_step_undoes(
    tmp_path: Path, exits: dict[str, str], ended: str
) -> None:
    world = World(answers={"confirm clear": [RuntimeError("a bug")]})
    asked = [step | ({"exits": exits} if step["id"] == "clear" else {}) for step in BOOK["steps"]]
    async with console(tmp_path / "j.db", world) as (journal, engine):
        row = await journal.create_run(book({"steps": asked}))
        driving = Driving(engine, row.run_id, row.fence)
        if ended == "WAITING":
            with pytest.raises(RuntimeError, match="a bug"):
                await driving.result()
        else:
            await driving.result()
        left = next(e for e in await journal.events(row.run_id) if e.kind == "driver.left")
        assert left.data == {
            "path": "exception",
            "policy": exits.get("exception", "hold"),
            "reason": "RuntimeError: a bug",
        }
        assert (await view_of(journal, row.run_id)).state == ended
        assert (await journal.run(row.run_id)).driver is None
    assert world.device.values == (Device().values if exits else Device().values | MOVED)


MOVED = {f"{step}/{half}": 120 for step in ("egress", "return") for half in ("v4", "v6")}


@pytest.mark.parametrize(("policy", "ended"), [("hold", "NEEDS_DECISION"), ("undo", "ROLLED_BACK")])
async def test_a_timeout_that_saw_harm_asks_or_undoes(tmp_path: Path, policy: str, ended: str) -> None:
    from runbooks.effects import Finding

    world = World(answers={"verify do shut": [Finding(ok=False, reason="still up")]})
    async with console(tmp_path / "j.db", world) as (journal, engine):
        row = await journal.create_run(book({"steps": [act("shut", exits={"timeout": policy})]}))
        assert (await Driving(engine, row.run_id, row.fence).result()).state == ended


async def test_a_lost_fence_always_holds_and_says_that_it_noticed(tmp_path: Path) -> None:
    world = World()
    halfway = Halfway(world)
    async with (
        console(tmp_path / "j.db", world) as (journal, engine),
        console(tmp_path / "j.db", World(world.device), "bob") as (other, _),
    ):
        row = await journal.create_run(book(steps(ctrl_c="undo")))
        driving = Driving(engine, row.run_id, row.fence)
        await halfway.there.wait()
        await other.claim(row.run_id, force=True)
        halfway.on.set()
        with pytest.raises(FenceLost):
            await driving.result()
        assert await kinds(other, row.run_id, "driver.claimed") == ["late.act.result", "note.left"]
        assert world.device.ledger == [("egress", "do")]
