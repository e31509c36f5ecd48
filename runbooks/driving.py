"""One run as one console drives it: from the claim to the letting go, however the console must leave it.

The exit table (runbooks/exits.py) says what leaving means. Whatever it is, the log says on which path the driver
left (`driver.left`), and that nobody drives the run now (`driver.released`): the next one need not wait for it.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

from runbooks.effects import named
from runbooks.engine import Engine, view_of
from runbooks.exits import ExitPath, policy_of
from runbooks.journal import Conflict, FenceLost, JournalError
from runbooks.machine import next_op
from runbooks.model import ExitPolicy
from runbooks.standing import Standing
from runbooks.view import RunView

DISARM_S = 10.0


class Driving:
    """Made by whoever holds the fence; it drives at once, in a task of its own."""

    def __init__(self, engine: Engine, run_id: str, fence: int) -> None:
        self.run_id = run_id
        self._engine, self._journal, self._fence = engine, engine.journal, fence
        self._task = asyncio.create_task(self._drive(), name=f"drive {run_id}")

    @property
    def done(self) -> bool:
        return self._task.done()

    def standing(self) -> Standing | None:
        """What is known here alone of the run; None once it is driven here no more."""
        return self._engine.standing(self.run_id)

    async def result(self) -> RunView:
        """Wait until nothing more is driven here, and return what the log then says.

        Raises what ended the driving: FenceLost when the run was taken over, JournalUnavailable, or a fault of ours.
        """
        await asyncio.wait({self._task})
        return await view_of(self._journal, self.run_id) if self._task.cancelled() else self._task.result()

    async def leave(self, path: ExitPath) -> None:
        """Leave by the exit table, and return when the run has been let go. Bounded by its steps' deadlines."""
        if self.done:
            return
        if await self._left(path) == "hold":
            self._task.cancel()
        await asyncio.wait({self._task})

    async def stop(self) -> None:
        """Hold now, whatever is under way: an act in flight is written down as interrupted."""
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _drive(self) -> RunView:
        try:
            view = await self._engine_drive()
            while not view.closed and not await self._let_go(view.seq):
                view = await self._engine_drive()
        except FenceLost:
            await self._note({"path": "lost-fence", "policy": "hold", "fence": self._fence})
            raise
        except asyncio.CancelledError:  # on purpose, and to hold: in a hold nothing moves when the console is gone
            await asyncio.shield(self._disarmed())
            await asyncio.shield(self._let_go())
            raise
        except BaseException:
            await asyncio.shield(self._let_go())
            raise
        return view

    async def _engine_drive(self) -> RunView:
        try:
            return await self._engine.drive(self.run_id, self._fence)
        except JournalError:
            raise
        except Exception as error:  # a fault of ours: it is written down, and the step's word on it is kept
            if await self._left("exception", reason=named(error)) != "undo":
                raise
        return await self._engine.drive(self.run_id, self._fence)

    async def _left(self, path: ExitPath, **more: Any) -> ExitPolicy:
        """Write down why the driver leaves; what cannot be written is a hold."""
        try:
            view = await view_of(self._journal, self.run_id)
            step = view.step(getattr(next_op(view), "step", None))
            policy = policy_of(step.spec if step else None, path)
            data = {"path": path, "policy": policy, **more}
            await self._journal.append(self.run_id, "driver.left", data=data, fence=self._fence)
        except JournalError:
            return "hold"
        return policy

    async def _disarmed(self) -> None:
        with suppress(JournalError, TimeoutError):
            async with asyncio.timeout(DISARM_S):
                await self._engine.disarm(self.run_id, self._fence)

    async def _let_go(self, seen: int | None = None) -> bool:
        """False: the log goes on behind the entry that was seen last, and nobody else obeys while a driver lives."""
        with suppress(JournalError):  # taken over or closed meanwhile, or no journal: then the lease says so
            try:
                await self._journal.release(self.run_id, self._fence, expect_seq=seen)
            except Conflict:
                return False
        return True

    async def _note(self, data: dict[str, Any]) -> None:
        """Whoever lost the fence may write no step any more; that it noticed is worth a line."""
        with suppress(JournalError):
            await self._journal.append(self.run_id, "note.left", data=data)
