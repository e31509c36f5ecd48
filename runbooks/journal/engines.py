"""What the journal asks of a database engine: run a transaction body, say when the log may have grown."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol, TypeVar

from runbooks.journal.log import Body
from runbooks.journal.where import Where

T = TypeVar("T")


class Engine(Protocol):
    """One console's connection. Every method raises JournalUnavailable when the storage fails."""

    #: Seconds for which a driver's word holds. None: its life is read from /proc, and needs no heartbeat.
    lease_s: float | None
    #: Who the database says writes; None where it cannot know.
    db_user: str | None

    async def transact(self, body: Body[T]) -> T:
        """Run a body to a durable commit; any exception rolls it back.

        Raises CommitUnknown when the connection went while committing: the same entry may be offered again.
        """
        ...

    async def query(self, body: Body[T]) -> T: ...

    def growth(self) -> AsyncIterator[None]:
        """Yield whenever another console may have written. Ends with JournalUnavailable, or goes on for ever."""
        ...

    async def close(self) -> None: ...


async def open_engine(where: Where, journal_id: str, lease_s: float) -> Engine:
    """Open or create the journal there. Raises UnfitStorage, JournalUnavailable."""
    if isinstance(where, Path):
        from runbooks.journal.sqlite import SqliteEngine

        return await SqliteEngine.open(where, journal_id)
    from runbooks.journal.postgres import PostgresEngine

    return await PostgresEngine.open(where, journal_id, lease_s)
