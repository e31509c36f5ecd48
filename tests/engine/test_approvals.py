"""A second person's approval: where it stands in a plan, what it binds to, and what becomes of one that comes late."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from network.policy import Approvals
from runbooks.book import parse, shipped
from runbooks.covered import moved
from runbooks.journal import NewRun
from runbooks.plan import Plan, compile_plan
from runbooks.scene import CannotPlan
from runbooks.ticket import ChangeGate
from runbooks.view import RunView
from tests.engine.little_device import World, console
from tests.engine.little_network import LittleScene
from tests.sample import NOW, REFERENCE, reference
from tests.unit.test_policy_gate import OPEN, Change

SITE = reference()
TEXT = shipped("drain-port").text


def scene(**approvals: int) -> LittleScene:
    policy = SITE.policy.model_copy(update={"approvals": Approvals(**approvals)})
    return LittleScene(site=SITE.model_copy(update={"policy": policy}))


def planned(world: LittleScene, text: str = TEXT) -> Plan:
    return compile_plan(parse(text, "book.yaml"), {"port": "port-a"}, world.moment(), REFERENCE.read_text())


def test_an_approval_stands_before_each_act_that_needs_one_and_says_who_may_not() -> None:
    steps = planned(scene(traffic_moving=1)).steps
    assert [step.id for step in steps] == [
        *("survivors", "approve-move-azure", "move-azure", "approve-move-aws", "move-aws", "empty", "verify")
    ]
    assert [step.kind for step in steps].count("approve") == 2
    assert steps[1].title == (
        "approval: move azure off port-a, both directions at once (not by who started the run, nor by who drives it)"
    )
    assert steps[2].approvals == 1
    assert [step.id for step in planned(scene()).steps if step.kind == "approve"] == []


def test_an_atomic_group_is_approved_as_one_by_as_many_as_its_gravest_act_needs() -> None:
    text = TEXT.replace("    kind: act\n", "    kind: act\n    group: both\n")
    steps = planned(scene(traffic_moving=2), text).steps
    assert [step.id for step in steps][1:5] == [
        *("approve-1-move-azure", "approve-2-move-azure", "move-azure", "move-aws")
    ]
    assert steps[1].title.startswith("approval 1 of 2: move azure off port-a, both directions at once; move aws off")


@dataclass
class Board:
    """The ticket system, with one change."""

    change_: Change = OPEN

    async def change(self, _number: str) -> Change:
        return self.change_

    async def note(self, *_told: str) -> None:
        """Nobody reads it here."""


@dataclass
class Office:
    """A run of a real plan in a real journal; its acts go to a device in memory, its gate compiles again."""

    folder: Path
    network: LittleScene = field(default_factory=lambda: scene(traffic_moving=1))
    world: World = field(default_factory=World)

    async def moved(self) -> Sequence[str]:
        try:
            return moved(self.plan.covered, planned(self.network).covered)
        except CannotPlan as reasons:
            return [f"it cannot be planned any more: {reasons}"]

    async def run(self, meanwhile: str = "", *, late: bool = True) -> RunView:
        """Drive to the approval; `meanwhile` is a line of edge-1 that changes; bob approves; drive on."""
        self.plan = planned(self.network)

        async def tickets() -> Board:
            return Board()

        gate = ChangeGate(tickets, "CHG1", "port-a", ("port-a",), SITE.policy, lambda: NOW, self.moved)
        async with console(self.folder / "j.db", self.world) as (journal, engine):
            engine.ports = replace(engine.ports, gate=gate)
            row = await journal.create_run(NewRun("drain-port", "1", self.plan.definition(), locks=["port:port-a"]))
            assert (await engine.drive(row.run_id, row.fence)).state == "WAITING"
            if meanwhile:
                router = self.network.routers["edge-1"]
                router.text = router.text.replace(meanwhile, "set local-preference 190", 1)
            self.network.clock += timedelta(seconds=0.1 if late else 0)
            async with console(self.folder / "j.db", World(), "bob") as (bobs, _):
                approval = {"definition_sha": row.definition_sha}
                await bobs.append(row.run_id, "cmd.approve", data=approval, step="approve-move-azure")
            return await engine.drive(row.run_id, row.fence)


async def test_an_approval_of_the_plan_as_it_stands_opens_the_gate(tmp_path: Path) -> None:
    office = Office(tmp_path)
    office.world.device.values |= {f"move-{cloud}/{half}": 100 for cloud in ("azure", "aws") for half in ("v4", "v6")}
    office.world.answers["do move-azure"] = OSError("far enough: the act was begun")
    view = await office.run()
    assert view.begun, view
    assert not view.refused


async def test_an_approval_is_void_when_what_it_covers_has_moved_and_it_says_what(tmp_path: Path) -> None:
    office = Office(tmp_path)
    view = await office.run("set local-preference 200")
    assert view.state == "ROLLED_BACK"
    assert view.reason == "refused"
    assert "the approval is void, what it covers has moved: " in view.why
    assert "set local-preference 200" in view.why
    assert "→" in view.why
    assert "set local-preference 190" in view.why
    assert office.world.device.ledger == []


@pytest.mark.parametrize("late", [True, False])
def test_time_alone_moves_nothing(late: bool) -> None:
    network = scene(traffic_moving=1)
    before = planned(network).covered
    network.clock += timedelta(seconds=0.2 if late else 0)
    assert moved(before, planned(network).covered) == []


def test_what_moved_is_said_in_words() -> None:
    before = {"standby of azure": "azure/er-secondary", "held": ["a", "b"], "x is down": False, "gone": 1}
    after = {"standby of azure": "azure/vpn-1", "held": [], "x is down": True, "new": {"a": None}}
    assert moved(before, after) == [
        "standby of azure: azure/er-secondary → azure/vpn-1",
        "held: a, b → nothing",
        "x is down: no → yes",
        "gone: 1 → none",
        "new: none → a none",
    ]
    assert moved(before, before) == []
