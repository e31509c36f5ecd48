"""Whatever is changed in a finished run's log, `verify` names the entry: any column, any row, any cut, a new tail."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from runbooks.journal import ChainReport, Journal, UnknownRun
from runbooks.journal.log import HASHED, chain_hash
from runbooks.journal.records import sha256
from tests.engine.little_device import World, book, console


class Owner:
    """Whoever owns the file: can drop its triggers and write what they like."""

    def __init__(self, file: Path, run: str) -> None:
        self.file, self.run = file, run
        for name in ("changed", "deleted", "replaced"):
            self.does(f"DROP TRIGGER event_is_never_{name}")

    def does(self, statement: str, *values: object) -> None:
        with closing(sqlite3.connect(self.file, isolation_level=None)) as db:
            db.execute(statement, values)

    def value(self, column: str, seq: int) -> object:
        with closing(sqlite3.connect(self.file)) as db:
            (row,) = db.execute(f"SELECT {column} FROM event WHERE run_id = ? AND seq = ?", (self.run, seq))
        return row[0]

    def sets(self, column: str, seq: int, value: object) -> None:
        self.does(f"UPDATE event SET {column} = ? WHERE run_id = ? AND seq = ?", value, self.run, seq)

    def row(self, column: str) -> object:
        with closing(sqlite3.connect(self.file)) as db:
            (row,) = db.execute(f"SELECT {column} FROM run WHERE run_id = ?", (self.run,))
        return row[0]

    def sets_row(self, column: str, value: object) -> None:
        self.does(f"UPDATE run SET {column} = ? WHERE run_id = ?", value, self.run)

    def writes_anew(self, first: int, last: int) -> None:
        """Chain every entry from `first` on again, and the run's head to the last."""
        for seq in range(first, last + 1):
            before = self.value("hash", seq - 1) if seq > 1 else self.row("definition_sha")
            digest = chain_hash(str(before), [self.value(column, seq) for column in HASHED])
            self.sets("prev_hash", seq, before)
            self.sets("hash", seq, digest)
        self.does("UPDATE run SET head_hash = ? WHERE run_id = ?", self.value("hash", last), self.run)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    async with console(tmp_path / "journal.db", World()) as (journal, engine):
        row = await journal.create_run(book())
        assert (await engine.drive(row.run_id, row.fence)).state == "COMPLETED"
        yield journal


@pytest.fixture
async def owner(journal: Journal, tmp_path: Path) -> Owner:
    return Owner(tmp_path / "journal.db", (await journal.runs())[0].run_id)


def flipped(value: object) -> object:
    """The value with one bit of its last byte changed."""
    if isinstance(value, int):
        return value ^ 1
    text = str(value or "")
    return text[:-1] + chr(ord(text[-1]) ^ 1) if text else "x"


async def report(journal: Journal, owner: Owner, anchor: str | None = None) -> ChainReport:
    return (await journal.verify(owner.run, anchor))[0]


@pytest.mark.parametrize("column", sorted({*HASHED, "prev_hash", "hash"} - {"seq"}))
async def test_one_flipped_bit_of_any_entry(journal: Journal, owner: Owner, column: str) -> None:
    for seq in range(1, (await report(journal, owner)).events + 1):
        value = owner.value(column, seq)
        owner.sets(column, seq, flipped(value))
        found = await report(journal, owner)
        assert (found.ok, found.first_bad_seq) == (False, seq), column
        if column == "run_id":
            owner.does("UPDATE event SET run_id = ? WHERE run_id = ?", owner.run, flipped(owner.run))
        else:
            owner.sets(column, seq, value)
    assert (await report(journal, owner)).ok, "as it was written, it is whole"


async def test_one_removed_row_and_one_cut_tail(journal: Journal, owner: Owner) -> None:
    entries = (await report(journal, owner)).events
    owner.does("CREATE TABLE kept AS SELECT * FROM event")
    for seq in range(1, entries + 1):
        for removed in ("seq = ?", "seq >= ?"):
            owner.does(f"DELETE FROM event WHERE {removed}", seq)
            found = await report(journal, owner)
            assert (found.ok, found.first_bad_seq, found.reason) == (False, seq, f"entry {seq} is missing")
            owner.does("DELETE FROM event")
            owner.does("INSERT INTO event SELECT * FROM kept")
    assert (await report(journal, owner)).ok


