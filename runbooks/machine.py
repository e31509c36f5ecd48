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

from runbooks import armed, said, warned
from runbooks.model import Event, StepDef
from runbooks.ops import next_op
from runbooks.stepping import moved_step, undo_by_policy
from runbooks.view import OPEN, PhaseView, RunState, RunView, StepView

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
        view = moved_step(view, event)
    counts, change = RUN_TABLE.get(event.kind, (frozenset(), _unchanged))
    if view.state in counts:
        view = change(view, event)
    elif event.kind in ANSWERED:
        view = said.reject(view, event, f"it does not apply while the run is {view.state}")
    return replace(view, seq=event.seq)


def objection(view: RunView, kind: str, actor: str, **where: Any) -> str:
    """Why a command by this person would not count now; empty when it would."""
    never = datetime.min.replace(tzinfo=UTC)
    event = Event(view.run_id, view.seq + 1, "", never, kind, actor, "", **where)
    return next((each.why for each in apply(view, event).rejections if each.seq == event.seq), "")


def _closed_run_heard(view: RunView, event: Event) -> RunView:
    """A packet cannot be recalled: an effect that lands after the close disputes the outcome, for good.

    A restore that one person began is reviewed by another one, and only now.
    """
    if event.kind == "cmd.review" and view.review_owed and event.actor not in {view.creator, view.driver}:
        return replace(view, reviewed=event.actor)
    return replace(view, disputed=True) if event.kind.startswith("late.") else view


def _unchanged(view: RunView, _event: Event) -> RunView:
    return view


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
    must have ended (`settle_until`). It began before the claim, whatever the old driver's clock said.
    """
    steps = tuple(replace(s, undo=replace(s.undo, state="pending")) if s.undo.state == "due" else s for s in view.steps)
    view = replace(view, steps=steps, driver=event.actor, gate_passed="", handover=False, unsure={}, guards={})
    view = armed.asked_again(replace(view, unmanned=False, abandon=None))
    return _settling(view, event.ts) if event.data.get("forced") else view


def _released(view: RunView, _event: Event) -> RunView:
    return replace(view, unmanned=True)


def _left(view: RunView, event: Event) -> RunView:
    """The driver must leave: by the exit table it ends its group first, or turns round, or has stopped already."""
    policy, path = event.data.get("policy"), event.data.get("path")
    if policy == "undo" and not view.undo_of:
        why = f"{path}: undone before {event.actor} left"
        return undo_by_policy(view, why) if view.direction == "forward" else view  # it is undoing: to the end
    return view if policy == "hold" else replace(view, handover=True)


def _settling(view: RunView, claimed: datetime) -> RunView:
    def settle(phase: PhaseView, spec: StepDef) -> PhaseView:
        if phase.state not in OPEN or phase.intent is None:
            return phase
        return replace(phase, settle_until=min(phase.intent.ts, claimed) + timedelta(seconds=spec.timeout_s))

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


def _journal_returned(view: RunView, event: Event) -> RunView:
    """Long away, the world may have moved on: forward asks. An undo goes on, since it looks before each act."""
    return replace(view, paused=view.paused or (bool(event.data.get("ask")) and view.direction == "forward"))


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
    cleared = replace(view, questions=(), paused=False, waiting="", refused="", turn_back="", turn_auto=False)
    cleared = replace(cleared, gate_passed="", handover=False)  # whoever drives undoes; let go of it by another word
    cleared = replace(cleared, direction="rollback", steps=steps, reason=reason, abandon=None, unsure={})
    return armed.asked_again(cleared)  # the question that would have told of a silent one is gone


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
    "cmd.confirm": (FORWARD | {"PAUSED"}, said.confirmed),
    "cmd.approve": (ANY_OPEN, said.approved),
    "cmd.pause": (FORWARD, said.paused),
    "cmd.resume": (frozenset({"PAUSED"}), said.resumed),
    "cmd.decide": (frozenset({"NEEDS_DECISION"}), said.decided),
    "cmd.abort": (ABORTABLE, said.abort),
    "cmd.abandon": (ANY_OPEN, said.abandon),
    "cmd.handover": (ANY_OPEN, said.handover),
    "cmd.rejected": (ANY_OPEN, said.rejected),
    "guard.tripped": (frozenset({"RUNNING", "WAITING", "PAUSED"}), warned.tripped),
    "guard.unknown": (frozenset({"RUNNING", "WAITING", "PAUSED"}), warned.unknown),
    "guard.clear": (frozenset({"RUNNING", "WAITING", "PAUSED"}), warned.clear),
    "journal.returned": (ANY_OPEN, _journal_returned),
    "undo.held": (ABORTABLE, warned.undo_held),
    "rollback.begin": (ANY_OPEN, _turned),
    "deadman.disarmed": (ANY_OPEN, armed.disarmed),
    "deadman.unanswered": (ANY_OPEN, armed.unanswered),
    "run.closed": (ANY_OPEN, said.closed),
    "driver.claimed": (ANY_OPEN, _claimed),
    "driver.left": (ANY_OPEN, _left),
    "driver.released": (ANY_OPEN, _released),
}
ANSWERED = frozenset(kind for kind in RUN_TABLE if kind.startswith("cmd.")) - {"cmd.rejected"}
