"""What a run is, and what comes next in it: two pure functions over its log.

    view = fold(steps, events)      everything that the log says, as one frozen record
    op = next_op(view)              the one thing that the driver may do now

There is nothing to replay: any console can go on from any prefix of the log, because the log *is* the
state. Every effect has an intent written before it and a result after it. A prefix that ends between the
two leaves an open intent, and an open intent has one way out: look at the device (Observe). If what is
seen is what was wanted, the run goes on; anything else is a question to a person. The machine never acts
a second time on its own: another attempt needs a decision (`redo`), or a rollback that a person asked for.

Two tables are the whole of it. runbooks/tables.py says how an event moves one step; RUN TABLE below says in which
run states an event counts and what it changes. A pair that is not in a table changes nothing, so that a
log can always be folded: a log that cannot be read cannot be rolled back.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from runbooks import armed
from runbooks.exits import policy_of
from runbooks.model import Event, Phase, StepDef
from runbooks.ops import next_op
from runbooks.tables import CHOICES, TABLES, UNDO
from runbooks.view import (
    OPEN,
    SETTLED,
    GuardSeen,
    GuardState,
    PhaseView,
    Question,
    Rejection,
    RunState,
    RunView,
    StepView,
)

__all__ = ["apply", "fold", "next_op", "objection"]

# ----------------------------------------------------------------------------------------------- folding


def fold(definition_steps: Sequence[StepDef], events: Iterable[Event]) -> RunView:
    """Fold a log, or any prefix of one, into a view."""
    view = RunView(steps=tuple(StepView(step) for step in definition_steps))
    for event in events:
        view = apply(view, event)
    return view


def apply(view: RunView, event: Event) -> RunView:
    """Return the view one event later."""
    if view.closed:
        return replace(_closed_run_heard(view, event), seq=event.seq)
    if event.step is not None and not event.kind.startswith("cmd."):
        view = _step_event(view, event)
    counts, change = RUN_TABLE.get(event.kind, (frozenset(), _unchanged))
    if view.state in counts:
        view = change(view, event)
    elif event.kind in ANSWERED:
        view = _reject(view, event, f"it does not apply while the run is {view.state}")
    return replace(view, seq=event.seq)


def objection(view: RunView, kind: str, actor: str, **where: Any) -> str:
    """Why a command by this person would not count now; empty when it would."""
    never = datetime.min.replace(tzinfo=UTC)
    event = Event(view.run_id, view.seq + 1, "", never, kind, actor, "", **where)
    return next((each.why for each in apply(view, event).rejections if each.seq == event.seq), "")


def _closed_run_heard(view: RunView, event: Event) -> RunView:
    """A packet cannot be recalled: an effect that lands after the close disputes the outcome, for good."""
    return replace(view, disputed=True) if event.kind.startswith("late.") else view


def _unchanged(view: RunView, _event: Event) -> RunView:
    return view


# -- a step's events


def _step_event(view: RunView, event: Event) -> RunView:
    step = view.step(event.step)
    if step is None:
        return view
    phase: Phase = event.phase or "do"
    before = step.phase(phase)
    after = _intent(before, event) if event.kind == "act.intent" else _by_table(step, phase, event.kind)
    step = armed.intended(_recorded(_with_phase(step, phase, after), event, phase), event)
    view = _with_step(view, _late_do_reopens_undo(view, step, event))
    return view if before.state == after.state else _moved(view, step, phase, event)


def _intent(before: PhaseView, event: Event) -> PhaseView:
    """An intent counts whatever we believed before: from here on only a look at the device can tell."""
    return replace(before, state="intent", attempts=before.attempts + 1, intent=event, settle_until=None)


def _moved(view: RunView, step: StepView, phase: Phase, event: Event) -> RunView:
    if step.phase(phase).state in {"failed", "unknown"}:
        return _trouble(view, step, phase, event)
    asked = view.question
    overtaken = asked is not None and (asked.step, asked.phase) == (step.id, phase)
    return replace(view, question=None) if overtaken else view  # a late report answered it by a fact


def _by_table(step: StepView, phase: Phase, kind: str) -> PhaseView:
    before = step.phase(phase)
    table = UNDO if phase == "undo" else TABLES[step.kind]
    return replace(before, state=table.get((before.state, kind), before.state))


def _late_do_reopens_undo(view: RunView, step: StepView, event: Event) -> StepView:
    """A `do` that lands during the rollback may have landed after its undo: look again."""
    late = event.kind == "late.act.result" and event.phase == "do"
    if late and view.direction == "rollback" and step.undo.state not in OPEN:
        return replace(step, undo=replace(step.undo, state="pending"))
    return step


def _recorded(step: StepView, event: Event, phase: Phase) -> StepView:
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


def _with_phase(step: StepView, phase: Phase, after: PhaseView) -> StepView:
    return replace(step, do=after) if phase == "do" else replace(step, undo=after)


def _with_step(view: RunView, step: StepView) -> RunView:
    return replace(view, steps=tuple(step if old.id == step.id else old for old in view.steps))


def _trouble(view: RunView, step: StepView, phase: Phase, event: Event) -> RunView:
    """A step failed or is unknown: refuse if nothing was begun, undo if its policy says so, else ask."""
    text = f"{step.title}: {event.data.get('reason') or event.kind}"
    if event.kind == "check.failed" and not view.begun:
        return replace(view, refused=text)
    observed_harm = event.data.get("ok") is False  # unknown is not harm: it asks
    if phase == "do" and policy_of(step.spec, "timeout") == "undo" and observed_harm and view.begun:
        return _auto(view, text)
    return replace(view, question=Question(event.seq, step.id, phase, event.kind, text))


# -- the run's own events


def _created(view: RunView, event: Event) -> RunView:
    data = event.data
    return replace(
        view,
        run_id=event.run_id,
        creator=event.actor,
        driver=event.actor,
        started=event.ts,
        definition_sha=data.get("definition_sha", ""),
        ticket=data.get("ticket"),
        undo_of=data.get("undo_of"),
    )


def _claimed(view: RunView, event: Event) -> RunView:
    """A new driver trusts no permission of the old one, and no look that was not yet acted on.

    After a take-over by force the old driver may still be sending: an open act is not looked at before it
    must have ended (`settle_until`).
    """
    steps = tuple(replace(s, undo=replace(s.undo, state="pending")) if s.undo.state == "due" else s for s in view.steps)
    view = replace(view, steps=steps, driver=event.actor, gate_passed="", handover=False, unsure={}, guards={})
    view = armed.asked_again(replace(view, unmanned=False, abandon=None))
    return _settling(view) if event.data.get("forced") else view


def _released(view: RunView, _event: Event) -> RunView:
    return replace(view, unmanned=True)


def _left(view: RunView, event: Event) -> RunView:
    """The driver must leave: by the exit table it ends its group first, or turns round, or has stopped already."""
    policy, path = event.data.get("policy"), event.data.get("path")
    if policy == "undo" and not view.undo_of:
        why = f"{path}: undone before {event.actor} left"
        return replace(view, turn_back=why) if view.direction == "forward" else view  # it is undoing: to the end
    return view if policy == "hold" else replace(view, handover=True)


def _settling(view: RunView) -> RunView:
    def settle(phase: PhaseView, spec: StepDef) -> PhaseView:
        if phase.state not in OPEN or phase.intent is None:
            return phase
        return replace(phase, settle_until=phase.intent.ts + timedelta(seconds=spec.timeout_s))

    steps = (replace(s, do=settle(s.do, s.spec), undo=settle(s.undo, s.spec)) for s in view.steps)
    return replace(view, steps=tuple(steps))


def _gate_passed(view: RunView, event: Event) -> RunView:
    return replace(view, gate_passed=event.step or "", waiting="")


def _gate_closed(view: RunView, event: Event) -> RunView:
    reason = f"gate closed: {event.data.get('reason', '')}"
    return replace(view, waiting=reason) if view.begun else replace(view, refused=reason)


def _intended(view: RunView, _event: Event) -> RunView:
    """What the guards said was of the network before this act: the next act needs their word anew."""
    return replace(view, gate_passed="", waiting="", guards={}, unsure={})


def _started(view: RunView, event: Event) -> RunView:
    step = view.step(event.step)
    if step is None or step.kind not in ASKING:
        return view
    return replace(view, waiting=f"{step.kind}: {step.title}")


def _confirmed(view: RunView, event: Event) -> RunView:
    step = view.step(event.step)
    if step is None or step.kind not in {"confirm", "manual"} or step.do.state != "asked":
        return _reject(view, event, f"nothing asks for a confirmation of {event.step!r} now")
    given: Mapping[str, str] = event.data.get("evidence") or {}
    if missing := [name for name in step.spec.evidence if not str(given.get(name, "")).strip()]:
        return _reject(view, event, f"{event.step!r} needs evidence: {', '.join(missing)}")
    return _answered(view, step, event)


def _approved(view: RunView, event: Event) -> RunView:
    """An approval needs a second person, and says what it approves: the definition and the step."""
    if view.abandon and event.reply_to == view.abandon.seq:
        return _abandon_approved(view, event)
    if event.actor in {view.creator, view.driver}:
        return _reject(view, event, f"{event.actor} started or drives this run: a second person must approve")
    if event.data.get("definition_sha") != view.definition_sha:
        return _reject(view, event, "it approves another definition than this run's")
    step = view.step(event.step)
    if step is None or step.kind != "approve" or step.do.state in SETTLED:
        return _reject(view, event, f"no approval of {event.step!r} is open")
    return _answered(view, step, event)


def _answered(view: RunView, step: StepView, event: Event) -> RunView:
    step = _recorded(replace(step, do=_by_table(step, "do", event.kind)), event, "do")
    return replace(_with_step(view, step), waiting="")


def _abandon(view: RunView, event: Event) -> RunView:
    """Only what no driver works on can be given up: one that asks, or one that has been let go."""
    if view.state != "NEEDS_DECISION" and not view.unmanned:
        return _reject(view, event, f"it is {view.state} and driven: only a run that asks, or that nobody drives")
    return replace(view, abandon=event)


def _abandon_approved(view: RunView, event: Event) -> RunView:
    """Two people, whoever they are, close it: this very entry frees the locks, so that no driver is needed."""
    if view.abandon and event.actor == view.abandon.actor:
        return _reject(view, event, "the one who asks to abandon cannot approve it")
    return _closed(view, replace(event, data={"outcome": "ABANDONED", "why": "abandoned by two people"}))


def _paused(view: RunView, _event: Event) -> RunView:
    return replace(view, paused=True)


def _journal_returned(view: RunView, event: Event) -> RunView:
    """Long away, the world may have moved on: forward asks. An undo goes on, since it looks before each act."""
    return replace(view, paused=view.paused or (bool(event.data.get("ask")) and view.direction == "forward"))


def _resumed(view: RunView, _event: Event) -> RunView:
    return replace(view, paused=False, gate_passed="")


def _decided(view: RunView, event: Event) -> RunView:
    question, choice = view.question, event.data.get("choice")
    if question is None or event.reply_to != question.seq:
        return _reject(view, event, "it answers another question than the open one")
    if choice not in CHOICES:
        return _reject(view, event, f"{choice!r} is no answer: decide {', '.join(CHOICES)}")
    view = armed.asked_again(replace(view, question=None, abandon=None))
    if question.kind == armed.UNANSWERED and choice in {"accept", "skip"}:
        view = _given_up(view, event, question.step)
    if choice == "rollback":
        return replace(view, turn_back=f"rollback decided by {event.actor}", turn_auto=False)
    step = view.step(question.step)
    assert step is not None, "a question always comes from a step"
    return _with_step(view, _with_phase(step, question.phase, _by_table(step, question.phase, choice)))


def _given_up(view: RunView, event: Event, step_id: str) -> RunView:
    """A dead-man that nobody can reach is left to itself: it may have fired, so its step is looked at."""
    fired = replace(event, kind="deadman.fired", step=step_id, phase="do")
    return armed.disarmed(_step_event(view, fired), fired)


def _abort(view: RunView, event: Event) -> RunView:
    words = str(event.data.get("reason") or f"aborted by {event.actor}")
    return replace(view, turn_back=words, turn_auto=False)


def _auto(view: RunView, reason: str) -> RunView:
    """A policy asks for an undo; what a person has asked for already is not gated by it."""
    return view if view.turn_back else replace(view, turn_back=reason, turn_auto=True)


def _undo_held(view: RunView, event: Event) -> RunView:
    """The undo that a policy asked for would not make it better, as far as is known: a person decides."""
    if not view.turn_auto or view.step(event.step) is None:
        return view
    text = f"{view.turn_back}; not undone by itself: {event.data.get('reason', '')}"
    question = Question(event.seq, str(event.step), "do", event.kind, text)
    return replace(view, turn_back="", turn_auto=False, question=question)


def _guard_unknown(view: RunView, event: Event) -> RunView:
    """What a guard cannot see is neither healthy nor harm: no new act until it sees again."""
    seen = _guard(view, event, "unknown")
    return replace(seen, unsure={**view.unsure, str(event.data.get("guard")): str(event.data.get("reason", ""))})


def _guard_clear(view: RunView, event: Event) -> RunView:
    return _sure(_guard(view, event, "clear"), event)


def _guard_tripped(view: RunView, event: Event) -> RunView:
    """The step's policy: hold, undo or finish. Only what was observed may undo; that is the guard's proof.

    Before anything was begun there is nothing to undo: the run is refused.
    """
    policy, reason = event.data.get("policy"), f"guard: {event.data.get('reason', '')}"
    view = _sure(_guard(view, event, "tripped"), event)
    if policy == "undo":
        return _auto(view, reason) if view.begun else replace(view, refused=reason)
    return replace(view, paused=True) if policy == "hold" else view


def _guard(view: RunView, event: Event, state: GuardState) -> RunView:
    data = event.data
    words = {key: str(data.get(key, "")) for key in ("reason", "margin", "policy")}
    seen = GuardSeen(str(data.get("guard")), state, since=event.ts, **words)
    return replace(view, guards={**view.guards, seen.name: seen})


def _sure(view: RunView, event: Event) -> RunView:
    return replace(view, unsure={name: why for name, why in view.unsure.items() if name != event.data.get("guard")})


def _turned(view: RunView, event: Event) -> RunView:
    """From here on the run undoes.

    Being asked for by a person or a policy, it also opens again every undo that is not done: each is looked
    at first, and only then acted on.
    """
    steps = tuple(
        step if step.undo.state == "done" else replace(step, undo=replace(step.undo, state="pending"))
        for step in view.steps
    )
    reason = str(event.data.get("reason") or view.turn_back)
    cleared = replace(view, question=None, paused=False, waiting="", refused="", turn_back="", turn_auto=False)
    cleared = replace(cleared, gate_passed="", handover=False)  # whoever drives undoes; let go of it by another word
    cleared = replace(cleared, direction="rollback", steps=steps, reason=reason, abandon=None, unsure={})
    return armed.asked_again(cleared)  # the question that would have told of a silent one is gone


def _closed(view: RunView, event: Event) -> RunView:
    data = event.data
    cleared = replace(view, question=None, paused=False, waiting="", turn_back="", rejections=())
    return replace(
        cleared,
        outcome=data.get("outcome", "ABANDONED"),
        reason=data.get("reason") or view.reason,
        why=data.get("why", ""),
        ended=event.ts,
    )


def _handover(view: RunView, _event: Event) -> RunView:
    return replace(view, handover=True)


def _reject(view: RunView, event: Event, why: str) -> RunView:
    return replace(view, rejections=(*view.rejections, Rejection(event.seq, why)))


def _rejected(view: RunView, event: Event) -> RunView:
    left = tuple(rejection for rejection in view.rejections if rejection.seq != event.reply_to)
    return replace(view, rejections=left)


# -------------------------------------------------------------------------------------------- RUN TABLE
# event -> (the run states in which it counts, what it changes). The step tables have been applied before.

ASKING = frozenset({"confirm", "approve", "manual"})
FORWARD: frozenset[RunState] = frozenset({"RUNNING", "WAITING"})
ABORTABLE: frozenset[RunState] = frozenset({"RUNNING", "WAITING", "PAUSED", "NEEDS_DECISION"})
ANY_OPEN: frozenset[RunState] = ABORTABLE | {"ROLLING_BACK"}

Change = Callable[[RunView, Event], RunView]
RUN_TABLE: Mapping[str, tuple[frozenset[RunState], Change]] = {
    "run.created": (frozenset({"NEW"}), _created),
    "step.started": (FORWARD, _started),
    "gate.passed": (FORWARD, _gate_passed),
    "gate.closed": (FORWARD, _gate_closed),
    "act.intent": (ANY_OPEN, _intended),
    "cmd.confirm": (FORWARD | {"PAUSED"}, _confirmed),
    "cmd.approve": (ANY_OPEN, _approved),
    "cmd.pause": (FORWARD, _paused),
    "cmd.resume": (frozenset({"PAUSED"}), _resumed),
    "cmd.decide": (frozenset({"NEEDS_DECISION"}), _decided),
    "cmd.abort": (ABORTABLE, _abort),
    "cmd.abandon": (ANY_OPEN, _abandon),
    "cmd.handover": (ANY_OPEN, _handover),
    "cmd.rejected": (ANY_OPEN, _rejected),
    "guard.tripped": (frozenset({"RUNNING", "WAITING", "PAUSED"}), _guard_tripped),
    "guard.unknown": (frozenset({"RUNNING", "WAITING", "PAUSED"}), _guard_unknown),
    "guard.clear": (frozenset({"RUNNING", "WAITING", "PAUSED"}), _guard_clear),
    "journal.returned": (ANY_OPEN, _journal_returned),
    "undo.held": (ABORTABLE, _undo_held),
    "rollback.begin": (ANY_OPEN, _turned),
    "deadman.disarmed": (ANY_OPEN, armed.disarmed),
    "deadman.unanswered": (ANY_OPEN, armed.unanswered),
    "run.closed": (ANY_OPEN, _closed),
    "driver.claimed": (ANY_OPEN, _claimed),
    "driver.left": (ANY_OPEN, _left),
    "driver.released": (ANY_OPEN, _released),
}
ANSWERED = frozenset(kind for kind in RUN_TABLE if kind.startswith("cmd.")) - {"cmd.rejected"}
