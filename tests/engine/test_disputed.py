"""What landed after the close disputes the outcome: it is said wherever the run is read."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from console.run_view import run_cells
from console.rundoc import DISPUTED, report, run_document, run_line, run_text
from runbooks.engine import view_of
from tests.engine.little_device import World, book, console


@pytest.mark.parametrize("late", [True, False])
async def test_a_disputed_run_says_so_in_the_list_and_in_full(file: Path, world: World, late: bool) -> None:
    async with console(file, world) as (journal, _):
        run = await journal.create_run(book({"steps": [{"id": "safe", "kind": "check"}]}))
        await journal.append(run.run_id, "run.closed", fence=run.fence, data={"outcome": "ROLLED_BACK"})
        if late:
            await journal.append(run.run_id, "late.act.result", step="safe")
        (row,), view = await journal.runs(), await view_of(journal, run.run_id)
        assert (run_line(row)["disputed"], run_document(row, view)["disputed"]) == (late, late)
        assert (run_cells(row, datetime.now(UTC))["state"].text == "X disputed") is late
        assert (DISPUTED in run_text(row, view)) is late
        assert (DISPUTED in report(row, view, await journal.events(run.run_id))) is late
