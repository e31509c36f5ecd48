"""What a run that has begun still relies on: its own hand moves none of it, anybody else's is seen."""

from __future__ import annotations

from lab.embedded.editor import apply
from runbooks.book import shipped
from runbooks.model import StepDef, steps_of
from runbooks.perform import Performer
from runbooks.plan import Plan
from runbooks.relied import moved_since, still_relied_on
from tests.engine.little_edges import Edges
from tests.engine.little_network import allowed
from tests.sample import REFERENCE


def acts(plan: Plan) -> list[StepDef]:
    return [step for step in steps_of(plan.definition()) if step.kind == "act"]


def said(scene: Edges, plan: Plan, begun: list[str]) -> list[str]:
    return moved_since(plan.definition(), shipped(plan.book), scene.moment(), REFERENCE.read_text(), begun)


async def test_a_cloud_that_is_forced_moves_nothing_that_forcing_the_other_relies_on() -> None:
    scene = Edges()
    plan = scene.force("all")
    begun: list[str] = []
    for step in acts(plan):
        await Performer(scene).act(step, "do", "token", allowed)
        scene.look()
        begun.append(step.id)
        if len(begun) % 2 == 0:  # between the halves of a group nobody asks
            assert said(scene, plan, begun) == []
    assert begun == ["return-azure", "egress-azure", "return-aws", "egress-aws"]


def test_facts_of_two_acts_on_one_cloud_are_told_apart() -> None:
    scene = Edges()
    plan = scene.force("all")
    apply(scene.routers["edge-2"].config, ["route-map OUT-vpn-aws-2 permit 10", "set as-path prepend 65010 65010"])
    found = said(scene, plan, ["return-azure", "egress-azure"])
    assert [words.split(":")[0] for words in found] == ["export of return-aws"]


def test_how_the_paths_stand_is_asked_of_those_clouds_alone_that_the_run_has_not_moved() -> None:
    scene = Edges()
    plan = scene.force("all")
    asked = {
        len(begun): still_relied_on(shipped(plan.book), plan.parameters, scene.moment(), REFERENCE.read_text(), begun)
        for begun in ([], ["return-azure", "egress-azure"])
    }
    roles = {n: sorted(name for name in facts if name.startswith("role of ")) for n, facts in asked.items()}
    assert roles[0] == sorted(name for name in plan.covered if name.startswith("role of "))
    assert set(asked[2]) <= set(plan.covered), "by the names that the plan covers them by"
    assert roles[2] == [name for name in roles[0] if " aws/" in name]
