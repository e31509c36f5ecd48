"""Noticing that the log grew: at once for this console's own entries, soon for other processes'."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

from runbooks.journal.errors import JournalUnavailable


class Pulse:
    """One ear on the engine for all followers of a journal.

    A follower takes `next()` before it reads and awaits it after it has read: a commit in between has
    already set it, so no growth is missed.
    """

    def __init__(self, growth: Callable[[], AsyncIterator[None]]) -> None:
        self._growth = growth
        self._event = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._lost: JournalUnavailable | None = None

    def next(self) -> asyncio.Event:
        """Return the event that is set at the next growth. Raises JournalUnavailable once listening failed."""
        if self._lost:
            raise self._lost
        if self._task is None:
            self._task = asyncio.create_task(self._listen(), name="journal-growth")
        return self._event

    def beat(self) -> None:
        """Wake every follower."""
        self._event.set()
        self._event = asyncio.Event()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
        self._lost = self._lost or JournalUnavailable("", "it has been closed")
        self.beat()

    async def _listen(self) -> None:
        try:
            async for _ in self._growth():
                self.beat()
        except JournalUnavailable as lost:
            self._lost = lost
            self.beat()
