"""The journal as a console uses it: an identity, a clock, an engine, and the transactions of log.py."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any, Self

from runbooks.journal import log, verify
from runbooks.journal.engines import Engine, open_engine
from runbooks.journal.errors import CommitUnknown, JournalUnavailable
from runbooks.journal.follow import Pulse
from runbooks.journal.identity import Identity, is_alive
from runbooks.journal.records import ChainReport, Draft, NewRun, RunRow, stamp
from runbooks.journal.signing import SIGNED, Signer, signer_data, statement
from runbooks.journal.spool import Entry, Spool
from runbooks.journal.where import Where
from runbooks.model import Event, Phase
from runbooks.view import RunView

Written = log.Body[tuple[Event, RunView]]

LEASE_S = 15.0  # for which a driver's word holds in a shared journal; its heartbeat comes three times as often


class Journal:
    """One console's way into the journal. Every append is durable when it returns.

    Besides what each method names, every one raises JournalUnavailable when the storage fails.
    """

    def __init__(
        self,
        engine: Engine,
        identity: Identity,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
        redact: Callable[[Any], Any],
        signer: Signer | None = None,
    ) -> None:
        self.identity = identity
        self._engine, self.now, self._new_id, self._redact = engine, now, new_id, redact
        self.spool: Spool | None = None
        self._signer = signer
        self.console = f"{identity.host}/{identity.pid}/{new_id()}/{identity.mode}"
        self._views: dict[str, RunView] = {}
        self._pulse = Pulse(engine.growth)

    @classmethod
    async def open(
        cls,
        where: Where,
        *,
        identity: Identity,
        now: Callable[[], datetime],
        new_id: Callable[[], str],
        redact: Callable[[Any], Any] = lambda data: data,
        lease_s: float = LEASE_S,
        spool: Path | None = None,
        signer: Signer | None = None,
    ) -> Self:
        """Open or create the journal in a local file, or in a PostgreSQL database for several hosts.

        `now` gives UTC, on any thread. `spool` is a local file for the journal's outages: with it a driver holds
        through one, without it an outage is an error. `signer` signs this person's approvals.
        Raises UnfitStorage.

        `redact` returns a copy of an entry's data without secrets: nothing that is written here can be
        taken out again. (A definition is shown and approved before it is written, so it is not touched.)
        """
        engine = await open_engine(where, new_id(), lease_s)
        journal = cls(engine, identity, now, new_id, redact, signer)
        try:
            await engine.transact(journal._register())
            if spool is not None:
                journal.spool = Spool(spool) if engine.lease_s is None else await Spool.open(spool)
        except BaseException:
            await journal.close()
            raise
        return journal

    async def close(self) -> None:
        await self._pulse.close()
        if self.spool is not None:
            await self.spool.close()
        await self._engine.close()

    # -- writing

    async def create_run(self, new: NewRun) -> RunRow:
        """Create a run, driven by this console, with all its locks. Raises LockHeld, UnfitDefinition."""
        uid = self._new_id()
        event = await self._commit(
            lambda: log.create(new, self._draft("", "run.created", uid=uid), self.identity.host),
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
        place: dict[str, Any] = {"step": step, "phase": phase, "attempt": attempt, "reply_to": reply_to}
        written, uid = self._redact(data or {}), uid or self._new_id()
        if self._signer is not None and kind in SIGNED:
            signed = await self._signer.sign(statement(run_id, uid, kind, self.identity.user, step, written))
            written, place["sig"] = {**written, "signer": signer_data(signed)}, signed.sig
        draft = {"data": written, "fence": fence, "uid": uid, **place}
        return await self._commit(
            lambda: log.append(self._draft(run_id, kind, **draft), expect_seq, self._views),
        )

    def forget(self, run_id: str) -> None:
        """Believe the journal, whatever it is known to have held before: of a run that a server lost entries of."""
        self._views.pop(run_id, None)

    def entry(
        self, run_id: str, kind: str, *, data: Mapping[str, Any] | None = None, uid: str | None = None, **place: Any
    ) -> Entry:
        """Return an entry by this console, without secrets, that can wait in the spool."""
        user, at = self.identity.user, stamp(self.now())
        redacted = self._redact(data or {})
        return Entry(run_id, uid or self._new_id(), at, kind, user, self.console, data=redacted, **place)

    async def claim(self, run_id: str, *, force: bool = False) -> int:
        """Become the driver and return the new fence. Raises DriverAlive, RunClosed, UnknownRun."""
        uid = self._new_id()
        event = await self._commit(
            lambda: log.claim(self._draft(run_id, "driver.claimed", uid=uid), self._alive, self._views, force=force),
        )
        assert event.fence is not None
        return event.fence

    async def release(self, run_id: str, fence: int, *, expect_seq: int | None = None) -> None:
        """Stop driving; the run stays open and keeps its locks. Raises FenceLost, RunClosed; Conflict as `append`."""
        await self.append(run_id, "driver.released", fence=fence, expect_seq=expect_seq)

    @property
    def lease_s(self) -> float | None:
        """Seconds for which a driver's word holds without a heartbeat; None where it needs none."""
        return self._engine.lease_s

    async def beat(self, run_id: str, fence: int) -> None:
        """Say that this console still drives. Raises FenceLost, UnknownRun."""
        await self._engine.transact(log.beat(run_id, fence, self.console))

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

    async def console_is_gone(self, console: str) -> bool:
        """Whether a console that ran on this host is proven to run no more."""
        lives = await self._engine.query(log.lives(console, lambda other: is_alive(other, self.identity)))
        return console != self.console and not lives

    async def orphans(self) -> list[RunRow]:
        """Return the open runs that nobody alive drives."""
        return [run for run in await self.runs() if run.orphaned]

    async def verify(self, run_id: str | None = None, anchor: str | None = None) -> list[ChainReport]:
        """Recompute the hash chain of one run or of all, each as of one moment. Raises UnknownRun.

        `anchor`: a head of the run that was kept outside of the journal, and must stand in its chain.
        """
        runs = [run_id] if run_id else await self._engine.query(verify.run_ids())
        return [await self._engine.query(verify.chain(run, anchor)) for run in runs]

    async def follow(self, run_id: str, after: int = 0) -> AsyncIterator[Event]:
        """Yield the entries behind `after`, then every further one as it is written, without an end."""
        while True:
            grown = self._pulse.next()
            for event in await self._grown(run_id, after):
                after = event.seq
                yield event
            await grown.wait()

    async def _grown(self, run_id: str, after: int) -> list[Event]:
        """What was added; nothing while a server is away, since the pulse beats again when it is back."""
        try:
            return await self.events(run_id, after)
        except JournalUnavailable:
            if self._engine.lease_s is None:
                raise
            return []

    # -- inside

    def _draft(self, run_id: str, kind: str, *, uid: str = "", **entry: Any) -> Draft:
        user, console = self.identity.user, self.console
        return Draft(
            run_id, uid or self._new_id(), self.now, kind, user, console, db_user=self._engine.db_user, **entry
        )

    async def _commit(self, write: Callable[[], Written]) -> Event:
        """Write, to the end: a cancelled writer may not know what it wrote, but followers must."""
        return await asyncio.shield(self._land(write))

    async def _land(self, write: Callable[[], Written]) -> Event:
        try:
            event, view = await self._engine.transact(write())
        except CommitUnknown:  # its answer was lost: offered again, the same uid is written once
            event, view = await self._engine.transact(write())
        self._views[event.run_id] = view
        if view.closed:
            del self._views[event.run_id]
        self._pulse.beat()
        if self.spool is not None and self.lease_s is not None:  # a file on this host cannot lose what it took
            if view.closed:
                self.spool.closed(event.run_id)
            else:
                self.spool.mirror(event)
        return event

    def _alive(self, other: Identity) -> bool:
        """On hosts that share a journal two can have one name; only a process of this very boot is proven dead."""
        if self._engine.lease_s is not None and other.boot_id != self.identity.boot_id:
            return True
        return is_alive(other, self.identity)

    def _register(self) -> log.Body[None]:
        here, now = self.identity, stamp(self.now())
        yield (
            "INSERT INTO console VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (self.console, here.host, here.boot_id, here.pid, here.pid_start, here.user, now, now),
        )
