"""The exit table: every path has a policy, a step may say otherwise, and nonsense is told."""

from __future__ import annotations

from typing import Any, get_args

import pytest

from runbooks.exits import DEFAULTS, ExitPath, policy_of
from runbooks.model import GuardDef, StepDef, UnfitDefinition, steps_of
from runbooks.planstep import PlanStep


def test_every_path_has_a_default() -> None:
    assert set(DEFAULTS) == set(get_args(ExitPath))


@pytest.mark.parametrize(
    ("step", "path", "policy"),
    [
        ({}, "ctrl-c", "finish"),
        ({}, "sigterm", "finish"),
        ({}, "sighup", "finish"),
        ({}, "closed-terminal", "finish"),
        ({}, "exception", "hold"),
        ({}, "guard", "hold"),
        ({}, "timeout", "hold"),
        ({}, "lost-fence", "hold"),
        ({"on_failure": "undo"}, "timeout", "undo"),
        ({"on_failure": "undo", "exits": {"timeout": "hold"}}, "timeout", "hold"),
        ({"exits": {"sigterm": "undo"}}, "sigterm", "undo"),
        ({"exits": {"sigterm": "undo"}}, "sighup", "finish"),
        ({"exits": {"ctrl-c": "hold"}}, "ctrl-c", "hold"),
        ({"exits": {"exception": "undo"}}, "exception", "undo"),
    ],
)
def test_a_step_may_say_otherwise(step: dict[str, Any], path: ExitPath, policy: str) -> None:
    assert policy_of(StepDef.model_validate({"id": "a", "kind": "act", **step}), path) == policy


def test_a_guard_says_so_itself_unless_its_step_does() -> None:
    guard = GuardDef(name="survivors", policy="undo")
    assert policy_of(StepDef(id="a", kind="act"), "guard", guard) == "undo"
    assert policy_of(StepDef(id="a", kind="act", exits={"guard": "finish"}), "guard", guard) == "finish"
    assert policy_of(None, "guard", guard) == "undo"


@pytest.mark.parametrize(("exits", "word"), [({}, "hold"), ({"guard": "undo"}, "undo"), ({"sigterm": "undo"}, "hold")])
def test_a_plan_says_what_comes_of_a_guard_at_its_step(exits: dict[str, str], word: str) -> None:
    guard = GuardDef(name="survivor-load").model_dump()
    step = PlanStep("a", "", "act", "", "reversible", 0, {"guards": [guard], "exits": exits}, ())
    assert step.guards == (f"survivor-load, 2 of 3: {word}",)


@pytest.mark.parametrize(
    ("exits", "why"),
    [
        ({"cntrl-c": "hold"}, "exit path 'cntrl-c' is not known; allowed: ctrl-c, sigterm"),
        ({"lost-fence": "undo"}, "exit path 'lost-fence' cannot undo; allowed: hold"),
        ({"exception": "finish"}, "exit path 'exception' cannot finish; allowed: hold, undo"),
        ({"sigterm": "hope"}, "Input should be 'hold', 'undo' or 'finish'"),
    ],
)
def test_nonsense_is_told_with_what_is_allowed(exits: dict[str, str], why: str) -> None:
    with pytest.raises(UnfitDefinition, match=why):
        steps_of({"steps": [{"id": "a", "kind": "act", "exits": exits}]})
