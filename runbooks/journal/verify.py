"""Recompute the hash chain of a run and name the first entry that is not as it was written.

Works on raw columns: an entry that can no longer be read must still be named.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from runbooks.journal.errors import UnknownRun
from runbooks.journal.log import HASHED, Body, Row, chain_hash
from runbooks.journal.records import ChainReport, sha256
from runbooks.journal.signing import bad_signature


def chains(run_id: str | None, anchor: str | None = None) -> Body[list[ChainReport]]:
    """Report on one run, or on every run in the order of their creation. Raises UnknownRun.

    `anchor` is a head that was kept elsewhere, in a ticket or a report: it must still stand in the chain, because
    whoever owns the database can write a tail anew, with its hashes.
    """
    only, params = ("WHERE run_id = ?", (run_id,)) if run_id else ("", ())
    runs = yield (
        f"SELECT run_id, definition, definition_sha, head_seq, head_hash FROM run {only} ORDER BY created_at, run_id",  # noqa: S608 - one of two constants
        params,
    )
    if run_id and not runs:
        raise UnknownRun(run_id)
    reports = []
    for run in runs:
        report = yield from _chain(run, anchor)
        reports.append(report)
    return reports


def _chain(run: Row, anchor: str | None) -> Body[ChainReport]:
    run_id, definition, definition_sha, head_seq, head_hash = run
    rows = yield (
        f"SELECT {', '.join(HASHED)}, prev_hash, hash, sig FROM event WHERE run_id = ? ORDER BY seq",  # noqa: S608 - column names are ours
        (run_id,),
    )
    bad = _bad_definition(definition, definition_sha) or _bad_entry(definition_sha, rows)
    bad = bad or _bad_head(rows, head_seq, head_hash) or _bad_anchor(rows, anchor)
    seq, reason = bad or (None, "")
    return ChainReport(run_id, bad is None, len(rows), seq, reason, head_hash)


def _bad_definition(definition: str, definition_sha: str) -> tuple[int, str] | None:
    """The chain starts at the definition: if that was changed, the first entry no longer stands on it."""
    if not definition.isascii() or sha256(definition) != definition_sha:
        return 1, "the frozen definition, on which the first entry stands, was changed"
    return None


def _bad_entry(prev: str, rows: Sequence[Row]) -> tuple[int, str] | None:
    for expected, row in enumerate(rows, start=1):
        columns: Sequence[Any] = row[: len(HASHED)]
        prev_hash, digest, sig = row[len(HASHED) :]
        if columns[1] != expected:
            return expected, f"entry {expected} is missing"
        if prev_hash != prev:
            return expected, "it does not follow the entry before it"
        if chain_hash(prev, columns) != digest:
            return expected, "its content is not what was written"
        if bad := bad_signature(json.loads(columns[-1]), digest, sig):
            return expected, bad
        prev = digest
    return None


def _bad_head(rows: Sequence[Row], head_seq: int, head_hash: str) -> tuple[int, str] | None:
    if len(rows) < head_seq:
        return len(rows) + 1, f"entry {len(rows) + 1} is missing"
    if len(rows) > head_seq:
        return head_seq + 1, "it was added behind the journal's back"
    if rows and rows[-1][-2] != head_hash:
        return head_seq, "the run's head does not name it"
    return None


def _bad_anchor(rows: Sequence[Row], anchor: str | None) -> tuple[int, str] | None:
    if anchor is None or any(row[-2] == anchor for row in rows):
        return None
    return len(rows), f"the anchored head {anchor} is not in this chain: entries were written anew, with their hashes"
