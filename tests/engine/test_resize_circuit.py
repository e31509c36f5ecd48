"""resize-vxc above its circuit's bandwidth: the circuit goes up first, approved by a second person, and for ever."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import NotSent as ConnectorNotSent
from connectors.errors import OutcomeUnknown, Unreachable
from console.plan_view import lines
from console.run_words import undo_lines as said_before_an_abort
from console.rundoc import plan_text, undo_lines
from network.observation import Kind
from runbooks.actions.set_circuit_bandwidth import SetCircuitBandwidth
from runbooks.book import shipped
from runbooks.effects import NotSent
from runbooks.model import StepDef, steps_of
from runbooks.plan import Plan
from runbooks.planstep import LASTING
from runbooks.putback import undo_definition
from runbooks.relied import moved_since
from runbooks.scene import CannotPlan
from tests.engine.library_runs import Fate, Stage
from tests.engine.little_circuit import LittleCircuit
from tests.engine.little_device import Died, MortalJournal, here, new_id
from tests.engine.little_fabric import WHERE, LittleFabric
from tests.engine.little_network import LittleScene, allowed
from tests.engine.test_library_kills import recover
from tests.engine.test_resize import LIVE, circuit, network, planned, site
from tests.engine.test_resize_engine import Desk, desk
from tests.sample import REFERENCE, seen

VERB = SetCircuitBandwidth()
#: What the circuit's new bandwidth takes in these tests to be recorded, at most.
SETTLE_S = 0.3


def large(*, policy: dict[str, Any] | None = None) -> LittleScene:
    """A circuit whose growth the fabric follows at once."""
    of = site()
    more = {"circuit_settle_s": SETTLE_S, **(policy or {})}
    scene = network(of=of.model_copy(update={"policy": of.policy.model_copy(update=more)}), fabric=LittleFabric())
    scene.the_circuit = LittleCircuit(after_set=lambda mbps: setattr(scene.the_fabric, "most", mbps))
    return scene


def step_of(scene: LittleScene, mbps: int = 2500) -> StepDef:
    return next(step for step in steps_of(planned(scene, mbps).definition()) if step.id == "circuit")


def kinds(plan: Plan) -> dict[str, str]:
    return {step.id: step.kind for step in plan.steps}


# -- the plan


def test_above_the_circuit_the_plan_raises_it_first_with_a_second_person_and_without_an_undo() -> None:
    plan = planned(large(), 2500)
    assert list(kinds(plan)) == ["fits", "price", "approve-circuit", "circuit", "rate", "soak", "code"]
    act = plan.steps[3]
    assert act.lines[0].endswith('/er-circuit {"properties": {"serviceProviderProperties": {"bandwidthInMbps": 5000}}}')
    assert act.lines[0].startswith("azure> PUT /subscriptions/")
    assert (act.undo, act.risk, act.approvals) == ((), "irreversible", 1)
    assert "circuit er-circuit bandwidth: 5000 Mbps, for ever: it only goes up" in act.expect
    assert "circuit:er-circuit" in plan.locks
    assert "er-circuit" in plan.touches


@pytest.mark.parametrize(
    ("mbps", "b_end", "said"),
    [
        (1500, "azure-key", "Circuit er-circuit has 2000 Mbps: enough, it is not changed."),
        (2000, "azure-key", "Circuit er-circuit has 2000 Mbps: enough, it is not changed."),
        (500, "azure-key", "No circuit bounds vxc-azure-a at 500 Mbps: none is changed."),
        (1500, "aws-hosted-vif", "No circuit bounds vxc-azure-a at 1500 Mbps: none is changed."),
    ],
)
def test_where_it_is_not_needed_the_plan_has_a_note_in_its_place(mbps: int, b_end: str, said: str) -> None:
    plan = planned(network(of=site(b_end=b_end)), mbps)
    note = next(step for step in plan.steps if step.id == "circuit")
    assert (note.kind, note.text, note.risk, note.lines, note.guards) == ("note", said, "reading", (), ())
    assert "approve" not in kinds(plan).values()
    assert "er-circuit" not in plan.touches


def test_a_circuit_that_grew_meanwhile_voids_the_plan() -> None:
    grown = network(circuit(mbps=5000), seen(Kind.VXC, "vxc-azure-a", replace(LIVE, max_mbps=5000)))
    assert planned(grown, 2500).hash != planned(large(), 2500).hash


def test_a_circuit_that_the_run_itself_has_raised_voids_nothing() -> None:
    plan, text = planned(large(), 2500), REFERENCE.read_text()
    grown = network(circuit(mbps=5000), seen(Kind.VXC, "vxc-azure-a", replace(LIVE, max_mbps=5000)))
    frozen, book = plan.definition(), shipped("resize-vxc")
    assert moved_since(frozen, book, grown.moment(), text, ["circuit"]) == []
    assert moved_since(frozen, book, grown.moment(), text, []) != [], "before it has begun it is somebody else's doing"
    other = network(circuit(mbps=5000), seen(Kind.VXC, "vxc-azure-a", replace(LIVE, max_mbps=5000, rate_mbps=900)))
    assert moved_since(frozen, book, other.moment(), text, ["circuit"]) == ["rate mbps of rate: 1000 → 900"]


def test_nothing_is_raised_for_a_rate_that_would_not_be_taken_or_for_a_guess() -> None:
    locked = network(seen(Kind.VXC, "vxc-azure-a", replace(LIVE, locked=True)))
    with pytest.raises(CannotPlan, match="vxc-azure-a is locked"):
        planned(locked, 2500)
    with pytest.raises(CannotPlan, match="the bandwidth of circuit er-circuit is unknown"):
        planned(network(circuit(mbps=None)), 2500)
    assert planned(network(circuit(mbps=None)), 1500).steps[2].kind == "note", "the fabric knows enough"
    with pytest.raises(CannotPlan, match="no circuit has 2500 Mbps: the largest is 2000"):
        planned(large(policy={"circuit_bandwidths_mbps": (1000, 2000)}), 2500)


def test_whoever_reads_the_plan_is_told_that_it_stays() -> None:
    plan = planned(large(), 2500)
    assert f"    undo    {LASTING}" in plan_text(plan)
    assert LASTING in str(lines(plan, "CHG1"))
    assert LASTING not in plan_text(planned(large(), 1500))


def test_a_linked_undo_puts_the_rate_back_and_says_what_stays() -> None:
    undo = undo_definition(planned(large(), 2500).definition(), "R-1")
    assert [step["id"] for step in undo["steps"]] == ["field-clear", "restore-rate", "left", "restored"]
    assert "it cannot be put back: raise the circuit of vxc-azure-a" in undo["steps"][2]["text"]


# -- the act


async def test_it_is_sent_once_and_not_again_once_it_is_there() -> None:
    scene = large()
    step = step_of(scene)
    assert (await VERB.act(scene, step, "do", allowed))["sent"] == 1
    assert (await VERB.verify(scene, step, "do")).ok is True
    assert (await VERB.act(scene, step, "do", allowed))["sent"] == 0
    assert scene.the_circuit.ledger == [5000]


@pytest.mark.parametrize(
    ("circuit", "said"),
    [
        (LittleCircuit(mbps=10000), "has 10000 Mbps, which somebody else has set; this run knows 2000 and 5000"),
        (LittleCircuit(_coming=(5000, float("inf"))), "is Updating, not Succeeded"),
        (LittleCircuit(reads=[Unreachable("gone", **WHERE)]), "gone"),
        (LittleCircuit(answers=[ConnectorNotSent("HTTP 412", **WHERE)]), "HTTP 412"),
    ],
)
async def test_every_clear_no_is_a_proof_that_nothing_was_sent(circuit: LittleCircuit, said: str) -> None:
    scene = large()
    step = step_of(scene)
    scene.the_circuit = circuit
    with pytest.raises(NotSent, match=said):
        await VERB.act(scene, step, "do", allowed)
    assert circuit.ledger == []


async def test_a_look_waits_for_what_may_still_come_and_tells_somebody_elses_change() -> None:
    scene = large()
    step = step_of(scene)
    assert (await VERB.observe(scene, step)).state == "undo"
    scene.the_circuit.lag_s = 0.1
    await VERB.act(scene, step, "do", allowed)
    assert (await VERB.observe(scene, step)).state == "do"
    scene.the_circuit.mbps = 10000
    found = await VERB.observe(scene, step)
    assert (found.state, "somebody else" in str(found.evidence)) == ("unknown", True)


async def test_a_fabric_that_does_not_know_it_yet_is_no_proof() -> None:
    scene = large()
    step = step_of(scene)
    scene.the_circuit.after_set = None
    await VERB.act(scene, step, "do", allowed)
    found = await VERB.verify(scene, step, "do")
    assert (found.ok, "may have 2000 Mbps" in found.reason) == (False, True)
    scene.the_fabric.reads = [Unreachable("gone", **WHERE)] * 99
    assert (await VERB.verify(scene, step, "do")).ok is None


# -- the run


async def approve(path: Path, run: str) -> None:
    """Bob's word."""
    bob = await MortalJournal.open(path, identity=here("bob"), now=lambda: datetime.now(UTC), new_id=new_id)
    sha = (await bob.run(run)).definition_sha
    await bob.append(run, "cmd.approve", data={"definition_sha": sha}, step="approve-circuit")
    await bob.close()


