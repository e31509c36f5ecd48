"""What must hold for every log and every prefix of it, however drivers die and people interfere."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from runbooks.machine import RUN_TABLE, apply, fold, next_op
from runbooks.model import Event, StepDef
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
from runbooks.tables import TABLES, UNDO
from runbooks.view import OPEN, RunView

T0 = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
STEPS = (
    StepDef(id="safe", kind="check"),
    StepDef(id="a1", kind="act", group="a"),
    StepDef(id="a2", kind="act", group="a", on_failure="undo"),
    StepDef(id="empty", kind="wait_until"),
    StepDef(id="clear", kind="confirm"),
    StepDef(id="second", kind="approve"),
    StepDef(id="price", kind="measure"),
    StepDef(id="patch", kind="manual", evidence=("photo",)),
    StepDef(id="shut", kind="act"),
    StepDef(id="told", kind="note"),
)
ACTS = [step.id for step in STEPS if step.kind == "act"]
Pick = Callable[[list[Any]], Any]


class World:
    """Answers operations as a hostile world would: failures, deaths, take-overs, commands at any moment."""

    def __init__(self, pick: Pick) -> None:
        self.pick = pick
        self.events: list[Event] = []
        self.view = fold(STEPS, ())
        self.write("run.created", definition_sha="d1")

    def write(self, kind: str, step: str | None = None, phase: Any = None, actor: str = "alice", **data: Any) -> None:
        seq = len(self.events) + 1
        ts = T0 + timedelta(seconds=seq)
        reply_to = data.pop("reply_to", None)
        event = Event("R", seq, str(seq), ts, kind, actor, "h/1/x/LAB", 1, step, phase, reply_to=reply_to, data=data)
        self.events.append(event)
        self.view = apply(self.view, event)

    def live(self) -> None:
        """One moment: a command, a driver's death, or the operation that is due."""
        match self.pick(["op", "op", "op", "op", "command", "death"]):
            case "command":
                self.command()
            case "death":
                self.write("driver.claimed", forced=self.pick([True, False]))
            case _:
                self.perform(next_op(self.view))

    def command(self) -> None:
        kind = self.pick(
            [
                *("pause", "resume", "abort", "decide", "confirm", "approve"),
                *("rollback", "late", "handover", "leave", "guard"),
            ]
        )
        seq = self.view.question.seq if self.view.question else 1
        match kind:
            case "decide":
                choice = self.pick(["redo", "accept", "skip", "rollback"])
                self.write("cmd.decide", reply_to=self.pick([seq, seq, 1]), choice=choice)
            case "confirm" | "approve":
                given = self.pick([{"photo": "IMG_1"}, {}])
                step = self.pick(["clear", "second", "patch"])
                self.write(f"cmd.{kind}", step, actor="bob", definition_sha="d1", evidence=given)
            case "guard":
                word, policy = self.pick(["tripped", "unknown", "clear"]), self.pick(["hold", "undo", "finish"])
                self.write(f"guard.{word}", guard=self.pick(["load", "loss"]), policy=policy, reason="seen")
            case "rollback":
                self.write("rollback.begin", reason="asked for")
            case "leave":
                self.write("driver.left", path="ctrl-c", policy=self.pick(["hold", "undo", "finish"]))
                self.write("driver.released")
            case "late":
                intents = [(e.step, e.phase) for e in self.events if e.kind == "act.intent"]
                if intents:
                    self.write("late.act.result", *self.pick(intents))
            case _:
                self.write(f"cmd.{kind}")

    def perform(self, op: Op) -> None:  # noqa: PLR0912 - one case for each operation
        match op:
            case Check(step):
                self.write("step.started", step)
                self.write(
                    self.pick(["check.passed", "check.passed", "check.failed"]), step, ok=self.pick([False, None])
                )
            case Wait(step):
                self.write("step.started", step)
                self.write(self.pick(["wait.passed", "wait.passed", "verify.timeout"]), step)
            case Measure(step):
                self.write("step.started", step)
                self.write(self.pick(["measure.taken", "measure.taken", "verify.timeout"]), step)
            case Note(step):
                self.write("step.noted", step)
            case Act(step, phase):
                deadman = {"id": f"R-{step}", "seconds": 15, "places": ["edge-1"]}
                self.write("act.intent", step, phase, **({"deadman": deadman} if phase == "do" else {}))
                ends = ["act.result", "act.result", "act.interrupted", "act.not_sent", None]
                if end := self.pick(ends):  # None: died between the intent and its result
                    self.write(end, step, phase)
            case Observe(step, phase):
                self.write(observed_as(op, self.view, self.pick(["do", "undo", "mixed", "unknown"])), step, phase)
            case Verify(step, phase):
                ok = self.pick([True, True, False, None])
                self.write("verify.ok" if ok else "verify.timeout", step, phase, ok=ok)
            case Confirm(step) | Approve(step):
                self.write("step.started", step)
            case Disarm(step):
                kinds = ["deadman.disarmed", "deadman.disarmed", "deadman.unanswered", "deadman.fired"]
                self.write(self.pick(kinds), step, "do")
            case Gate(step):
                self.write(self.pick(["gate.passed", "gate.passed", "gate.closed"]), step)
            case TurnBack(reason):
                self.write("rollback.begin", reason=reason)
            case Reject(rejection):
                self.write("cmd.rejected", reply_to=rejection.seq)
            case Close(outcome):
                self.write("run.closed", outcome=outcome)
            case AwaitDecision() | Nothing():
                self.command()


