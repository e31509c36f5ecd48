"""What only the driver knows: how long its dead-men still wait, and how it stands while the journal is away."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from runbooks.driving import Driving
from runbooks.engine import Engine
from runbooks.outage import RETRY_S
from runbooks.standing import Away
from tests.engine.little_device import Clock, World, act, book, console, until
from tests.engine.watcher import Watcher
from tests.stuck_journal import set_stuck

SECONDS = 0.6
EMPTY = {"id": "empty", "kind": "wait_until", "timeout_s": 30}


def left(engine: Engine, run_id: str) -> float | None:
    standing = engine.standing(run_id)
    return standing.fuses.get(f"{run_id}-egress-a1", {}).get("device") if standing else None


async def test_fuse_burns_down_and_is_long_again_when_the_place_has_answered(tmp_path: Path) -> None:
    world, clock = World(), Clock()
    world.answers["wait empty"] = asyncio.Event().wait
    async with console(tmp_path / "journal.db", world, boottime=clock) as (journal, engine):
        row = await journal.create_run(book({"steps": [act("egress", deadman_s=SECONDS), EMPTY]}))
        assert engine.standing(row.run_id) is None
        driving = Driving(engine, row.run_id, row.fence)
        await until(lambda: left(engine, row.run_id) is not None, "it is armed")
        for answered in (1, 2):
            assert left(engine, row.run_id) == pytest.approx(SECONDS)
            clock.now += 0.25
            assert left(engine, row.run_id) == pytest.approx(SECONDS - 0.25)
            await until(lambda answered=answered: world.extended >= answered, "the place has answered")
        await driving.stop()
        assert engine.standing(row.run_id) is None, "it is driven here no more"
    assert world.timers == {}


async def test_fuse_of_a_silent_place_runs_out(tmp_path: Path) -> None:
    world = World()
    world.answers["wait empty"] = asyncio.Event().wait

    async def cut_off() -> None:
        if not world.fired:
            raise OSError("cut off")

    world.answers["extend egress"] = cut_off
    async with console(tmp_path / "journal.db", world) as (journal, engine):
        row = await journal.create_run(book({"steps": [act("egress", deadman_s=0.3), EMPTY]}))
        driving = Driving(engine, row.run_id, row.fence)
        seen: list[float] = []

        def watched() -> bool:
            if (now := left(engine, row.run_id)) is not None:
                seen.append(now)
            return bool(world.fired)

        await until(watched, "it fires")
        assert seen[-1] < 0.05
        assert seen == sorted(seen, reverse=True), "it grows only when the place has answered"
        assert (await driving.result()).state == "NEEDS_DECISION"


async def test_hold_says_what_waits_what_is_kept_and_when_it_is_tried_again(tmp_path: Path) -> None:
    world = World()
    outage: Any = {"spool": tmp_path / "spool.db", "outage": Watcher()}
    async with console(tmp_path / "journal.db", world, **outage) as (journal, engine):
        row = await journal.create_run(book({"steps": [act("egress"), act("shut")]}))

        async def get_stuck() -> None:
            world.answers.pop("after v6 of do egress")
            await set_stuck(journal, on=True)

        world.answers["after v6 of do egress"] = get_stuck
        driving = Driving(engine, row.run_id, row.fence)

        def away() -> Away | None:
            standing = engine.standing(row.run_id)
            return standing.away if standing else None

        await until(lambda: (now := away()) and now.waits, "the run holds before its next gate")
        now, standing = away(), engine.standing(row.run_id)
        assert now is not None
        assert (now.waits, now.kept) == ("gate.passed of shut", ("act.result of egress", "verify.ok of egress"))
        assert "readonly" in now.why
        assert now.glass == "whole"
        assert now.lease_s is None
        assert now.retry_s is None or 0 <= now.retry_s <= max(RETRY_S)
        assert standing is not None
        assert standing.believed is not None
        assert [step.do.state for step in standing.believed.steps] == ["done", "pending"]
        assert (await journal.run(row.run_id)).head_seq < standing.believed.seq
        await set_stuck(journal, on=False)
        await until(lambda: away() is None, "it is back")
        assert (await driving.result()).state == "COMPLETED"
