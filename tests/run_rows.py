"""A run's row as a list shows it, for whatever looks at runs without a journal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from runbooks.journal import RunRow
from tests.sample import NOW


def run_row(run_id: str, book: str, definition: Mapping[str, Any], state: str, *, alive: bool = False) -> RunRow:
    return RunRow(
        run_id=run_id,
        book=book,
        version="1",
        definition=definition,
        definition_sha="",
        actions={},
        ticket=None,
        created_by="alice",
        created_host="h",
        created_at=NOW,
        state=state,
        direction="forward",
        driver="c",
        driver_user="alice",
        fence=1,
        head_seq=1,
        head_hash="",
        closed_at=NOW if state == "COMPLETED" else None,
        driver_alive=alive,
    )
