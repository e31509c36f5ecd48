"""The journal as a console uses it: an identity, a clock, an engine, and the transactions of log.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from runbooks.journal import log, verify
from runbooks.journal.follow import Pulse
from runbooks.journal.identity import Identity, is_alive
from runbooks.journal.records import ChainReport, Draft, NewRun, RunRow, stamp
from runbooks.journal.sqlite import SqliteEngine
from runbooks.model import Event, Phase
from runbooks.view import RunView

Written = log.Body[tuple[Event, RunView]]


class Journal:
    """One console's way into the journal. Every append is durable when it returns.

    Besides what each method names, every one raises JournalUnavailable when the storage fails.
    """

    def __init__(
        self,
        engine: SqliteEngine,
        identity: Identity,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
        redact: Callable[[Any], Any],
    ) -> None:
        self.identity = identity
        self._engine, self._now, self._new_id, self._redact = engine, now, new_id, redact
        self.console = f"{identity.host}/{identity.pid}/{new_id()}/{identity.mode}"
        self._views: dict[str, RunView] = {}
        self._pulse = Pulse(engine.data_version)

    @classmethod
    async def open(
        cls,
        path: Path,
        *,
        identity: Identity,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
        redact: Callable[[Any], Any] = lambda data: data,
    ) -> Self:
        """Open or create the journal at a local path. `now` gives UTC, on any thread. Raises UnfitStorage.

        `redact` returns a copy of an entry's data without secrets: nothing that is written here can be
        taken out again. (A definition is shown and approved before it is written, so it is not touched.)
        """
        engine = await SqliteEngine.open(path, new_id())
        journal = cls(engine, identity, now, new_id, redact)
        await engine.transact(journal._register())
        return journal

    async def close(self) -> None:
        await self._pulse.close()
        await self._engine.close()

    # -- writing

    async def create_run(self, new: NewRun) -> RunRow:
        """Create a run, driven by this console, with all its locks. Raises LockHeld, UnfitDefinition."""
        event = await self._commit(
            lambda: log.create(new, self._draft("", "run.created"), self.identity.host),
        )
        return await self.run(event.run_id)

    async def append(
        self,
        run_id: str,
        kind: str,
        *,
        step: str | None = None,
        phase: Phase | None = None,
        attempt: int | None = None,
        reply_to: int | None = None,
        data: Mapping[str, Any] | None = None,
        fence: int | None = None,
        expect_seq: int | None = None,
        uid: str | None = None,
    ) -> Event:
        """Append one entry. `uid` makes a retry safe: the same uid is written once.

        Raises FenceLost when another console has taken the run over, FenceNeeded when the kind is the
        driver's, Conflict when `expect_seq` is not the head, RunClosed, UnknownRun, UidReused.
        """
        uid = uid or self._new_id()
        place = {"step": step, "phase": phase, "attempt": attempt, "reply_to": reply_to}
        entry = {"data": self._redact(data or {}), "fence": fence, "uid": uid, **place}
        return await self._commit(
            lambda: log.append(self._draft(run_id, kind, **entry), expect_seq, self._views),
        )

    async def claim(self, run_id: str, *, force: bool = False) -> int:
        """Become the driver and return the new fence. Raises DriverAlive, RunClosed, UnknownRun."""
        event = await self._commit(
            lambda: log.claim(self._draft(run_id, "driver.claimed"), self._alive, self._views, force=force),
        )
        assert event.fence is not None
        return event.fence

    async def release(self, run_id: str, fence: int) -> None:
        """Stop driving; the run stays open and keeps its locks. Raises FenceLost, RunClosed."""
        await self._commit(lambda: log.release(self._draft(run_id, "driver.released", fence=fence), self._views))

    # -- reading

    async def events(self, run_id: str, after: int = 0) -> list[Event]:
        """Return the log of a run behind entry `after`. Raises UnknownRun."""
        return await self._engine.query(log.events(run_id, after))

    async def runs(self) -> list[RunRow]:
        """Return all runs, newest first."""
        return await self._engine.query(log.runs(self._alive))

    async def run(self, run_id: str) -> RunRow:
        """Return one run. Raises UnknownRun."""
        return (await self._engine.query(log.runs(self._alive, run_id)))[0]

    async def orphans(self) -> list[RunRow]:
        """Return the open runs that nobody alive drives."""
        return [run for run in await self.runs() if run.orphaned]

    async def verify(self, run_id: str | None = None, anchor: str | None = None) -> list[ChainReport]:
        """Recompute the hash chain of one run or of all. Raises UnknownRun.

        `anchor`: a head of the run that was kept outside of the journal, and must stand in its chain.
        """
        return await self._engine.query(verify.chains(run_id, anchor))

    async def follow(self, run_id: str, after: int = 0) -> AsyncIterator[Event]:
        """Yield the entries behind `after`, then every further one as it is written, without an end."""
        while True:
            grown = self._pulse.next()
            for event in await self.events(run_id, after):
                after = event.seq
                yield event
            await grown.wait()

    # -- inside

    def _draft(self, run_id: str, kind: str, *, uid: str = "", **entry: Any) -> Draft:
        user, console = self.identity.user, self.console
        return Draft(run_id, uid or self._new_id(), self._now(), kind, user, console, **entry)

    async def _commit(self, write: Callable[[], Written]) -> Event:
        """Write, to the end: a cancelled writer may not know what it wrote, but followers must."""
        return await asyncio.shield(self._land(write))

    async def _land(self, write: Callable[[], Written]) -> Event:
        event, view = await self._engine.transact(_under_the_lock(write))
        self._views[event.run_id] = view
        if view.closed:
            del self._views[event.run_id]
        self._pulse.beat()
        return event

    def _alive(self, other: Identity) -> bool:
        return is_alive(other, self.identity)

    def _register(self) -> log.Body[None]:
        here, now = self.identity, stamp(self._now())
        yield (
            "INSERT INTO console VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (self.console, here.host, here.boot_id, here.pid, here.pid_start, here.user, now, now),
        )


def _under_the_lock(write: Callable[[], Written]) -> Written:
    """Draft the entry only when the write lock is held: of two consoles' clocks, `ts` then follows `seq`."""
    return (yield from write())
