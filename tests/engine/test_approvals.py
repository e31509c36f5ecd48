"""A second person's approval: where it stands in a plan, what it binds to, and what becomes of one that comes late."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.routers.frr_config import read_clause
from network.observation import Kind, Observation, SessionHere
from network.policy import Approvals
from runbooks.book import parse, shipped
from runbooks.covered import moved
from runbooks.effects import Effects
from runbooks.engine import Engine, view_of
from runbooks.journal import NewRun, RunRow
from runbooks.model import StepDef
from runbooks.perform import Performer
from runbooks.plan import Plan, compile_plan
from runbooks.relied import moved_since
from runbooks.ticket import ChangeGate
from runbooks.view import RunView
from tests.engine.little_device import World, console
from tests.engine.little_network import LittleScene
from tests.sample import NOW, REFERENCE, reference, routes, seen
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

    async def moved(self, begun: Sequence[str]) -> Sequence[str]:
        book, at = parse(TEXT, "book.yaml"), self.network.moment()
        return moved_since(self.plan.definition(), book, at, REFERENCE.read_text(), begun)

    @asynccontextmanager
    async def at_work(self, effects: Effects) -> AsyncIterator[tuple[RunRow, Engine]]:
        """A run of the plan as it is now, and who drives it."""
        self.plan = planned(self.network)

        async def tickets() -> Board:
            return Board()

        gate = ChangeGate(tickets, "CHG1", "port-a", ("port-a",), SITE.policy, lambda: NOW, self.moved)
        async with console(self.folder / "j.db", self.world) as (journal, engine):
            engine.ports = replace(engine.ports, gate=gate, effects=effects)
            yield await journal.create_run(NewRun("drain-port", "1", self.plan.definition(), locks=["port:p"])), engine

    async def approve(self, row: RunRow, act: str) -> None:
        async with console(self.folder / "j.db", World(), "bob") as (bobs, _):
            approval = {"definition_sha": row.definition_sha}
            await bobs.append(row.run_id, "cmd.approve", data=approval, step=f"approve-{act}")

    async def run(self, meanwhile: str = "", *, late: bool = True) -> RunView:
        """Drive to the approval; `meanwhile` is a line of edge-1 that changes; bob approves; drive on."""
        async with self.at_work(self.world) as (row, engine):
            assert (await engine.drive(row.run_id, row.fence)).state == "WAITING"
            if meanwhile:
                router = self.network.routers["edge-1"]
                router.text = router.text.replace(meanwhile, "set local-preference 190", 1)
            self.network.clock += timedelta(seconds=0.1 if late else 0)
            await self.approve(row, "move-azure")
            return await engine.drive(row.run_id, row.fence)

    @asynccontextmanager
    async def halfway(self, meanwhile: Callable[[LittleScene], None]) -> AsyncIterator[tuple[RunRow, Engine]]:
        """A run that has moved azure, and was approved to move aws; then something happens."""
        async with self.at_work(Performer(self.network)) as (row, engine):
            await self.approve(row, "move-azure")
            view = await engine.drive(row.run_id, row.fence)
            assert view.waiting.startswith("approve: approval: move aws off port-a"), view
            await self.approve(row, "move-aws")
            meanwhile(self.network)
            self.network.clock += timedelta(hours=1)  # a long pause
            self.network.look()
            yield row, engine


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


# -- an approval in the middle of a run


def down(session: str) -> Observation:
    return seen(Kind.SESSION_HERE, session, SessionHere("Active", NOW, 0, 0, 100, reason="hold timer"))


def nothing(_network: LittleScene) -> None:
    """The run's own first act has moved azure, and that is all."""


def somebody_writes(network: LittleScene) -> None:
    router = network.routers["edge-1"]
    clause = read_clause(router.text, "IN-dx-router-1", 10)
    router.text = router.text.replace(clause.text, clause.text.replace("local-preference 200", "local-preference 190"))


def standby_is_lost(network: LittleScene) -> None:
    network.facts = [down("dx-2"), *routes(SITE, "aws", without=frozenset({"dx-2"}))]


def tunnel_is_lost(network: LittleScene) -> None:
    network.facts = [down("vpn-aws-2")]


def sent_for_aws(network: LittleScene) -> list[str]:
    return [line for line in network.routers["edge-1"].sent if "dx-router" in line]


async def test_what_the_run_itself_has_moved_voids_no_later_approval(tmp_path: Path) -> None:
    office = Office(tmp_path)
    async with office.halfway(nothing) as (row, engine):
        view = await engine.drive(row.run_id, row.fence)
    assert view.state == "COMPLETED", view
    assert sent_for_aws(office.network)


@pytest.mark.parametrize(
    ("meanwhile", "said"),
    [
        (somebody_writes, "clauses of aws: "),
        (standby_is_lost, "it cannot be planned any more: "),
        (tunnel_is_lost, "aws/vpn-2 is down: no → yes"),
    ],
)
async def test_between_an_approval_in_mid_run_and_its_act_what_it_relies_on_is_compared(
    tmp_path: Path, meanwhile: Callable[[LittleScene], None], said: str
) -> None:
    office = Office(tmp_path)
    async with office.halfway(meanwhile) as (row, engine):
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        async with asyncio.timeout(30):
            async for event in engine.journal.follow(row.run_id):
                if event.kind == "gate.closed":
                    break
        view = await view_of(engine.journal, row.run_id)
        assert view.state == "WAITING"
        assert "the approval is void, what it covers has moved: " in view.waiting
        assert said in view.waiting
        assert "azure" not in view.waiting, "what its own first act has moved is not held against it"
        assert sent_for_aws(office.network) == []
        office.network.facts = []
        office.network.look()
        await engine.journal.append(row.run_id, "cmd.abort")
        assert (await asyncio.wait_for(driving, 30)).state == "ROLLED_BACK"
    assert sent_for_aws(office.network) == []


async def test_what_an_act_writes_it_looks_at_itself_approved_or_not(tmp_path: Path) -> None:
    """Behind the gate, directly before the send: a clause, a list, a rate. It needs no approval to be refused."""

    class Meanwhile(Performer):
        async def act(self, step: StepDef, *rest: Any) -> Mapping[str, Any]:
            if step.id == "move-aws":
                somebody_writes(office.network)
            return await super().act(step, *rest)

    office = Office(tmp_path, scene())
    async with office.at_work(Meanwhile(office.network)) as (row, engine):
        view = await engine.drive(row.run_id, row.fence)
    assert view.question is not None
    assert (view.question.step, view.question.kind) == ("move-aws", "act.not_sent")
    assert "nothing was sent: somebody else changed route-map IN-dx-router-1 permit 10" in view.question.text
    assert sent_for_aws(office.network) == []


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
