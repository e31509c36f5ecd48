"""What a driver may do next: the operations, and next_op, which picks exactly one of them from a view."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from runbooks.inforce import group_of, in_force, only_noted
from runbooks.model import Phase
from runbooks.view import OPEN, SETTLED, Outcome, Question, Rejection, RunView, StepView


@dataclass(frozen=True, slots=True)
class Check:
    step: str


@dataclass(frozen=True, slots=True)
class Wait:
    step: str


@dataclass(frozen=True, slots=True)
class Measure:
    step: str


@dataclass(frozen=True, slots=True)
class Note:
    step: str


@dataclass(frozen=True, slots=True)
class Act:
    step: str
    phase: Phase
    attempt: int


@dataclass(frozen=True, slots=True)
class Observe:
    step: str
    phase: Phase
    attempt: int
    not_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class Verify:
    step: str
    phase: Phase


@dataclass(frozen=True, slots=True)
class Confirm:
    """Ask the person here: for a word (confirm), or for a deed and its evidence (manual)."""

    step: str


@dataclass(frozen=True, slots=True)
class Approve:
    step: str


@dataclass(frozen=True, slots=True)
class Gate:
    step: str


@dataclass(frozen=True, slots=True)
class TurnBack:
    """Undo. `auto`: no person asked for it, so the baseline is judged first."""

    reason: str
    auto: bool = False


@dataclass(frozen=True, slots=True)
class Reject:
    rejection: Rejection


@dataclass(frozen=True, slots=True)
class Disarm:
    """Have a step's dead-man confirmed: the run holds, ends, or has put the step back itself."""

    step: str
    timer: str


@dataclass(frozen=True, slots=True)
class Close:
    outcome: Outcome
    reason: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class AwaitDecision:
    question: Question


@dataclass(frozen=True, slots=True)
class Nothing:
    """No operation now: the run is closed, not created, paused, unsure or to be handed over."""

    why: str


Op = (
    Check
    | Wait
    | Measure
    | Note
    | Act
    | Observe
    | Verify
    | Confirm
    | Approve
    | Gate
    | TurnBack
    | Reject
    | Disarm
    | Close
    | AwaitDecision
    | Nothing
)


def next_op(view: RunView) -> Op:
    """Return the one operation that may happen now.

    The order is the safety argument: an open intent is looked at before anybody may turn, ask or go on,
    because nothing can be decided about a device whose state is not known.
    """
    if view.state == "NEW" or view.closed:
        return Nothing("closed" if view.closed else "not created")
    onward = _next_do if view.direction == "forward" else _next_undo
    op = _formality(view) or _open_intent(view) or _turn_or_ask(view) or onward(view)
    return _disarm_first(view, op) or op


def _disarm_first(view: RunView, op: Op) -> Disarm | None:
    """A dead-man lives from act to confirm: before the run holds or ends it goes, and before its step is acted on anew.

    Once the step is put back there is nothing left for it to restore.
    """
    holds = isinstance(op, AwaitDecision | Confirm | Approve | Close) or op in {
        Nothing("paused"),
        Nothing("handed over"),
    }
    for step in view.steps:
        if step.armed is None or step.armed.unanswered:
            continue
        again = isinstance(op, Act) and (op.step, op.phase) == (step.id, "do")
        if holds or again or (step.undo.state in SETTLED and not isinstance(op, Observe)):
            return Disarm(step.id, step.armed.id)
    return None


def observed_as(op: Observe, view: RunView, seen: str) -> str:
    """Name the event that tells what was seen: as wanted, something to undo, or a question."""
    step = view.step(op.step)
    if seen == op.phase:
        return "act.observed"
    first_look = step is not None and op.phase == "undo" and step.undo.state == "pending"
    return "undo.due" if first_look and seen in {"do", "mixed"} else "act.unknown"


def _formality(view: RunView) -> Op | None:
    """Answer a command that does not count."""
    return Reject(view.rejections[0]) if view.rejections else None


def _open_intent(view: RunView) -> Observe | None:
    for step in view.steps:
        phase = step.phase(view.phase)
        if phase.state in OPEN:
            return Observe(step.id, view.phase, phase.attempts, step.settled_at)
    return None


def _turn_or_ask(view: RunView) -> Op | None:
    if view.turn_back:
        return TurnBack(view.turn_back, view.turn_auto)
    return AwaitDecision(view.question) if view.question else None


def _next_do(view: RunView) -> Op:
    if view.refused and not view.begun:
        return Close("ROLLED_BACK", "refused", view.refused)
    step = next((step for step in view.steps if step.do.state not in SETTLED), None)
    if step is None:
        return Close("COMPLETED")
    return (None if _half_moved(view, step) else _standstill(view, step)) or _forward(view, step)


def _standstill(view: RunView, step: StepView) -> Op | None:
    """Between two groups, and only there, a driver may be told to stop."""
    if view.handover:
        return Nothing("handed over")
    if view.paused:
        return Nothing("paused")
    return Nothing("unsure") if step.kind == "act" and not _clear(view) else None


_PLAIN: dict[str, Callable[[str], Op]] = {
    "check": Check,
    "wait_until": Wait,
    "measure": Measure,
    "note": Note,
    "confirm": Confirm,
    "manual": Confirm,
    "approve": Approve,
}


def _forward(view: RunView, step: StepView) -> Op:
    if step.kind in _PLAIN:
        return _PLAIN[step.kind](step.id)
    if step.do.state == "acted":
        return Verify(step.id, "do")
    if _leads(view, step) and view.gate_passed != step.id:
        return Gate(step.id)
    return Act(step.id, "do", step.do.attempts + 1)


def _next_undo(view: RunView) -> Op:
    """Undo in reverse exactly what has an intent: what never had one was never done."""
    undoable = (step for step in reversed(view.steps) if step.do.attempts)
    step = next((step for step in undoable if step.undo.state not in SETTLED and not step.stays), None)
    if step is None:
        return Close("ROLLED_BACK", view.reason, _left(view))
    if step.undo.state == "acted":
        return Verify(step.id, "undo")
    if step.undo.state == "due":
        return Act(step.id, "undo", step.undo.attempts + 1)
    if view.handover and not _half_undone(view, step):
        return Nothing("handed over")
    return Observe(step.id, "undo", step.undo.attempts, step.settled_at)


def _left(view: RunView) -> str:
    """What an undone run leaves, and why; "" when nothing."""
    decided = ", ".join(step.id for step in view.steps if step.undo.state == "skipped")
    lasting = ", ".join(f"{step.id} ({step.title})" for step in view.steps if step.stays)
    return "; ".join(
        f"{why}: {left}"
        for why, left in (("left in place by decision", decided), ("left in place, it cannot be put back", lasting))
        if left
    )


def _clear(view: RunView) -> bool:
    """Every guard in force has been judged by this driver since the last act, for this step, and none is blind."""
    guards = in_force(view)
    return not view.unsure and all(each.label in view.guards and not only_noted(view, each) for each in guards)


def _leads(view: RunView, step: StepView) -> bool:
    """Only the first act of a group asks the gate: one half alone is worse than both or none."""
    return group_of(view, step)[0].id == step.id


def _half_moved(view: RunView, step: StepView) -> bool:
    """Nothing stops between the first intent of a group and its last verification."""
    others = (member for member in group_of(view, step) if member.id != step.id)
    return step.do.state == "acted" or any(member.do.attempts for member in others)


def _half_undone(view: RunView, step: StepView) -> bool:
    """The same on the way back, where the last member of a group goes first."""
    return any(member.undo.attempts for member in group_of(view, step) if member.id != step.id)
