"""Every state times every event, of a step and of a run: written down a second time, by hand, and compared.

A cell is the state that follows. `.`: nothing moves. `x`: the command is answered with a rejection. `turns`: the next
thing that the driver does is turn back; the state stays, or is the one that is named behind it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from itertools import product
from typing import Any, get_args

import pytest

from runbooks.machine import RUN_TABLE, apply, fold, next_op
from runbooks.model import Event, Phase, StepDef, StepKind
from runbooks.ops import Act, Observe, Reject, TurnBack
from runbooks.tables import CHOICES, TABLES, UNDO
from runbooks.view import OPEN, PhaseView, Question, RunView, StepState

T0 = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
Grid = dict[tuple[str, str], str]


def grid(text: str) -> Grid:
    """Read {(column, row): cell} from a table with its columns in the first line."""
    head, *rows = [line.split() for line in text.strip().splitlines()]
    return {(column, row[0]): cell for row in rows for column, cell in zip(head, row[1:], strict=True)}


DO = grid("""
                 pending  intent   observe  acted    unknown  failed   done     skipped
act.intent       intent   .        intent   intent   intent   intent   intent   intent
act.result       .        acted    .        .        .        .        .        .
act.not_sent     .        failed   .        .        .        .        .        .
act.interrupted  .        observe  .        .        .        .        .        .
act.observed     .        acted    acted    .        .        .        .        .
act.unknown      .        unknown  unknown  .        .        .        .        .
verify.ok        .        .        .        done     .        .        .        .
verify.timeout   .        .        .        failed   .        .        .        .
deadman.fired    .        .        .        observe  .        .        observe  .
late.deadman.fired  .      .        .        observe  .        .        observe  .
late.act.result  intent   .        intent   .        intent   intent   acted    intent
redo             .        .        .        .        pending  pending  .        .
accept           .        .        .        .        acted    acted    .        .
skip             .        .        .        .        skipped  skipped  .        .
""")
UNDONE = DO | grid("""
                 pending  due
act.intent       intent   intent
act.observed     done     .
act.unknown      unknown  .
undo.due         due      .
""")
READ = grid("""
                 pending  running  failed   done     skipped
step.started     running  .        .        .        .
check.passed     .        done     .        .        .
check.failed     .        failed   .        .        .
wait.passed      .        done     .        .        .
measure.taken    .        done     .        .        .
verify.timeout   .        failed   .        .        .
redo             .        .        pending  .        .
accept           .        .        done     .        .
skip             .        .        skipped  .        .
""")
CONFIRM = grid("""
                 pending  asked    done
step.started     asked    .        .
cmd.confirm      x        done     x
cmd.approve      x        x        x
""")
APPROVE = grid("""
                 pending  asked    done
step.started     asked    .        .
cmd.confirm      x        x        x
cmd.approve      done     done     x
""")
NOTE = grid("""
                 pending  done
