"""A part of a poll that is read less often than the rest, and never holds the rest up for long."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from connectors.errors import InterlockError
from network.observation import Observation

PATIENCE_S = 1.0
SLACK_S = 0.5  # a poll that comes a little early still reads


class Seldom:
    """Call it in every poll: it reads every `every_s` seconds, and observes nothing in between.

    A reading goes on from poll to poll until it ends, each waits `patience_s` seconds for it; one that failed is
    repeated at the next poll.
    """

    def __init__(self, every_s: float, read: Callable[[], Awaitable[Sequence[Observation]]]) -> None:
        self.patience_s = PATIENCE_S
        self._every_s, self._read = every_s, read
        self._due = 0.0
        self._reading: asyncio.Future[Sequence[Observation]] | None = None

    def forget(self) -> None:
        """The next call reads, whenever the last one was."""
        self._due = 0.0

    async def __call__(self) -> Sequence[Observation]:
        now = asyncio.get_running_loop().time()
        if self._reading is None:
            if now < self._due:
                return ()
            self._due = now + self._every_s - SLACK_S
            self._reading = asyncio.ensure_future(self._read())
        done, _ = await asyncio.wait({self._reading}, timeout=self.patience_s)
        if not done:
            return ()
        ended, self._reading = self._reading, None
        try:
            return ended.result()
        except InterlockError:
            self._due = 0.0
            raise

    async def close(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.gather(self._reading, return_exceptions=True)
