"""What people say to a run (`cmd.*`): what counts changes the view, anything else is answered with why not. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import groupby

from runbooks import armed
from runbooks.model import Event
from runbooks.stepping import by_table, moved_step, recorded, with_phase, with_step
from runbooks.tables import CHOICES
from runbooks.view import SETTLED, Rejection, RunView, StepView


def confirmed(view: RunView, event: Event) -> RunView:
    step = view.step(event.step)
    if step is None or step.kind not in {"confirm", "manual"} or step.do.state != "asked":
        return reject(view, event, f"nothing asks for a confirmation of {event.step!r} now")
    given: Mapping[str, str] = event.data.get("evidence") or {}
    if missing := [name for name in step.spec.evidence if not str(given.get(name, "")).strip()]:
        return reject(view, event, f"{event.step!r} needs evidence: {', '.join(missing)}")
    return _answered(view, step, event)


def approved(view: RunView, event: Event) -> RunView:
    """An approval needs a second person, and says what it approves: the definition and the step."""
    if view.abandon and event.reply_to == view.abandon.seq:
        return _abandon_approved(view, event)
    if event.actor in {view.creator, view.driver}:
        return reject(view, event, f"{event.actor} started or drives this run: a second person must approve")
    if event.data.get("definition_sha") != view.definition_sha:
        return reject(view, event, "it approves another definition than this run's")
    step = view.step(event.step)
    if step is None or step.kind != "approve" or step.do.state in SETTLED:
        return reject(view, event, f"no approval of {event.step!r} is open")
    if event.actor in {each.by for each in _beside(view, step)}:
        return reject(view, event, f"{event.actor} has approved this act once: its other approval is another person's")
    return _answered(view, step, event)


def _beside(view: RunView, step: StepView) -> list[StepView]:
    """The approve steps side by side with this one: they all stand before the same act."""
    for approvals, together in groupby(view.steps, key=lambda each: each.kind == "approve"):
        beside = list(together)
        if approvals and step in beside:
            return beside
    return []


def _answered(view: RunView, step: StepView, event: Event) -> RunView:
    step = recorded(replace(step, do=by_table(step, "do", event.kind), by=event.actor), event, "do")
    return replace(with_step(view, step), waiting="")


def abandon(view: RunView, event: Event) -> RunView:
    """Only what no driver works on can be given up: one that asks, or one that has been let go."""
    if view.state != "NEEDS_DECISION" and not view.unmanned:
        return reject(view, event, f"it is {view.state} and driven: only a run that asks, or that nobody drives")
    return replace(view, abandon=event)


def _abandon_approved(view: RunView, event: Event) -> RunView:
    """Two people, whoever they are, close it: this very entry frees the locks, so that no driver is needed."""
    if view.abandon and event.actor == view.abandon.actor:
        return reject(view, event, "the one who asks to abandon cannot approve it")
    return closed(view, replace(event, data={"outcome": "ABANDONED", "why": "abandoned by two people"}))


def paused(view: RunView, _event: Event) -> RunView:
    return replace(view, paused=True)


def resumed(view: RunView, _event: Event) -> RunView:
    return replace(view, paused=False, gate_passed="")


def decided(view: RunView, event: Event) -> RunView:
    question = next((asked for asked in view.questions if asked.seq == event.reply_to), None)
    choice = event.data.get("choice")
    if question is None:
        return reject(view, event, "it answers another question than the open one")
    if choice not in CHOICES:
        return reject(view, event, f"{choice!r} is no answer: decide {', '.join(CHOICES)}")
    others = tuple(asked for asked in view.questions if asked is not question)
    view = armed.asked_again(replace(view, questions=others, abandon=None))
    if question.kind == armed.UNANSWERED and choice in {"accept", "skip"}:
        view = _given_up(view, event, question.step)
    if choice == "rollback":
        return replace(view, turn_back=f"rollback decided by {event.actor}", turn_auto=False)
    step = view.step(question.step)
    assert step is not None, "a question always comes from a step"
    return with_step(view, with_phase(step, question.phase, by_table(step, question.phase, choice)))


def _given_up(view: RunView, event: Event, step_id: str) -> RunView:
    """A dead-man that nobody can reach is left to itself: it may have fired, so its step is looked at."""
    fired = replace(event, kind="deadman.fired", step=step_id, phase="do")
    return armed.disarmed(moved_step(view, fired), fired)


def abort(view: RunView, event: Event) -> RunView:
    words = str(event.data.get("reason") or f"aborted by {event.actor}")
    return replace(view, turn_back=words, turn_auto=False)


def handover(view: RunView, _event: Event) -> RunView:
    return replace(view, handover=True)


def reject(view: RunView, event: Event, why: str) -> RunView:
    return replace(view, rejections=(*view.rejections, Rejection(event.seq, why)))


def rejected(view: RunView, event: Event) -> RunView:
    left = tuple(rejection for rejection in view.rejections if rejection.seq != event.reply_to)
    return replace(view, rejections=left)


def closed(view: RunView, event: Event) -> RunView:
    data = event.data
    cleared = replace(view, questions=(), paused=False, waiting="", turn_back="", rejections=())
    return replace(
        cleared,
        outcome=data.get("outcome", "ABANDONED"),
        reason=data.get("reason") or view.reason,
        why=data.get("why", ""),
        ended=event.ts,
    )
