"""Sent again, an act sends what is missing and no more: whatever part of it is in place, on whichever router."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.errors import OutcomeUnknown
from lab.embedded.editor import apply
from runbooks.actions import clauses
from runbooks.actions.sending import commands_of, still_due
from runbooks.model import Phase, StepDef, steps_of
from runbooks.plan import Plan
from runbooks.putback import undo_definition
from runbooks.verbs import VERBS
from tests.engine.little_edges import Edges
from tests.engine.little_network import allowed

BOTH: tuple[Phase, Phase] = ("do", "undo")
ACTS = ("return-azure", "egress-azure")  # each writes to both routers


@cache
def forced() -> Plan:
    return Edges().force()


def step_of(name: str, *, inverse: bool = False) -> StepDef:
    plan = forced().definition()
    frozen = undo_definition(plan, "R-1") if inverse else plan
    return next(step for step in steps_of(frozen) if step.id.removeprefix("restore-") == name)


def found(step: StepDef, phase: Phase) -> Edges:
    """The network as the phase is to find it: with the act there to be undone, or not yet."""
    scene = Edges()
    if clauses.restores(step, phase):
        for command in step_of(step.id.removeprefix("restore-")).commands:
            apply(scene.routers[command["router"]].config, command.get("configure", ()))
    return scene


async def act(scene: Edges, step: StepDef, phase: Phase) -> dict[str, Any]:
    return dict(await VERBS["act"][step.verb].act(scene, step, phase, allowed))


async def state(scene: Edges, step: StepDef) -> str:
    return str((await VERBS["act"][step.verb].observe(scene, step)).state)


def ledger(scene: Edges) -> list[tuple[str, str]]:
    return sorted((name, line) for name, router in scene.routers.items() for line in router.sent)


def whole(step: StepDef, phase: Phase) -> list[tuple[str, str]]:
    return sorted((c["router"], each) for c in commands_of(step, phase) for each in c.get("configure") or [c["exec"]])


@pytest.mark.parametrize("inverse", [False, True])
@pytest.mark.parametrize("phase", BOTH)
@pytest.mark.parametrize("name", ACTS)
async def test_what_died_between_two_routers_is_sent_to_each_of_them_once(
    name: str, phase: Phase, inverse: bool
) -> None:
    step = step_of(name, inverse=inverse)
    scene = found(step, phase)
    second = list(dict.fromkeys(command["router"] for command in commands_of(step, phase)))[1]
    scene.routers[second].failures = [OutcomeUnknown("it failed", where=second, do_next="look")]
    with pytest.raises(OutcomeUnknown):
        await act(scene, step, phase)
    assert await state(scene, step) == "mixed"
    before = {router: len(each.sent) for router, each in scene.routers.items()}
    done = await act(scene, step, phase)
    assert await state(scene, step) == phase
    assert {command["router"] for command in done["commands"]} == {second}, "the log says what was sent"
    assert [router for router, each in scene.routers.items() if len(each.sent) > before[router]] == [second]
    assert ledger(scene) == whole(step, phase)


@settings(max_examples=20)
@given(st.data())
async def test_any_part_that_is_in_place_is_not_sent_again(data: st.DataObject) -> None:
    """`egress` edits clauses: each of them may have been reached, on each router, before it was cut off."""
    phase = data.draw(st.sampled_from(BOTH))
    step = step_of("egress-azure")
    scene = found(step, phase)
    edits = step.args["edits"]
    there = data.draw(st.sets(st.integers(0, len(edits) - 1)))
    for at in there:
        apply(scene.routers[edits[at]["router"]].config, edits[at]["lines" if phase == "do" else "undo"])
    await act(scene, step, phase)
    assert await state(scene, step) == phase
    sent = [line for _, line in ledger(scene) if not line.startswith("clear ")]
    missing = [edit["lines" if phase == "do" else "undo"] for at, edit in enumerate(edits) if at not in there]
    assert sorted(sent) == sorted(line for lines in missing for line in lines)
    assert set(ledger(scene)) <= set(whole(step, phase)), "only what was approved"


@pytest.mark.parametrize("phase", BOTH)
@pytest.mark.parametrize("name", ACTS)
async def test_where_all_is_in_place_only_the_clears_are_tried_again(name: str, phase: Phase) -> None:
    step = step_of(name)
    scene = found(step, phase)
    assert "commands" not in await act(scene, step, phase), "all of them were"
    for router in scene.routers.values():
        router.sent.clear()
    done = await act(scene, step, phase)
    assert ledger(scene) == [(router, line) for router, line in whole(step, phase) if line.startswith("clear ")]
    assert done["sent"] == len(ledger(scene))


def test_a_clear_goes_with_the_change_in_front_of_it() -> None:
    commands: Sequence[dict[str, Any]] = [
        *({"router": "r1", "configure": ["a", "b"]}, {"router": "r1", "exec": "clear 1"}),
        *({"router": "r1", "configure": ["c"]}, {"router": "r1", "exec": "clear 2"}),
        *({"router": "r2", "configure": ["a"]}, {"router": "r2", "exec": "clear 3"}),
    ]
    assert still_due(commands, lambda router, lines: [line for line in lines if (router, line) == ("r1", "b")]) == [
        *({"router": "r1", "configure": ["b"]}, {"router": "r1", "exec": "clear 1"}),
    ]
    assert still_due(commands, lambda _router, lines: lines) == commands
    assert still_due(commands, lambda _router, _lines: []) == [commands[1], commands[3], commands[5]]
