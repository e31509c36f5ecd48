"""A poll made of parts that are read at the same time, each of which may fail on its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterable, Sequence

from connectors.errors import InterlockError
from connectors.ports import PartlySeen
from network.observation import Observation


async def settle(
    parts: Iterable[Awaitable[Sequence[Observation]]], remembered: Iterable[Observation] = ()
) -> list[Observation]:
    """What all parts saw, and what is `remembered` from an earlier poll.

    Raises the first part's InterlockError when no part saw anything (memory is no answer), PartlySeen when
    some did.
    """
    results = await asyncio.gather(*parts, return_exceptions=True)
    errors: list[InterlockError] = []
    seen: list[Observation] = []
    for result in results:
        if isinstance(result, PartlySeen):
            seen += result.seen
            errors += result.errors
        elif isinstance(result, InterlockError):
            errors += [] if result in errors else [result]  # parts may share a reading
        elif isinstance(result, BaseException):
            raise result
        else:
            seen += result
    if errors and not seen:
        raise errors[0]
    fresh = {item.key for item in seen}
    seen += [item for item in remembered if item.key not in fresh]
    if errors:
        raise PartlySeen(seen, errors)
    return seen
