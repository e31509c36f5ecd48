"""Ending tasks for certain."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_S = 0.2


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel until they have ended.

    On Python 3.11 a `wait_for` in a library (asyncssh's connect has one) swallows a cancellation that meets its result,
    and a task that polls for ever would go on.
    """
    waiting = [task for task in tasks if not task.done()]
    while waiting:
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting, timeout=AGAIN_S)
        waiting = [task for task in waiting if not task.done()]
