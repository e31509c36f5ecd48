"""What the screens say of a dead-man, from its log and from what its driver hears."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from console.deadman_view import deadman_cell, deadman_lines
from console.hold_view import hold_lines
from console.rundoc import run_document, run_text
from runbooks.journal import Event, NewRun, RunRow
from runbooks.machine import fold
from runbooks.model import steps_of
from runbooks.standing import Away
from runbooks.view import RunView
from tests.sample import NOW
from tests.ui.test_selectors import words
from tests.ui.world import Ticks, a_journal, a_plan

TIMER = {"id": "t1", "seconds": 15.0, "places": ["edge-1", "edge-2"]}
AWAY = Away("timeout", 4.0, 15.0, "act.intent of move-aws", (), False, 0, 2.2, "whole", 11.0)


async def log(folder: Path, *more: tuple[str, Mapping[str, Any]]) -> tuple[RunRow, RunView, list[Event]]:
    """A run of bob's whose first act is armed, and what came after it."""
    journal = await a_journal(folder, Ticks(), user="bob")
    row = await journal.create_run(NewRun("drain-port", "1", a_plan({"port": "port-a"}).definition(), ticket="CHG1"))
    for kind, data in (("act.intent", {"deadman": TIMER}), ("act.result", {}), *more):
        if kind == "driver.released":
            await journal.release(row.run_id, row.fence)
        else:
            where: dict[str, Any] = {"step": "move-azure", "phase": "do", "attempt": 1, "fence": row.fence}
            await journal.append(row.run_id, kind, data=data, **where)
    events, now = await journal.events(row.run_id), await journal.run(row.run_id)
    await journal.close()
    return now, fold(steps_of(row.definition), events), events


def said(
    of: tuple[RunRow, RunView, list[Event]],
    fuses: Mapping[str, Mapping[str, float]],
    width: int = 90,
    later_s: float = 4,
) -> str:
    row, view, events = of
    here = view.step("move-azure")
    assert here is not None
    later = events[-1].ts + timedelta(seconds=later_s)
    return words(deadman_lines(row, view, here, events, fuses, later, width))


def cell(of: tuple[RunRow, RunView, list[Event]], fuses: Mapping[str, Mapping[str, float]]) -> str:
    return "".join(each.text for each in deadman_cell(of[1], of[2], fuses))


async def test_driver_sees_the_seconds_and_a_follower_when_the_driver_was_heard(tmp_path: Path) -> None:
    run = await log(tmp_path)
    fuses = {"t1": {"edge-1": 11.7, "edge-2": 11.7}}
    assert said(run, fuses) == "dead-man edge-1, edge-2: restores in 11 s unless we speak"
    assert said(run, fuses, width=46) == "dead-man edge-1, edge-2: restores in 11 s"
    assert cell(run, fuses) == "  dead-man 11 s"
    assert said(run, {}) == "dead-man edge-1, edge-2: armed, 15 s of silence; bob last heard 4 s ago"
    assert cell(run, {}) == "  dead-man armed", "what is not known is not counted"


async def test_place_that_does_not_answer_is_told_apart_and_first(tmp_path: Path) -> None:
    lines = said(await log(tmp_path), {"t1": {"edge-1": 14.0, "edge-2": 3.2}}).splitlines()
    assert lines == [
        "dead-man edge-2: restores in 3 s",
        "dead-man edge-1: restores in 14 s",
    ]


async def test_silence_of_a_driver_that_is_gone(tmp_path: Path) -> None:
    let_go = await log(tmp_path, ("driver.released", {}))
    assert said(let_go, {}) == "dead-man edge-1, edge-2: nobody speaks, restores within 11 s, or has"
    assert said(let_go, {}, later_s=16) == "dead-man edge-1, edge-2: nobody speaks, must have restored by now"
    row, view, events = await log(tmp_path / "other")
    died = replace(row, driver_alive=False), view, events
    assert said(died, {}, later_s=16) == "dead-man edge-1, edge-2: nobody speaks, restores within 15 s, or has"


