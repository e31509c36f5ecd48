"""A costly reading at its own pace: it goes on from poll to poll, and what it saw is kept between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence

from connectors.errors import InterlockError
from connectors.ports import PartlySeen
from network.observation import Kind, Observation

SLACK_S = 0.5  # a poll that comes a little early still reads


class Reading:
    """Reads with `ask` every `every_s` seconds, and at the next poll after an error. `kept` is what it last saw.

    `spares_first`: what is large and never urgent leaves the first poll to the rest.
    """

    def __init__(
        self, ask: Callable[[], Awaitable[Sequence[Observation]]], every_s: float, *, spares_first: bool = False
    ) -> None:
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