@asynccontextmanager
async def approved(path: Path, scene: LittleScene) -> AsyncIterator[Desk]:
    """A run that waits for a second person, and then has his word."""
    async with desk(path, scene, 2500) as alice:
        assert (await alice.drive()).state == "WAITING"
        assert scene.the_circuit.ledger == []
        await approve(path, alice.run)
        yield alice


async def test_circuit_then_rate_and_a_rollback_leaves_the_circuit_and_says_so(tmp_path: Path) -> None:
    scene = large()
    scene.the_fabric.after_set = lambda: scene.the_fabric.reads.extend([Unreachable("gone", **WHERE)] * 9999)
    async with approved(tmp_path / "journal.db", scene) as run:
        view = await run.drive()
        assert (view.state, view.question and view.question.step) == ("NEEDS_DECISION", "rate")
        for told in (str(undo_lines(await run.journal.run(run.run), view)), str(said_before_an_abort(view))):
            assert told.index("rateLimit") < told.index(LASTING)
        scene.the_fabric.reads.clear()
        scene.the_fabric.after_set = None
        back = await run.decide(view, "rollback")
        assert back.state == "ROLLED_BACK"
        assert {step.id: step.state for step in back.steps if step.kind == "act"} == {
            "circuit": "left",
            "rate": "undone",
        }
        assert back.why.startswith("left in place, it cannot be put back: circuit (raise the circuit of vxc-azure-a")
        assert (scene.the_circuit.ledger, scene.the_fabric.ledger) == ([5000], [2500, 1000])