@st.composite
def logs(draw: st.DrawFn) -> list[Event]:
    world = World(lambda options: draw(st.sampled_from(options)))
    for _ in range(draw(st.integers(0, 45))):
        world.live()
    return world.events


def prefixes(log: list[Event]) -> list[tuple[RunView, Op]]:
    views = [fold(STEPS, log[:length]) for length in range(len(log) + 1)]
    return [(view, next_op(view)) for view in views]


@settings(max_examples=100, deadline=None)
@given(logs())
def test_an_open_intent_is_looked_at_and_nothing_else(log: list[Event]) -> None:
    for view, op in prefixes(log):
        open_steps = {step.id for step in view.steps if step.phase(view.phase).state in OPEN}
        if open_steps and not view.closed:
            assert isinstance(op, Observe | Reject)
        if isinstance(op, Act):
            step = view.step(op.step)
            assert step is not None
            assert step.phase(op.phase).state not in OPEN
            assert op.attempt == step.phase(op.phase).attempts + 1
            assert op.phase == view.phase


@settings(max_examples=100, deadline=None)
@given(logs())
def test_nothing_is_done_twice_unless_somebody_asked(log: list[Event]) -> None:
    asked: set[tuple[str, str]] = set()
    done: set[tuple[str, str]] = set()
    for before, event in zip([None, *log[:-1]], log, strict=True):
        view = fold(STEPS, log[: before.seq if before else 0])
        if event.kind == "cmd.decide" and view.question and event.data["choice"] == "redo":
            asked.add((view.question.step, view.question.phase))
        if event.kind == "rollback.begin":
            asked |= {(step, "undo") for step in ACTS}
        if event.kind == "late.act.result":  # what was believed done is open again
            asked.add((str(event.step), "undo"))
        if event.kind == "act.intent":
            key = (str(event.step), str(event.phase))
            assert key not in done or key in asked, f"{key} acted again at {event.seq}"
            done.add(key)
            asked.discard(key)


@settings(max_examples=100, deadline=None)
@given(logs())
def test_rollback_undoes_exactly_what_has_an_intent_in_reverse(log: list[Event]) -> None:
    for view, op in prefixes(log):
        if view.direction == "forward":
            continue
        begun = [step for step in reversed(view.steps) if step.do.attempts]
        if isinstance(op, Act | Verify | Observe):
            assert op.phase == "undo"
            open_first = [s.id for s in begun if s.undo.state in OPEN]
            left = open_first or [s.id for s in begun if s.undo.state not in {"done", "skipped"}]
            assert op.step in left if open_first else op.step == left[0]
        if isinstance(op, Close):
            assert all(step.undo.state in {"done", "skipped"} for step in begun)
            assert op.outcome == "ROLLED_BACK"


