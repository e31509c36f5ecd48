"""A desk that is asked to undo what it drives itself: it tells its driver, and never becomes a second one."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from connectors.collector import Collector
from connectors.servicenow import ServiceNow
from console.desk import Desk
from console.fail import Refused
from console.session import OperatorSession
from console.sites import Chosen
from console.wiring import Watch, utc_now
from network.sitefile import load
from runbooks.journal import Journal, NewRun, RunRow
from runbooks.model import StepDef
from runbooks.verbs import actions_of
from runbooks.view import RunView
from tests.engine.little_device import here, new_id
from tests.sample import REFERENCE

DEFINITION: dict[str, Any] = {
    "title": "t",
    "target": "port-a",
    "touches": ["port-a", "edge-1"],
    "locks": ["port:port-a"],
    "steps": [{"id": "clear", "kind": "confirm", "title": "clear?"}],
}


@dataclass
class Thinking:
    """A person who has been asked and has not answered."""

    asked: asyncio.Event = field(default_factory=asyncio.Event)

    async def evidence(self, _view: RunView, _step: StepDef) -> None:
        return None

    async def confirm(self, view: RunView, step: StepDef) -> bool | None:
        del view, step
        self.asked.set()
        await asyncio.Event().wait()
        return None


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    opened = await Journal.open(tmp_path / "journal.db", identity=here(), now=utc_now, new_id=new_id)
    yield opened
    await opened.close()


@pytest.fixture
async def person() -> Thinking:
    return Thinking()


@pytest.fixture
async def desk(journal: Journal, person: Thinking) -> AsyncIterator[Desk]:
    chosen = Chosen(REFERENCE, load(REFERENCE.read_text(), "reference.yaml"), None)

    async def tickets() -> ServiceNow:
        raise ConnectionError("nobody asks for a ticket here")

    collector = Collector([], utc_now, random.Random(1))
    watch = Watch(chosen, OperatorSession(chosen.site, None, None), collector, tickets)
    made = Desk(watch, journal, person, write=True)
    yield made
    await made.close()


async def driven(desk: Desk, person: Thinking, **more: Any) -> RunRow:
    """A run that the desk drives, and that waits for the person."""
    new = NewRun("drain-port", "1", DEFINITION | more, {}, None, ("port:port-a",))
    run_id = await desk._begin(new, desk._gate("CHG1", "port-a", ("port-a",)))
    async with asyncio.timeout(30):
        await person.asked.wait()
    return await desk.journal.run(run_id)


async def test_a_rollback_of_what_this_desk_drives_is_told_to_its_driver(desk: Desk, person: Thinking) -> None:
    row = await driven(desk, person)
    assert await desk.rollback(row.run_id) == row.run_id
    async with asyncio.timeout(30):
        view = await desk.finished(row.run_id)
    assert view.state == "ROLLED_BACK"
    assert (await desk.journal.run(row.run_id)).fence == row.fence, "nobody took the run from its own driver"


async def test_an_undo_that_this_desk_drives_is_left_to_go_on(desk: Desk, person: Thinking) -> None:
    row = await driven(desk, person, undo_of="R-1")
    assert await desk.rollback(row.run_id) == row.run_id
    assert desk.driving == (row.run_id,)
    assert (await desk.journal.run(row.run_id)).fence == row.fence


async def test_a_run_that_needs_an_action_which_is_not_installed_is_not_driven_here(desk: Desk) -> None:
    new = NewRun("drain-port", "1", DEFINITION, {"prefer-standby": 1, "pull-plug": 1, "set-vlan": 2}, None, ())
    row = await desk.journal.create_run(new)
    with pytest.raises(Refused, match=r"this console lacks pull-plug 1, set-vlan 2, which .* needs: it may follow"):
        await desk.rollback(row.run_id)
    assert (await desk.journal.run(row.run_id)).fence == row.fence


def test_a_run_records_the_actions_that_it_needs() -> None:
    steps = [{"kind": "check", "verb": "restored"}, {"kind": "act", "verb": "prefer-standby"}]
    assert actions_of({"steps": steps}) == {"prefer-standby": 1}
