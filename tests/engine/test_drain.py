"""What waited in a spool comes into the journal once, however often it is delivered."""

from __future__ import annotations

from pathlib import Path

import pytest

from runbooks.journal.drain import deliver
from tests.engine.little_device import World, book, console


@pytest.mark.parametrize(
    ("meanwhile", "kind"), [("nothing", "act.result"), ("claim", "late.act.result"), ("close", "late.act.result")]
)
async def test_an_entry_whose_delivery_was_not_noted_is_delivered_again_and_written_once(
    tmp_path: Path, meanwhile: str, kind: str
) -> None:
    """A console died between the journal's word and its own note of it: every later one starts with this delivery."""
    async with console(tmp_path / "journal.db", World(), dead=True) as (gone, _):
        row = await gone.create_run(book())
        waiting = gone.entry(row.run_id, "act.result", fence=row.fence, step="egress", phase="do", attempt=1)
    async with console(tmp_path / "journal.db", World(), "bob") as (journal, _):
        fence = row.fence if meanwhile == "nothing" else await journal.claim(row.run_id)
        if meanwhile == "close":
            await journal.append(row.run_id, "run.closed", fence=fence, data={"outcome": "COMPLETED"})
        for _ in range(2):
            await deliver(journal, waiting)
        told = [event.kind for event in await journal.events(row.run_id) if "spooled_at" in event.data]
        assert told == [kind]


async def test_a_decision_that_is_delivered_still_answers_its_question(tmp_path: Path) -> None:
    async with console(tmp_path / "journal.db", World()) as (journal, _):
        row = await journal.create_run(book())
        waiting = journal.entry(row.run_id, "cmd.decide", fence=row.fence, reply_to=1, data={"choice": "redo"})
        await deliver(journal, waiting)
        assert (await journal.events(row.run_id))[-1].reply_to == 1