async def test_a_lost_answer_is_looked_for_and_never_sent_again(tmp_path: Path) -> None:
    scene = large()
    scene.the_circuit.answers = [OutcomeUnknown("the answer was lost", **WHERE)]
    async with approved(tmp_path / "journal.db", scene) as run:
        assert (await run.drive()).state == "COMPLETED"
        assert (scene.the_circuit.ledger, scene.the_fabric.ledger) == ([5000], [2500])


async def test_a_rollback_of_a_circuit_that_was_never_raised_leaves_nothing(tmp_path: Path) -> None:
    scene = large()
    scene.the_circuit.answers = [ConnectorNotSent("HTTP 412", **WHERE)]
    async with approved(tmp_path / "journal.db", scene) as run:
        view = await run.drive()
        assert view.question is not None
        back = await run.decide(view, "rollback")
        assert (back.state, back.why) == ("ROLLED_BACK", "")
        assert scene.the_circuit.ledger == []


class At(Fate):
    """Dies at a moment by its name, and stays dead."""

    def __init__(self, name: str) -> None:
        super().__init__(None)
        self.fatal_name = name

    def __call__(self, name: str) -> None:
        if self.name or name == self.fatal_name:
            self.name = self.name or name
            raise Died(name)


@pytest.mark.parametrize(
    "moment",
    [
        "before entry act.intent circuit",
        "after entry act.intent circuit",
        "before a send of do circuit",
        "after do circuit",
        "after entry act.result circuit",
        "before entry verify.ok circuit",
        "after entry verify.ok circuit",
    ],
)
async def test_killed_around_it_the_next_console_reaches_the_goal_and_nothing_is_sent_twice(
    tmp_path: Path, moment: str
) -> None:
    stage, fate = Stage("resize-vxc", large()), At(moment)
    stage.plan = planned(stage.scene, 2500)
    async with stage.console(tmp_path / "j.db", fate=fate, dead=True) as (journal, engine):
        row = await journal.create_run(stage.new_run)
        await approve(tmp_path / "j.db", row.run_id)
        with suppress(Died):
            await engine.drive(row.run_id, row.fence)
    assert fate.name == moment
    async with stage.console(tmp_path / "j.db", "carol") as (journal, engine):
        view, _ = await recover(journal, engine, row.run_id, await journal.claim(row.run_id))
    assert view.state == "COMPLETED"
    assert (stage.scene.the_circuit.ledger, stage.scene.the_fabric.ledger) == ([5000], [2500])