step.noted       done     .
""")
STEP_GRIDS: Mapping[tuple[StepKind, Phase], Grid] = {
    ("act", "do"): DO,
    ("act", "undo"): UNDONE,
    ("check", "do"): READ,
    ("wait_until", "do"): READ,
    ("measure", "do"): READ,
    ("confirm", "do"): CONFIRM,
    ("manual", "do"): CONFIRM,
    ("approve", "do"): APPROVE,
    ("note", "do"): NOTE,
}
OF_STEPS = {kind for table in (*TABLES.values(), UNDO) for _, kind in table} | {"act.intent"}
#: A state of one kind of step that another kind can never be in is no cell.
CELLS = [
    pytest.param(kind, phase, state, event, id=f"{kind}-{phase}-{state}-{event}")
    for (kind, phase), cells in STEP_GRIDS.items()
    for state, event in product(dict.fromkeys(state for state, _ in cells), sorted(OF_STEPS))
    if event not in {"cmd.confirm", "cmd.approve"} or kind in {"confirm", "approve", "manual"}
    if event != "act.intent" or kind == "act"
]


def entry(kind: str, step: str | None = None, phase: Phase | None = None, **more: Any) -> Event:
    place: dict[str, Any] = {"fence": 1, "reply_to": None, "actor": "bob"} | more
    data = place.pop("data", {"definition_sha": "d1"})
    return Event(
        "R", 9, "u", T0, kind, place["actor"], "h/1/x/LAB", place["fence"], step, phase, 1, place["reply_to"], data
    )


def created(*steps: StepDef) -> RunView:
    return apply(fold(steps, ()), replace(entry("run.created", actor="alice"), seq=1))


def with_step(view: RunView, phase: Phase, state: StepState) -> RunView:
    """The view with its first step put into a state, and in the direction in which that phase is worked on."""
    intent = entry("act.intent") if state in OPEN else None
    there = PhaseView(state, 0 if state == "pending" else 1, intent)
    step = view.steps[0]
    step = replace(step, do=there) if phase == "do" else replace(step, do=PhaseView("done", 1), undo=there)
    direction: Any = "forward" if phase == "do" else "rollback"
    return replace(view, steps=(step, *view.steps[1:]), direction=direction)


@pytest.mark.parametrize(("kind", "phase", "state", "event"), CELLS)
def test_a_step_moves_as_its_grid_says_and_not_otherwise(
    kind: StepKind, phase: Phase, state: StepState, event: str
) -> None:
    before = with_step(created(StepDef(id="s", kind=kind)), phase, state)
    if event in CHOICES:
        before = replace(before, questions=(Question(5, "s", phase, "act.unknown", ""),))
        after = apply(before, entry("cmd.decide", reply_to=5, data={"choice": event}))
    else:
        after = apply(before, entry(event, "s", None if event.startswith("cmd.") else phase))
    cell = STEP_GRIDS[kind, phase].get((state, event), ".")
    step = after.step("s")
    assert step is not None
    assert step.phase(phase).state == (state if cell in {".", "x"} else cell)
    assert isinstance(next_op(after), Reject) == (cell == "x")
    if step.phase(phase).state in OPEN:
        assert isinstance(next_op(after), Observe), "whatever happened: an open intent is looked at"
    if cell == "." and event not in CHOICES:
        assert not isinstance(next_op(after), Act) or isinstance(next_op(before), Act), "nothing moved, so nothing acts"


def test_the_grids_name_every_kind_of_step_and_every_event_that_moves_one() -> None:
    assert {kind for kind, _ in STEP_GRIDS} == set(get_args(StepKind)) == set(TABLES)
    assert {event for cells in STEP_GRIDS.values() for _, event in cells} == OF_STEPS


# ------------------------------------------------------------------------------------------------------ the run

RUN = grid("""
                      RUNNING  WAITING  UNSURE         PAUSED   ASKED          BACK  BACK-ASKED  CLOSED
run.created           .        .        .              .        .              .     .           .
step.started          WAITING  .        WAITING        .        .              .     .           .
gate.passed           .        RUNNING  .              .        .              .     .           .
gate.closed           WAITING  .        WAITING        .        .              .     .           .
act.intent            .        RUNNING  RUNNING        .        RUNNING        .     .           .
cmd.confirm           x        x        x              x        x              x     x           .
cmd.approve           x        x        x              x        x              x     x           .
cmd.pause             PAUSED   PAUSED   PAUSED         x        x              x     x           .
cmd.resume            x        x        x              RUNNING  x              x     x           .
cmd.decide            x        x        x              x        RUNNING        x     BACK        .
cmd.decide:back       x        x        x              x        turns:RUNNING  x     turns:BACK  .
cmd.decide:other      x        x        x              x        x              x     x           .
cmd.abort             turns    turns    turns          turns    turns          x     turns       .
cmd.abandon           x        x        x              x        .              x     .           .
cmd.handover          .        .        .              .        .              .     .           .
cmd.rejected          .        .        .              .        .              .     .           .
guard.tripped:hold    PAUSED   PAUSED   PAUSED         .        .              .     .           .
guard.tripped:undo    turns    turns    turns:RUNNING  turns    .              .     .           .
guard.tripped:finish  .        .        RUNNING        .        .              .     .           .
guard.unknown         WAITING  .        .              .        .              .     .           .
guard.clear           .        .        RUNNING        .        .              .     .           .
journal.returned      .        .        .              .        .              .     .           .
journal.returned:ask  PAUSED   PAUSED   PAUSED         .        .              .     .           .
undo.held             .        .        .              .        .              .     .           .
rollback.begin        BACK     BACK     BACK           BACK     BACK           .     BACK        .
run.closed            DONE     DONE     DONE           DONE     DONE           DONE  DONE        .
driver.claimed        .        .        RUNNING        .        .              .     .           .
driver.released       .        .        .              .        .              .     .           .
driver.left:hold      .        .        .              .        .              .     .           .
driver.left:finish    .        .        .              .        .              .     .           .
driver.left:undo      turns    turns    turns          turns    turns          .     .           .
deadman.disarmed      .        .        .              .        .              .     .           .
deadman.unanswered    .        .        .              .        .              .     .           .
wait.progress         .        .        .              .        .              .     .           .
note.failed           .        .        .              .        .              .     .           .
from.the.future       .        .        .              .        .              .     .           .
""")
WORDS = {"BACK": "ROLLING_BACK", "DONE": "COMPLETED"}  # the grid's short ones
DATA: Mapping[str, Mapping[str, Any]] = {
    "cmd.decide": {"choice": "skip"},
    "cmd.decide:back": {"choice": "rollback"},
    "cmd.decide:other": {"choice": "skip"},
    "guard.tripped:hold": {"guard": "g", "policy": "hold"},
    "guard.tripped:undo": {"guard": "g", "policy": "undo"},
    "guard.tripped:finish": {"guard": "g", "policy": "finish"},
    "guard.unknown": {"guard": "g", "reason": "blind"},
    "journal.returned:ask": {"ask": True},
    "guard.clear": {"guard": "g"},
    "run.closed": {"outcome": "COMPLETED"},
    "driver.left:hold": {"policy": "hold", "path": "ctrl-c"},
    "driver.left:finish": {"policy": "finish", "path": "ctrl-c"},
    "driver.left:undo": {"policy": "undo", "path": "ctrl-c"},
}
#: The step that an event is about, where it has one.
OF = {"step.started": "ask", "gate.passed": "move", "gate.closed": "move", "act.intent": "move"}


def run_in(state: str) -> RunView:
    """A run in which one act is done, in a state; `ASKED` and `BACK` are the grid's short words."""
    steps = (StepDef(id="move", kind="act"), StepDef(id="ask", kind="confirm"), StepDef(id="end", kind="act"))
    running = with_step(created(*steps), "do", "done")
    question = Question(5, "move", "do", "act.unknown", "?")
    back = with_step(running, "undo", "unknown")
    return {
        "RUNNING": running,
        "WAITING": replace(running, waiting="for somebody"),
        "UNSURE": replace(running, unsure={"g": "blind"}),
        "PAUSED": replace(running, paused=True),
        "ASKED": replace(running, questions=(question,)),
        "BACK": replace(back, reason="asked for"),
        "BACK-ASKED": replace(back, questions=(replace(question, phase="undo"),)),
        "CLOSED": replace(running, outcome="COMPLETED"),
    }[state]