ENDS: dict[str, tuple[list[tuple[str, Mapping[str, Any]]], list[str], str]] = {
    "fired on one": (
        [("deadman.fired", {"id": "t1", "place": "edge-1"})],
        ["edge-2: armed", "has fired on edge-1: move-azure is put back there"],
        "armed",
    ),
    "lost on one": (
        [("deadman.lost", {"id": "t1", "place": "edge-2"})],
        ["edge-1: armed", "is gone on edge-2: nothing restores there by itself"],
        "armed",
    ),
    "disarmed": (
        [("deadman.disarmed", {"id": "t1", "answers": {"edge-1": "armed", "edge-2": "armed"}})],
        ["disarmed on edge-1, edge-2"],
        "",
    ),
    "silent": (
        [("deadman.unanswered", {"id": "t1", "answers": {"edge-1": "armed", "edge-2": "no route"}, "reason": "r"})],
        ["edge-2 does not answer: what is armed there fires, or has", "disarmed on edge-1"],
        "armed",
    ),
    "of an older attempt": ([("deadman.fired", {"id": "t0", "place": "edge-1"})], ["edge-1, edge-2: armed"], "armed"),
}


@pytest.mark.parametrize("name", ENDS)
async def test_what_became_of_it_is_said(tmp_path: Path, name: str) -> None:
    more, lines, brief = ENDS[name]
    run = await log(tmp_path, *more)
    shown = said(run, {}).splitlines()
    assert len(shown) == len(lines)
    for line, start in zip(shown, lines, strict=True):
        assert line.startswith(f"dead-man {start}")
    assert cell(run, {}).strip() == f"dead-man {brief}".strip() or not brief


async def test_hold_of_a_shared_journal_says_until_when_glass_can_be_broken(tmp_path: Path) -> None:
    _, view, _ = await log(tmp_path)
    box = words(hold_lines(view, AWAY, NOW, asked=True, writing=True))
    ends = NOW + timedelta(seconds=11)
    assert f"b break the glass: act without the journal, until {ends:%H:%M:%S}, 11 s" in box
    assert f"may take the run over from {ends:%H:%M:%S} on" in box
    assert "again in 3 s; goes on by itself if back within 12 s, else asks" in box
    assert f"away since {NOW - timedelta(seconds=4):%H:%M:%S}, 4 s: timeout" in box


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"glass": "shut", "lease_s": 0.0}, ["too late to act", "may drive the run by now"]),
        ({"glass": "broken"}, ["broke the glass"]),
        ({"in_memory": True, "kept": ("a", "b", "c")}, ["3 here: … b, c", "in memory only"]),
        ({"lost": 2}, ["it lost 2 entries"]),
        ({"for_s": 20.0}, ["asks before it goes on: away over 15 s"]),
        ({"waits": "", "retry_s": None}, ["nothing yet", "tries   now"]),
    ],
    ids=["lease over", "broken", "no spool", "lost", "long", "nothing due"],
)
async def test_hold_says_what_is_true_of_it(tmp_path: Path, change: dict[str, Any], says: list[str]) -> None:
    _, view, _ = await log(tmp_path)
    box = words(hold_lines(view, replace(AWAY, **change), NOW, asked=False, writing=True))
    for each in says:
        assert each in box
    assert "break the glass:" not in box, "it is offered only while it is asked for"
    assert all(len(line) <= 76 for line in box.splitlines() if "journal" not in line[:8]), "it fits 80 columns"


async def test_show_tells_of_what_is_armed(tmp_path: Path) -> None:
    row, view, _ = await log(tmp_path)
    step = run_document(row, view)["steps"][1]
    assert step["deadman"] == TIMER | {"unanswered": False}
    assert "dead-man move-azure  edge-1, edge-2: 15 s of silence restore" in run_text(row, view)
    row, view, _ = await log(tmp_path / "after", ("deadman.disarmed", {"id": "t1", "answers": {}}))
    assert run_document(row, view)["steps"][1]["deadman"] is None
    assert "dead-man" not in run_text(row, view)
