"""The exit table, performed: every path on which a driver can leave, with every policy that a step may give it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import pytest

from runbooks.driving import Driving
from runbooks.effects import Finding, Reading
from runbooks.engine import view_of
from runbooks.exits import DEFAULTS, ExitPath, fault
from runbooks.journal import FenceLost, Journal, RunRow
from runbooks.model import ExitPolicy
from runbooks.view import RunView
from tests.engine.little_device import BOOK, Device, World, act, book, console

GUARD = {"name": "seen", "k": 1, "n": 1}
SIGNALS: tuple[ExitPath, ...] = ("ctrl-c", "sigterm", "sighup", "closed-terminal")

HALF = [("egress", "do")]
MOVED = [*HALF, ("return", "do")]
UNDONE = [*MOVED, ("return", "undo"), ("egress", "undo")]
#: What is left of a run that leaves on a path, and what its device was sent. A signal comes in the middle of the first
#: act of two, harm and a fault of ours after both, a lost fence in the middle again.
TABLE: Mapping[tuple[str, ExitPolicy], tuple[str, list[tuple[str, str]]]] = {
    **{(path, "finish"): ("RUNNING", MOVED) for path in SIGNALS},
    **{(path, "undo"): ("ROLLED_BACK", [*HALF, ("egress", "undo")]) for path in SIGNALS},
    **{(path, "hold"): ("RUNNING", HALF) for path in SIGNALS},
    ("exception", "hold"): ("WAITING", MOVED),
    ("exception", "undo"): ("ROLLED_BACK", UNDONE),
    ("guard", "hold"): ("PAUSED", MOVED),
    ("guard", "undo"): ("ROLLED_BACK", UNDONE),
    ("guard", "finish"): ("COMPLETED", [*MOVED, ("shut", "do")]),
    ("timeout", "hold"): ("NEEDS_DECISION", MOVED),
    ("timeout", "undo"): ("ROLLED_BACK", UNDONE),
    ("lost-fence", "hold"): ("RUNNING", HALF),
}
CASES = [
    *((path, None) for path in DEFAULTS),
    *((path, policy) for path in DEFAULTS for policy in get_args(ExitPolicy) if fault(path, policy) is None),
]


def steps(exits: Mapping[str, str], *guards: Mapping[str, Any], only: str = "") -> dict[str, Any]:
    """The book with the same exits on each step, or on one alone, and the guards on its acts and its wait."""
    return {
        "steps": [
            step
            | ({"exits": dict(exits)} if step["id"] == (only or step["id"]) else {})
            | ({"guards": list(guards)} if step["kind"] in {"act", "wait_until"} else {})
            for step in BOOK["steps"]
        ]
    }


async def log(journal: Journal, run_id: str, after: str = "run.created") -> list[str]:
    """What was written behind the first entry of a kind."""
    found = [e.kind for e in await journal.events(run_id) if e.kind not in {"wait.progress", "step.started"}]
    return found[found.index(after) + 1 :]


async def heard(journal: Journal, run_id: str, kind: str) -> Mapping[str, Any]:
    """Wait for the first entry of a kind, and return what it says."""
    async with asyncio.timeout(30):
        async for event in journal.follow(run_id):
            if event.kind == kind:
                return event.data
    raise AssertionError(f"the log ended without {kind}")


class Halfway:
    """Holds the run in the middle of its first act until it is let go on, with one half sent."""

    def __init__(self, world: World) -> None:
        self.there, self.on = asyncio.Event(), asyncio.Event()
        world.answers["after v4 of do egress"] = self

    async def __call__(self) -> None:
        self.there.set()
        await self.on.wait()


class Leaving:
    """A run that is driven until something makes its driver leave."""

    def __init__(self, file: Path) -> None:
        self.file, self.world = file, World()

    async def on(self, path: ExitPath, exits: Mapping[str, str], policy: ExitPolicy) -> RunView:
        """Begin a run, have its driver leave on the path, and return the run as it is left."""
        signalled = path in SIGNALS or path == "lost-fence"
        halfway, over = Halfway(self.world) if signalled else None, asyncio.Event()
        self.prepare(path, over)
        async with console(self.file, self.world) as (journal, engine):
            row = await journal.create_run(book(steps(exits, *([GUARD] if path == "guard" else []))))
            driving = Driving(engine, row.run_id, row.fence)
            match path:
                case "lost-fence":
                    assert halfway is not None
                    await self._taken_over(row, halfway)
                    with pytest.raises(FenceLost):
                        await driving.result()
                case "exception" if policy == "hold":
                    with pytest.raises(RuntimeError, match="a bug"):
                        await driving.result()
                case "guard" if policy == "hold":
                    await heard(journal, row.run_id, "guard.tripped")
                    await driving.stop()
                case "guard" if policy == "finish":
                    await heard(journal, row.run_id, "guard.tripped")
                    over.set()
                case _ if halfway is not None:
                    await self._signalled(driving, path, halfway, journal)
                case _:
                    pass  # nobody but the engine has a part in it
            view = await view_of(journal, row.run_id) if driving.done else await driving.result()
            await self._prove_said(journal, row, path, policy)
            return view

    def prepare(self, path: ExitPath, over: asyncio.Event) -> None:
        waiting = asyncio.Event()

        async def harm() -> Reading:
            return Reading(not waiting.is_set() or self.world.device.ledger != MOVED, "the survivor is lossy")

        async def patient() -> Finding:
            waiting.set()
            await over.wait()
            return Finding(True)

        match path:
            case "exception":
                self.world.answers["confirm clear"] = [RuntimeError("a bug")]
            case "timeout":
                self.world.answers["verify do return"] = [Finding(ok=False, reason="nothing moved")]
            case "guard":
                self.world.answers |= {"guard seen": harm, "wait empty": patient}

    async def _signalled(self, driving: Driving, path: ExitPath, halfway: Halfway, journal: Journal) -> None:
        await halfway.there.wait()
        leaving = asyncio.create_task(driving.leave(path))
        if (await heard(journal, driving.run_id, "driver.left"))["policy"] != "hold":
            assert not driving.done
            halfway.on.set()
        await leaving

    async def _taken_over(self, row: RunRow, halfway: Halfway) -> None:
        await halfway.there.wait()
        async with console(self.file, World(self.world.device), "bob") as (other, _):
            await other.claim(row.run_id, force=True)
            halfway.on.set()

    async def _prove_said(self, journal: Journal, row: RunRow, path: ExitPath, policy: ExitPolicy) -> None:
        """The log says on which path, and what that meant."""
        kind = {"guard": "guard.tripped", "timeout": "verify.timeout", "lost-fence": "note.left"}.get(
            path, "driver.left"
        )
        said = await heard(journal, row.run_id, kind)
        assert said.get("policy", policy) == policy
        assert said.get("path", path) == path
        assert (await journal.run(row.run_id)).driver is None or path == "lost-fence"


@pytest.mark.parametrize(("path", "stated"), CASES)
async def test_each_path_with_each_policy_ends_as_the_table_says(
    tmp_path: Path, path: ExitPath, stated: ExitPolicy | None
) -> None:
    policy = stated or DEFAULTS[path]
    leaving = Leaving(tmp_path / "j.db")
    view = await leaving.on(path, {path: stated} if stated else {}, policy)
    state, sent = TABLE[path, policy]
    assert (view.state, leaving.world.device.ledger) == (state, sent)
    if state == "ROLLED_BACK":
        assert leaving.world.device.values == Device().values


def test_the_table_has_every_line_that_can_be_stated() -> None:
    assert set(TABLE) == {(path, policy) for path, policy in CASES if policy is not None}


async def test_what_was_finished_is_let_go_and_anybody_goes_on(tmp_path: Path) -> None:
    leaving = Leaving(tmp_path / "j.db")
    view = await leaving.on("sighup", {}, "finish")
    async with console(leaving.file, leaving.world) as (journal, engine):
        assert await log(journal, view.run_id, "driver.left") == [
            *("act.result", "verify.ok"),
            *("act.intent", "act.result", "verify.ok"),
            "driver.released",
        ]
        assert (await journal.run(view.run_id)).orphaned
        assert (await engine.drive(view.run_id, await journal.claim(view.run_id))).state == "COMPLETED"


async def test_after_a_hold_the_next_driver_looks_first(tmp_path: Path) -> None:
    leaving = Leaving(tmp_path / "j.db")
    view = await leaving.on("sigterm", {"sigterm": "hold"}, "hold")
    async with console(leaving.file, leaving.world) as (journal, engine):
        assert await log(journal, view.run_id, "act.intent") == ["driver.left", "act.interrupted", "driver.released"]
        view = await engine.drive(view.run_id, await journal.claim(view.run_id))
        assert view.state == "NEEDS_DECISION", "half an act was seen: a person decides"


async def test_an_undo_says_for_whom(tmp_path: Path) -> None:
    view = await Leaving(tmp_path / "j.db").on("sigterm", {"sigterm": "undo"}, "undo")
    assert view.reason == "sigterm: undone before alice left"


async def test_asked_twice_it_holds_now(tmp_path: Path) -> None:
    world = World()
    async with console(tmp_path / "j.db", world) as (journal, engine):
        halfway, row = Halfway(world), await journal.create_run(book())
        driving = Driving(engine, row.run_id, row.fence)
        await halfway.there.wait()
        leaving = asyncio.create_task(driving.leave("ctrl-c"))
        await heard(journal, driving.run_id, "driver.left")
        await driving.stop()
        await leaving
        assert await log(journal, driving.run_id, "driver.left") == ["act.interrupted", "driver.released"]


async def test_what_one_step_only_writes_down_holds_the_next_act_that_says_nothing(tmp_path: Path) -> None:
    """`exits` at a step is that step's word: the wait goes on over the harm, the act behind it does not begin."""
    leaving, over = Leaving(tmp_path / "j.db"), asyncio.Event()
    world = leaving.world
    leaving.prepare("guard", over)
    async with console(leaving.file, world) as (journal, engine):
        row = await journal.create_run(book(steps({"guard": "finish"}, GUARD, only="empty")))
        driving = Driving(engine, row.run_id, row.fence)
        assert (await heard(journal, row.run_id, "guard.tripped"))["policy"] == "finish"
        over.set()
        async with asyncio.timeout(30):
            async for event in journal.follow(row.run_id):
                if event.kind == "guard.tripped" and event.data["policy"] == "hold":
                    break
        assert (await view_of(journal, row.run_id)).state == "PAUSED"
        assert world.device.ledger == MOVED
        await journal.append(row.run_id, "cmd.resume")
        assert (await driving.result()).state == "COMPLETED"
    assert world.device.ledger == [*MOVED, ("shut", "do")]


