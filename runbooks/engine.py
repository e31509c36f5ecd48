"""The driver: asks the machine what comes next, performs it through ports, writes down what happened.

    fold the log -> next_op -> intent into the journal -> effect -> result into the journal -> again

It decides nothing itself. It stops when the run is closed, when a person must decide, or when a person is
asked for something that nobody at this console can give; the run keeps its locks, and any console can go
on with `drive` from where the log ends.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from runbooks.acting import Actor
from runbooks.deadman import PAUSES_S, Deadmen
from runbooks.effects import Finding, GateVerdict, Ports, named
from runbooks.hold import Hold
from runbooks.inforce import in_hand
from runbooks.journal import Conflict, Journal
from runbooks.machine import fold, next_op
from runbooks.model import StepDef, steps_of
from runbooks.ops import (
    Act,
    Approve,
    AwaitDecision,
    Check,
    Close,
    Confirm,
    Disarm,
    Gate,
    Measure,
    Note,
    Nothing,
    Observe,
    Op,
    Reject,
    TurnBack,
    Verify,
    Wait,
    observed_as,
)
from runbooks.outage import LookAgain
from runbooks.reading import Reader
from runbooks.sentry import Sentry
from runbooks.standing import Standing
from runbooks.view import RunView

TELL_S = 10.0  # for one note
BASELINE_S = 10.0  # to judge the baseline before an undo that nobody asked for
LEFT_S = 40.0  # for the last look at what an undone run may have left
GATE_POLL_S = 5.0  # a closed gate is asked again this often

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
        disarm_pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        self.journal, self.ports = journal, ports
        self.now, self.boottime, self.new_id = now, boottime, new_id
        self.gate_poll_s, self.tell_s, self.disarm_pauses_s = gate_poll_s, tell_s, disarm_pauses_s
        self._driven: dict[str, tuple[Hold, Deadmen]] = {}

    async def drive(self, run_id: str, fence: int, until_confirm: UntilConfirm | None = None) -> RunView:
        """Drive a run until it is closed, needs a decision, or waits for a person who is not here.

        `until_confirm(view, step)` is asked when a confirmation is due; True leaves the run waiting there.
        Raises FenceLost when another console took the run over, JournalUnavailable, UnknownRun,
        UnfitDefinition. When cancelled, an act in flight is recorded as interrupted: its outcome is unknown,
        and the next driver looks before anything else.
        """
        row = await self.journal.run(run_id)
        hold = Hold(
            self.journal,
            row,
            fence,
            self.ports.notes,
            self.tell_s,
            outage=self.ports.outage,
            boottime=self.boottime,
        )
        deadmen = Deadmen(hold, self.ports.effects, self.disarm_pauses_s, self.boottime)
        self._driven[run_id] = hold, deadmen
        try:
            async with hold, deadmen, Sentry(hold, self.ports.guards):
                drive = _Drive(self, hold, deadmen, until_confirm)
                while await drive.step_on():
                    pass
        finally:
            self._driven.pop(run_id, None)
        return hold.view

    def standing(self, run_id: str) -> Standing | None:
        """What is known here alone of a run that is being driven here now; None: it is not."""
        if run_id not in self._driven:
            return None
        hold, deadmen = self._driven[run_id]
        away = hold.outage()
        return Standing(deadmen.fuses(), away, hold.believed if away else None)

    async def disarm(self, run_id: str, fence: int) -> None:
        """Have every dead-man of the run confirmed, as its driver who leaves on purpose, to hold. Raises FenceLost."""
        row = await self.journal.run(run_id)
        async with Hold(self.journal, row, fence, self.ports.notes, self.tell_s) as hold:
            await hold.catch_up()
            await Deadmen(hold, self.ports.effects).disarm_all()  # not entered: nothing is to be extended any more

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


class _Drive:
    """One call of `drive`: each operation of the machine, performed on one held run."""

    def __init__(self, engine: Engine, hold: Hold, deadmen: Deadmen, until_confirm: UntilConfirm | None) -> None:
        self._engine, self._ports, self._hold = engine, engine.ports, hold
        self._reader = Reader(hold, engine.ports.effects)
        self._deadmen = deadmen
        self._actor = Actor(hold, engine.ports.effects, deadmen, engine.boottime, engine.new_id)
        self._until_confirm = until_confirm
        self._gate_told = ("", "")  # a gate that stays closed is written down once

    async def step_on(self) -> bool:
        """Do the next operation. False: there is none for this console now."""
        await self._hold.catch_up()
        self._hold.stop_if_lost()
        try:
            return await self._perform(next_op(self._hold.view))
        except (Conflict, LookAgain):
            return True  # the log is not what it was when the operation was chosen: choose again

    async def _perform(self, op: Op) -> bool:  # noqa: C901, PLR0912 - one case for each operation, none with logic
        match op:
            case Check() | Wait() | Measure() | Verify():
                await self._reader.read(op)
            case Note():
                await self._hold.write("step.noted", {"text": self._hold.steps[op.step].text}, step=op.step)
            case Act():
                await self._actor.act(op)
            case Observe():
                await self._observe(op)
            case Disarm():
                await self._deadmen.disarm(op)
            case Gate():
                await self._ask_gate(op)
            case Confirm():
                return await self._confirm(op)
            case Approve():
                await self._ask(op)
                return False
            case TurnBack():
                await self._turn_back(op)
            case Close():
                await self._close(op)
            case Reject(rejection):
                await self._hold.reject(rejection)
            case Nothing("paused" | "unsure"):
                await self._hold.news_within(None)
            case AwaitDecision() | Nothing():
                return False
        return True

    async def _observe(self, op: Observe) -> None:
        if op.not_before is not None:
            await asyncio.sleep((op.not_before - self._engine.now()).total_seconds())
        seen = await self._reader.seen(self._hold.steps[op.step], op.phase)
        data: dict[str, Any] = {"seen": seen.state, "want": op.phase, "evidence": seen.evidence}
        kind = observed_as(op, self._hold.view, seen.state)
        if kind == "act.unknown":
            data["reason"] = f"the outcome is open: wanted {op.phase!r}, saw {seen.state!r}"
        await self._hold.write(kind, data, step=op.step, phase=op.phase, attempt=op.attempt)

    async def _turn_back(self, op: TurnBack) -> None:
        """Begin the undo. One that no person asked for begins only if the baseline is proven better than now."""
        if not op.auto:
            await self._hold.write("rollback.begin", {"reason": op.reason}, expect=True)
            return
        found = await self._baseline()
        step = in_hand(self._hold.view) or self._hold.view.steps[-1]
        if found.ok:
            data = {"reason": op.reason, "baseline": found.reason, "evidence": found.evidence}
            await self._hold.write("rollback.begin", data, expect=True)
        else:
            held = {"ok": found.ok, "reason": found.reason, "evidence": found.evidence}
            await self._hold.write("undo.held", held, step=step.id, expect=True)

    async def _baseline(self) -> Finding:
        """An undo is an act: while a guard cannot see, none begins by itself."""
        if blind := self._hold.view.unsure:
            return Finding(None, "; ".join(f"{name} cannot see: {why}" for name, why in blind.items()))
        try:
            async with asyncio.timeout(BASELINE_S):
                return await self._ports.guards.baseline(self._hold.view)
        except TimeoutError:
            return Finding(None, f"the baseline was not judged within {BASELINE_S:g} s")
        except Exception as error:  # noqa: BLE001 - a baseline that cannot be judged is not proven
            return Finding(None, f"the baseline could not be judged: {named(error)}")

    async def _close(self, op: Close) -> None:
        """The last thing before an undone run is closed is a look for what it may have left; the close says it."""
        data: dict[str, Any] = {"outcome": op.outcome, "reason": op.reason, "why": op.why}
        acts = [step.spec for step in self._hold.view.steps if step.do.attempts]
        if op.outcome == "ROLLED_BACK" and acts:
            found = await self._left_behind(acts)
            data["evidence"] = found.evidence
            if not found.ok:
                data["why"] = "; ".join(filter(None, [op.why, f"not proven that nothing is left: {found.reason}"]))
        await self._hold.write("run.closed", data, expect=True)

    async def _left_behind(self, acts: Sequence[StepDef]) -> Finding:
        try:
            async with asyncio.timeout(LEFT_S):
                return await self._ports.effects.left_behind(self._hold.run_id, acts)
        except TimeoutError:
            return Finding(None, f"no answer within {LEFT_S:g} s")
        except Exception as error:  # noqa: BLE001 - what cannot be looked at is not known, and the run ends all the same
            return Finding(None, named(error))

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
            return GateVerdict(open=False, reason=f"the gate could not be asked: {named(error)}")

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
        match answer:
            case {"no": why}:
                await self._hold.command("cmd.abort", {"reason": f"{step.title or step.id}: {why} {self._hold.user}"})
            case dict():
                await self._hold.command("cmd.confirm", answer, step=op.step)
        return answer != "nobody"

    async def _answer(self, step: StepDef) -> Mapping[str, Any] | str:
        """Ask the person here: what the command carries, or "nobody". No deadline: it takes as long as it takes."""
        if step.kind == "manual":
            given = await self._ports.operator.evidence(self._hold.view, step)
            return "nobody" if given is None else {"evidence": dict(given)} if given else {"no": "not done by"}
        answer = await self._ports.operator.confirm(self._hold.view, step)
        return "nobody" if answer is None else {} if answer else {"no": "not confirmed by"}
