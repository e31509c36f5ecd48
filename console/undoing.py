"""Which run a book that undoes another puts back, and which part of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from console.fail import Refused
from runbooks.journal import RunRow
from runbooks.putback import acts, part, remaining
from runbooks.scene import Undoing
from runbooks.turns import ALL


def undos_of(run_id: str, rows: Sequence[RunRow]) -> list[RunRow]:
    """The linked runs that put a run back, or try to."""
    return [row for row in rows if row.definition.get("undo_of") == run_id]


def left_of(row: RunRow, undos: Sequence[RunRow]) -> Mapping[str, Any]:
    """A run's definition with what its COMPLETED undos have left in place."""
    return remaining(row.definition, [undo.definition for undo in undos if undo.state == "COMPLETED"])


def in_place(book: str, parameters: Mapping[str, str], rows: Sequence[RunRow]) -> Undoing:
    """What nothing has put back of the newest COMPLETED run of `book` with these parameters; `rows` newest first.

    A run of `all` is one with each of them too: then only that part of it is meant. Raises Refused when there is none,
    or when an undo of it is already under way.
    """
    others = []
    for row in rows:
        if row.book != book or row.state != "COMPLETED" or row.definition.get("undo_of"):
            continue
        undos = undos_of(row.run_id, rows)
        left = left_of(row, undos)
        asked = _asked(parameters, left)
        if not acts(asked):
            others += [f"{row.run_id} ({', '.join(left['touches'])})"] if acts(left) else []
            continue
        if open_ := next((undo for undo in undos if undo.closed_at is None), None):
            raise Refused(
                f"{row.run_id} is being put back by {open_.run_id}: `interlock rollback {row.run_id}` goes on"
            )
        return Undoing(row.run_id, asked)
    words = " ".join(f"{name}={value}" for name, value in parameters.items())
    beside = f"; in place: {'; '.join(others)}" if others else ""
    raise Refused(f"no COMPLETED run of {book} {words} is in place: there is nothing to put back{beside}")


def _asked(parameters: Mapping[str, str], left: Mapping[str, Any]) -> Mapping[str, Any]:
    """The part with these parameters; the undo's own decide, what else the run was given does not."""
    given: Mapping[str, str] = left.get("parameters", {})
    narrower = {name: value for name, value in parameters.items() if given.get(name) != value}
    if any(given.get(name) != ALL for name in narrower):
        return part(left, ())
    meant = (act for act in acts(left) if all(act["with"].get(name) == value for name, value in narrower.items()))
    return part(left, [act["id"] for act in meant])
