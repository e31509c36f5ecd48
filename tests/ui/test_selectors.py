"""Pure selectors: every string that the screens show is made here, so it is tested here."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from console import plan_view, run_view, run_words, step_view, view
from console.topology_view import topology_lines
from network.health import judge
from network.snapshot import Snapshot
from runbooks.engine import view_of
from runbooks.journal import NewRun
from runbooks.view import RunView
from tests.sample import NOW, healthy, reference
from tests.ui.world import SmallDesk, Stage, Ticks, a_journal, a_plan, raw, with_faults

SITE = reference()
FAULTY = judge(SITE, with_faults(SITE, raw(healthy(SITE))), NOW)


def words(lines: list[list[view.Cell]]) -> str:
    return "\n".join("".join(cell.text for cell in line) for line in lines)


def test_nothing_known_is_unknown_and_never_green() -> None:
    health = judge(SITE, Snapshot(), NOW)
    for cloud in health.clouds:
        assert {cell.text for _, cell in view.cloud_facts(cloud)} == {"unknown"}
    assert all(row.cells[key].tone != "up" for row in view.path_rows(health) for key in row.cells)


def test_spare_that_is_missing_is_said_when_it_is_known() -> None:
    facts = dict(view.cloud_facts(FAULTY.cloud("aws")))
    assert facts["out"].text == "dx-2"
    assert facts["spare"].text == "vpn-1, vpn-2"


@given(st.floats(min_value=0, max_value=1e8))
@settings(max_examples=100)
def test_span_fits_its_column(seconds: float) -> None:
    assert len(view.span(seconds)) <= 6


@given(st.text(max_size=20))
@settings(max_examples=100)
def test_filter_hides_some_rows_or_says_what_is_wrong_with_it(text: str) -> None:
    rows = view.path_rows(FAULTY)
    try:
        kept = view.filtered(rows, text)
    except view.BadFilter:
        with pytest.raises(view.BadFilter, match="fields:"):
            view.filtered(rows, text)
        return
    inverse = view.filtered(rows, text.removeprefix("!") if text.startswith("!") else f"!{text}")
    assert sorted(row.name for row in [*kept, *inverse]) == sorted(row.name for row in rows)


def test_topology_has_one_line_a_path_and_none_where_it_is_down() -> None:
    lines = words(topology_lines(SITE, FAULTY)).splitlines()
    assert len(lines) == len(SITE.paths)
    down = next(line for line in lines if "dx-1" in line)
    assert "X" in down
    assert "━" not in down
    carrying = [line for line in lines if "━" in line]
    assert [("er-primary" in line, "dx-2" in line) for line in carrying] == [(True, False), (False, True)]


def test_plan_shows_commands_forecast_undo_and_hash() -> None:
    shown = words(plan_view.lines(a_plan({"port": "port-a"}), "CHG1"))
    for each in ("AZURE  out and back er-primary  →  out and back er-secondary", "set local-preference 120"):
        assert each in shown
    assert shown.index("undo") < shown.index("set local-preference 200")
    assert "9c41e7d2ab10" in shown


async def ran(folder: Path, held: str = "") -> RunView:
    stage = Stage({held: asyncio.Event()} if held else {})
    desk = SmallDesk(await a_journal(folder, Ticks()), stage, None, lambda: NOW)  # type: ignore[arg-type]
    run_id = await desk.start(a_plan({"port": "port-a"}), "CHG1")
    if held:
        async for event in desk.journal.follow(run_id):
            if event.kind == "act.result" and event.step == held.rsplit(maxsplit=1)[-1]:
                break
    else:
        await desk.finished()
    seen = await view_of(desk.journal, run_id)
    await desk.close()
    return seen


async def test_abort_names_what_was_done_last_first_and_nothing_else(tmp_path: Path) -> None:
    shown = words(run_words.abort_lines(await ran(tmp_path, "verify move-azure")))
    assert "move-azure" in shown
    assert "move-aws" not in shown


async def test_proofs_stand_beside_what_was_expected(tmp_path: Path) -> None:
    seen = await ran(tmp_path)
    step = seen.step("move-azure")
    assert step is not None
    assert step_view.proofs(step, undo=False)[1] == ("azure back", "azure/er-secondary", "azure/er-primary", False)
    wide, narrow = (words(run_view.detail_lines(seen, step, width, 40)) for width in (100, 40))
    assert "azure back  azure/er-secondary  ! azure/er-primary" in wide
    assert "azure back\n   azure/er-secondary  ! azure/er-primary" in narrow


@pytest.mark.parametrize("width", [18, 26, 60])
async def test_step_lines_keep_their_width(tmp_path: Path, width: int) -> None:
    lines = step_view.step_lines(await ran(tmp_path), NOW, width)
    assert len(lines) == 5
    assert all(len("".join(cell.text for cell in line)) <= width for line in lines)


async def test_last_step_stays_in_view_until_the_run_is_closed(tmp_path: Path) -> None:
    seen = await ran(tmp_path)
    settled = replace(seen, outcome=None)  # every step is done, and a dead-man is still being disarmed
    at = step_view.current(settled)
    assert at is not None
    assert at.id == "verify"


def proof_words(width: int) -> list[str]:
    long = step_view.Proof("port-a carries", "below 1 % of its load, or 100 kb/s, 3 times", "12 Mbps, 1 of 3", ok=False)
    brief = step_view.Proof("azure out", "azure/er-secondary", "azure/er-secondary", ok=True)
    return words(step_view.proof_lines([brief, long], width)).splitlines()


def test_proof_that_is_too_long_breaks_no_other() -> None:
    assert proof_words(100)[1] == "azure out       azure/er-secondary                           = azure/er-secondary"
    narrow = proof_words(46)
    assert all(len(line) <= 46 for line in narrow[:3]), narrow
    assert narrow[2] == "   azure/er-secondary  = azure/er-secondary"


@pytest.mark.parametrize(
    ("told", "says"),
    [
        (("cmd.pause", {}), ["paused by bob at 02:59:"]),
        (
            ("journal.returned", {"ask": True, "reason": "away for 37 s: look, then resume"}),
            ["away for 37 s: look, then"],
        ),
        (("journal.returned", {"ask": False}), []),
        (("guard.tripped", {"guard": "symmetry"}), []),
    ],
    ids=["a person", "an outage", "a short outage", "a guard, which says it itself"],
)
async def test_paused_run_says_who_or_what_paused_it(
    tmp_path: Path, told: tuple[str, dict[str, object]], says: list[str]
) -> None:
    journal = await a_journal(tmp_path, Ticks(), user="bob")
    row = await journal.create_run(NewRun("drain-port", "1", a_plan({"port": "port-a"}).definition(), ticket="CHG1"))
    fence = None if told[0].startswith("cmd.") else row.fence
    await journal.append(row.run_id, told[0], data=told[1], fence=fence)
    lines = words(run_words.paused_lines(await journal.events(row.run_id))).splitlines()
    await journal.close()
    assert len(lines) == len(says)
    assert all(line.startswith(each) for line, each in zip(lines, says, strict=True))
