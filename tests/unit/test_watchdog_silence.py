"""A watchdog's silence is its console's: what was said while the watchdog itself stood still is heard first."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime

from console.watchdog import stdin_of, until_silent

ALLOWED_S = 0.05


async def listened(says: Callable[[int], Awaitable[None]], seconds: float = ALLOWED_S) -> datetime | None:
    """What a watchdog makes of a console that says this into its pipe."""
    theirs, ours = os.pipe()
    try:
        said = await stdin_of(os.fdopen(theirs, "rb"))
        silence = asyncio.create_task(until_silent(said, seconds))
        await says(ours)
        return await asyncio.wait_for(silence, 30)
    finally:
        with suppress(OSError):  # it may have hung up already
            os.close(ours)


async def stood_still(ours: int, word: bytes) -> None:
    """The host stops past the allowed time, with the console's word in the pipe."""
    os.write(ours, word)
    time.sleep(2 * ALLOWED_S)  # noqa: ASYNC251 -- the standstill itself


async def test_a_word_that_came_while_it_stood_still_is_heard_before_its_time_is_found_to_be_over() -> None:
    async def confirmed(ours: int) -> None:
        await asyncio.sleep(0)  # it listens
        await stood_still(ours, b"confirm\n")

    assert await listened(confirmed) is None


async def test_a_renewal_that_came_so_gives_it_its_whole_time_again() -> None:
    async def renewed(ours: int) -> None:
        await asyncio.sleep(0)
        await stood_still(ours, b"renew\n")
        renewals.append(time.time())

    renewals: list[float] = []
    heard = await listened(renewed)
    assert heard is not None
    assert heard.timestamp() >= renewals[0] - 0.001, "the renewal was not heard"


async def test_silence_is_silence_and_so_is_the_end_of_the_pipe() -> None:
    async def nothing(_ours: int) -> None:
        return

    async def hangs_up(ours: int) -> None:
        os.write(ours, b"renew\n")
        os.close(ours)

    assert await listened(nothing) is not None
    assert await listened(hangs_up) is not None
