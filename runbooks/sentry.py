"""The watch beside a driver: judges the guards in force at every look, and writes down what changed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from runbooks.effects import Guards, Reading, named
from runbooks.hold import Hold
from runbooks.hysteresis import Tally
from runbooks.inforce import begun, in_flight, in_force, only_noted, verifying
from runbooks.journal import Conflict, JournalError, JournalUnavailable
from runbooks.machine import apply, fold
from runbooks.model import GuardDef
from runbooks.view import RunView

LOOK_S = 15.0  # for one look, the wait for something new included
IDLE_S = 5.0  # at most without a look into the log: an outage of the journal may have made the hold deaf
RETRY_S = 1.0  # while the journal cannot be reached


class Sentry:
    """Use it with `async with`, inside the hold. It folds the log for itself and never touches the driver's view.

    An entry is written only if nothing came between the look and the entry: what was seen before an act must not
    count as harm of that act. The entry is what wakes the driver; the sentry decides nothing.
    """

    def __init__(self, hold: Hold, guards: Guards) -> None:
        self._hold, self._guards = hold, guards
        self._view = self._unread()
        self._apart = False  # the view is the driver's: the journal is away
        self._tallies: dict[str, Tally] = {}
        self._told: dict[str, str] = {}
        self._begun = 0

    async def __aenter__(self) -> Self:
        guarded = any(step.guards for step in self._hold.steps.values())
        work = self._watch() if guarded else asyncio.sleep(0)
        self._driver = asyncio.current_task()
        self._task = asyncio.create_task(work, name=f"guards {self._hold.run_id}")
        self._task.add_done_callback(self._ended)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._task.remove_done_callback(self._ended)
        self._task.cancel()
        await asyncio.wait({self._task})
        if not self._task.cancelled() and (bug := self._task.exception()):
            raise bug

    def _ended(self, task: asyncio.Task[None]) -> None:
        """A watch that died of a bug takes the driver with it: it must not go on, nor wait for a word, unguarded."""
        if self._driver is not None and not task.cancelled() and task.exception():
            self._driver.cancel()

    async def _watch(self) -> None:
        while not self._view.closed:
            try:
                await self._round()
            except JournalUnavailable:
                await asyncio.sleep(RETRY_S)
            except JournalError:
                return  # the run was lost or is closed; the driver finds that out by itself

    async def _round(self) -> None:
        """One look, or a wait until there is something to look at."""
        self._hold.grown.clear()
        view = await self._caught_up()
        guards = () if in_flight(view) else in_force(view)
        if not guards:
            with suppress(TimeoutError):
                async with asyncio.timeout(IDLE_S):
                    await self._hold.grown.wait()
            return
        before = begun(view)
        found = await self._look(view, guards)
        if self._same(await self._caught_up(), before):
            asked = {guard.label for guard in guards}
            for guard in in_force(self._view):  # by the word of the step that the run has come to meanwhile
                if guard.label in asked:
                    await self._judge(guard, found.get(guard.label, Reading(None, "it was not judged")), before)

    async def _look(self, view: RunView, guards: Sequence[GuardDef]) -> Mapping[str, Reading]:
        try:
            async with asyncio.timeout(LOOK_S):
                return await self._guards.look(view, guards)
        except TimeoutError:
            why = f"no look at the network within {LOOK_S:g} s"
        except Exception as error:  # noqa: BLE001 - a guard that fails is blind, and blindness is no harm
            why = f"could not be judged: {named(error)}"
        return {guard.label: Reading(None, why) for guard in guards}

    async def _judge(self, guard: GuardDef, reading: Reading, before: int) -> None:
        if reading.ok is None and verifying(self._view):
            return  # slow evidence is still of the time before the act; its own verification waits for it
        tally = self._tally(guard)
        state = tally.add(reading.ok)
        told = state == self._told.get(guard.label) and not only_noted(self._view, guard)
        if state is None or told:
            return
        data = {"guard": guard.label, "policy": guard.policy, "reason": reading.reason, "margin": reading.margin}
        if await self._write(f"guard.{state}", data, before):
            self._told[guard.label] = state

    def _tally(self, guard: GuardDef) -> Tally:
        """The samples since the last intent: those from before it say nothing of the network as it is now."""
        if self._begun != begun(self._view):
            self._begun = begun(self._view)
            self._tallies.clear()
            self._told.clear()
        return self._tallies.setdefault(guard.label, Tally(guard.k, guard.n))

    async def _write(self, kind: str, data: Mapping[str, Any], before: int) -> bool:
        while self._same(self._view, before):
            try:
                event = await self._hold.append(kind, data, expect_seq=self._view.seq)
            except Conflict:
                await self._caught_up()
                continue
            self._hold.tell(event, await self._caught_up())
            return True
        return False

    @staticmethod
    def _same(view: RunView, before: int) -> bool:
        """The network is the one that was looked at: no act has begun since, and the run has not turned back."""
        return bool(in_force(view)) and not in_flight(view) and begun(view) == before

    async def _caught_up(self) -> RunView:
        """Fold what is new; while the journal is away, believe what the driver does, who may act on it."""
        if self._apart and not self._hold.away:
            self._view, self._apart = self._unread(), False
        found = await self._hold.beside(self._view.seq)
        if found is None:
            self._view, self._apart = self._hold.believed, True
        for event in found or ():
            self._view = apply(self._view, event)
        return self._view

    def _unread(self) -> RunView:
        return fold(tuple(self._hold.steps.values()), ())
