"""The driver: asks the machine what comes next, performs it through ports, writes down what happened.

    fold the log -> next_op -> intent into the journal -> effect -> result into the journal -> again

It decides nothing itself. It stops when the run is closed, when a person must decide, or when a person is
asked for something that nobody at this console can give; the run keeps its locks, and any console can go
on with `drive` from where the log ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, TypeVar

from runbooks.effects import Finding, GateVerdict, NotSent, Ports, Seen, WindowPassed
from runbooks.hold import Hold
from runbooks.journal import Conflict, FenceLost, Journal, JournalError, JournalUnavailable
from runbooks.machine import fold, next_op
from runbooks.model import Event, Phase, StepDef, steps_of
from runbooks.ops import (
    Act,
    Approve,
    AwaitDecision,
    Check,
    Close,
    Confirm,
    Gate,
    Nothing,
    Observe,
    Op,
    Reject,
    TurnBack,
    Verify,
    Wait,
    observed_as,
)
from runbooks.view import RunView

T = TypeVar("T")

GRACE_S = 5.0  # a verb knows its own deadline; this much later the engine no longer believes that it does
PROGRESS_S = 1.0  # a wait's samples are written at most this often
TELL_S = 10.0  # for one note
GATE_POLL_S = 5.0  # a closed gate is asked again this often
RETRY_S = (0.5, 1.0, 2.0, 4.0)  # for a result: it is known here alone until the journal has it

UntilConfirm = Callable[[RunView, StepDef], bool]


class Engine:
    """Drives runs for one console.

    `now` is UTC; `boottime` is CLOCK_BOOTTIME in seconds, which goes on while a machine is suspended;
    `new_id` names entries so that a retry is written once.
    """

    def __init__(
        self,
        journal: Journal,
        ports: Ports,
        *,
        now: Callable[[], datetime],
        boottime: Callable[[], float],
        new_id: Callable[[], str],
        gate_poll_s: float = GATE_POLL_S,
        tell_s: float = TELL_S,
    ) -> None:
        self.journal, self.ports = journal, ports
        self.now, self.boottime, self.new_id = now, boottime, new_id
        self.gate_poll_s, self.tell_s = gate_poll_s, tell_s

    async def drive(self, run_id: str, fence: int, until_confirm: UntilConfirm | None = None) -> RunView:
        """Drive a run until it is closed, needs a decision, or waits for a person who is not here.

        `until_confirm(view, step)` is asked when a confirmation is due; True leaves the run waiting there.
        Raises FenceLost when another console took the run over, JournalUnavailable, UnknownRun,
        UnfitDefinition. When cancelled, an act in flight is recorded as interrupted: its outcome is unknown,
        and the next driver looks before anything else.
        """
        row = await self.journal.run(run_id)
        async with Hold(self.journal, row, fence, self.ports.notes, self.tell_s) as hold:
            drive = _Drive(self, hold, until_confirm)
            while await drive.step_on():
                pass
        return hold.view

    async def request_rollback(self, run_id: str, fence: int, reason: str) -> RunView:
        """Turn an open run around, as its driver. Every act with an intent will be looked at, then undone.

        Raises FenceLost, RunClosed, UnknownRun.
        """
        await self.journal.append(run_id, "rollback.begin", fence=fence, data={"reason": reason})
        return await view_of(self.journal, run_id)


async def view_of(journal: Journal, run_id: str) -> RunView:
    """Fold what the journal now holds of a run. Raises UnknownRun, UnfitDefinition."""
    row = await journal.run(run_id)
    return fold(steps_of(row.definition), await journal.events(run_id))


class SendWindow:
    """Handed to an adapter as `send_allowed`: raises WindowPassed once the moment to send is over."""

    def __init__(self, boottime: Callable[[], float], window_s: float, lost: Callable[[], bool]) -> None:
        self._boottime, self._window_s, self._lost = boottime, window_s, lost
        self._opened = boottime()
        self.sends = 0

    def __call__(self) -> None:
        late_s = self._boottime() - self._opened
        if self._lost():
            raise WindowPassed("another console has taken the run over")
        if late_s > self._window_s:
            raise WindowPassed(f"{late_s:.1f} s after its intent; {self._window_s:g} s are allowed")
        self.sends += 1


class _Drive:
    """One call of `drive`: each operation of the machine, performed on one held run."""

    def __init__(self, engine: Engine, hold: Hold, until_confirm: UntilConfirm | None) -> None:
        self._engine, self._ports, self._hold = engine, engine.ports, hold
        self._until_confirm = until_confirm
        self._gate_told = ("", "")  # a gate that stays closed is written down once

    async def step_on(self) -> bool:
        """Do the next operation. False: there is none for this console now."""
        await self._hold.catch_up()
        self._hold.stop_if_lost()
        try:
            return await self._perform(next_op(self._hold.view))
        except Conflict:
            return True  # the log grew since the operation was chosen: choose again

    async def _perform(self, op: Op) -> bool:  # noqa: C901 - one case for each operation, none with logic
        match op:
            case Check() | Wait() | Verify():
                await self._read(op)
            case Act():
                await self._act(op)
            case Observe():
                await self._observe(op)
            case Gate():
                await self._ask_gate(op)
            case Confirm():
                return await self._confirm(op)
            case Approve():
                await self._ask(op)
                return False
            case TurnBack(reason):
                await self._hold.write("rollback.begin", {"reason": reason}, expect=True)
            case Close(outcome, reason, why):
                data = {"outcome": outcome, "reason": reason, "why": why}
                await self._hold.write("run.closed", data, expect=True)
            case Reject(rejection):
                await self._hold.reject(rejection)
            case Nothing("paused"):
                await self._hold.news_within(None)
            case AwaitDecision() | Nothing():
                return False
        return True

    # -- reading: may be repeated, may be dropped

    async def _read(self, op: Check | Wait | Verify) -> None:
        step = self._hold.steps[op.step]
        if not isinstance(op, Verify):
            await self._hold.write("step.started", {}, step=op.step)
        finding = await self._hold.while_due(op, self._found(op, step))
        if finding is not None:
            phase: Phase = op.phase if isinstance(op, Verify) else "do"
            data = {"ok": finding.ok, "reason": finding.reason, "evidence": finding.evidence}
            await self._hold.write(_found_as(op, finding), data, step=op.step, phase=phase)

    def _asked(self, op: Check | Wait | Verify, step: StepDef) -> Awaitable[Finding]:
        match op:
            case Check():
                return self._ports.effects.check(step)
            case Wait():
                return self._wait(step)
            case Verify(phase=phase):
                return self._ports.effects.verify(step, phase)

    async def _found(self, op: Check | Wait | Verify, step: StepDef) -> Finding:
        """Whatever goes wrong while reading, the answer is unknown: never healthy, and never harm."""
        deadline_s = step.timeout_s + GRACE_S
        try:
            async with asyncio.timeout(deadline_s):
                return await self._asked(op, step)
        except TimeoutError:
            return Finding(None, f"no answer within {deadline_s:g} s")
        except Exception as error:  # noqa: BLE001 - an adapter may raise anything; none of it may stop a run
            return Finding(None, f"could not be read: {_name(error)}")

    async def _wait(self, step: StepDef) -> Finding:
        latest: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue(maxsize=1)
        recorder = asyncio.create_task(self._record(step, latest))
        try:
            return await self._ports.effects.wait(step, lambda sample: _put_latest(latest, sample))
        finally:
            recorder.cancel()
            await asyncio.wait({recorder})

    async def _record(self, step: StepDef, latest: asyncio.Queue[Mapping[str, Any]]) -> None:
        while True:
            sample = await latest.get()
            try:
                await self._hold.append("wait.progress", sample, step=step.id, phase="do")
            except JournalError:
                return  # the entry that ends the wait meets the same error, and there it stops the run
            await asyncio.sleep(PROGRESS_S)

    # -- acting: never repeated, never dropped

    async def _act(self, op: Act) -> None:
        step = self._hold.steps[op.step]
        token = f"{self._hold.run_id}:{op.step}:{op.phase}:{op.attempt}:f{self._hold.fence}"
        window = SendWindow(self._engine.boottime, step.window_s, lambda: self._hold.lost)
        intent = {
            "commands": list(step.commands if op.phase == "do" else step.undo),
            "idempotency_key": token,
            "window_s": step.window_s,
            "timeout_s": step.timeout_s,
        }
        event = await self._hold.write(
            "act.intent", intent, step=op.step, phase=op.phase, attempt=op.attempt, expect=True
        )
        try:
            kind, data = await self._outcome(op, step, token, window)
        except asyncio.CancelledError:
            await asyncio.shield(self._result(op, event, "act.interrupted", {"reason": "cancelled while acting"}))
            raise
        await self._result(op, event, kind, data)

    async def _outcome(self, op: Act, step: StepDef, token: str, window: SendWindow) -> tuple[str, Mapping[str, Any]]:
        """Perform the effect and say how it ended. Only a proof makes it "not sent"; all else is unknown."""
        try:
            async with asyncio.timeout(step.timeout_s):
                evidence = await self._ports.effects.act(step, op.phase, token, window)
        except WindowPassed as late:
            # The window can close between two sends of one act: then something was sent.
            return ("act.interrupted" if window.sends else "act.not_sent"), {"reason": str(late)}
        except NotSent as proof:
            return "act.not_sent", {"reason": f"nothing was sent: {proof}"}
        except TimeoutError:
            return "act.interrupted", {"reason": f"no answer within {step.timeout_s:g} s"}
        except Exception as error:  # noqa: BLE001 - an adapter may raise anything: the outcome is unknown
            return "act.interrupted", {"reason": _name(error)}
        return "act.result", {"evidence": evidence}

    async def _result(self, op: Act, intent: Event, kind: str, data: Mapping[str, Any]) -> None:
        """Write a result, which nobody else knows: with patience, and as a late report if the run was lost."""
        where: dict[str, Any] = {"step": op.step, "phase": op.phase, "attempt": op.attempt}
        uid = self._engine.new_id()
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

    async def _observe(self, op: Observe) -> None:
        if op.not_before is not None:
            await asyncio.sleep((op.not_before - self._engine.now()).total_seconds())
        seen = await self._seen(self._hold.steps[op.step], op.phase)
        data: dict[str, Any] = {"seen": seen.state, "want": op.phase, "evidence": seen.evidence}
        kind = observed_as(op, self._hold.view, seen.state)
        if kind == "act.unknown":
            data["reason"] = f"the outcome is open: wanted {op.phase!r}, saw {seen.state!r}"
        await self._hold.write(kind, data, step=op.step, phase=op.phase, attempt=op.attempt)

    async def _seen(self, step: StepDef, phase: Phase) -> Seen:
        try:
            async with asyncio.timeout(step.timeout_s):
                return await self._ports.effects.observe(step, phase)
        except TimeoutError:
            return Seen("unknown", {"error": f"no answer within {step.timeout_s:g} s"})
        except Exception as error:  # noqa: BLE001 - what cannot be seen is unknown
            return Seen("unknown", {"error": _name(error)})

    # -- asking

    async def _ask_gate(self, op: Gate) -> None:
        verdict = await self._hold.while_due(op, self._permitted(self._hold.steps[op.step]))
        if verdict is None:
            return  # a command made something else due while the gate was being asked
        data = {"reason": verdict.reason, "evidence": verdict.evidence}
        if verdict.open:
            await self._hold.write("gate.passed", data, step=op.step, expect=True)
            return
        if self._gate_told != (op.step, verdict.reason):
            await self._hold.write("gate.closed", data, step=op.step)
            self._gate_told = (op.step, verdict.reason)
        if self._hold.view.begun:
            await self._hold.news_within(self._engine.gate_poll_s)

    async def _permitted(self, step: StepDef) -> GateVerdict:
        try:
            async with asyncio.timeout(step.timeout_s):
                return await self._ports.gate.permit(self._hold.view, step)
        except TimeoutError:
            return GateVerdict(open=False, reason=f"the gate did not answer within {step.timeout_s:g} s")
        except Exception as error:  # noqa: BLE001 - a gate that cannot be asked is closed
            return GateVerdict(open=False, reason=f"the gate could not be asked: {_name(error)}")

    async def _ask(self, op: Confirm | Approve) -> None:
        step = self._hold.view.step(op.step)
        if step is not None and step.do.state == "pending":
            await self._hold.write("step.started", {}, step=op.step)

    async def _confirm(self, op: Confirm) -> bool:
        step = self._hold.steps[op.step]
        await self._ask(op)
        if self._until_confirm is not None and self._until_confirm(self._hold.view, step):
            return False
        answer = await self._hold.while_due(op, self._answer(step))
        if answer == "yes":
            await self._hold.command("cmd.confirm", {}, step=op.step)
        if answer == "no":
            reason = f"{step.title or step.id}: not confirmed by {self._hold.user}"
            await self._hold.command("cmd.abort", {"reason": reason})
        return answer != "nobody"

    async def _answer(self, step: StepDef) -> str:
        """Ask the person here. No deadline: a person may take as long as it takes."""
        answer = await self._ports.operator.confirm(self._hold.view, step)
        return {True: "yes", False: "no", None: "nobody"}[answer]


def _found_as(op: Check | Wait | Verify, finding: Finding) -> str:
    match op:
        case Check():
            return "check.passed" if finding.ok else "check.failed"
        case Wait():
            return "wait.passed" if finding.ok else "verify.timeout"
        case Verify():
            return "verify.ok" if finding.ok else "verify.timeout"


def _put_latest(queue: asyncio.Queue[Mapping[str, Any]], sample: Mapping[str, Any]) -> None:
    """Keep only the newest sample that has not been written yet."""
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(sample)


def _name(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