async def test_a_fault_of_ours_is_written_down_in_its_own_words(tmp_path: Path) -> None:
    leaving = Leaving(tmp_path / "j.db")
    view = await leaving.on("exception", {}, "hold")
    async with console(leaving.file, leaving.world) as (journal, _):
        said = await heard(journal, view.run_id, "driver.left")
    assert said == {"path": "exception", "policy": "hold", "reason": "RuntimeError: a bug"}


async def test_a_lost_fence_always_holds_and_reports_what_it_had_under_way(tmp_path: Path) -> None:
    leaving = Leaving(tmp_path / "j.db")
    view = await leaving.on("lost-fence", {"ctrl-c": "undo"}, "hold")
    async with console(leaving.file, leaving.world) as (journal, _):
        assert await log(journal, view.run_id, "driver.claimed") == ["late.act.result", "note.left"]


async def test_a_single_act_that_times_out_undoes_itself(tmp_path: Path) -> None:
    world = World(answers={"verify do shut": [Finding(ok=False, reason="still up")]})
    async with console(tmp_path / "j.db", world) as (journal, engine):
        row = await journal.create_run(book({"steps": [act("shut", exits={"timeout": "undo"})]}))
        assert (await Driving(engine, row.run_id, row.fence).result()).state == "ROLLED_BACK"
    assert world.device.values == Device().values
