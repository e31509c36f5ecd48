"""A costly reading at its own pace: it goes on from poll to poll, and what it saw is kept between.

What outlasts the poll that began it is not left to the next one, five seconds or a minute away: `late` gives it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from connectors.errors import InterlockError
from connectors.ports import PartlySeen
from network.observation import Kind, Observation

PATIENCE_S = 1.0  # a poll waits this long for what is being read at its own pace
SLACK_S = 0.5  # a poll that comes a little early still reads


class Reading:
    """Reads with `ask` every `every_s` seconds, and at the next poll after an error. `kept` is what it last saw.

    `spares_first`: what is large and never urgent leaves the first poll to the rest. `patience_s` is what a poll gives
    it that calls it as one of its parts.
    """

    def __init__(
        self, ask: Callable[[], Awaitable[Sequence[Observation]]], every_s: float, *, spares_first: bool = False
    ) -> None:
        self.patience_s = PATIENCE_S
        self._ask, self._every_s = ask, every_s
        self._due: float | None = None if spares_first else 0.0
        self._task: asyncio.Task[Sequence[Observation]] | None = None
        self._kept: dict[tuple[Kind, str], Observation] = {}

    @property
    def kept(self) -> Iterable[Observation]:
        return self._kept.values()

    def forget(self) -> None:
        """Something has changed: the next poll reads anew."""
        self._due = 0.0

    async def done(self, patience_s: float) -> list[asyncio.Task[Sequence[Observation]]]:
        """Starts when due; the task, when it has ended within `patience_s` seconds. Awaiting it gives or raises."""
        now = asyncio.get_running_loop().time()
        if self._due is None:
            self._due = now + SLACK_S
        if self._task is None and self._due <= now:
            self._due = now + self._every_s - SLACK_S
            self._task = asyncio.create_task(self._read())
        if self._task is None:
            return []
        done, _ = await asyncio.wait({self._task}, timeout=patience_s)
        if done:
            self._task = None
        return list(done)

    async def __call__(self) -> Sequence[Observation]:
        """A part of a poll: what was read if it was due and has ended in time, else nothing."""
        for task in await self.done(self.patience_s):
            return await task
        return ()

    @property
    def going_on(self) -> asyncio.Task[Sequence[Observation]] | None:
        """What no poll has taken yet."""
        return self._task

    def take(self) -> Sequence[Observation]:
        """What has just been read. Only for a reading that has ended well."""
        assert self._task is not None
        task, self._task = self._task, None
        return task.result()

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _read(self) -> Sequence[Observation]:
        try:
            seen = await self._ask()
        except InterlockError as error:
            self._due = 0.0
            self._keep(error.seen if isinstance(error, PartlySeen) else ())
            raise
        self._keep(seen)
        return seen

    def _keep(self, seen: Sequence[Observation]) -> None:
        self._kept.update({item.key: item for item in seen})


async def late(readings: Iterable[Reading]) -> Sequence[Observation]:
    """What readings see that go on between two polls, once the first of them has ended; for ever, if none does.

    An error is left to the next poll, which tells it with all else that is amiss.
    """
    going_on = {task: reading for reading in readings if (task := reading.going_on)}
    while going_on:
        ended, _ = await asyncio.wait(going_on, return_when=asyncio.FIRST_COMPLETED)
        well = [going_on[task].take() for task in ended if not task.cancelled() and not task.exception()]
        if well:
            return [item for seen in well for item in seen]
        going_on = {task: reading for task, reading in going_on.items() if task not in ended}
    never: asyncio.Future[Sequence[Observation]] = asyncio.get_running_loop().create_future()
    return await never
