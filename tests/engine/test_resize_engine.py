"""resize-vxc driven by the real engine over a real journal: what is unknown is looked at, and nothing is sent twice."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from connectors.errors import NotSent as ConnectorNotSent
from connectors.errors import Throttled, TooEarly
from runbooks.effects import Ports
from runbooks.engine import Engine
from runbooks.journal import NewRun
from runbooks.perform import Performer
from runbooks.view import RunView
from tests.engine.little_device import MortalJournal, World, here, new_id
from tests.engine.little_fabric import WHERE, LittleFabric, lost
from tests.engine.little_network import LittleScene
from tests.engine.test_resize import network, planned, site


@dataclass
class Desk:
    """One console with one run of resize-vxc."""

    scene: LittleScene
    journal: MortalJournal
    engine: Engine
    run: str
    fence: int

    async def drive(self) -> RunView:
        return await self.engine.drive(self.run, self.fence)

    async def back(self) -> RunView:
        await self.engine.request_rollback(self.run, self.fence, "a person asked")
        return await self.drive()

    async def decide(self, view: RunView, choice: str) -> RunView:
        assert view.question is not None
        await self.journal.append(self.run, "cmd.decide", data={"choice": choice}, reply_to=view.question.seq)
        return await self.drive()

    async def kinds(self) -> list[str]:
        return [event.kind for event in await self.journal.events(self.run) if event.step == "rate"]


@asynccontextmanager
async def desk(path: Path, scene: LittleScene, mbps: int = 1500) -> AsyncIterator[Desk]:
    journal = await MortalJournal.open(path, identity=here(), now=lambda: datetime.now(UTC), new_id=new_id)
    people = World()
    ports = Ports(Performer(scene), people, people, people, people)  # its guards see nothing amiss
    engine = Engine(journal, ports, now=lambda: datetime.now(UTC), boottime=monotonic, new_id=new_id)
    plan = planned(scene, mbps)
    row = await journal.create_run(NewRun(plan.book, "1", plan.definition(), ticket="CHG1", locks=plan.locks))
    try:
        yield Desk(scene, journal, engine, row.run_id, row.fence)
    finally:
        await journal.close()


async def test_a_resize_completes_with_one_update(tmp_path: Path) -> None:
    scene = network(fabric=LittleFabric(gap_s=0.3), of=site(gap_s=0.3))
    async with desk(tmp_path / "journal.db", scene) as here_:
        assert (await here_.drive()).state == "COMPLETED"
        assert scene.the_fabric.ledger == [1500]


async def test_a_lost_answer_is_looked_at_and_never_sent_again(tmp_path: Path) -> None:
    scene = network(fabric=LittleFabric(lag_s=0.2, answers=[lost()]), of=site(settle_s=5))
    async with desk(tmp_path / "journal.db", scene) as here_:
        assert (await here_.drive()).state == "COMPLETED"
        assert (await here_.kinds())[1:4] == ["act.intent", "act.interrupted", "act.observed"]
        assert scene.the_fabric.asked == [1500]


async def test_a_storm_of_429_holds_and_nothing_is_undone(tmp_path: Path) -> None:
    storm = [TooEarly("429", wait_s=60, **WHERE)]
    scene = network(fabric=LittleFabric(answers=storm))
    async with desk(tmp_path / "journal.db", scene) as here_:
        view = await here_.drive()
        assert view.state == "NEEDS_DECISION"
        assert view.question is not None
        assert view.question.kind == "act.not_sent"
        assert scene.the_fabric.ledger == []
        assert (await here_.decide(view, "redo")).state == "COMPLETED"
        assert scene.the_fabric.ledger == [1500]


async def test_a_storm_after_the_act_is_unknown_and_nothing_is_undone(tmp_path: Path) -> None:
    scene = network()
    async with desk(tmp_path / "journal.db", scene) as here_:
        fabric = scene.the_fabric
        fabric.after_set = lambda: fabric.reads.extend(Throttled("429", **WHERE) for _ in range(9999))
        view = await here_.drive()
        assert (view.state, fabric.ledger) == ("NEEDS_DECISION", [1500])
        assert view.question is not None
        assert view.question.kind == "verify.timeout"
        fabric.reads.clear()
        assert (await here_.decide(view, "accept")).state == "COMPLETED"
        assert fabric.ledger == [1500]


async def test_a_foreign_rate_after_a_lost_answer_asks_and_shows_both(tmp_path: Path) -> None:
    scene = network(fabric=LittleFabric(answers=[lost()]))
    fabric = scene.the_fabric

    async with desk(tmp_path / "journal.db", scene) as here_:
        fabric.after_set = fabric.somebody_sets_700
        view = await here_.drive()
        assert view.state == "NEEDS_DECISION"
        step = view.step("rate")
        assert step is not None
        assert "700 Mbps, which somebody else has set" in str(step.evidence["act.unknown"])
        back = await here_.decide(view, "rollback")
        assert back.state == "NEEDS_DECISION", "an undo would write over somebody else's rate"
        assert fabric.asked == [1500]


async def test_a_refusal_of_the_fabric_is_told_and_a_rollback_then_has_nothing_to_send(tmp_path: Path) -> None:
    scene = network(fabric=LittleFabric(answers=[ConnectorNotSent("HTTP 403 locked", **WHERE)]), of=site(settle_s=0.1))
    async with desk(tmp_path / "journal.db", scene) as here_:
        view = await here_.drive()
        assert view.question is not None
        assert (view.state, view.question.kind) == ("NEEDS_DECISION", "act.not_sent")
        assert (await here_.decide(view, "rollback")).state == "ROLLED_BACK"
        assert scene.the_fabric.ledger == []


async def test_a_rollback_waits_for_the_gap_and_leaves_exactly_the_old_rate(tmp_path: Path) -> None:
    """The session drops after the change: the verification fails, a person turns back, within the fabric's gap."""
    scene = network(fabric=LittleFabric(gap_s=0.5), of=site(gap_s=0.5, settle_s=0.05))
    fabric = scene.the_fabric
    async with desk(tmp_path / "journal.db", scene) as here_:
        fabric.after_set = lambda: fabric.reads.extend(Throttled("429", **WHERE) for _ in range(9999))
        view = await here_.drive()
        fabric.reads.clear()
        fabric.after_set = None
        fabric._at = monotonic()  # the fabric counts from here
        assert (await here_.decide(view, "rollback")).state == "ROLLED_BACK"
        assert (fabric.ledger, fabric.rate) == ([1500, 1000], 1000)