@pytest.mark.parametrize(("state", "row"), sorted(RUN), ids=lambda word: word)
def test_a_run_moves_as_the_grid_says_and_not_otherwise(state: str, row: str) -> None:
    before = run_in(state)
    kind = row.partition(":")[0]
    reply_to = 4 if row == "cmd.decide:other" else 5
    after = apply(before, entry(kind, OF.get(kind), reply_to=reply_to, data=DATA.get(row, {"reason": "because"})))
    cell, op = RUN[state, row], next_op(after)
    word = cell.removeprefix("turns").removeprefix(":")
    wanted = WORDS.get(word, word) or before.state
    assert after.state == (before.state if cell in {".", "x"} else wanted)
    assert bool(after.rejections) == (cell == "x")
    assert isinstance(op, TurnBack) == cell.startswith("turns")


def test_a_run_begins_with_its_creation() -> None:
    assert fold((), ()).state == "NEW"
    assert created().state == "RUNNING"


def test_the_grid_names_every_event_of_the_run_table() -> None:
    assert {row.partition(":")[0] for _, row in RUN} >= set(RUN_TABLE)


@pytest.mark.parametrize("outcome", ["COMPLETED", "ROLLED_BACK", "ABANDONED"])
@pytest.mark.parametrize("kind", sorted(set(RUN_TABLE) | OF_STEPS))
def test_a_closed_run_never_moves_again(outcome: Any, kind: str) -> None:
    closed = replace(run_in("RUNNING"), outcome=outcome)
    after = apply(closed, entry(kind, "move", "do", reply_to=5, data={"outcome": "ABANDONED"}))
    assert after == replace(closed, seq=9, disputed=kind.startswith("late."))


@pytest.mark.parametrize("state", ["RUNNING", "WAITING", "UNSURE", "PAUSED"])
def test_an_undo_that_only_a_policy_asked_for_can_be_held_and_becomes_a_question(state: str) -> None:
    held = entry("undo.held", "move", data={"reason": "the way back loses packets"})
    tripped = apply(run_in(state), entry("guard.tripped", data=DATA["guard.tripped:undo"]))
    assert apply(tripped, held).state == "NEEDS_DECISION"
    asked_for = apply(tripped, entry("cmd.abort", data={"reason": "bob wants it back"}))
    assert isinstance(next_op(apply(asked_for, held)), TurnBack), "what a person asked for is not held by it"
