"""The watchdog: a second driver of one act, for systems that keep no timer of their own.

It waits in a process of its own for its console's silence. Then it claims the run (fence + 1), so that the console,
should it thaw, can write no more; waits until the act's window has passed, after which it can send no more either; asks
whether going back is proven better than staying, for unlike a timer on a box it can see; performs the act's undo and
nothing else; and lets the run go. Everything that it leaves in the log makes the next driver look before it believes:

    driver.claimed   watchdog.held {reason}                          driver.released      nothing was moved
    driver.claimed   deadman.fired   act.intent   act.result          driver.released      the step is put back

A journal that cannot be reached does not stop it: the same entries go to the spool, from which the next console of this
host brings them into the journal, and it acts.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from runbooks.acting import SendWindow
from runbooks.effects import Effects, Finding, NotSent, named
from runbooks.engine import view_of
from runbooks.journal import FenceLost, Journal, JournalError, JournalUnavailable, RunClosed
from runbooks.journal.drain import MOVED, late_kind, late_uid
from runbooks.journal.records import stamp
from runbooks.journal.spool import Entry
from runbooks.model import StepDef
from runbooks.view import SETTLED, PhaseView, RunView, StepView

JUDGE_S = 10.0  # for the baseline
JOURNAL_S = 10.0  # for one entry: what takes longer is unreachable
ACTOR = "watchdog"
RESULTS = MOVED - {"act.intent"}  # what is told even after the run was lost

Baseline = Callable[[RunView], Awaitable[Finding]]
Spool = Callable[[Entry], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Charge:
    """What a watchdog guards: the one act of the run that had this dead-man armed, by the driver with this fence.

    `heard`: when that driver was last heard; within the act's window from then on it may still have sent.
    """

    run_id: str
    step: StepDef
    timer: str
    fence: int
    heard: datetime

    @property
    def view(self) -> RunView:
        """The run as far as this act goes: begun. What it would put back is judged by that and by nothing else."""
        return RunView(run_id=self.run_id, steps=(StepView(self.step, PhaseView("intent", 1)),))


class Watchdog:
    """Acts once, for one charge. `now` is UTC, `boottime` CLOCK_BOOTTIME in seconds.

    `console` names this process in what it spools, `new_id` each of its entries: they are brought in once.
    """

    def __init__(
        self,
        charge: Charge,
        effects: Effects,
        baseline: Baseline,
        *,
        now: Callable[[], datetime],
        boottime: Callable[[], float],
        spool: Spool,
        console: str,
        new_id: Callable[[], str],
    ) -> None:
        self._charge, self._effects, self._baseline, self._spool = charge, effects, baseline, spool
        self._now, self._boottime, self._console, self._new_id = now, boottime, console, new_id
        self._fence: int | None = None
        self._journal: Journal | None = None

    async def restore(self, journal: Journal | None) -> str:
        """Put the step back if it is still this dead-man's to put back. Returns what became of it, in a word.

        done, unknown (sent, no clear answer), held (the baseline is not proven better), moot (nothing to put back), or
        not sent. `journal` None, or one that fails: it acts all the same, and spools.
        """
        try:
            view = await self._claimed(journal)
            async with self._alive():
                return await self._restored(view)
        except (RunClosed, FenceLost):
            return "moot"

    async def _restored(self, view: RunView | None) -> str:
        """Raises FenceLost, RunClosed while nothing has been sent: then it is not its any more."""
        step = view.step(self._charge.step.id) if view else None
        if view is not None and (step is None or not _due(step, self._charge.timer)):
            await self._released()
            return "moot"
        await self._settled()
        if refusal := await self._refused():
            await self._write("watchdog.held", {"id": self._charge.timer, "reason": refusal})
            await self._released()
            return "held"
        attempt = step.undo.attempts + 1 if step else 1
        said = await self._put_back(attempt)
        await self._released()
        return said

    async def _claimed(self, journal: Journal | None) -> RunView | None:
        """The run as it stands under our fence; None when the journal cannot be reached.

        Raises RunClosed, and FenceLost when another console has taken the run over: then it is theirs to look after.
        """
        if journal is None:
            return None
        try:
            async with asyncio.timeout(JOURNAL_S):
                row = await journal.run(self._charge.run_id)
                if row.fence != self._charge.fence:
                    raise FenceLost(row.run_id, self._charge.fence, row.fence)
                self._fence = await journal.claim(self._charge.run_id, force=True)
                self._journal = journal
                return await view_of(journal, self._charge.run_id)
        except (JournalUnavailable, TimeoutError):
            self._journal = None
            return None

    @asynccontextmanager
    async def _alive(self) -> AsyncIterator[None]:
        """On a journal that hosts share: to all of them its driver is alive for as long as it acts."""
        beating = asyncio.create_task(self._beat(), name=f"heartbeat of the watchdog of {self._charge.run_id}")
        try:
            yield
        finally:
            beating.cancel()
            await asyncio.wait({beating})

    async def _beat(self) -> None:
        journal, fence = self._journal, self._fence
        if journal is None or fence is None or (lease_s := journal.lease_s) is None:
            return
        with suppress(JournalError):  # its next entry meets it too
            while True:
                await asyncio.sleep(lease_s / 3)
                await journal.beat(self._charge.run_id, fence)

    async def _settled(self) -> None:
        """A packet cannot be recalled: first the silent console's moment to send must be over (SendWindow)."""
        ends = self._charge.heard + timedelta(seconds=self._charge.step.window_s)
        await asyncio.sleep(max(0.0, (ends - self._now()).total_seconds()))

    async def _refused(self) -> str:
        """Why it holds; empty when going back is proven better."""
        try:
            async with asyncio.timeout(JUDGE_S):
                found = await self._baseline(self._charge.view)
        except TimeoutError:
            return f"the baseline was not judged within {JUDGE_S:g} s"
        except Exception as error:  # noqa: BLE001 - what cannot be judged is not proven
            return f"the baseline could not be judged: {named(error)}"
        return "" if found.ok else found.reason or "the baseline is not proven better"

    async def _put_back(self, attempt: int) -> str:
        step = self._charge.step
        where: dict[str, Any] = {"step": step.id, "phase": "undo", "attempt": attempt}
        token = f"{self._charge.run_id}:{step.id}:undo:{attempt}:f{self._fence or 'spooled'}"
        fired = {"id": self._charge.timer, "place": "watchdog"}
        await self._write("deadman.fired", fired, step=step.id, phase="do")
        intent = {"commands": list(step.undo), "idempotency_key": token, "timeout_s": step.timeout_s}
        await self._write("act.intent", intent, **where)
        window = SendWindow(self._boottime, step.window_s, lambda: False)
        kind, data, word = await self._outcome(token, window)
        await self._write(kind, data, **where)
        return word

    async def _outcome(self, token: str, window: SendWindow) -> tuple[str, Mapping[str, Any], str]:
        step = self._charge.step
        try:
            async with asyncio.timeout(step.timeout_s):
                evidence = await self._effects.act(step, "undo", token, window)
        except NotSent as proof:
            if not window.sends:
                return "act.not_sent", {"reason": f"nothing was sent: {proof}"}, "not sent"
            return "act.interrupted", {"reason": str(proof)}, "unknown"
        except Exception as error:  # noqa: BLE001 - an adapter may raise anything: the outcome is unknown
            return "act.interrupted", {"reason": named(error)}, "unknown"
        return "act.result", {"evidence": evidence}, "done"

    async def _write(self, kind: str, data: Mapping[str, Any], **where: Any) -> None:
        """Into the journal; into the spool once that does not answer, for nothing here may wait for it."""
        entry = self._entry(self._new_id(), kind, data, where)
        try:
            if await self._taken(kind, data=data, fence=self._fence, uid=entry.uid, **where):
                return
        except (FenceLost, RunClosed):
            if kind not in RESULTS:
                raise
            late = {"data": {**data, "result": kind}, "uid": late_uid(entry.uid), **where}
            if await self._taken(late_kind(kind), **late):
                return
        await self._spool(entry)

    async def _taken(self, kind: str, **entry: Any) -> bool:
        """Whether the journal has taken it. One that does not answer is not asked again."""
        if self._journal is None:
            return False
        try:
            async with asyncio.timeout(JOURNAL_S):
                await self._journal.append(self._charge.run_id, kind, **entry)
        except (JournalUnavailable, TimeoutError):
            self._journal = None
            return False
        return True

    def _entry(self, uid: str, kind: str, data: Mapping[str, Any], where: Mapping[str, Any]) -> Entry:
        """Under the fence that it has, or, having claimed nothing, that of the silent console it acts for."""
        fence, at = self._fence or self._charge.fence, stamp(self._now())
        return Entry(self._charge.run_id, uid, at, kind, ACTOR, self._console, fence=fence, data=data, **where)

    async def _released(self) -> None:
        if self._journal is None or self._fence is None:
            return
        try:
            async with asyncio.timeout(JOURNAL_S):
                await self._journal.release(self._charge.run_id, self._fence)
        except (JournalUnavailable, TimeoutError, RunClosed, FenceLost):
            return  # it stays claimed by a process that is about to be gone, which is as good


def _due(step: StepView, timer: str) -> bool:
    """Still armed with this dead-man, with an act begun and nothing of it undone."""
    mine = step.armed is not None and step.armed.id == timer
    return mine and step.do.attempts > 0 and step.undo.state not in SETTLED
