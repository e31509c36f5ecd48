"""A run that forced every cloud is failed back a cloud at a time: each once, and nothing that another one needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from console.fail import Refused
from console.undoing import in_place, left_of
from network.observation import Kind, SessionHere
from runbooks.book import shipped
from runbooks.checks.restored import Restored
from runbooks.checks.stays_restored import StaysRestored
from runbooks.journal import RunRow
from runbooks.leftovers import in_place as effects_in_place
from runbooks.model import StepDef, steps_of
from runbooks.plan import Plan, compile_plan
from runbooks.putback import acts, undo_definition
from runbooks.verbs import VERBS
from tests.engine.little_edges import Edges
from tests.engine.little_network import allowed, steps
from tests.run_rows import run_row
from tests.sample import NOW, REFERENCE, seen

OTHER = {"azure": "aws", "aws": "azure"}


def texts(scene: Edges) -> dict[str, str]:
    return {name: edge.text for name, edge in scene.routers.items()}


def row(run_id: str, definition: Mapping[str, Any], state: str = "COMPLETED", book: str = "force-vpn") -> RunRow:
    return run_row(run_id, book, definition, state)


async def perform(scene: Edges, definition: Mapping[str, Any]) -> None:
    """Every act of a definition, and the network looked at afterwards."""
    for step in steps_of(definition):
        if step.kind == "act":
            await VERBS["act"][step.verb].act(scene, step, "do", allowed)
    scene.look()


async def forced(scene: Edges, *clouds: str) -> list[RunRow]:
    """A COMPLETED run for each word, the newest first."""
    rows: list[RunRow] = []
    for number, cloud in enumerate(clouds, 1):
        definition = scene.force(cloud).definition()
        await perform(scene, definition)
        rows = [row(f"R-{number}", definition), *rows]
    return rows


def failback(scene: Edges, cloud: str, rows: Sequence[RunRow]) -> Plan:
    moment = replace(scene.moment(), undoing=in_place("force-vpn", {"cloud": cloud}, rows))
    return compile_plan(shipped("failback"), {"cloud": cloud}, moment, REFERENCE.read_text())


def undone(rows: list[RunRow], plan: Plan) -> list[RunRow]:
    return [row(f"R-{len(rows) + 1}", plan.definition(), book="failback"), *rows]


def ids(definition: Mapping[str, Any]) -> list[str]:
    return [str(step["id"]) for step in acts(definition)]


async def prove_restored(scene: Edges, plan: Plan) -> None:
    found = await Restored().check(scene, steps(plan)["restored"])
    assert found.ok is True, found.reason


async def states(scene: Edges, definition: Mapping[str, Any]) -> list[str]:
    every = [step for step in steps_of(definition) if step.kind == "act"]
    return [(await VERBS["act"][step.verb].observe(scene, step)).state for step in every]


@pytest.mark.parametrize("first", ["azure", "aws"])
@pytest.mark.parametrize("word", ["all", "the other"])
async def test_each_cloud_of_all_is_failed_back_once_and_the_rest_by_its_name_or_by_all(first: str, word: str) -> None:
    scene, other = Edges(), OTHER[first]
    before, rows = texts(scene), await forced(scene, "all")

    part = failback(scene, first, rows)
    assert [step.id for step in part.steps] == [
        *(f"stable-{first}", "cause-closed", f"restore-egress-{first}", f"restore-return-{first}", "soak", "restored")
    ]
    assert part.undo_of == "R-1"
    assert other not in part.touches
    assert part.after[other] == part.before[other], "the other cloud stays where it is"
    await perform(scene, part.definition())
    await prove_restored(scene, part)
    rest = left_of(rows[0], [row("R-2", part.definition())])
    assert await states(scene, rest) == ["do", "do"]

    rows = undone(rows, part)
    with pytest.raises(Refused, match=rf"to put back; in place: R-1 \((?!.*{first}).*{other}.*\)$"):
        in_place("force-vpn", {"cloud": first}, rows)
    last = failback(scene, "all" if word == "all" else other, rows)
    assert [step.id for step in last.steps] == [
        *(f"stable-{other}", "cause-closed", f"restore-egress-{other}", f"restore-return-{other}", "soak", "restored")
    ]
    await perform(scene, last.definition())
    await prove_restored(scene, last)
    assert texts(scene) == before

    for cloud in ("all", first, other):
        with pytest.raises(Refused, match=r"there is nothing to put back$"):
            in_place("force-vpn", {"cloud": cloud}, undone(rows, last))


@pytest.mark.parametrize("first", ["azure", "aws"])
async def test_a_cloud_that_another_run_still_forces_is_no_leftover_and_no_baseline(first: str) -> None:
    scene = Edges()
    before, rows = texts(scene), await forced(scene, "azure", "aws")
    for cloud in (first, OTHER[first]):
        plan = failback(scene, cloud, rows)
        await perform(scene, plan.definition())
        await prove_restored(scene, plan)
        rows = undone(rows, plan)
    assert texts(scene) == before


async def test_what_a_half_sent_part_has_left_is_still_found() -> None:
    scene = Edges()
    rows = await forced(scene, "all")
    plan = failback(scene, "azure", rows)
    egress = next(step for step in steps_of(plan.definition()) if step.kind == "act")
    await VERBS["act"][egress.verb].act(scene, egress, "do", allowed)
    scene.look()
    found = await Restored().check(scene, steps(plan)["restored"].model_copy(update={"timeout_s": 2}))
    assert found.ok is False, "the halves still bring azure back by its tunnels"


async def test_two_clouds_that_two_runs_forced_are_not_put_back_as_one() -> None:
    rows = await forced(Edges(), "azure", "aws")
    with pytest.raises(Refused, match=r"in place: R-2 \(aws, edge-1, edge-2\); R-1 \(azure, edge-1, edge-2\)"):
        in_place("force-vpn", {"cloud": "all"}, rows)


async def test_while_a_part_is_being_put_back_nothing_else_of_the_run_is() -> None:
    scene = Edges()
    rows = await forced(scene, "all")
    part = failback(scene, "azure", rows)
    with pytest.raises(Refused, match="R-1 is being put back by R-2"):
        in_place("force-vpn", {"cloud": "aws"}, [row("R-2", part.definition(), "RUNNING"), *rows])


async def test_a_rollback_of_the_run_puts_back_what_is_left_of_it() -> None:
    scene = Edges()
    before, rows = texts(scene), await forced(scene, "all")
    part = failback(scene, "azure", rows)
    await perform(scene, part.definition())
    left = left_of(rows[0], [row("R-2", part.definition())])
    assert ids(left) == ["return-aws", "egress-aws"]
    undo = undo_definition(left, "R-1")
    assert list(undo["after"]) == ["aws"]
    await perform(scene, undo)
    assert texts(scene) == before
    assert ids(left_of(rows[0], [row("R-2", part.definition()), row("R-3", undo)])) == []


async def test_leftovers_belong_to_the_run_whose_part_is_still_in_place() -> None:
    scene = Edges()
    rows = await forced(scene, "all")
    part = failback(scene, "azure", rows)
    found = {run.run_id: ids(left) for run, left in effects_in_place(undone(rows, part))}
    assert found["R-1"] == ["return-aws", "egress-aws"]


# -- the soak


async def soaking() -> tuple[Edges, StepDef]:
    """Azure failed back, and the wait that comes then."""
    scene = Edges()
    plan = failback(scene, "azure", await forced(scene, "azure"))
    await perform(scene, plan.definition())
    return scene, steps(plan)["soak"]


async def test_it_soaks_for_as_long_as_the_policy_says() -> None:
    scene, step = await soaking()
    began = scene.clock
    found = await StaysRestored().wait(scene, step, lambda _: None)
    assert found.ok is True, found.reason
    assert (scene.clock - began).total_seconds() >= scene.site.policy.soak_s


async def test_a_path_that_comes_and_goes_begins_the_soak_anew_and_at_last_is_a_fact_against_it() -> None:
    scene, step = await soaking()
    down = seen(Kind.SESSION_HERE, "er-primary", SessionHere("Active", NOW + timedelta(seconds=1), None, None, 100))
    told: list[Any] = []

    def flap(sample: Any) -> None:
        told.append(sample)
        scene.facts = [down] if len(told) % 2 else []

    found = await StaysRestored().wait(scene, step.model_copy(update={"timeout_s": 12}), flap)
    assert found.ok is not True
    assert "er-primary" in found.reason or "in a row" in found.reason
    scene.facts = [down]
    found = await StaysRestored().wait(scene, step.model_copy(update={"timeout_s": 4}), lambda _: None)
    assert found.ok is False
    assert "azure/er-primary: down" in found.reason
