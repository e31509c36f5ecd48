"""When guards may speak: not between the halves of a group, but always before an act that waits for their word."""

from __future__ import annotations

from dataclasses import replace

import pytest

from runbooks.inforce import in_flight, in_force
from runbooks.machine import apply
from runbooks.model import Event, ExitPolicy, GuardDef, StepDef
from runbooks.ops import Act, Gate, Nothing, Op, next_op
from runbooks.view import GuardSeen, PhaseView, RunView, StepState, StepView
from tests.sample import NOW

SEES = (GuardDef(name="usable-domains"),)


def group(*states: tuple[StepState, int]) -> RunView:
    steps = (
        StepView(StepDef(id=f"s{n}", kind="act", group="g", guards=SEES), PhaseView(state, attempts))
        for n, (state, attempts) in enumerate(states)
    )
    return RunView(run_id="R", seq=9, steps=tuple(steps))


@pytest.mark.parametrize(
    ("states", "silent"),
    [
        ((("pending", 0), ("pending", 0)), False),
        ((("intent", 1), ("pending", 0)), True),
        ((("acted", 1), ("pending", 0)), True),
        ((("done", 1), ("pending", 0)), True),
        ((("done", 1), ("pending", 1)), True),  # the second half is tried again
        ((("pending", 1), ("pending", 0)), False),  # the first half was seen not to be there, and is tried again
        ((("done", 1), ("acted", 1)), False),
        ((("done", 1), ("done", 1)), False),
    ],
)
def test_between_two_halves_no_guard_speaks(states: tuple[tuple[StepState, int], ...], silent: bool) -> None:
    view = group(*states)
    assert in_flight(view) == silent
    if silent:
        assert next_op(view) != Nothing("unsure"), "nobody waits for a word that is not said"


NOTED = {"usable-domains": GuardSeen("usable-domains", "tripped", policy="finish")}


def policies(view: RunView) -> list[str]:
    return [guard.policy for guard in in_force(view)]


def two(first: dict[str, ExitPolicy], second: dict[str, ExitPolicy], state: StepState = "done") -> RunView:
    """A guarded act, done or not, and one behind it that has no guard of its own."""
    acts = (
        StepView(StepDef(id="moved", kind="act", guards=SEES, exits=first), PhaseView(state, int(state == "done"))),
        StepView(StepDef(id="next", kind="act", exits=second)),
    )
    return RunView(run_id="R", seq=9, steps=acts)


@pytest.mark.parametrize(
    ("view", "policy"),
    [
        (two({}, {}, "pending"), "hold"),
        (two({"guard": "undo"}, {}, "pending"), "undo"),
        (two({"guard": "undo"}, {}), "undo"),  # what was moved stays guarded, as its own step says
        (two({"guard": "undo"}, {"guard": "finish"}), "finish"),  # but for the step that the run is at
        (two({"guard": "undo"}, {"guard": "finish"}, "pending"), "undo"),
        (two({"sigterm": "undo"}, {"timeout": "undo"}), "hold"),
    ],
)
def test_a_guard_does_what_the_step_in_hand_says_then_its_own_step_then_itself(view: RunView, policy: str) -> None:
    assert policies(view) == [policy]


@pytest.mark.parametrize(("exits", "op"), [({}, Nothing("unsure")), ({"guard": "finish"}, Gate("next"))])
def test_a_harm_that_was_only_written_down_lets_no_act_begin_but_one_that_says_so_too(
    exits: dict[str, ExitPolicy], op: Op
) -> None:
    assert next_op(replace(two({}, exits), guards=NOTED)) == op


def test_a_gate_that_has_let_an_act_through_is_asked_again_after_a_guard_was_blind() -> None:
    view = replace(two({}, {}), gate_passed="next", guards={"usable-domains": GuardSeen("usable-domains", "clear")})
    assert next_op(view) == Act("next", "do", 1)
    for seq, kind in enumerate(("guard.unknown", "guard.clear"), 10):
        view = apply(view, Event("R", seq, "", NOW, kind, "alice", "", data={"guard": "usable-domains"}))
    assert next_op(view) == Gate("next")
