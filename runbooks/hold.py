"""A driver's hold on one run: its fence, its view of the log, its ear for other consoles, its notes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager, suppress
from types import TracebackType
from typing import Any, Self, TypeVar

from runbooks.effects import Notes, Outage, Unattended
from runbooks.journal import FenceLost, Journal, JournalError, JournalUnavailable, RunRow
from runbooks.machine import apply, fold, next_op
from runbooks.model import Event, steps_of
from runbooks.notes import NoteQueue
from runbooks.ops import Op, Reject
from runbooks.outage import Line
from runbooks.standing import Away
from runbooks.view import Rejection, RunView

T = TypeVar("T")

PATIENCE_S = 20.0  # for notes that are still to be told when the driver stops
HURRY_S = 2.0  # the same, when it was interrupted
DEAF_S = 1.0  # before the log of a journal that is away is followed again
NEWS = ("cmd.", "driver.", "guard.", "late.", "deadman.")  # entries of others that can change what comes next


class Hold:
    """Use it with `async with`: it follows the log and tells the notes until it is left.

    Every method that writes raises FenceLost when another console has taken the run over.
    """

    def __init__(
        self,
        journal: Journal,
        row: RunRow,
        fence: int,
        notes: Notes,
        tell_s: float,
        *,
        outage: Outage | None = None,
        boottime: Callable[[], float] = time.monotonic,
    ) -> None:
        specs = steps_of(row.definition)
        self.run_id, self.fence, self.user = row.run_id, fence, journal.identity.user
        self.steps = {step.id: step for step in specs}
        self.view = fold(specs, ())
        self._journal, self._notes_port, self._tell_s = journal, notes, tell_s
        self._newest_claim = fence  # that this console has heard of
        self._news = asyncio.Event()
        self._line = Line(journal, row.run_id, fence, outage or Unattended(), boottime)
        self._line.on_return = self._returned
        self._effect: asyncio.Timeout | None = None
        self.grown = asyncio.Event()  # set at every entry of anybody; whoever waits for it clears it

    async def __aenter__(self) -> Self:
        self._notes = NoteQueue(self._notes_port, self._note_failed, self._tell_s)
        self._watching = asyncio.create_task(self._watch(), name=f"watch {self.run_id}")
        self._living = asyncio.create_task(self._live(), name=f"heartbeat {self.run_id}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in (self._watching, self._living):
            task.cancel()
        await asyncio.wait({self._watching, self._living})
        await self._line.close()
        await self._notes.drain(PATIENCE_S if error is None else HURRY_S)

    # -- the log

    async def catch_up(self) -> None:
        """Read what the log says by now; while the journal is away, what this console itself knows."""
        if self._line.stale:
            await self._look_anew()
        for event in await self._line.events(self.view.seq):
            self.view = apply(self.view, event)
            self._hear(event)

    async def _look_anew(self) -> None:
        """Fold the log from its start: what this console believed meanwhile had no place in it yet."""
        whole = await self._line.events(0)
        if self._line.away:
            return  # again: what was believed is still the best that is known
        self._line.stale = False
        self.view = fold(tuple(self.steps.values()), whole)
        for event in whole:
            self._hear(event)

    @property
    def away(self) -> bool:
        """The journal is away; see `believed`."""
        return self._line.away

    def outage(self) -> Away | None:
        """How it stands with the journal that is away; None: it is there."""
        return self._line.outage()

    @property
    def believed(self) -> RunView:
        """The run as this console alone knows it, with all that waits for the journal."""
        view = self.view
        for event in self._line.known(view.seq):
            view = apply(view, event)
        return view

    async def beside(self, after: int) -> list[Event] | None:
        """Return what the log has behind `after`, for a view beside the driver's; None: the journal is away."""
        return await self._line.beside(after)

    async def append(self, kind: str, data: Mapping[str, Any], **where: Any) -> Event:
        """Append as the driver, and no more."""
        event = await self._line.append(kind, data=data, fence=self.fence, **where)
        if self.away:  # nobody follows the log now
            self._wake(event)
        return event

    async def write(self, kind: str, data: Mapping[str, Any], *, expect: bool = False, **where: Any) -> Event:
        """Append as the driver and tell the notes. `expect`: only if nothing came between; else Conflict."""
        event = await self.append(kind, data, expect_seq=self.view.seq if expect else None, **where)
        return await self._told(event)

    async def command(self, kind: str, data: Mapping[str, Any], **where: Any) -> Event:
        """Append what the person at this console said: a command, like any console's."""
        return await self._told(await self._line.append(kind, data=data, fence=None, **where))

    async def late(self, kind: str, data: Mapping[str, Any], **where: Any) -> None:
        """Report what happened after the run was lost: it needs no fence, and the new driver looks again."""
        await self._line.append(kind, data=data, fence=None, **where)

    async def reject(self, rejection: Rejection) -> None:
        """Answer a command that does not count."""
        await self.write("cmd.rejected", {"reason": rejection.why}, reply_to=rejection.seq)

    def tell(self, event: Event, view: RunView) -> None:
        """Tell the notes of an entry that was appended beside the driver."""
        self._notes.put(event, view)

    async def _told(self, event: Event) -> Event:
        if event.seq == self.view.seq + 1:  # nothing came between: the log need not be asked for what was just written
            self.view = apply(self.view, event)
            self._hear(event)
        else:
            await self.catch_up()
        self._notes.put(event, self.view)
        return event

    async def _note_failed(self, event: Event, why: str) -> None:
        data = {"kind": event.kind, "reason": why}
        with suppress(JournalError):  # a journal that takes no note takes no step either, and that stops the run
            await self._journal.append(self.run_id, "note.failed", reply_to=event.seq, data=data)

    # -- other consoles

    @property
    def lost(self) -> bool:
        """True once this console has heard that another one drives the run."""
        return self._newest_claim > self.fence or self._line.taken_over is not None

    @property
    def lease_s(self) -> float | None:
        return self._journal.lease_s

    def silence_s(self) -> float:
        """Seconds since the journal last confirmed that this console drives."""
        return self._line.silence_s()

    @contextmanager
    def ends_when_lost(self, effect: asyncio.Timeout) -> Iterator[None]:
        """End an effect as soon as it is known that another console drives."""
        self._effect = effect
        try:
            yield
        finally:
            self._effect = None

    def stop_if_lost(self) -> None:
        """End a wait or a pause as soon as it is known; a write would find out by itself."""
        if self.lost:
            raise FenceLost(self.run_id, self.fence, self._newest_claim)

    async def news_within(self, seconds: float | None) -> None:
        """Wait until another console has written something that matters, or for so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._news.wait()
        self._news.clear()

    async def while_due(self, op: Op, work: Coroutine[Any, Any, T]) -> T | None:
        """Run something that only reads or asks; drop it when a command makes another operation due."""
        task = asyncio.create_task(work)
        try:
            while not task.done() and await self._still_due(op):
                news = asyncio.create_task(self._news.wait())
                await asyncio.wait({task, news}, return_when=asyncio.FIRST_COMPLETED)
                news.cancel()
        finally:
            task.cancel()
            await asyncio.wait({task})
        return None if task.cancelled() else task.result()

    async def _still_due(self, op: Op) -> bool:
        self._news.clear()
        await self.catch_up()
        self.stop_if_lost()
        while isinstance(wanted := next_op(self.view), Reject):
            await self.reject(wanted.rejection)  # a command that does not count must not restart a long wait
        return wanted == op

    def _hear(self, event: Event) -> None:
        if event.kind == "driver.claimed":
            self._newest_claim = max(self._newest_claim, event.fence or 0)
            self._end_effect_if_lost()

    def _end_effect_if_lost(self) -> None:
        if self.lost and self._effect is not None and not self._effect.expired():
            self._effect.reschedule(asyncio.get_running_loop().time())

    def _returned(self) -> None:
        self._end_effect_if_lost()
        self._news.set()
        self.grown.set()

    async def _live(self) -> None:
        """Renew the lease, where there is one: its holder is alive for as long as it runs."""
        while (lease_s := self._journal.lease_s) is not None:
            await asyncio.sleep(lease_s / 3)
            if not self._line.away:
                await self._line.beat()

    async def _watch(self) -> None:
        """Notice what others write: a command to obey, or that the run was taken from us."""
        while True:
            try:
                async for event in self._journal.follow(self.run_id, self.view.seq):
                    self._hear(event)
                    self._wake(event)
            except JournalError as error:
                self._news.set()  # whoever waits looks into the journal itself, and meets the error there
                if not isinstance(error, JournalUnavailable) or self._journal.spool is None:
                    return
                await asyncio.sleep(DEAF_S)

    def _wake(self, event: Event) -> None:
        self.grown.set()
        if event.kind.startswith(NEWS):
            self._news.set()
