"""What only the driver knows: how long its dead-men still wait, and how it stands while the journal is away."""

from __future__ import annotations

import asyncio
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from runbooks.driving import Driving
from runbooks.engine import Engine
from runbooks.standing import Away
from tests.engine.little_device import World, act, book, console, until
from tests.engine.watcher import Watcher
from tests.stuck_journal import set_stuck

SECONDS = 0.6
EMPTY = {"id": "empty", "kind": "wait_until", "timeout_s": 30}


def left(engine: Engine, run_id: str) -> float | None:
    standing = engine.standing(run_id)
    return standing.fuses.get(f"{run_id}-egress-a1", {}).get("device") if standing else None


async def test_fuse_burns_down_and_is_long_again_when_the_place_has_answered(tmp_path: Path) -> None:
    world, seen = World(), list[float]()
    go_on = asyncio.Event()
    world.answers["wait empty"] = go_on.wait
    async with console(tmp_path / "journal.db", world) as (journal, engine):
        row = await journal.create_run(book({"steps": [act("egress", deadman_s=SECONDS), EMPTY]}))
        assert engine.standing(row.run_id) is None
        driving = Driving(engine, row.run_id, row.fence)

        def watched() -> bool:
            if (now := left(engine, row.run_id)) is not None:
                seen.append(now)
            return world.extended >= 2

        await until(watched, "it is extended twice")
        # A third of its time, and what the loop takes to get round to it, is the most that is missing.
        assert SECONDS * 2 / 3 - 0.2 < min(seen) < SECONDS * 0.7
        assert SECONDS * 0.9 < max(seen) <= SECONDS
        rises = [b for a, b in pairwise(seen) if b > a]
        assert len(rises) == 2, "it grows only when the place has answered"
        await driving.stop()
        assert engine.standing(row.run_id) is None, "it is driven here no more"
        assert world.timers == {}


@pytest.mark.alone
async def test_fuse_of_a_silent_place_runs_out(tmp_path: Path) -> None:
    world = World()
    world.answers["wait empty"] = asyncio.Event().wait
    world.answers["extend egress"] = [OSError("cut off")] * 40
    async with console(tmp_path / "journal.db", world) as (journal, engine):
        row = await journal.create_run(book({"steps": [act("egress", deadman_s=0.3), EMPTY]}))
        driving = Driving(engine, row.run_id, row.fence)
        lowest: list[float] = []
        await until(lambda: lowest.append(left(engine, row.run_id) or 9.0) or world.fired, "it fires")
        assert min(lowest) < 0.05
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
        assert now.retry_s is None or 0 <= now.retry_s <= 0.5
        assert standing is not None
        assert standing.believed is not None
        assert [step.do.state for step in standing.believed.steps] == ["done", "pending"]
        assert (await journal.run(row.run_id)).head_seq < standing.believed.seq
        await set_stuck(journal, on=False)
        await until(lambda: away() is None, "it is back")
        assert (await driving.result()).state == "COMPLETED"
