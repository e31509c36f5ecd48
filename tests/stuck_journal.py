"""A journal that can be read and not written, as SQLite itself refuses it: what a full or failing disk looks like."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from runbooks.journal import Journal
from runbooks.journal.sqlite import SqliteEngine


@asynccontextmanager
async def stuck(journal: Journal) -> AsyncIterator[None]:
    """While the block lasts, this console's journal takes nothing."""
    await set_stuck(journal, on=True)
    try:
        yield
    finally:
        await set_stuck(journal, on=False)


async def set_stuck(journal: Journal, *, on: bool) -> None:
    engine = journal._engine
    assert isinstance(engine, SqliteEngine)
    await engine._on_thread(lambda: engine._open_db().execute(f"PRAGMA query_only = {int(on)}"))
