"""When guards may speak: not between the halves of a group, but always before an act that waits for their word."""

from __future__ import annotations

import pytest

from runbooks.inforce import in_flight
from runbooks.model import GuardDef, StepDef
from runbooks.ops import Nothing, next_op
from runbooks.view import PhaseView, RunView, StepState, StepView

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
