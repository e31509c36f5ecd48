"""What somebody says between the choice of an operation and its entry: the operation is chosen again."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from runbooks.effects import Ports
from runbooks.engine import Engine
from runbooks.journal import Event, Journal
from tests.engine.little_device import World, act, book, console, here, new_id

STEPS = {"steps": [act("shut"), {"id": "clear", "kind": "confirm"}]}


class Interrupted(Journal):
    """Another console's word comes in the moment before one entry."""

    before, said, where = "", "", dict[str, Any]()

    async def append(self, run_id: str, kind: str, **entry: Any) -> Event:
        if kind == self.before:
            self.before = ""
            await super().append(run_id, self.said, **self.where)
        return await super().append(run_id, kind, **entry)


async def driven(file: Path, world: World, before: str, said: str, **where: Any) -> tuple[str, list[str]]:
    """Drive a run to its end: its outcome, and what the log has behind that word."""
    more: dict[str, Any] = {"now": lambda: datetime.now(UTC), "new_id": new_id}
    journal = await Interrupted.open(file, identity=here(), **more)
    journal.before, journal.said, journal.where = before, said, where
    engine = Engine(journal, Ports(world, world, world, world, world), boottime=monotonic, **more)
    row = await journal.create_run(book(STEPS))
    view = await engine.drive(row.run_id, row.fence)
    kinds = [event.kind for event in await journal.events(row.run_id)]
    await journal.close()
    return view.state, kinds[kinds.index(said) + 1 :]


@pytest.mark.parametrize("before", ["gate.passed", "act.intent"])
async def test_an_abort_before_the_intent_leaves_everything_as_it_was(file: Path, world: World, before: str) -> None:
    state, after = await driven(file, world, before, "cmd.abort")
    assert (state, world.device.ledger) == ("ROLLED_BACK", [])
    assert after == ["rollback.begin", "run.closed"]


async def test_an_abort_before_the_close_is_heard(file: Path, world: World) -> None:
    state, after = await driven(file, world, "run.closed", "cmd.abort")
    assert (state, after[0]) == ("ROLLED_BACK", "rollback.begin")
    assert world.device.ledger == [("shut", "do"), ("shut", "undo")]


async def test_a_word_that_does_not_count_begins_no_wait_anew(file: Path, world: World) -> None:
    """A long wait that starts again with every such word would never end."""
    world.answers["wait empty"] = asyncio.Event().wait
    async with console(file, world) as (journal, engine), console(file, World(), "bob") as (other, _):
        row = await journal.create_run(book({"steps": [{"id": "empty", "kind": "wait_until", "timeout_s": 30}]}))
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        async for event in other.follow(row.run_id):
            match event.kind:
                case "wait.progress":
                    await other.append(row.run_id, "cmd.resume")
                case "cmd.rejected":
                    await other.append(row.run_id, "cmd.abort")
                case "run.closed":
                    break
        assert (await driving).state == "ROLLED_BACK"
        assert [event.kind for event in await other.events(row.run_id)].count("step.started") == 1
