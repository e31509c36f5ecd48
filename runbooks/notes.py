"""Telling others about a run (work notes on the ticket) without ever making the run wait for them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress

from runbooks.effects import Notes
from runbooks.model import Event
from runbooks.view import RunView

Failed = Callable[[Event, str], Awaitable[None]]


class NoteQueue:
    """Tells one entry after the other, in order, beside the run. What could not be told goes to `failed`."""

    def __init__(self, notes: Notes, failed: Failed, tell_s: float) -> None:
        self._notes, self._failed, self._tell_s = notes, failed, tell_s
        self._waiting: asyncio.Queue[tuple[Event, RunView]] = asyncio.Queue()
        self._telling: Event | None = None
        self._task = asyncio.create_task(self._tell_all(), name="notes")

    def put(self, event: Event, view: RunView) -> None:
        self._waiting.put_nowait((event, view))

    async def drain(self, patience_s: float) -> None:
        """Give the rest of the notes a moment, then record those that were not told; when cancelled, end at once."""
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience_s):
                    await self._waiting.join()
        finally:
            self._task.cancel()
        await asyncio.wait({self._task})
        for event in self._untold():
            await self._failed(event, f"not told within {patience_s:g} s of the driver's end")

    def _untold(self) -> Iterator[Event]:
        if self._telling is not None:
            yield self._telling
        while not self._waiting.empty():
            yield self._waiting.get_nowait()[0]

    async def _tell_all(self) -> None:
        while True:
            self._telling, view = await self._waiting.get()
            await self._tell(self._telling, view)
            self._telling = None
            self._waiting.task_done()

    async def _tell(self, event: Event, view: RunView) -> None:
        try:
            async with asyncio.timeout(self._tell_s):
                await self._notes.tell(event, view)
        except TimeoutError:
            await self._failed(event, f"no answer within {self._tell_s:g} s")
        except Exception as error:  # noqa: BLE001 - whatever a ticket system does, the run goes on
            await self._failed(event, f"{type(error).__name__}: {error}")