ROW = {
    *("runbook_id", "runbook_version", "definition", "definition_sha", "ticket", "created_by", "created_at"),
    *("state", "direction", "driver", "fence", "head_seq", "head_hash", "closed_at"),
}


async def test_one_flipped_bit_of_the_runs_own_row(journal: Journal, owner: Owner) -> None:
    for column in sorted(ROW):
        value = owner.row(column)
        owner.sets_row(column, flipped(value))
        found = await report(journal, owner)
        assert (found.ok, found.first_bad_seq is not None) == (False, True), column
        owner.sets_row(column, value)
    assert (await report(journal, owner)).ok, "as it was written, it is whole"


async def test_a_definition_that_is_no_text_any_more_is_named(journal: Journal, owner: Owner) -> None:
    owner.sets_row("definition", b"\x00")
    found = await report(journal, owner)
    assert (found.ok, found.first_bad_seq) == (False, 1)


@pytest.mark.parametrize("change", ["run_id = NULL", "run_id = 'R-19700101-01'", "fence = fence - 1"])
async def test_a_lock_that_was_taken_from_an_open_run_is_named(journal: Journal, owner: Owner, change: str) -> None:
    run = (await journal.create_run(book())).run_id
    assert (await journal.verify(run))[0].ok
    owner.does(f"UPDATE res_lock SET {change} WHERE run_id = ?", run)
    (found,) = await journal.verify(run)
    assert (found.ok, "locks" in found.reason) == (False, True)


async def test_of_a_later_versions_run_the_chain_alone_is_checked(journal: Journal, owner: Owner) -> None:
    entries, later = (await report(journal, owner)).events, '{"steps":[{"id":"a","kind":"of a later version"}]}'
    for column, value in (("definition", later), ("definition_sha", sha256(later)), ("state", "OF A LATER VERSION")):
        owner.sets_row(column, value)
    owner.writes_anew(1, entries)
    assert (await report(journal, owner)).ok
    owner.sets("actor", 2, "mallory")
    assert (await report(journal, owner)).first_bad_seq == 2


async def test_a_run_of_which_nothing_but_its_row_is_left_is_named(journal: Journal, owner: Owner) -> None:
    owner.does("DELETE FROM event")
    owner.sets_row("head_seq", 0)
    found = await report(journal, owner)
    assert (found.ok, found.reason) == (False, "entry 1 is missing")


async def test_a_run_whose_own_row_was_removed_is_named(journal: Journal, owner: Owner) -> None:
    entries = (await report(journal, owner)).events
    owner.does("DELETE FROM run WHERE run_id = ?", owner.run)
    for found in (*await journal.verify(), await report(journal, owner)):
        assert (found.run_id, found.ok, found.events, "row is missing" in found.reason) == (
            owner.run,
            False,
            entries,
            True,
        )
    with pytest.raises(UnknownRun):
        await journal.verify("R-19700101-01")


async def test_a_tail_that_was_written_anew_does_not_hold_the_anchored_head(journal: Journal, owner: Owner) -> None:
    anchored = await report(journal, owner)
    assert (await report(journal, owner, anchored.head_hash)).ok
    for seq in range(2, anchored.events + 1):
        owner.sets("actor", seq, "mallory")
        owner.writes_anew(seq, anchored.events)
        assert (await report(journal, owner)).ok, "the chain alone cannot tell"
        found = await report(journal, owner, anchored.head_hash)
        assert (found.ok, anchored.head_hash in found.reason) == (False, True)
        owner.sets("actor", seq, "alice")
        owner.writes_anew(seq, anchored.events)
    assert (await report(journal, owner, anchored.head_hash)).ok


async def test_a_note_after_the_close_leaves_the_anchored_head_in_the_chain(journal: Journal, owner: Owner) -> None:
    anchored = (await report(journal, owner)).head_hash
    await journal.append(owner.run, "note.failed", data={"reason": "the ticket system was away"})
    found = await report(journal, owner, anchored)
    assert (found.ok, found.head_hash == anchored) == (True, False)
