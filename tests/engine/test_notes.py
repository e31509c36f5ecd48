"""The note queue ends with its run, however the run ends."""

from __future__ import annotations

import asyncio

from runbooks.model import Event
from runbooks.notes import NoteQueue
from runbooks.view import RunView
from tests.engine.little_device import until
from tests.sample import NOW


class Silent:
    """A ticket system that never answers."""

    async def tell(self, event: Event, view: RunView) -> None:
        del event, view
        await asyncio.Event().wait()


async def test_a_cancelled_drain_leaves_no_task_behind() -> None:
    async def failed(event: Event, why: str) -> None:
        raise AssertionError((event, why))

    queue = NoteQueue(Silent(), failed, tell_s=60)
    queue.put(Event("R-1", 1, "u", NOW, "verify.ok", "alice", "host/1/x/LAB"), RunView())
    drain = asyncio.create_task(queue.drain(60))
    await asyncio.sleep(0)
    drain.cancel()
    await asyncio.wait({drain})
    await until(lambda: "notes" not in {task.get_name() for task in asyncio.all_tasks()}, "the queue's task ends")
