"""What a driver knows and the journal has not: entries that wait for it, and of a shared one a mirror of those it took.

A local SQLite file, as durable as the embedded journal. It is no second journal: it decides nothing, and every entry
in it belongs to a run of the journal. An entry that waits is in the file when `put` returns. The mirror is a copy of
what is durable elsewhere, and is written behind, in order. What the file's disk does not take stays in memory.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from runbooks.journal.errors import JournalUnavailable
from runbooks.journal.log import Body
from runbooks.journal.records import canonical, stamp
from runbooks.journal.sqlite import SqliteEngine
from runbooks.model import Event, Phase

BEHIND_S = 0.05  # a mirrored entry is on its way for so long, and shares one commit with all that came meanwhile


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


Kept = tuple[Entry, bool]  # and whether the journal has taken it
_WAITING = "drained IS NULL"


class Spool:
    """The file is made when the first entry needs it, or by `ready`. Reading raises JournalUnavailable."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: SqliteEngine | None = None
        self._turn = asyncio.Lock()  # between memory and file
        self._unwritten: list[Kept] = []
        self._taken: dict[str, str] = {}  # uid and moment, of what the file still calls waiting
        self._closed: set[str] = set()  # runs of which no mirror is kept any more
        self._writer: asyncio.Task[None] | None = None

    @classmethod
    async def open(cls, path: Path) -> Self:
        """Open or create the file at once. Raises UnfitStorage, JournalUnavailable."""
        spool = cls(path)
        await spool._opened()
        return spool

    async def close(self) -> None:
        await self.settle()
        if self._writer is not None:
            self._writer.cancel()
            await asyncio.wait({self._writer})
        if self._file is not None:
            await self._file.close()

    # -- writing

    async def put(self, entry: Entry) -> bool:
        """Keep an entry until the journal takes it. False: only in memory, and tried again with every further one."""
        self._unwritten.append((entry, False))
        return await self.settle()

    async def put_durably(self, entry: Entry) -> None:
        """Keep an entry in the file behind all that came before it, or raise JournalUnavailable and keep nothing."""
        async with self._turn:
            self._unwritten.append(kept := (entry, False))
            try:
                await self._write()
            except JournalUnavailable:
                self._unwritten = [other for other in self._unwritten if other is not kept]
                raise

    def mirror(self, event: Event) -> None:
        """Keep an entry that the journal has taken, soon: a server can lose what it acknowledged."""
        self._unwritten.append((Entry.of(event), True))
        self._write_soon()

    def closed(self, run_id: str) -> None:
        """Let the mirror of a run go, soon: nobody drives it any more, so nobody would compare."""
        self._closed.add(run_id)
        self._write_soon()

    async def took(self, entry: Entry, moment: datetime) -> None:
        """Note that the journal has taken a waiting entry."""
        self._taken[entry.uid] = stamp(moment)
        await self.settle()

    async def settle(self) -> bool:
        """Write what is in memory. False: the disk does not take it, and it stays there."""
        async with self._turn:
            try:
                await self._write()
            except JournalUnavailable:
                return False
        return True

    def _write_soon(self) -> None:
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write_behind(), name="mirror of the journal")

    async def _write_behind(self) -> None:
        while self._unwritten or self._closed:
            await asyncio.sleep(BEHIND_S)
            if not await self.settle():
                return

    async def _write(self) -> None:
        batch, taken, closed = tuple(self._unwritten), dict(self._taken), frozenset(self._closed)
        if batch or taken or closed:
            await (await self._opened()).transact(_store(batch, taken, closed))
            del self._unwritten[: len(batch)]
            self._taken = {uid: moment for uid, moment in self._taken.items() if uid not in taken}
            self._closed -= closed

    async def _opened(self) -> SqliteEngine:
        if self._file is None:
            self._file = await SqliteEngine.open(self._path, "spool")
        return self._file

    # -- reading

    async def waiting(self, run_id: str) -> list[Entry]:
        """Return what the journal has not taken, in the order in which it happened."""
        return [entry for entry, taken in await self._kept(f"{_WAITING} AND run_id = ?", run_id) if not taken]

    async def runs_waiting(self) -> list[str]:
        return sorted({entry.run_id for entry, taken in await self._kept(_WAITING) if not taken})

    async def acknowledged(self, run_id: str) -> list[Entry]:
        """Return this host's own entries that the journal has once taken, in their order."""
        kept = [entry for entry, taken in await self._kept("run_id = ?", run_id) if taken and entry.seq]
        return sorted(kept, key=lambda entry: entry.seq)

    async def summary(self) -> list[tuple[str, Entry, int]]:
        """Return each run that is open as far as this host knows: its id, its newest entry here, how many wait."""
        newest: dict[str, Entry] = {}
        waiting: Counter[str] = Counter()
        for entry, taken in await self._kept("TRUE"):
            newest[entry.run_id] = entry
            waiting[entry.run_id] += not taken
        return [(run, last, waiting[run]) for run, last in newest.items()]

    async def _kept(self, where: str, *run_id: str) -> list[Kept]:
        async with self._turn:
            written = await self._written(where, *run_id)
            memory = [kept for kept in self._unwritten if kept[0].run_id in (run_id or {kept[0].run_id})]
            return [(entry, taken or entry.uid in self._taken) for entry, taken in (*written, *memory)]

    async def _written(self, where: str, *run_id: str) -> list[Kept]:
        if self._file is None and not await asyncio.to_thread(self._path.exists):
            return []
        try:
            file = await self._opened()
        except JournalUnavailable:
            return []  # what this console could never open holds nothing of its own
        return await file.query(_stored(where, run_id))


def _store(batch: Sequence[Kept], taken: Mapping[str, str], closed: frozenset[str]) -> Body[None]:
    for entry, acknowledged in batch:
        yield (
            "INSERT INTO spool (run_id, uid, ts, payload, drained) VALUES (?, ?, ?, ?, ?)",
            (entry.run_id, entry.uid, entry.ts, canonical(asdict(entry)), entry.ts if acknowledged else None),
        )
    for uid, moment in taken.items():
        yield "UPDATE spool SET drained = ? WHERE uid = ? AND drained IS NULL", (moment, uid)
    for run_id in closed:
        yield "DELETE FROM spool WHERE run_id = ? AND drained IS NOT NULL", (run_id,)


def _stored(where: str, run_id: Sequence[str]) -> Body[list[Kept]]:
    rows = yield f"SELECT payload, drained IS NOT NULL FROM spool WHERE {where} ORDER BY n", run_id  # noqa: S608 - one of our constants
    return [(Entry(**json.loads(payload)), bool(drained)) for payload, drained in rows]
