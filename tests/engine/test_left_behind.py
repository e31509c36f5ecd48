"""The last thing before an undone run is closed: a look for what it may have left, and what the close says of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from runbooks.effects import Finding
from runbooks.journal import Event
from runbooks.view import RunView
from tests.engine.little_device import World, act, book, console

PROOF = {"expected": [{"what": "edge-1 leftovers", "want": "none", "now": "none", "ok": True}]}


async def rolled_back(file: Path, world: World, steps: list[dict[str, Any]]) -> tuple[RunView, list[Event]]:
    """A run that is turned round once it asks."""
    world.answers["verify do egress"] = Finding(None, "edge-1 is silent")
    async with console(file, world) as (journal, engine):
        row = await journal.create_run(book({"steps": steps}))
        await engine.drive(row.run_id, row.fence)
        await engine.request_rollback(row.run_id, row.fence, "asked")
        return await engine.drive(row.run_id, row.fence), await journal.events(row.run_id)


@pytest.mark.parametrize(
    ("found", "why"),
    [
        (Finding(True, evidence=PROOF), ""),
        (
            Finding(False, "edge-1 dead-men: R-1-egress-a1"),
            "not proven that nothing is left: edge-1 dead-men: R-1-egre",
        ),
        (Finding(None, "edge-1 cannot be read"), "not proven that nothing is left: edge-1 cannot be read"),
        (OSError("no route"), "not proven that nothing is left: OSError: no route"),
    ],
)
async def test_the_close_of_an_undone_run_says_whether_anything_is_left(tmp_path: Path, found: Any, why: str) -> None:
    world = World(answers={"left behind": found})
    view, events = await rolled_back(tmp_path / "j.db", world, [act("egress")])
    assert view.state == "ROLLED_BACK"
    assert view.why.startswith(why)
    assert bool(view.why) is bool(why)
    assert events[-1].kind == "run.closed"
    assert events[-1].data["evidence"] == (PROOF if found == Finding(True, evidence=PROOF) else {})


async def test_it_looks_once_everything_is_undone_and_no_dead_man_is_armed(tmp_path: Path) -> None:
    seen: list[str] = []
    world = World(moment=seen.append)
    view, events = await rolled_back(tmp_path / "j.db", world, [act("egress", deadman_s=30)])
    assert (view.state, view.why) == ("ROLLED_BACK", "")
    assert seen.index("left behind") == seen.index("before entry run.closed") - 1
    kinds = [event.kind for event in events]
    assert kinds.index("deadman.disarmed") < kinds.index("run.closed")


async def test_a_run_that_did_nothing_has_left_nothing(tmp_path: Path) -> None:
    seen: list[str] = []
    world = World(moment=seen.append, answers={"check safe": Finding(False, "no")})
    async with console(tmp_path / "j.db", world) as (journal, engine):
        row = await journal.create_run(book({"steps": [{"id": "safe", "kind": "check"}, act("egress")]}))
        assert (await engine.drive(row.run_id, row.fence)).state == "ROLLED_BACK"
    assert "left behind" not in seen
