"""force-vpn as a restore: what must be observed for it, what never makes it one, and what the gate lets through."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from console import rundoc
from network.measured import LossCount, ProbeResult
from network.observation import HubPreference, Kind, Observation, Rides
from network.policy import Approvals
from network.rescue import undecided
from runbooks.book import parse, shipped
from runbooks.effects import GateVerdict
from runbooks.engine import view_of
from runbooks.journal import Journal
from runbooks.model import StepDef, steps_of
from runbooks.orders import NotTaken, Orders
from runbooks.plan import compile_plan
from runbooks.rescue import may_rescue, rescues
from runbooks.ticket import ChangeGate
from runbooks.view import RunView, StepView
from tests.engine.library_runs import Sends, Stage
from tests.engine.little_edges import RTT_MS, Edges
from tests.engine.little_network import SITE
from tests.engine.test_approvals import Board
from tests.sample import NOW, REFERENCE, seen
from tests.unit.test_policy_gate import OPEN


def probed(path: str, lost: int, *, times: int = 12, pinned: bool = True) -> Observation:
    long = LossCount(300, lost, times, since=NOW)
    fact = ProbeResult(300, 300 - lost, RTT_MS, pinned=pinned, usual_ms=RTT_MS, median_ms=RTT_MS, long=long)
    return seen(Kind.PROBE, path, fact)


LOSSY = probed("azure/er-primary", 30)
SILENT = seen(Kind.PROBE, "azure/er-primary", ProbeResult(3, 0, None))


def looking(*facts: Observation) -> Edges:
    scene = Edges()
    scene.facts = list(facts)
    scene.look()
    return scene


def risks(scene: Edges, cloud: str = "azure") -> dict[str, str]:
    return {step.id: step.risk for step in scene.force(cloud).steps if step.kind == "act"}


# -- what makes it one


@pytest.mark.parametrize(("fact", "words"), [(LOSSY, "10 % lost"), (SILENT, "azure/er-primary is down: probe")])
def test_a_carrying_path_that_fails_the_cloud_makes_it_a_restore(fact: Observation, words: str) -> None:
    plan = looking(fact).force("azure")
    acts = [step for step in plan.steps if step.kind == "act"]
    assert [step.risk for step in acts] == ["restore", "restore"]
    assert all(words in step.rescues for step in acts)
    assert plan.rescue
    assert [step.id for step in plan.steps] == [
        "ready-azure", "restore-told", "return-azure", "egress-azure", "carried-azure",
    ]  # fmt: skip
    told = plan.steps[1]
    assert told.kind == "note"
    assert words in told.text
    assert "A second person is told now, and reviews it" in told.text
    assert plan.hash != Edges().force("azure").hash


NEVER: dict[str, Callable[[], Edges]] = {
    "nothing is amiss": looking,
    "its loss is below the limit": lambda: looking(probed("azure/er-primary", 3)),
    "it was lost at one time only": lambda: looking(probed("azure/er-primary", 30, times=1)),
    "the probe may go another way": lambda: looking(probed("azure/er-primary", 30, pinned=False)),
    "the lossy path carries nothing": lambda: looking(probed("azure/er-secondary", 30)),
    "another cloud's path is lossy": lambda: looking(probed("aws/dx-1", 30)),
    "a tunnel rides the lossy path": lambda: looking(LOSSY, seen(Kind.RIDES, "vpn-azure-1", Rides("vxc-azure-a"))),
    "a tunnel is lossy itself": lambda: looking(LOSSY, probed("azure/vpn-2", 30)),
    "nobody knows what the hub prefers": lambda: looking(LOSSY, seen(Kind.HUB_PREFERENCE, "azure", HubPreference(""))),
}


@pytest.mark.parametrize("why", NEVER)
def test_anything_else_is_as_grave_as_the_book_says(why: str) -> None:
    assert set(risks(NEVER[why]()).values()) == {"traffic-moving"}


@pytest.mark.parametrize("kind", [Kind.PROBE, Kind.RIDES, Kind.SESSION_THERE, Kind.CIRCUIT])
def test_what_is_known_no_more_makes_it_no_restore(kind: Kind) -> None:
    scene = looking(LOSSY)
    assert set(risks(scene).values()) == {"restore"}
    scene.blind = lambda item: item.kind is kind
    scene.clock += timedelta(seconds=10)
    scene.look()
    assert set(risks(scene).values()) == {"traffic-moving"}


def test_each_cloud_is_judged_by_itself_and_one_that_is_well_needs_the_change() -> None:
    plan = looking(LOSSY).force("all")
    assert {step.id: step.risk for step in plan.steps if step.kind == "act"} == {
        "return-azure": "restore", "egress-azure": "restore",
        "return-aws": "traffic-moving", "egress-aws": "traffic-moving",
    }  # fmt: skip
    assert not plan.rescue
    assert looking(LOSSY, probed("aws/dx-1", 30)).force("all").rescue


def test_a_restore_needs_one_person_where_moving_traffic_needs_two() -> None:
    policy = SITE.policy.model_copy(update={"approvals": Approvals(traffic_moving=1)})
    for facts, approvals in (((), 1), ((LOSSY,), 0)):
        scene = looking(*facts)
        scene.site = SITE.model_copy(update={"policy": policy})
        assert [step.kind for step in scene.force("azure").steps].count("approve") == approvals


@pytest.mark.parametrize(("book", "may"), [("force-vpn", True), ("drain-port", False), ("resize-vxc", False)])
def test_a_book_without_such_an_act_is_refused_without_a_change_before_anything_is_asked(book: str, may: bool) -> None:
    assert may_rescue(shipped(book)) is may


COUNTS = {
    "nothing was counted yet": (ProbeResult(3, 3, RTT_MS), True, False),
    "a few, none lost": (ProbeResult(3, 3, RTT_MS, long=LossCount(20, 0, 0)), True, False),
    "a few, one lost": (ProbeResult(3, 3, RTT_MS, long=LossCount(20, 1, 1)), True, True),
    "a few, and too many lost": (ProbeResult(3, 3, RTT_MS, long=LossCount(20, 4, 3)), False, False),
    "many, none lost": (ProbeResult(3, 3, RTT_MS, long=LossCount(60, 0, 0)), False, False),
    "many, one lost": (ProbeResult(3, 3, RTT_MS, long=LossCount(300, 1, 1)), False, False),
}


@pytest.mark.parametrize("counted", COUNTS)
def test_it_is_looked_longer_while_too_few_probes_say_whether_a_carrying_path_is_lossy(counted: str) -> None:
    fact, at_any, at_one_lost = COUNTS[counted]
    settled = ProbeResult(3, 3, RTT_MS, long=LossCount(300, 0, 0))
    moment = looking(
        *(seen(Kind.PROBE, path.name, settled) for path in SITE.paths), seen(Kind.PROBE, "azure/er-primary", fact)
    ).moment()
    assert [undecided(moment.view, moment.health, "azure", lost) for lost in (0, 1)] == [at_any, at_one_lost]
    assert not undecided(moment.view, moment.health, "aws", 0), "its own paths are settled"


# -- the gate


def view_with(*specs: StepDef) -> RunView:
    return RunView(run_id="R-1", steps=tuple(StepView(spec) for spec in specs))


async def permitted(specs: list[StepDef], observed: Callable[[StepDef], str], number: str = "") -> GateVerdict:
    async def tickets() -> Board:
        return Board(replace(OPEN, state="Closed", state_code=3))

    gate = ChangeGate(tickets, number, "azure", ("azure",), SITE.policy, lambda: NOW, rescues=observed)
    return await gate.permit(view_with(*specs), specs[0])


def group(*rescues_: str) -> list[StepDef]:
    return [StepDef(id=f"a{n}", kind="act", group="g", risk="restore", rescues=r) for n, r in enumerate(rescues_)]


async def test_the_gate_lets_a_restore_through_while_it_is_observed_and_not_a_moment_longer() -> None:
    assert (await permitted(group("lossy", "lossy"), lambda _: "lossy now")).open
    calmed = await permitted(group("lossy", "lossy"), lambda _: "", "CHG1")
    assert not calmed.open
    assert "not observed now: lossy; plan again" in calmed.reason


async def test_a_group_with_another_act_in_it_is_gated_and_so_is_a_book_that_calls_itself_a_restore() -> None:
    for specs in (group("lossy", ""), group("")):
        shut = await permitted(specs, lambda _: "lossy now", "CHG1")
        assert not shut.open
        assert "not Implement" in shut.reason
        assert "no change" in (await permitted(specs, lambda _: "lossy now")).reason


def test_what_a_book_says_of_its_risk_makes_no_act_a_restore_by_observation() -> None:
    book = parse(shipped("force-vpn").text.replace("risk: traffic-moving", "risk: restore"), "force-vpn.yaml")
    plan = compile_plan(book, {"cloud": "azure"}, Edges().moment(), REFERENCE.read_text())
    assert not plan.rescue
    assert not any(step.rescues for step in steps_of(plan.definition()))


# -- the run


async def drive(stage: Stage, file: Path) -> tuple[RunView, list[str]]:
    """Drive the book to its end without any change; what the gate said."""

    async def nobody() -> Board:
        raise ConnectionError("the ticket system is gone")

    def observed(step: StepDef) -> str:
        return rescues(step.verb, stage.scene.moment(), step.args)

    async with stage.console(file) as (journal, engine):
        gate = ChangeGate(nobody, "", "azure", ("azure",), SITE.policy, lambda: NOW, rescues=observed)
        engine.ports = replace(engine.ports, gate=gate)
        row = await journal.create_run(replace(stage.new_run, ticket=None))
        view = await engine.drive(row.run_id, row.fence)
        events = await journal.events(row.run_id)
    return view, [str(event.data["reason"]) for event in events if event.kind.startswith("gate.")]


async def review(journal: Journal, run_id: str) -> RunView:
    await Orders(journal).review(run_id)
    return await view_of(journal, run_id)


async def test_one_person_restores_without_any_ticket_and_a_second_one_reviews_it_after(tmp_path: Path) -> None:
    stage, file = Stage("force-vpn", looking(LOSSY)), tmp_path / "j.db"
    view, said = await drive(stage, file)
    assert view.state == "COMPLETED", (view.why, view.question)
    assert said == [f"a restore is never gated: {stage.plan.steps[2].rescues}"]
    assert stage.sent == stage.forth
    assert rundoc.review(view) == "owed"
    async with stage.console(file, "alice") as (journal, _):
        with pytest.raises(NotTaken, match=r"alice started or drove .*: a second person must review it"):
            await review(journal, view.run_id)
        await journal.append(view.run_id, "cmd.review")  # written all the same, it counts for nothing
        assert (await view_of(journal, view.run_id)).review_owed
    async with stage.console(file, "bob") as (journal, _):
        assert rundoc.review(await review(journal, view.run_id)) == "bob"
        assert await Orders(journal).review(view.run_id) is None, "once is enough"
        assert [report.ok for report in await journal.verify(view.run_id)] == [True]


async def test_one_that_has_healed_since_the_plan_is_refused_and_nothing_is_sent(tmp_path: Path) -> None:
    stage = Stage("force-vpn", looking(LOSSY))
    stage.scene.facts = []
    stage.scene.look()
    view, said = await drive(stage, tmp_path / "j.db")
    assert (view.state, view.reason) == ("ROLLED_BACK", "refused")
    assert "plan again" in said[0]
    assert stage.sent == Sends()
    assert not view.review_owed


async def test_a_run_that_was_gated_owes_no_review(tmp_path: Path) -> None:
    stage, file = Stage("force-vpn", looking()), tmp_path / "j.db"
    run_id = await stage.completed(file)
    async with stage.console(file, "bob") as (journal, _):
        assert rundoc.review(await view_of(journal, run_id)) is None
        with pytest.raises(NotTaken, match="owes no review"):
            await Orders(journal).review(run_id)
