"""The run journal: append-only, hash-chained, durable before the act."""

from runbooks.journal.errors import (
    Conflict,
    DriverAlive,
    FenceLost,
    FenceNeeded,
    JournalError,
    JournalUnavailable,
    LockHeld,
    RunClosed,
    UidReused,
    UnfitStorage,
    UnknownRun,
)
from runbooks.journal.identity import Identity
from runbooks.journal.records import ChainReport, NewRun, RunRow
from runbooks.journal.store import Journal
from runbooks.model import Event

__all__ = [
    "ChainReport",
    "Conflict",
    "DriverAlive",
    "Event",
    "FenceLost",
    "FenceNeeded",
    "Identity",
    "Journal",
    "JournalError",
    "JournalUnavailable",
    "LockHeld",
    "NewRun",
    "RunClosed",
    "RunRow",
    "UidReused",
    "UnfitStorage",
    "UnknownRun",
]
