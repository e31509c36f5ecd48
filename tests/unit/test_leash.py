"""A console's end of a watchdog: an answer that comes late is neither a death nor the answer to something else."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import pytest

from connectors.errors import TimedOut, Unreachable
from console.leash import Dog, Leashes
from console.wiring import Watch
from runbooks.effects import ABSENT, ANSWERS, ARMED
from runbooks.view import Timer
from tests.engine.little_device import until

TIMER = Timer("R-1-rate-a1", 15.0, ("watchdog",), "R-1", 1)
SHORT_S, LONG_S = 0.05, 30.0


@contextmanager
def dog(script: str) -> Iterator[Dog]:
    started = Dog(("sh", "-c", script))
    try:
        yield started
    finally:
        started.let_go()
        started._process.wait(30)


async def test_an_answer_that_came_too_late_is_not_taken_for_the_next_ones() -> None:
    with dog("read a; read b; echo one; echo two; read c; echo three; read d") as slow:
        with pytest.raises(TimedOut):
            await slow.say("a", "one", SHORT_S)
        await slow.say("b", "two", LONG_S)
        await slow.say("c", "three", LONG_S)


async def test_who_stopped_waiting_takes_nobody_elses_answer(tmp_path: Path) -> None:
    heard = tmp_path / "heard"
    with dog(f"read a; touch {heard}; read b; echo one; echo two; read c") as slow:
        hasty = asyncio.create_task(slow.say("a", "one", 0.3))
        await until(heard.exists, "it has heard the first")
        hasty.cancel()  # and its thread listens on
        await asyncio.gather(hasty, return_exceptions=True)
        await slow.say("b", "two", LONG_S)


async def test_a_watchdog_that_has_ended_is_gone_at_once() -> None:
    with dog("read a; echo 'failed: no site'") as dead:
        with pytest.raises(Unreachable, match="failed: no site"):
            await dead.say("a", ARMED, LONG_S)
        with pytest.raises(Unreachable):
            await dead.say("b", ARMED, LONG_S)


async def test_one_that_is_silent_may_live_and_is_asked_again(tmp_path: Path) -> None:
    """Taken for gone it would be asked no more, and would put back, in a while, what its living console has done."""
    thaw, watch = tmp_path / "thaw", cast("Watch", None)  # it is asked for when a watchdog is started
    hasty, patient = Leashes(watch, answer_s=SHORT_S), Leashes(watch, answer_s=LONG_S)
    script = f"read a; until [ -e {thaw} ]; do sleep 0.01; done; echo armed; while read b; do echo armed; done"
    with dog(script) as frozen:
        hasty._dogs[TIMER.id] = patient._dogs[TIMER.id] = frozen
        for ask in (hasty.extend, hasty.disarm):
            assert await ask(TIMER) not in ANSWERS
        thaw.touch()
        assert await patient.extend(TIMER) == ARMED
        assert await patient.disarm(TIMER) == ARMED
    assert await hasty.extend(TIMER) == ABSENT, "now it is gone"
    assert await patient.extend(TIMER) == ABSENT, "it was let go"
