"""One key at a time: what is typed or pasted at once meets the screens as if it had been typed slowly.

Textual gives a key to whoever has the focus when it is read; a dialog that the key before it opens, or a field that it
focuses, comes a moment later. Until then `:plan` would be `:`, and then `p`, which pauses. So a key waits until the one
before it has been heard by all, and until the screen that it may have opened is there.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

from textual.app import ScreenStackError
from textual.events import Event
from textual.message_pump import MessagePump

if TYPE_CHECKING:
    from textual.app import App

#: A key waits no longer than this for the one before it: rather out of order than never.
PATIENCE_S = 3.0
LOOKS = 12  # within that time: a process that stood still for longer has used up one of them, and not its patience


class Keyboard:
    """One for the app. `hear` is the app's own handler of a key or a paste."""

    def __init__(
        self, app: App[None], hear: Callable[[Event], Awaitable[None]], patience_s: float = PATIENCE_S
    ) -> None:
        self._app, self._hear, self._patience_s = app, hear, patience_s
        self._waiting: deque[Event] = deque()
        self._busy = False
        self._turn: asyncio.Task[None] | None = None

    async def typed(self, event: Event) -> None:
        """Let it in, or have it wait for its turn. Called, like everything else here, in the app's own task."""
        if self._busy:
            self._waiting.append(event)
        else:
            await self._let_in(event)

    def stop(self) -> None:
        if self._turn is not None:
            self._turn.cancel()

    async def _let_in(self, event: Event) -> None:
        self._busy = True
        heard_by = [*(self._app.focused or self._app.screen).ancestors_with_self]
        try:
            await self._hear(event)
        finally:
            self._turn = asyncio.create_task(self._next(heard_by), name="next key")

    async def _next(self, heard_by: Sequence[MessagePump]) -> None:
        heard = asyncio.create_task(self._heard(heard_by))
        try:
            for _ in range(LOOKS):
                if heard.done():
                    break
                await asyncio.wait({heard}, timeout=self._patience_s / LOOKS)
        finally:
            heard.cancel()
        if self._waiting:
            self._app.call_later(self._let_in, self._waiting.popleft())
        else:
            self._busy = False

    async def _heard(self, heard_by: Sequence[MessagePump]) -> None:
        """A key goes from the focused widget up to the app; what that makes them tell each other goes the same way."""
        with suppress(ScreenStackError):
            for pump in (*heard_by, *heard_by):
                await _worked_off(pump)
            await _worked_off(self._app.screen)


async def _worked_off(pump: MessagePump) -> None:
    """Wait until everything that is now in a widget's queue has been handled; nothing is when it is closed."""
    done = asyncio.Event()
    if pump.call_later(done.set):
        await done.wait()
