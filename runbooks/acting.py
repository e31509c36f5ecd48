"""Performing an act: its intent before, its result after. Never repeated, never dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from runbooks.deadman import Deadmen
from runbooks.effects import Effects, NotSent, WindowPassed, named
from runbooks.hold import Hold
from runbooks.journal import FenceLost, JournalUnavailable
from runbooks.model import Event, StepDef
from runbooks.ops import Act
from runbooks.view import Timer

RETRY_S = (0.5, 1.0, 2.0, 4.0)  # for a result: it is known here alone until the journal has it


class SendWindow:
    """Handed to an adapter as `send_allowed`: raises WindowPassed once the moment to send is over."""

    def __init__(
        self,
        boottime: Callable[[], float],
        window_s: float,
        lost: Callable[[], bool],
        silence_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._boottime, self._window_s, self._lost, self._silence_s = boottime, window_s, lost, silence_s
        self._opened = boottime()
        self.sends = 0

    def __call__(self) -> None:
        self.check()
        self.sends += 1

    def check(self) -> None:
        """Raise WindowPassed as before a send, for what goes out before it and changes nothing."""
        late_s = self._boottime() - self._opened
        if self._lost():
            raise WindowPassed("another console has taken the run over")
        if late_s > self._window_s:
            raise WindowPassed(f"{late_s:.1f} s after its intent; {self._window_s:g} s are allowed")
        if (silence_s := self._silence_s()) > self._window_s:
            raise WindowPassed(f"the journal was last heard {silence_s:.1f} s ago; {self._window_s:g} s are allowed")


class Actor:
    """Acts for one held run."""

    def __init__(
        self,
        hold: Hold,
        effects: Effects,
        deadmen: Deadmen,
        boottime: Callable[[], float],
        new_id: Callable[[], str],
    ) -> None:
        self._hold, self._effects, self._deadmen = hold, effects, deadmen
        self._boottime, self._new_id = boottime, new_id

    async def act(self, op: Act) -> None:
        step = self._hold.steps[op.step]
        token = f"{self._hold.run_id}:{op.step}:{op.phase}:{op.attempt}:f{self._hold.fence}"
        window_s = min(step.window_s, (self._hold.lease_s or float("inf")) / 2)  # sent before the lease can run out
        timer = self._deadmen.timer_of(op, step)
        intent: dict[str, Any] = {
            "commands": list(step.commands if op.phase == "do" else step.undo),
            "idempotency_key": token,
            "window_s": window_s,
            "timeout_s": step.timeout_s,
        }
        if timer is not None:
            await self._deadmen.prepare(step, timer)
            intent["deadman"] = {"id": timer.id, "seconds": timer.seconds, "places": list(timer.places)}
        # It opens before the entry that others count from, and after what may take longer than it lasts.
        window = SendWindow(self._boottime, window_s, lambda: self._hold.lost, self._hold.silence_s)
        event = await self._hold.write(
            "act.intent", intent, step=op.step, phase=op.phase, attempt=op.attempt, expect=True
        )
        try:
            kind, data = await self._outcome(op, step, token, window, timer)
        except asyncio.CancelledError:
            await asyncio.shield(self._result(op, event, "act.interrupted", {"reason": "cancelled while acting"}))
            raise
        await self._result(op, event, kind, data)

    async def _outcome(
        self, op: Act, step: StepDef, token: str, window: SendWindow, timer: Timer | None
    ) -> tuple[str, Mapping[str, Any]]:
        """Perform the effect and say how it ended. Only a proof makes it "not sent"; all else is unknown."""
        try:
            async with asyncio.timeout(step.timeout_s) as scope:
                with self._hold.ends_when_lost(scope):
                    if timer is not None:
                        await self._deadmen.arm(step, timer, window.check)
                    evidence = await self._effects.act(step, op.phase, token, window)
        except WindowPassed as late:
            # The window can close between two sends of one act: then something was sent.
            return ("act.interrupted" if window.sends else "act.not_sent"), {"reason": str(late)}
        except NotSent as proof:
            return "act.not_sent", {"reason": f"nothing was sent: {proof}"}
        except TimeoutError:
            if self._hold.lost:
                return "act.interrupted", {"reason": "another console has taken the run over"}
            return "act.interrupted", {"reason": f"no answer within {step.timeout_s:g} s"}
        except Exception as error:  # noqa: BLE001 - an adapter may raise anything: the outcome is unknown
            return "act.interrupted", {"reason": named(error)}
        return "act.result", {"evidence": evidence}

    async def _result(self, op: Act, intent: Event, kind: str, data: Mapping[str, Any]) -> None:
        """Write a result, which nobody else knows: with patience, and as a late report if the run was lost."""
        where: dict[str, Any] = {"step": op.step, "phase": op.phase, "attempt": op.attempt}
        uid = self._new_id()
        for pause_s in (*RETRY_S, None):
            try:
                await self._hold.write(kind, data, **where, uid=uid)
                return
            except FenceLost:
                await self._hold.late("late.act.result", {"result": kind, **data}, reply_to=intent.seq, **where)
                raise
            except JournalUnavailable:
                if pause_s is None:
                    raise
                await asyncio.sleep(pause_s)
