"""What a driver knows and a shared journal has not: entries that wait for it, and a mirror of those it took.

A local SQLite file beside the other state, as durable as the embedded journal. It is no second journal: it
decides nothing, and every entry in it belongs to a run of the shared one.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from runbooks.journal.log import Body
from runbooks.journal.records import canonical, stamp
from runbooks.journal.sqlite import SqliteEngine
from runbooks.model import Event, Phase


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry by the driver with this fence. `seq` and `hash`: as the journal acknowledged it, else 0 and empty."""

    run_id: str
    uid: str
    ts: str  # UTC, ISO 8601
    kind: str
    actor: str
    console: str
    fence: int | None = None
    step: str | None = None
    phase: Phase | None = None
    attempt: int | None = None
    reply_to: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    seq: int = 0
    hash: str = ""

    @classmethod
    def of(cls, event: Event) -> Self:
        return cls(**{name: getattr(event, name) for name in cls.__slots__ if name != "ts"}, ts=stamp(event.ts))

    def at(self, seq: int) -> Event:
        """The entry as this console shows it until the journal has given it its place."""
        return Event(**{**asdict(self), "ts": datetime.fromisoformat(self.ts), "seq": seq})


class Spool:
    """Every method raises JournalUnavailable when the local disk fails."""

    def __init__(self, engine: SqliteEngine) -> None:
        self._engine = engine

    @classmethod
    async def open(cls, path: Path) -> Self:
        return cls(await SqliteEngine.open(path, "spool"))

    async def close(self) -> None:
        await self._engine.close()

    async def put(self, entry: Entry) -> None:
        """Keep an entry until the journal takes it. Durable when this returns."""
        await self._engine.transact(_insert(entry, None))

    async def mirror(self, event: Event) -> None:
        """Keep an entry that the journal has taken: a server can lose what it acknowledged."""
        await self._engine.transact(_insert(Entry.of(event), stamp(event.ts)))

    async def waiting(self, run_id: str) -> list[Entry]:
        """Return what the journal has not taken, in the order in which it happened."""
        return await self._engine.query(_entries("run_id = ? AND drained IS NULL", run_id))

    async def runs_waiting(self) -> list[str]:
        return await self._engine.query(_runs())

    async def acknowledged(self, run_id: str) -> list[Entry]:
        """Return this host's own entries that the journal has once taken, in their order."""
        kept = await self._engine.query(_entries("run_id = ? AND drained IS NOT NULL", run_id))
        return sorted((entry for entry in kept if entry.seq), key=lambda entry: entry.seq)

    async def summary(self) -> list[tuple[str, Entry, int]]:
        """Return each open run of this host: its id, its newest entry here, how many of its entries wait."""
        newest: dict[str, Entry] = {}
        waiting: Counter[str] = Counter()
        for entry, drained in await self._engine.query(_all()):
            newest[entry.run_id] = entry
            waiting[entry.run_id] += not drained
        return [(run, last, waiting[run]) for run, last in newest.items() if last.kind != "run.closed"]

    async def took(self, entry: Entry, moment: datetime) -> None:
        """Note that the journal has taken a waiting entry."""
        await self._engine.transact(_took(entry, stamp(moment)))


def _insert(entry: Entry, drained: str | None) -> Body[None]:
    yield (
        "INSERT INTO spool (run_id, uid, ts, payload, drained) VALUES (?, ?, ?, ?, ?)",
        (entry.run_id, entry.uid, entry.ts, canonical(asdict(entry)), drained),
    )


def _entries(where: str, run_id: str) -> Body[list[Entry]]:
    rows = yield f"SELECT payload FROM spool WHERE {where} ORDER BY n", (run_id,)  # noqa: S608 - one of two constants
    return [Entry(**json.loads(row[0])) for row in rows]


def _all() -> Body[list[tuple[Entry, bool]]]:
    rows = yield "SELECT payload, drained IS NOT NULL FROM spool ORDER BY n", ()
    return [(Entry(**json.loads(payload)), bool(drained)) for payload, drained in rows]


def _runs() -> Body[list[str]]:
    rows = yield "SELECT DISTINCT run_id FROM spool WHERE drained IS NULL ORDER BY run_id", ()
    return [row[0] for row in rows]


def _took(entry: Entry, moment: str) -> Body[None]:
    yield "UPDATE spool SET drained = ? WHERE uid = ? AND drained IS NULL", (moment, entry.uid)
