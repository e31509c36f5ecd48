"""Every row of the run and step tables, told as short logs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from runbooks.machine import fold, next_op
from runbooks.model import Event, StepDef
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
    Reject,
    TurnBack,
    Verify,
    Wait,
    observed_as,
)
from runbooks.view import RunView

T0 = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
STEPS = (
    StepDef(id="safe", kind="check"),
    StepDef(id="egress", kind="act", group="drain", timeout_s=20),
    StepDef(id="return", kind="act", group="drain", timeout_s=20),
    StepDef(id="empty", kind="wait_until"),
    StepDef(id="clear", kind="confirm"),
    StepDef(id="shut", kind="act", timeout_s=20),
)
Line = tuple[str, dict[str, Any]]


def log(*lines: str | Line, actor: str = "alice") -> list[Event]:
    """Write a log: "kind step phase" or ("kind step phase", data); "@bob kind" is written by bob."""
    events = []
    for seq, line in enumerate(lines, start=1):
        text, data = (line, {}) if isinstance(line, str) else line
        words = text.split()
        who = words.pop(0)[1:] if words[0].startswith("@") else actor
        kind = words.pop(0)
        step, phase = (*words, None, None)[:2]
        data = dict(data)
        reply_to = data.pop("reply_to", None)
        events.append(
            Event(
                run_id="R-1",
                seq=seq,
                uid=str(seq),
                ts=T0 + timedelta(seconds=seq),
                kind=kind,
                actor=who,
                console="h/1/x/LAB",
                step=step,
                phase=phase,  # type: ignore[arg-type]  # a word of the test's own log
                reply_to=reply_to,
                data=data,
            )
        )
    return events


def view(*lines: str | Line, steps: Sequence[StepDef] = STEPS) -> RunView:
    return fold(steps, log(*lines))


CREATED: tuple[str | Line, ...] = (("run.created", {"definition_sha": "d1", "undo_of": None}),)
CHECKED = (*CREATED, "step.started safe", "check.passed safe")
GATED = (*CHECKED, "gate.passed egress")
INTENT = (*GATED, "act.intent egress do")
ACTED = (*INTENT, "act.result egress do")
DONE1 = (*ACTED, "verify.ok egress do")
DONE2 = (*DONE1, "act.intent return do", "act.result return do", "verify.ok return do")
EMPTY = (*DONE2, "step.started empty", "wait.passed empty")
ASKED = (*EMPTY, "step.started clear")
CLEAR = (*ASKED, "cmd.confirm clear")
ALL = (*CLEAR, "gate.passed shut", "act.intent shut do", "act.result shut do", "verify.ok shut do")
UNKNOWN = (*INTENT, ("act.unknown egress do", {"seen": "undo", "want": "do"}))
FAILED = (*ACTED, ("verify.timeout egress do", {"ok": False, "reason": "still 200"}))
BACK = (*EMPTY, "cmd.abort", "rollback.begin")
LOOKED = (*BACK, "undo.due return undo")


@pytest.mark.parametrize(
    ("lines", "state", "op"),
    [
        ((), "NEW", Nothing("not created")),
        (CREATED, "RUNNING", Check("safe")),
        ((*CREATED, "step.started safe"), "RUNNING", Check("safe")),
        (CHECKED, "RUNNING", Gate("egress")),
        (GATED, "RUNNING", Act("egress", "do", 1)),
        (INTENT, "RUNNING", Observe("egress", "do", 1)),
        ((*INTENT, "act.interrupted egress do"), "RUNNING", Observe("egress", "do", 1)),
        ((*INTENT, "act.observed egress do"), "RUNNING", Verify("egress", "do")),
        (ACTED, "RUNNING", Verify("egress", "do")),
        (DONE1, "RUNNING", Act("return", "do", 1)),  # the second half asks no gate
        (DONE2, "RUNNING", Wait("empty")),
        ((*DONE2, "step.started empty"), "RUNNING", Wait("empty")),
        (EMPTY, "RUNNING", Confirm("clear")),
        (ASKED, "WAITING", Confirm("clear")),
        (CLEAR, "RUNNING", Gate("shut")),
        (ALL, "RUNNING", Close("COMPLETED")),
        ((*ALL, ("run.closed", {"outcome": "COMPLETED"})), "COMPLETED", Nothing("closed")),
        # refused: nothing was begun, so there is nothing to decide
        (
            (*CREATED, "step.started safe", ("check.failed safe", {"reason": "no spare"})),
            "RUNNING",
            Close("ROLLED_BACK", "refused", "safe: no spare"),
        ),
        (
            (*CHECKED, ("gate.closed egress", {"reason": "no change"})),
            "RUNNING",
            Close("ROLLED_BACK", "refused", "gate closed: no change"),
        ),
        # the gate closes later: wait, and ask again
        ((*CLEAR, ("gate.closed shut", {"reason": "P1"})), "WAITING", Gate("shut")),
        ((*CLEAR, "gate.closed shut", "gate.passed shut"), "RUNNING", Act("shut", "do", 1)),
        # a permission does not outlive its driver or a pause
        ((*GATED, "driver.claimed"), "RUNNING", Gate("egress")),
        ((*GATED, "cmd.pause", "cmd.resume"), "RUNNING", Gate("egress")),
        # pause
        ((*CREATED, "cmd.pause"), "PAUSED", Nothing("paused")),
        ((*ASKED, "cmd.pause", "cmd.resume"), "WAITING", Confirm("clear")),
        ((*DONE1, "cmd.pause"), "PAUSED", Act("return", "do", 1)),  # never between two halves
        ((*ACTED, "cmd.pause"), "PAUSED", Verify("egress", "do")),
        ((*DONE2, "cmd.pause"), "PAUSED", Nothing("paused")),
        # abort
        ((*CHECKED, "cmd.abort"), "RUNNING", TurnBack("aborted by alice")),
        ((*INTENT, "cmd.abort"), "RUNNING", Observe("egress", "do", 1)),  # look first
        ((*UNKNOWN, "cmd.abort"), "NEEDS_DECISION", TurnBack("aborted by alice")),
        ((*CREATED, "cmd.pause", "cmd.abort"), "PAUSED", TurnBack("aborted by alice")),
        ((*CHECKED, "cmd.abort", "rollback.begin"), "ROLLING_BACK", Close("ROLLED_BACK", "aborted by alice")),
        # rollback: reversed, looked at first
        (BACK, "ROLLING_BACK", Observe("return", "undo", 0)),
        ((*BACK, "act.observed return undo"), "ROLLING_BACK", Observe("egress", "undo", 0)),
        (LOOKED, "ROLLING_BACK", Act("return", "undo", 1)),
        ((*LOOKED, "act.intent return undo"), "ROLLING_BACK", Observe("return", "undo", 1)),
        ((*LOOKED, "act.intent return undo", "act.result return undo"), "ROLLING_BACK", Verify("return", "undo")),
        # asked again by a person: an open undo is looked at, then done, without a further question
        ((*LOOKED, "act.intent return undo", "rollback.begin"), "ROLLING_BACK", Observe("return", "undo", 1)),
        # guard, by policy
        ((*DONE2, ("guard.tripped empty", {"policy": "hold"})), "PAUSED", Nothing("paused")),
        (
            (*DONE2, ("guard.tripped empty", {"policy": "undo", "reason": "loss"})),
            "RUNNING",
            TurnBack("guard: loss", auto=True),
        ),
        ((*DONE2, ("guard.tripped empty", {"policy": "finish"})), "RUNNING", Wait("empty")),
        # hand-over
        ((*DONE2, "cmd.handover"), "RUNNING", Nothing("handed over")),
        ((*INTENT, "cmd.handover"), "RUNNING", Observe("egress", "do", 1)),
        ((*DONE2, "cmd.handover", "driver.claimed"), "RUNNING", Wait("empty")),
    ],
)
def test_row(lines: Sequence[str | Line], state: str, op: object) -> None:
    run = view(*lines)
    assert (run.state, next_op(run)) == (state, op)


@pytest.mark.parametrize(
    ("before", "choice", "state", "op"),
    [
        (UNKNOWN, "redo", "RUNNING", Gate("egress")),
        (UNKNOWN, "accept", "RUNNING", Verify("egress", "do")),
        (UNKNOWN, "skip", "RUNNING", Act("return", "do", 1)),
        (UNKNOWN, "rollback", "RUNNING", TurnBack("rollback decided by alice")),
        (FAILED, "redo", "RUNNING", Gate("egress")),
        (FAILED, "accept", "RUNNING", Verify("egress", "do")),
        ((*DONE2, "step.started empty", "verify.timeout empty"), "redo", "RUNNING", Wait("empty")),
        ((*DONE2, "step.started empty", "verify.timeout empty"), "accept", "RUNNING", Confirm("clear")),
        ((*BACK, "act.unknown return undo"), "redo", "ROLLING_BACK", Observe("return", "undo", 0)),
        ((*BACK, "act.unknown return undo"), "skip", "ROLLING_BACK", Observe("egress", "undo", 0)),
    ],
)
def test_decision(before: Sequence[str | Line], choice: str, state: str, op: object) -> None:
    asked = view(*before)
    assert asked.state == "NEEDS_DECISION"
    question = next_op(asked)
    assert isinstance(question, AwaitDecision)
    assert question.question.seq == len(before)
    run = view(*before, ("cmd.decide", {"choice": choice, "reply_to": len(before)}))
    assert (run.state, next_op(run)) == (state, op)


def test_answering_one_question_loses_no_other() -> None:
    """Found by the random logs: a fired dead-man took the place of what was asked, and a failed act was repeated."""
    two = (*DONE1, "act.intent return do", "act.result return do", ("verify.timeout return do", {"ok": None}))
    two = (*two, "deadman.fired egress do", "act.unknown egress do")
    asked, older, newer = view(*two), len(two) - 2, len(two)
    assert [each.seq for each in asked.questions] == [older, newer]
    answered = (*two, ("cmd.decide", {"choice": "accept", "reply_to": newer}))
    assert next_op(view(*answered)) == AwaitDecision(asked.questions[0])
    first = view(*two, ("cmd.decide", {"choice": "redo", "reply_to": older}))
    assert next_op(first) == AwaitDecision(asked.questions[1]), "any open question may be answered"


def test_decision_to_another_question_is_rejected() -> None:
    run = view(*UNKNOWN, ("cmd.decide", {"choice": "accept", "reply_to": 3}))
    assert run.state == "NEEDS_DECISION"
    rejected = next_op(run)
    assert isinstance(rejected, Reject)
    assert rejected.rejection.seq == len(UNKNOWN) + 1
    answered = view(
        *UNKNOWN,
        ("cmd.decide", {"choice": "accept", "reply_to": 3}),
        ("cmd.rejected", {"reply_to": len(UNKNOWN) + 1}),
    )
    assert isinstance(next_op(answered), AwaitDecision)


@pytest.mark.parametrize(
    "early",
    [
        (*EMPTY, "cmd.confirm clear"),  # not asked yet
        (*ASKED, "cmd.confirm shut"),  # not a confirm step
        (*BACK, "cmd.abort"),  # already turning back
        (*UNKNOWN, ("cmd.decide", {"choice": "hope", "reply_to": len(UNKNOWN)})),
        (*UNKNOWN, ("cmd.decide", {"choice": "late.act.result", "reply_to": len(UNKNOWN)})),
        (*CREATED, "cmd.resume"),
    ],
)
def test_command_that_does_not_apply_is_answered(early: Sequence[str | Line]) -> None:
    assert isinstance(next_op(view(*early)), Reject)


APPROVAL = (StepDef(id="second", kind="approve"), StepDef(id="shut", kind="act"))


@pytest.mark.parametrize(
    ("line", "op"),
    [
        (("@bob cmd.approve second", {"definition_sha": "d1"}), Gate("shut")),
        (("cmd.approve second", {"definition_sha": "d1"}), None),  # by the creator
        (("@carol cmd.approve second", {"definition_sha": "d1"}), None),  # by the driver
        (("@bob cmd.approve second", {"definition_sha": "d2"}), None),  # something else was approved
        (("@bob cmd.approve shut", {"definition_sha": "d1"}), None),
    ],
)
def test_approval_needs_a_second_person_who_saw_this_plan(line: Line, op: object) -> None:
    before = (*CREATED, "@carol driver.claimed", "step.started second")
    assert next_op(view(*before, steps=APPROVAL)) == Approve("second")
    after = next_op(view(*before, line, steps=APPROVAL))
    assert after == op if op else isinstance(after, Reject)


TWICE = (
    *(StepDef(id="one", kind="approve"), StepDef(id="two", kind="approve"), StepDef(id="move", kind="act")),
    *(StepDef(id="three", kind="approve"), StepDef(id="shut", kind="act")),
)


def test_two_approvals_of_one_act_are_two_people() -> None:
    def said(who: str, step: str) -> Line:
        return (f"@{who} cmd.approve {step}", {"definition_sha": "d1"})

    once = (*CREATED, "step.started one", said("bob", "one"))
    assert next_op(view(*once, steps=TWICE)) == Approve("two")
    assert view(*once, steps=TWICE).steps[0].by == "bob"
    again = view(*once, said("bob", "two"), steps=TWICE)
    assert isinstance(next_op(again), Reject)
    assert "bob has approved" in again.rejections[0].why
    early = (*CREATED, said("bob", "two"))
    assert isinstance(next_op(view(*early, said("bob", "one"), steps=TWICE)), Reject)  # in whichever order
    both = (*once, said("dave", "two"))
    assert next_op(view(*both, steps=TWICE)) == Gate("move")
    assert view(*both, said("bob", "three"), steps=TWICE).rejections == ()  # another act is another question


def test_abandon_needs_two_people() -> None:
    asked = (*UNKNOWN, "cmd.abandon")
    seq = len(asked)
    assert isinstance(next_op(view(*asked)), AwaitDecision)
    assert isinstance(next_op(view(*asked, ("cmd.approve", {"reply_to": seq}))), Reject)
    given_up = view(*asked, ("@bob cmd.approve", {"reply_to": seq}))
    assert (given_up.state, given_up.why) == ("ABANDONED", "abandoned by two people")
    assert next_op(given_up) == Nothing("closed")
    decided = (*asked, ("cmd.decide", {"choice": "redo", "reply_to": len(UNKNOWN)}))
    assert isinstance(next_op(view(*decided, ("@bob cmd.approve", {"reply_to": seq}))), Reject)  # too late


def test_only_what_nobody_works_on_can_be_abandoned() -> None:
    assert isinstance(next_op(view(*INTENT, "cmd.abandon")), Reject)
    let_go = (*INTENT, "driver.released", "@bob cmd.abandon")
    assert view(*let_go).abandon is not None
    assert view(*let_go, ("cmd.approve", {"reply_to": len(let_go)})).state == "ABANDONED"  # the creator is a second one
    taken_up = view(*let_go, "@carol driver.claimed", ("cmd.approve", {"reply_to": len(let_go)}))
    assert (taken_up.state, taken_up.abandon) == ("RUNNING", None)


def left(path: str, policy: str) -> Line:
    return ("driver.left", {"path": path, "policy": policy})


@pytest.mark.parametrize(
    ("lines", "op"),
    [
        ((*DONE1, left("ctrl-c", "finish")), Act("return", "do", 1)),  # not between two halves
        ((*DONE1, "cmd.handover"), Act("return", "do", 1)),
        ((*DONE2, left("ctrl-c", "finish")), Nothing("handed over")),
        ((*DONE2, left("sigterm", "undo")), TurnBack("sigterm: undone before alice left", auto=True)),
        ((*DONE2, left("sighup", "hold")), Wait("empty")),  # the driver has stopped itself
        ((*DONE2, left("ctrl-c", "finish"), "driver.claimed"), Wait("empty")),
        ((*BACK, left("sigterm", "undo")), Observe("return", "undo", 0)),  # it undoes to the end
        ((*BACK, left("sigterm", "finish")), Nothing("handed over")),
        ((*LOOKED, left("sigterm", "finish")), Act("return", "undo", 1)),
        (
            (*LOOKED, "act.intent return undo", "act.result return undo", "verify.ok return undo", "cmd.handover"),
            Observe("egress", "undo", 0),
        ),
        ((*LOOKED, "driver.claimed"), Observe("return", "undo", 0)),  # another driver looks for himself
        ((*DONE2, "cmd.handover", "cmd.abort", "rollback.begin"), Observe("return", "undo", 0)),  # abort is later
    ],
)
def test_a_driver_leaves_only_between_two_groups(lines: Sequence[str | Line], op: object) -> None:
    assert next_op(view(*lines)) == op


def test_an_undo_is_not_undone_by_leaving() -> None:
    undo = (("run.created", {"undo_of": "R-0"}), *DONE2[1:])
    assert next_op(view(*undo, left("sigterm", "undo"))) == Nothing("handed over")


def test_late_result_opens_the_question_again() -> None:
    assert next_op(view(*UNKNOWN, "late.act.result egress do")) == Observe("egress", "do", 1)
    seen = view(*UNKNOWN, "late.act.result egress do", "act.observed egress do")
    assert (seen.question, next_op(seen)) == (None, Verify("egress", "do"))
    assert next_op(view(*DONE2, "late.act.result egress do")) == Verify("egress", "do")


def test_late_do_after_its_undo_is_looked_at_again() -> None:
    undone = (*BACK, "act.observed return undo")
    assert next_op(view(*undone, "late.act.result return do")) == Observe("return", "undo", 0)


def test_late_effect_after_the_close_disputes_the_run() -> None:
    closed = (*ALL, ("run.closed", {"outcome": "COMPLETED"}))
    assert not view(*closed).disputed
    run = view(*closed, "late.act.result shut do")
    assert (run.state, run.disputed) == ("COMPLETED", True)


def test_forced_take_over_lets_the_old_act_end_before_looking() -> None:
    forced = next_op(view(*INTENT, ("driver.claimed", {"forced": True})))
    assert forced == Observe("egress", "do", 1, T0 + timedelta(seconds=len(INTENT) + 20))
    back = view(*INTENT, ("driver.claimed", {"forced": True}), "rollback.begin")
    assert next_op(back) == Observe("egress", "undo", 0, T0 + timedelta(seconds=len(INTENT) + 20))
    proven_dead = next_op(view(*INTENT, ("driver.claimed", {"forced": False})))
    assert proven_dead == Observe("egress", "do", 1, None)


def test_a_driver_whose_clock_was_ahead_is_not_waited_for_any_longer() -> None:
    events = log(*INTENT, ("driver.claimed", {"forced": True}))
    ahead = replace(events[-2], ts=T0 + timedelta(hours=1))
    taken = next_op(fold(STEPS, [*events[:-2], ahead, events[-1]]))
    assert taken == Observe("egress", "do", 1, events[-1].ts + timedelta(seconds=20))


DEADMAN = {"deadman": {"id": "R-1-egress-a1", "seconds": 30, "places": ["watchdog"]}}
GUARDED = (*GATED, ("act.intent egress do", DEADMAN), "act.result egress do", "verify.ok egress do")
WATCHDOG = (*GUARDED, "@watchdog driver.claimed", "deadman.fired egress do", "act.intent egress undo")


def test_a_watchdog_that_froze_in_its_undo_is_waited_for_too() -> None:
    taken = view(*WATCHDOG, ("driver.claimed", {"forced": True}))
    assert next_op(taken) == Observe("egress", "do", 1, T0 + timedelta(seconds=len(WATCHDOG) + 20))


def test_a_step_that_is_done_again_is_no_longer_shown_as_being_undone() -> None:
    undone = (*WATCHDOG, "act.result egress undo", "driver.claimed", "act.unknown egress do")
    again = (*undone, ("cmd.decide", {"choice": "redo", "reply_to": len(undone)}), "gate.passed egress")
    step = view(*again, "act.intent egress do").step("egress")
    assert step is not None
    assert (step.state, step.do.attempts, step.undo.attempts) == ("intent", 2, 1)


@pytest.mark.parametrize(("ok", "state"), [(False, "RUNNING"), (None, "NEEDS_DECISION")])
def test_only_observed_harm_undoes_by_policy(ok: bool | None, state: str) -> None:
    steps = (StepDef(id="egress", kind="act", on_failure="undo"),)
    run = view(
        *CREATED, "act.intent egress do", "act.result egress do", ("verify.timeout egress do", {"ok": ok}), steps=steps
    )
    assert run.state == state
    assert isinstance(next_op(run), TurnBack if ok is False else AwaitDecision)


def test_skipped_act_is_still_undone() -> None:
    skipped = (*UNKNOWN, ("cmd.decide", {"choice": "skip", "reply_to": len(UNKNOWN)}), "rollback.begin")
    assert next_op(view(*skipped)) == Observe("egress", "undo", 0)


@pytest.mark.parametrize(
    ("lines", "seen", "kind"),
    [
        (INTENT, "do", "act.observed"),
        (INTENT, "undo", "act.unknown"),
        (INTENT, "mixed", "act.unknown"),
        (INTENT, "unknown", "act.unknown"),
        (BACK, "undo", "act.observed"),
        (BACK, "do", "undo.due"),
        (BACK, "mixed", "undo.due"),
        (BACK, "unknown", "act.unknown"),
        ((*LOOKED, "act.intent return undo"), "do", "act.unknown"),
    ],
)
def test_what_is_seen_decides_what_is_written(lines: Sequence[str | Line], seen: str, kind: str) -> None:
    run = view(*lines)
    op = next_op(run)
    assert isinstance(op, Observe)
    assert observed_as(op, run, seen) == kind


def test_view_carries_what_show_prints() -> None:
    run = view(*ACTED, ("verify.ok egress do", {"evidence": {"lp": 120}}), *BACK[len(DONE1) :])
    egress = run.step("egress")
    assert egress is not None
    assert (egress.state, egress.attempts, egress.evidence["verify.ok"]) == ("done", 1, {"evidence": {"lp": 120}})
    assert egress.started == T0 + timedelta(seconds=5)
    assert egress.ended == T0 + timedelta(seconds=7)
    undone = view(*BACK, "act.observed return undo").step("return")
    assert undone is not None
    assert undone.state == "undone"