@settings(max_examples=100, deadline=None)
@given(logs())
def test_nothing_comes_between_the_halves_of_a_group(log: list[Event]) -> None:
    for view, op in prefixes(log):
        first, second = view.steps[1], view.steps[2]
        half = first.do.state in {"acted", "done"} and second.do.state == "pending" and not second.do.attempts
        if half and view.direction == "forward" and view.state in {"RUNNING", "PAUSED", "WAITING"}:
            assert not isinstance(op, Gate | Nothing | Check | Wait | Confirm | Approve)


@settings(max_examples=100, deadline=None)
@given(logs())
def test_no_act_without_an_open_gate_and_no_gate_on_the_way_back(log: list[Event]) -> None:
    for view, op in prefixes(log):
        if isinstance(op, Act) and op.phase == "do" and op.step != "a2":
            assert view.gate_passed == op.step
        if view.direction == "rollback":
            assert not isinstance(op, Gate)


@settings(max_examples=100, deadline=None)
@given(logs())
def test_no_hold_and_no_end_with_a_dead_man_that_was_not_asked_to_go(log: list[Event]) -> None:
    for view, op in prefixes(log):
        if view.closed:
            continue
        silent = [step for step in view.steps if step.armed and step.armed.unanswered]
        waiting = [step.id for step in view.steps if step.armed and not step.armed.unanswered]
        if isinstance(op, AwaitDecision | Confirm | Approve | Close) or op == Nothing("paused"):
            assert waiting == [], op
        if isinstance(op, Close):
            assert silent == [], "what did not answer is a question, never forgotten"
        if isinstance(op, Act) and op.phase == "do":
            assert op.step not in {*waiting, *(step.id for step in silent)}, "one attempt, one dead-man"
        if isinstance(op, Disarm):
            assert op.step in waiting


@settings(max_examples=100, deadline=None)
@given(logs())
def test_what_a_guard_cannot_see_begins_nothing_new(log: list[Event]) -> None:
    for view, op in prefixes(log):
        if view.unsure and view.direction == "forward" and isinstance(op, Act | Gate):
            step = view.step(op.step)
            assert step is not None
            assert any(s.do.attempts for s in view.steps if s.spec.group == step.spec.group is not None), op


@settings(max_examples=100, deadline=None)
@given(logs())
def test_what_a_dead_man_put_back_is_looked_at_and_never_taken_for_done(log: list[Event]) -> None:
    for event in log:
        if event.kind != "deadman.fired":
            continue
        view = fold(STEPS, log[: event.seq])
        step = view.step(event.step)
        assert step is not None
        assert view.closed or step.do.state not in {"acted", "done"}


@settings(max_examples=100, deadline=None)
@given(logs())
def test_a_deed_counts_with_its_evidence_only(log: list[Event]) -> None:
    given_it = False
    for view, event in zip([view for view, _ in prefixes(log)][1:], log, strict=True):
        given_it |= (event.kind, event.step) == ("cmd.confirm", "patch") and bool(event.data["evidence"])
        patch = view.step("patch")
        assert patch is not None
        assert given_it or patch.do.state != "done"


KINDS = sorted(
    set(RUN_TABLE)
    | {kind for table in (*TABLES.values(), UNDO) for _, kind in table}
    | {"act.intent", "wait.progress", "note.failed", "a.kind.from.the.future"}
)
NOISE = st.tuples(
    st.sampled_from(KINDS),
    st.sampled_from([None, "gone", *(step.id for step in STEPS)]),
    st.sampled_from([None, "do", "undo"]),
    st.integers(1, 30),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(NOISE, max_size=30))
def test_any_log_at_all_can_be_folded(noise: list[tuple[str, str | None, Any, int]]) -> None:
    view = fold(STEPS, ())
    for seq, (kind, step, phase, reply_to) in enumerate([("run.created", None, None, 1), *noise], start=1):
        event = Event("R", seq, str(seq), T0, kind, "alice", "h/1/x/LAB", step=step, phase=phase, reply_to=reply_to)
        view = apply(view, event)
        op = next_op(view)
        assert view.seq == seq
        if not view.closed and any(step.phase(view.phase).state in OPEN for step in view.steps):
            assert isinstance(op, Observe | Reject | Close)
