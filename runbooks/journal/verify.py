"""Recompute the hash chain of a run and name the first entry that is not as it was written.

Works on raw columns: an entry that can no longer be read must still be named. Only a chain that holds is folded, to
compare the run's row with it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from runbooks.journal.errors import UnknownRun
from runbooks.journal.log import HASHED, Body, Row, chain_hash, read_event
from runbooks.journal.records import ChainReport, sha256, stamp
from runbooks.journal.signing import bad_signature, statement
from runbooks.machine import fold
from runbooks.model import UnfitDefinition, steps_of

Bad = tuple[int, str]  # the first entry that is not as it was written, and why
_RUN = (
    *("definition", "definition_sha", "head_seq", "head_hash", "fence", "driver", "state", "direction"),
    *("runbook_id", "runbook_version", "ticket", "created_by", "created_at", "closed_at"),
)


def run_ids() -> Body[list[str]]:
    """Every run in the order of creation, then those of which only entries are left."""
    runs = yield "SELECT run_id FROM run ORDER BY created_at, run_id", ()
    lost = "SELECT DISTINCT run_id FROM event e WHERE NOT EXISTS (SELECT 1 FROM run r WHERE r.run_id = e.run_id)"
    return [row[0] for row in (*runs, *(yield lost, ()))]


def chain(run_id: str, anchor: str | None = None) -> Body[ChainReport]:
    """Report on one run. Raises UnknownRun.

    `anchor` is a head that was kept elsewhere, in a ticket or a report: it must still stand in the chain, because
    whoever owns the database can write a tail anew, with its hashes.
    """
    found = yield f"SELECT {', '.join(_RUN)} FROM run WHERE run_id = ?", (run_id,)  # noqa: S608 - column names are ours
    rows = yield (
        f"SELECT {', '.join(HASHED)}, prev_hash, hash, sig FROM event WHERE run_id = ? ORDER BY seq",  # noqa: S608 - column names are ours
        (run_id,),
    )
    held = yield "SELECT resource, fence FROM res_lock WHERE run_id = ?", (run_id,)
    if not found and not rows:
        raise UnknownRun(run_id)
    if not found:
        return ChainReport(
            run_id, ok=False, events=len(rows), first_bad_seq=1, reason="its row is missing", head_hash=""
        )
    run = {**dict(zip(_RUN, found[0], strict=True)), "locks": {lock[0]: lock[1] for lock in held}}
    seq, reason = _bad(run, rows, anchor) or (None, "")
    return ChainReport(run_id, seq is None, len(rows), seq, reason, run["head_hash"])


def _bad(run: Mapping[str, Any], rows: Sequence[Row], anchor: str | None) -> Bad | None:
    return (
        _bad_definition(run["definition"], run["definition_sha"])
        or _bad_entry(run["definition_sha"], rows)
        or _bad_head(rows, run["head_seq"], run["head_hash"])
        or _bad_row(run, rows)
        or _bad_anchor(rows, anchor)
    )


def _bad_definition(definition: object, definition_sha: str) -> Bad | None:
    """The chain starts at the definition: if that was changed, the first entry no longer stands on it."""
    if not isinstance(definition, str) or not definition.isascii() or sha256(definition) != definition_sha:
        return 1, "the frozen definition, on which the first entry stands, was changed"
    return None


def _bad_entry(prev: str, rows: Sequence[Row]) -> Bad | None:
    for expected, row in enumerate(rows, start=1):
        columns: Sequence[Any] = row[: len(HASHED)]
        prev_hash, digest, sig = row[len(HASHED) :]
        if columns[1] != expected:
            return expected, f"entry {expected} is missing"
        if prev_hash != prev:
            return expected, "it does not follow the entry before it"
        if chain_hash(prev, columns) != digest:
            return expected, "its content is not what was written"
        if bad := _bad_signature(columns, sig):
            return expected, bad
        prev = digest
    return None


def _bad_signature(columns: Sequence[Any], sig: str | None) -> str:
    entry = dict(zip(HASHED, columns, strict=True))
    data = json.loads(entry["data"])
    said = statement(entry["run_id"], entry["uid"], entry["kind"], entry["actor"], entry["step"], data)
    return bad_signature(data, said, sig)


def _bad_head(rows: Sequence[Row], head_seq: int, head_hash: str) -> Bad | None:
    if len(rows) < max(head_seq, 1):  # a run is created with its first entry
        return len(rows) + 1, f"entry {len(rows) + 1} is missing"
    if len(rows) > head_seq:
        return head_seq + 1, "it was added behind the journal's back"
    if rows and rows[-1][-2] != head_hash:
        return head_seq, "the run's head does not name it"
    return None


def _bad_row(run: Mapping[str, Any], rows: Sequence[Row]) -> Bad | None:
    """What the row says for lists, and of who may drive, and the locks are projections of the log: nothing else."""
    events = [read_event((*row[: len(HASHED)], row[-2])) for row in rows]
    created = events[0]
    try:
        view = fold(steps_of(json.loads(run["definition"])), events)
    except UnfitDefinition:
        return None  # of a later version, which can fold it: here only its chain can be checked
    claims = [event for event in events if event.kind in {"run.created", "driver.claimed"}]
    logged = {
        "runbook_id": created.data["book"],
        "runbook_version": created.data["version"],
        "ticket": created.data["ticket"],
        "created_by": created.actor,
        "created_at": stamp(created.ts),
        "state": view.state,
        "direction": view.direction,
        "fence": claims[-1].fence,
        "driver": None if view.closed or view.unmanned else claims[-1].console,
        "closed_at": stamp(view.ended) if view.ended else None,
        "locks": {} if view.closed else created.data["locks"],
    }
    wrong = [f"{name} {run[name]!r}, and its log {value!r}" for name, value in logged.items() if run[name] != value]
    return (created.seq, f"the run's row says {'; '.join(wrong)}") if wrong else None


def _bad_anchor(rows: Sequence[Row], anchor: str | None) -> Bad | None:
    if anchor is None or any(row[-2] == anchor for row in rows):
        return None
    return len(rows), f"the anchored head {anchor} is not in this chain: entries were written anew, with their hashes"
