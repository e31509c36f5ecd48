"""Which run a book that undoes another puts back. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from console.fail import Refused
from runbooks.journal import RunRow
from runbooks.scene import Undoing


def undos_of(run_id: str, rows: Sequence[RunRow]) -> list[RunRow]:
    """The linked runs that put a run back, or try to."""
    return [row for row in rows if row.definition.get("undo_of") == run_id]


def in_place(book: str, parameters: Mapping[str, str], rows: Sequence[RunRow]) -> Undoing:
    """The newest COMPLETED run of `book` with these parameters that nothing has put back; `rows` newest first.

    Raises Refused when there is none, or when its undo is already under way.
    """
    words = " ".join(f"{name}={value}" for name, value in parameters.items())
    for row in rows:
        if row.book != book or row.state != "COMPLETED" or row.definition.get("undo_of") or not _same(parameters, row):
            continue
        undos = undos_of(row.run_id, rows)
        if open_ := next((undo for undo in undos if undo.closed_at is None), None):
            raise Refused(
                f"{row.run_id} is being put back by {open_.run_id}: `interlock rollback {row.run_id}` goes on"
            )
        if not any(undo.state == "COMPLETED" for undo in undos):
            return Undoing(row.run_id, row.definition)
    raise Refused(f"no COMPLETED run of {book} {words} is in place: there is nothing to put back (`interlock runs`)")


def _same(parameters: Mapping[str, str], row: RunRow) -> bool:
    """The undo's own parameters decide; what else the run was given does not."""
    given: Mapping[str, str] = row.definition.get("parameters", {})
    return all(given.get(name) == value for name, value in parameters.items())
