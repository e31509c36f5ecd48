"""A driver's line to the journal, and what happens when it breaks.

What must be known *before* something happens (an intent, a gate, a close) needs the journal: without it the
driver holds, tries again, and changes nothing. What has happened already (a result, a verification) is
known here alone: it goes to the spool at once, and into the journal, in its order, when that is back.
Then the driver looks at the log again before it chooses what comes next. It is the same on every engine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from runbooks.effects import Outage
from runbooks.journal import Conflict, FenceLost, Journal, JournalUnavailable
from runbooks.journal.drain import deliver, drain
from runbooks.journal.spool import Entry, Spool
from runbooks.journal.store import LEASE_S
from runbooks.model import Event
from runbooks.standing import Away

RETRY_S = (0.5, 1.0, 2.0, 4.0)
BEFORE = ("act.intent", "rollback.", "gate.", "run.", "cmd.", "driver.")
PLACE = ("step", "phase", "attempt", "reply_to", "fence", "data")
NEVER_LOCAL = ("run.", "driver.")  # nothing is at risk while these wait, so no glass is broken for them


class LookAgain(Exception):
    """The journal was away: what was to be written was chosen on a view that is older than the log."""


class Line:
    """One held run's way into the journal. Without a spool an outage is an error, and the driver stops."""

    def __init__(
        self, journal: Journal, run_id: str, fence: int, outage: Outage, boottime: Callable[[], float]
    ) -> None:
        self._journal, self._run_id, self._fence = journal, run_id, fence
        self._outage, self._boottime = outage, boottime
        self._heard_at = boottime()  # the start of the last call that the server answered as to its driver
        self._known: list[Event] = []  # own entries behind the last look at the log, here in their order
        self._seq = 0  # of the last look
        self._gone_at = 0.0  # from when on the journal counts as away
        self._why = ""
        self._waits = ""  # the entry that nothing goes on without
        self._waiting: list[str] = []  # entries that this host keeps for it
        self._lost = 0  # entries that it had taken, and has no more
        self._retry_at: float | None = None
        self._glass = ""  # the typed reason to act without the journal
        self._no_glass = False  # can be broken in this outage any more
        self._in_memory = False  # and the person here was told
        self._back = asyncio.Event()
        self._back.set()
        self._order = asyncio.Lock()  # nothing overtakes what is being drained
        self._returning: asyncio.Task[None] | None = None
        self.taken_over: FenceLost | None = None
        self.stale = False  # the journal has been away: fold the log anew
        self._failed: Exception | None = None  # the journal is back, and is not the one that went
        self.on_return: Callable[[], None] = lambda: None

    @property
    def away(self) -> bool:
        return not self._back.is_set()

    def outage(self) -> Away | None:
        """How it stands with the journal that is away; None: it is there."""
        if not self.away:
            return None
        now = self._boottime()
        return Away(
            self._why,
            now - self._gone_at,
            self._journal.lease_s or LEASE_S,
            self._waits,
            tuple(self._waiting),
            self._in_memory,
            self._lost,
            None if self._retry_at is None else max(0.0, self._retry_at - now),
            "broken" if self._glass else "shut" if self._no_glass or self.taken_over else "whole",
            self._leased_s(),
        )

    def silence_s(self) -> float:
        """Seconds since the journal last confirmed that this console drives; 0 where that needs no confirming."""
        return 0.0 if self._journal.lease_s is None or self._glass else self._boottime() - self._heard_at

    async def close(self) -> None:
        if self._returning is not None:
            self._returning.cancel()
            await asyncio.wait({self._returning})

    async def beat(self) -> None:
        """Renew the lease."""
        at = self._boottime()
        try:
            await self._journal.beat(self._run_id, self._fence)
            self._heard_at = at
        except FenceLost as lost:
            self._lose(lost)
        except JournalUnavailable as gone:
            self._miss(gone)

    async def events(self, after: int) -> list[Event]:
        """Return what the log has behind `after`; while the journal is away, what this console itself knows."""
        self._raise_failure()
        if not self.away:
            try:
                found = await self._journal.events(self._run_id, after)
            except JournalUnavailable as gone:
                self._miss(gone)
            else:
                self._seq = max((event.seq for event in found), default=after)
                self._known = [event for event in self._known if event.seq > self._seq]
                return found
        self._seq = max(self._seq, after)  # what is spooled from here on comes behind what is believed
        return self.known(after)

    def known(self, after: int) -> list[Event]:
        """Return the entries behind `after` that this console itself has written since the last look."""
        return [event for event in self._known if event.seq > after]

    async def beside(self, after: int) -> list[Event] | None:
        """Return what the log has behind `after` to a reader beside the driver; None: the journal is away."""
        if self.away:
            return None
        try:
            return await self._journal.events(self._run_id, after)
        except JournalUnavailable as gone:
            self._miss(gone)
            return None

    async def append(
        self, kind: str, *, fence: int | None, expect_seq: int | None = None, uid: str | None = None, **where: Any
    ) -> Event:
        """Append, or spool, or hold. Raises LookAgain after an outage, and what Journal.append raises."""
        entry = self._journal.entry(self._run_id, kind, fence=fence, uid=uid, **where)
        while True:
            self._raise_failure()
            if not self.away:
                try:
                    return await self._now(entry, expect_seq)
                except JournalUnavailable as gone:
                    self._miss(gone)
            first = kind.startswith(BEFORE)
            if not first or (self._glass and not kind.startswith(NEVER_LOCAL)):
                if event := await self._spooled(entry, expect_seq, durably=first):
                    return event
                continue  # it came back in this moment, or the glass is whole again
            await self._hold(entry)
            if not kind.startswith("cmd."):
                raise LookAgain  # also with the glass broken: meanwhile a guard may have tripped

    # -- inside

    async def _now(self, entry: Entry, expect_seq: int | None) -> Event:
        at = self._boottime()
        place = {name: getattr(entry, name) for name in PLACE}
        event = await self._journal.append(entry.run_id, entry.kind, expect_seq=expect_seq, uid=entry.uid, **place)
        if entry.fence is not None:
            self._heard_at = at
        self._known.append(event)
        return event

    async def _spooled(self, entry: Entry, expect_seq: int | None = None, *, durably: bool = False) -> Event | None:
        """Keep an entry here. None: the journal is back; or what must be durable before an act cannot be."""
        async with self._order:
            if not self.away:
                return None
            if expect_seq is not None and expect_seq < self._head:
                raise Conflict(entry.run_id, expect_seq, self._head)
            # Whatever waits here counts only as long as this console drives: a command here too.
            kept = entry if entry.kind.startswith("late.") else replace(entry, fence=self._fence)
            if not (await self._kept_durably(kept) if durably else await self._kept(kept)):
                return None
        event = entry.at(self._head + 1)
        self._known.append(event)
        self._waiting.append(_named(entry))
        return event

    @property
    def _head(self) -> int:
        """The newest entry that this console knows of."""
        return max([self._seq, *(known.seq for known in self._known)])

    async def _kept(self, entry: Entry) -> bool:
        """A result may stay in memory: should it be lost, the next driver finds an intent without one, and looks."""
        if not await self._spool.put(entry) and not self._in_memory:
            self._in_memory = True
            words = "the spool takes nothing either: results are kept in memory only, so let this console run"
            self._outage.warn(self._run_id, words)
        return True

    async def _kept_durably(self, entry: Entry) -> bool:
        try:
            await self._spool.put_durably(entry)
        except JournalUnavailable as full:
            self._glass, self._no_glass = "", True
            self._outage.warn(
                self._run_id, f"nothing can be done without the journal: no intent could be kept ({full})"
            )
            return False
        return True

    async def _hold(self, entry: Entry) -> None:
        """Wait for the journal, or for the word of the person here that this cannot wait."""
        kind, self._waits = entry.kind, _named(entry)
        waits: set[asyncio.Task[Any]] = {asyncio.create_task(self._back.wait())}
        if not kind.startswith(NEVER_LOCAL) and self.taken_over is None:
            waits.add(asyncio.create_task(self._asked()))
        try:
            while waits and not self._glass and self.away:
                _, waits = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if kind.startswith(NEVER_LOCAL):
                await self._back.wait()
        finally:
            self._waits = ""
            for task in waits:
                task.cancel()

    async def _asked(self) -> None:
        """Ask for the reason; the glass can be broken only while the lease that was last confirmed still runs."""
        if self._no_glass:
            return
        reason: str | None = None
        with suppress(TimeoutError):
            if self._leased_s() != 0:
                async with asyncio.timeout(self._leased_s()):
                    reason = await self._outage.break_glass(self._run_id, self._leased_s())
                    if not reason:
                        return
        if not self.away:
            return
        if not reason or self._leased_s() == 0:  # a sleeping machine's timeouts sleep too
            self._no_glass = True
            self._outage.warn(self._run_id, self._lease_is_over())
            return
        data = {"reason": reason, "actor": self._journal.identity.user}
        broken = self._journal.entry(self._run_id, "journal.break_glass", fence=self._fence, data=data)
        if await self._spooled(broken, durably=True):
            self._glass = reason

    def _leased_s(self) -> float | None:
        """Seconds for which no other console can take this run over; None: only a person's force could."""
        lease_s = self._journal.lease_s
        return None if lease_s is None else max(0.0, self._heard_at + lease_s - self._boottime())

    def _lease_is_over(self) -> str:
        return (
            f"the lease of {self._journal.lease_s:g} s has run out since the journal last answered: another console may"
            " drive this run by now, so nothing can be done without the journal any more. Bring it back, or act by hand"
        )

    @property
    def _spool(self) -> Spool:
        spool = self._journal.spool
        assert spool is not None, "without a spool an outage ends the drive"
        return spool

    def _miss(self, gone: JournalUnavailable) -> None:
        if self._journal.spool is None:
            raise gone
        if self.away:
            return
        self._back.clear()
        self._gone_at = self._boottime() if self._journal.lease_s is None else self._heard_at
        self._why, self._lost = gone.why, 0
        self._outage.holding(self._run_id, str(gone))
        self._returning = asyncio.create_task(self._return(), name=f"journal of {self._run_id}")

    def _lose(self, lost: FenceLost) -> None:
        self.taken_over = lost
        self.on_return()

    async def _return(self) -> None:
        """Try until the journal is there; then bring it up to date."""
        tries = 0
        while self.away:
            pause_s = RETRY_S[min(tries, len(RETRY_S) - 1)]
            self._retry_at = self._boottime() + pause_s
            await asyncio.sleep(pause_s)
            self._retry_at = None
            tries += 1
            try:
                await self._spool.settle()
                await self._brought_back()
            except JournalUnavailable:
                continue
            except Exception as error:  # noqa: BLE001 - whatever it is, the drive must end with it and not hang
                self._failed = error
                self._back.set()
        self.on_return()

    def _raise_failure(self) -> None:
        if self._failed is not None:
            raise self._failed

    async def _brought_back(self) -> None:
        at = self._boottime()
        try:
            await self._journal.beat(self._run_id, self._fence)
        except FenceLost as lost:
            self.taken_over = lost
        if not await self._complete():
            return
        spooled = await drain(self._journal, self._spool, self._run_id)
        away_s = at - self._gone_at
        if self.taken_over is None:
            await self._journal.append(
                self._run_id, "journal.returned", fence=self._fence, data=self._tale(away_s, spooled)
            )
        async with self._order:
            spooled += await drain(self._journal, self._spool, self._run_id)  # what came meanwhile
            self._heard_at, self.stale = at, True
            self._glass, self._no_glass, self._in_memory = "", False, False
            self._known.clear()
            self._waiting.clear()
            self._back.set()
        self._outage.returned(self._run_id, away_s, spooled)

    def _tale(self, away_s: float, spooled: int) -> dict[str, Any]:
        data: dict[str, Any] = {"outage_s": round(away_s, 1), "spooled": spooled, "ask": False}
        if away_s > (self._journal.lease_s or LEASE_S):
            data["ask"] = True
            data["reason"] = f"the journal was away for {away_s:.0f} s: look, then resume"
        return data

    async def _complete(self) -> bool:
        """Whether the journal still has all it took from here; if not, it gets it again, when a person says so."""
        there = {event.uid for event in await self._journal.events(self._run_id)}
        gone = [entry for entry in await self._spool.acknowledged(self._run_id) if entry.uid not in there]
        self._lost = len(gone)
        if not gone:
            return True
        if not await self._outage.write_again(self._run_id, len(gone)):
            return False
        self._journal.forget(self._run_id)
        for entry in gone:
            await deliver(self._journal, entry)
        return True


def _named(entry: Entry) -> str:
    """An entry as it is told to a person: `act.intent of move-aws`."""
    return f"{entry.kind} of {entry.step}" if entry.step else entry.kind
