"""Which guards of a run are in force at one moment, and when nobody may be interrupted by them. Pure."""

from __future__ import annotations

from runbooks.exits import policy_of
from runbooks.model import GuardDef, StepDef
from runbooks.view import OPEN, SETTLED, RunView, StepView


def in_hand(view: RunView) -> StepView | None:
    """The step that the run is at, going forward; None when all are settled."""
    return next((step for step in view.steps if step.do.state not in SETTLED), None)


def group_of(view: RunView, step: StepView) -> tuple[StepView, ...]:
    """The atomic group of a step: at least itself."""
    if step.spec.group is None:
        return (step,)
    return tuple(other for other in view.steps if other.spec.group == step.spec.group)


def in_force(view: RunView) -> tuple[GuardDef, ...]:
    """The guards of the step in hand, of the rest of its group, and of every act begun: what was moved stays guarded.

    One for each label; where two steps have it, the later one's policy counts, and over it what the step in hand says
    of the exit path `guard`. None on the way back: no guard may stop an undo.
    """
    now = in_hand(view)
    if view.closed or view.direction != "forward" or now is None:
        return ()
    here = group_of(view, now)
    guarded = (step for step in view.steps if step in here or (step.kind == "act" and step.do.attempts))
    found = {guard.label: _at(step.spec, guard) for step in guarded for guard in step.spec.guards}
    return tuple(_at(now.spec, guard) for guard in found.values())


def _at(step: StepDef, guard: GuardDef) -> GuardDef:
    """A guard as it is in force at a step: by the exit table, with the step's own word before the guard's."""
    return guard.model_copy(update={"policy": policy_of(step, "guard", guard)})


def only_noted(view: RunView, guard: GuardDef) -> bool:
    """It has tripped at a step that only writes that down, and at this one more would come of it."""
    seen = view.guards.get(guard.label)
    return seen is not None and seen.state == "tripped" and seen.policy == "finish" != guard.policy


def in_flight(view: RunView) -> bool:
    """An act has no known outcome yet, or a group is half moved: what is seen now is neither before nor after."""
    if any(step.do.state in OPEN for step in view.steps):
        return True
    now = in_hand(view)
    members = group_of(view, now) if now else ()
    moved = [member.do.state != "pending" for member in members]  # pending again after a redo: it is not there
    return any(moved) and not all(moved)


def begun(view: RunView) -> int:
    """How many intents there were: another number means that what was seen before is of another network."""
    return sum(step.do.attempts for step in view.steps)


def verifying(view: RunView) -> bool:
    """An act has been sent and is not proven: slow evidence is still of the time before it."""
    return any(step.do.state in {"acted", "unknown", "failed"} for step in view.steps if step.kind == "act")
