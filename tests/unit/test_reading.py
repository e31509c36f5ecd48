"""Readings at their own pace: what outlasts a poll is given once, by itself or by the next poll."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from connectors.errors import Unreachable
from connectors.reading import Reading, late
from network.observation import FabricPort, Kind, Observation

SEEN = Observation(Kind.PORT, "port-a", FabricPort(up=True, status="LIVE"), "fake", datetime(2026, 1, 1, tzinfo=UTC), 3)


class Asked:
    """What a reading asks: it answers when the test says so, with a fact or an error."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[Sequence[Observation]] = asyncio.get_running_loop().create_future()

    async def __call__(self) -> Sequence[Observation]:
        return await self.answer


def impatient(asked: Asked) -> Reading:
    reading = Reading(asked, every_s=60.0)
    reading.patience_s = 0.0
    return reading


async def test_a_late_reading_is_given_once() -> None:
    reading = impatient(asked := Asked())
    assert await reading() == ()
    asked.answer.set_result([SEEN])
    assert await late([reading]) == [SEEN]
    assert await reading() == (), "it is not due again, and has been given"


async def test_the_error_of_a_late_reading_is_left_to_the_next_poll() -> None:
    bad, good = impatient(refuses := Asked()), impatient(answers := Asked())
    assert (await bad(), await good()) == ((), ())
    waiting = asyncio.create_task(late([bad, good]))
    refuses.answer.set_exception(Unreachable("refused", where="fake", do_next="Wait."))
    assert bad.going_on
    await asyncio.wait({bad.going_on})
    assert not waiting.done(), "an error alone is no news"
    answers.answer.set_result([SEEN])
    assert await waiting == [SEEN]
    with pytest.raises(Unreachable):
        await bad()


async def test_whoever_waits_for_nothing_is_cancelled() -> None:
    waiting = asyncio.create_task(late([impatient(Asked())]))
    await asyncio.wait({waiting}, timeout=0)
    assert not waiting.done()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
