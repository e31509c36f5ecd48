"""The watchdog as a second driver of one act: it claims, looks before it moves, puts back one act, and lets go."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import pytest

from runbooks.effects import Finding
from runbooks.journal import Event, FenceLost, Journal
from runbooks.journal.drain import deliver_leftovers
from runbooks.journal.spool import Entry, Spool
from runbooks.journal.where import Where
from runbooks.model import StepDef
from runbooks.view import RunView
from runbooks.watchdog import Charge, Watchdog
from tests.engine.little_device import Clock, Device, World, act, book, console, here, new_id, until

STEP = act("egress", deadman_s=30, window_s=0.3)
EMPTY = {"id": "empty", "kind": "wait_until", "timeout_s": 30}


class Kennel:
    """A run whose act is proven and whose console has frozen, and a watchdog beside it."""

    def __init__(self, world: World, run_id: str, timer: str) -> None:
        self.world, self.run_id, self.timer = world, run_id, timer
        self.spooled: list[Entry] = []
        self.proof: Finding | BaseException = Finding(True)
        self.fence = 1
        self.heard = datetime.now(UTC)

    async def judged(self, view: RunView) -> Finding:
        assert [(step.id, step.do.attempts) for step in view.steps] == [("egress", 1)], "of this act, and as begun"
        if isinstance(self.proof, BaseException):
            raise self.proof
        return self.proof

    async def restore(self, journal: Journal | None) -> str:
        charge = Charge(self.run_id, StepDef.model_validate(STEP), self.timer, self.fence, self.heard)
        dog = Watchdog(
            charge,
            self.world,
            self.judged,
            now=lambda: datetime.now(UTC),
            boottime=Clock(),
            spool=self.keep,
            console=journal.console if journal else "here/1/watchdog/LAB",
            new_id=new_id,
        )
        return await dog.restore(journal)

    async def keep(self, entry: Entry) -> None:
        self.spooled.append(entry)

    async def delivered(self, folder: Path, journal: Journal) -> int:
        """What the next console of this host does with what was spooled."""
        spool = await Spool.open(folder / "spool.db")
        for entry in self.spooled:
            await spool.put(entry)
        brought = await deliver_leftovers(journal, spool)
        assert await deliver_leftovers(journal, spool) == 0, "once"
        await spool.close()
        return brought


async def frozen(where: Where, world: World, *, dead: bool = False) -> tuple[Kennel, asyncio.Task[RunView], Any]:
    """A console that drives on, as a frozen one would once it thaws; it lives, so that a claim must be forced."""
    world.answers["wait empty"] = asyncio.Event().wait
    opened = console(where, world, dead=dead, boottime=Clock())  # the step's short window is for the watchdog alone
    journal, engine = await opened.__aenter__()
    done = STEP | {"timeout_s": 1}  # who takes the run by force lets the act end first, for as long as it could take
    row = await journal.create_run(book({"steps": [done, EMPTY]}))
    driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
    await until(lambda: "verify.ok" in world.told, "the act is proven")
    return Kennel(world, row.run_id, f"{row.run_id}-egress-a1"), driving, opened


async def watchdogs_journal(where: Where, lease_s: float = 15.0, *, dead: bool = False) -> Journal:
    more: dict[str, Any] = {"now": lambda: datetime.now(UTC), "new_id": new_id, "lease_s": lease_s}
    return await Journal.open(where, identity=here("watchdog", dead=dead), **more)


async def kinds(journal: Journal, run_id: str) -> list[str]:
    return [event.kind for event in await journal.events(run_id)]


async def test_it_takes_the_run_undoes_that_act_and_lets_go(file: Path, world: World) -> None:
    kennel, driving, opened = await frozen(file, world)
    journal = await watchdogs_journal(file)
    assert await kennel.restore(journal) == "done"
    assert world.device.values == Device().values
    assert (await kinds(journal, kennel.run_id))[-5:] == [
        "driver.claimed",
        "deadman.fired",
        "act.intent",
        "act.result",
        "driver.released",
    ]
    events = await journal.events(kennel.run_id)
    assert {event.actor for event in events[-5:]} == {"watchdog"}
    with pytest.raises(FenceLost):
        await driving  # the console that thaws can do nothing more
    await opened.__aexit__(None, None, None)

    # The next driver believes nothing of it: it looks, and asks.
    async with console(file, world) as (mine, engine):
        view = await engine.drive(kennel.run_id, await mine.claim(kennel.run_id))
        assert view.question is not None
        assert (view.question.step, view.question.kind) == ("egress", "act.unknown")
        back = await engine.request_rollback(kennel.run_id, (await mine.run(kennel.run_id)).fence, "asked")
        assert back.direction == "rollback"
        assert (await engine.drive(kennel.run_id, (await mine.run(kennel.run_id)).fence)).state == "ROLLED_BACK"
    assert world.device.ledger == [("egress", "do"), ("egress", "undo")]
    await journal.close()


@pytest.mark.parametrize(
    ("proof", "why"),
    [
        (Finding(False, "er-primary is down"), "er-primary is down"),
        (Finding(None, "edge-1 is silent"), "edge-1 is silent"),
        (OSError("no route"), "could not be judged: OSError: no route"),
    ],
)
async def test_a_baseline_that_is_not_proven_better_holds(file: Path, world: World, proof: Any, why: str) -> None:
    kennel, driving, opened = await frozen(file, world)
    kennel.proof = proof
    journal = await watchdogs_journal(file)
    assert await kennel.restore(journal) == "held"
    held = (await journal.events(kennel.run_id))[-2]
    assert (held.kind, why in held.data["reason"]) == ("watchdog.held", True)
    assert world.device.ledger == [("egress", "do")]
    await asyncio.wait({driving})
    await opened.__aexit__(None, None, None)
    await journal.close()


async def test_what_was_disarmed_meanwhile_is_left_alone(file: Path, world: World) -> None:
    kennel, driving, opened = await frozen(file, world)
    journal = await watchdogs_journal(file)
    await journal.append(kennel.run_id, "cmd.pause")
    await until(lambda: "deadman.disarmed" in world.told, "the hold disarms")
    assert await kennel.restore(journal) == "moot"
    assert world.device.ledger == [("egress", "do")]
    await asyncio.wait({driving})
    await opened.__aexit__(None, None, None)
    await journal.close()


async def test_a_run_that_another_console_took_over_is_theirs(file: Path, world: World) -> None:
    kennel, driving, opened = await frozen(file, world)
    journal = await watchdogs_journal(file)
    fence = await journal.claim(kennel.run_id, force=True)
    assert await kennel.restore(journal) == "moot"
    assert (await journal.run(kennel.run_id)).fence == fence
    assert world.device.ledger == [("egress", "do")]
    await asyncio.wait({driving})
    await opened.__aexit__(None, None, None)
    await journal.close()


async def test_without_a_journal_it_acts_and_spools(file: Path, world: World) -> None:
    kennel, driving, opened = await frozen(file, world)
    assert await kennel.restore(None) == "done"
    assert world.device.values == Device().values
    assert [entry.kind for entry in kennel.spooled] == ["deadman.fired", "act.intent", "act.result"]
    driving.cancel()
    await asyncio.wait({driving})
    await opened.__aexit__(None, None, None)

    # The next console brings it in, under the fence that nobody has taken since; whoever drives then looks, and asks.
    async with console(file, world) as (mine, engine):
        assert await kennel.delivered(file.parent, mine) == 3
        assert (await kinds(mine, kennel.run_id))[-3:] == ["deadman.fired", "act.intent", "act.result"]
        assert (await mine.events(kennel.run_id))[-1].data["spooled_by"] == "watchdog"
        view = await engine.drive(kennel.run_id, await mine.claim(kennel.run_id, force=True))
        assert view.question is not None
        assert (view.question.step, view.question.kind) == ("egress", "act.unknown")
        assert [report.ok for report in await mine.verify(kennel.run_id)] == [True]
    assert world.device.ledger == [("egress", "do"), ("egress", "undo")]


async def test_a_journal_that_goes_half_way_gets_the_rest_from_the_spool(file: Path, world: World) -> None:
    kennel, driving, opened = await frozen(file, world)
    journal = await watchdogs_journal(file)
    world.answers["undo egress"] = journal.close  # it is away from the moment of the act on
    assert await kennel.restore(journal) == "done"
    assert [entry.kind for entry in kennel.spooled] == ["act.result"]
    assert world.device.values == Device().values
    await asyncio.wait({driving})
    await opened.__aexit__(None, None, None)

    async with console(file, world) as (mine, engine):
        assert (await kinds(mine, kennel.run_id))[-1] == "act.intent"
        assert await kennel.delivered(file.parent, mine) == 0, "the watchdog's process lives yet"
        kennel.spooled = [replace(entry, uid=new_id(), console="gone/1/x/LAB") for entry in kennel.spooled]
        assert await kennel.delivered(file.parent / "again", mine) == 1
        assert (await kinds(mine, kennel.run_id))[-2:] == ["act.intent", "act.result"]
        view = await engine.drive(kennel.run_id, await mine.claim(kennel.run_id, force=True))
        assert view.question is not None
        assert view.question.kind == "act.unknown"
    assert world.device.ledger == [("egress", "do"), ("egress", "undo")]


async def test_what_is_brought_in_after_a_take_over_makes_the_new_driver_look_again(file: Path, world: World) -> None:
    kennel, driving, opened = await frozen(file, world)
    assert await kennel.restore(None) == "done"
    driving.cancel()
    await asyncio.wait({driving})
    await opened.__aexit__(None, None, None)
    async with console(file, world) as (mine, engine):
        fence = await mine.claim(kennel.run_id, force=True)
        assert await kennel.delivered(file.parent, mine) == 3
        assert (await kinds(mine, kennel.run_id))[-3:] == ["late.deadman.fired", "late.act.result", "late.act.result"]
        view = await engine.drive(kennel.run_id, fence)
        assert view.question is not None
        assert (view.question.step, view.question.kind) == ("egress", "act.unknown")


async def test_a_spool_of_another_journals_run_waits(file: Path, world: World) -> None:
    kennel, driving, opened = await frozen(file, world)
    assert await kennel.restore(None) == "done"
    driving.cancel()
    await asyncio.wait({driving})
    await opened.__aexit__(None, None, None)
    async with console(file.parent / "another.db", world) as (other, _):
        assert await kennel.delivered(file.parent, other) == 0


async def test_a_take_over_in_mid_act_leaves_the_outcome_as_a_late_report(file: Path, world: World) -> None:
    kennel, driving, opened = await frozen(file, world)
    journal = await watchdogs_journal(file)

    async def taken() -> None:
        async with console(file, World(), "bob") as (bobs, _):
            await bobs.claim(kennel.run_id, force=True)

    world.answers["undo egress"] = taken
    assert await kennel.restore(journal) == "done"
    assert (await kinds(journal, kennel.run_id))[-3:] == ["act.intent", "driver.claimed", "late.act.result"]
    await asyncio.wait({driving})
    await opened.__aexit__(None, None, None)
    await journal.close()


class Fading(Journal):
    """A journal that is gone when the report of a driver that was taken over comes."""

    async def append(self, run_id: str, kind: str, **entry: Any) -> Event:
        if kind.startswith("late."):
            await self.close()
        return await super().append(run_id, kind, **entry)


async def test_a_late_report_that_the_journal_does_not_take_waits_in_the_spool(file: Path, world: World) -> None:
    kennel, driving, opened = await frozen(file, world)
    journal = await Fading.open(file, identity=here("watchdog"), now=lambda: datetime.now(UTC), new_id=new_id)

    async def taken() -> None:
        async with console(file, World(), "bob") as (bobs, _):
            await bobs.claim(kennel.run_id, force=True)

    world.answers["undo egress"] = taken
    assert await kennel.restore(journal) == "done"
    kennel.spooled = [replace(entry, console="gone/1/x/LAB") for entry in kennel.spooled]
    await asyncio.wait({driving})
    await opened.__aexit__(None, None, None)
    async with console(file, world) as (mine, _):
        assert await kennel.delivered(file.parent, mine) == 1
        assert (await kinds(mine, kennel.run_id))[-3:] == ["act.intent", "driver.claimed", "late.act.result"]


async def test_it_waits_until_a_frozen_send_must_have_ended(file: Path, world: World) -> None:
    kennel, driving, opened = await frozen(file, world)
    begun = monotonic()
    kennel.heard = datetime.now(UTC)
    assert await kennel.restore(None) == "done"
    assert monotonic() - begun >= STEP["window_s"] - 0.05
    driving.cancel()
    await asyncio.wait({driving})
    await opened.__aexit__(None, None, None)
