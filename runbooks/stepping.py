"""How the log moves one step, and what follows for its run when a step fails or is unknown. Pure."""

from __future__ import annotations

from dataclasses import replace

from runbooks import armed
from runbooks.exits import policy_of
from runbooks.model import Event, Phase
from runbooks.tables import TABLES, UNDO
from runbooks.view import OPEN, SETTLED, PhaseView, Question, RunView, StepView


def moved_step(view: RunView, event: Event) -> RunView:
    step = view.step(event.step)
    if step is None:
        return view
    phase: Phase = event.phase or "do"
    before = step.phase(phase)
    after = _intent(before, event) if event.kind == "act.intent" else by_table(step, phase, event.kind)
    step = armed.intended(recorded(with_phase(step, phase, after), event, phase), event)
    view = with_step(view, _undo_reopened(view, step, event))
    return view if before.state == after.state else _consequence(view, step, phase, event)


def _intent(before: PhaseView, event: Event) -> PhaseView:
    """An intent counts whatever we believed before: from here on only a look at the device can tell."""
    return replace(before, state="intent", attempts=before.attempts + 1, intent=event, settle_until=None)


def _consequence(view: RunView, step: StepView, phase: Phase, event: Event) -> RunView:
    if step.phase(phase).state in {"failed", "unknown"}:
        return _trouble(view, step, phase, event)
    left = tuple(asked for asked in view.questions if asked.about != (step.id, phase, False))
    return replace(view, questions=left)  # what was asked of it has been answered by a fact


def by_table(step: StepView, phase: Phase, kind: str) -> PhaseView:
    before = step.phase(phase)
    table = UNDO if phase == "undo" else TABLES[step.kind]
    return replace(before, state=table.get((before.state, kind), before.state))


def _undo_reopened(view: RunView, step: StepView, event: Event) -> StepView:
    """A `do` that lands late, or is done again, opens its undo again: what was put back before it says no more."""
    late = event.kind == "late.act.result" and view.direction == "rollback" and step.undo.state not in OPEN
    again = event.kind == "act.intent" and view.direction == "forward"
    return replace(step, undo=replace(step.undo, state="pending")) if event.phase == "do" and (late or again) else step


def recorded(step: StepView, event: Event, phase: Phase) -> StepView:
    if event.kind == "wait.progress":
        return replace(step, progress=event.data)
    key = event.kind if phase == "do" else f"undo.{event.kind}"
    settled = step.phase(phase).state in SETTLED
    return replace(
        step,
        started=step.started or (None if event.kind.startswith("gate.") else event.ts),
        ended=event.ts if settled else None,
        evidence={**step.evidence, key: event.data},
    )


def with_phase(step: StepView, phase: Phase, after: PhaseView) -> StepView:
    return replace(step, do=after) if phase == "do" else replace(step, undo=after)


def with_step(view: RunView, step: StepView) -> RunView:
    return replace(view, steps=tuple(step if old.id == step.id else old for old in view.steps))


def _trouble(view: RunView, step: StepView, phase: Phase, event: Event) -> RunView:
    """A step failed or is unknown: refuse if nothing was begun, undo if its policy says so, else ask."""
    text = f"{step.title}: {event.data.get('reason') or event.kind}"
    if event.kind == "check.failed" and not view.begun:
        return replace(view, refused=text)
    observed_harm = event.data.get("ok") is False  # unknown is not harm: it asks
    if phase == "do" and policy_of(step.spec, "timeout") == "undo" and observed_harm and view.begun:
        return undo_by_policy(view, text)
    return view.asking(Question(event.seq, step.id, phase, event.kind, text))


def undo_by_policy(view: RunView, reason: str) -> RunView:
    """A policy asks for an undo; what a person has asked for already is not gated by it."""
    return view if view.turn_back else replace(view, turn_back=reason, turn_auto=True)
