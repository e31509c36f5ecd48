"""This process's signals as exit paths: a run that is driven here is left by the exit table, never in mid-group.

The second time, whatever the signal, it is left at once. Without a run that is driven here a signal just interrupts.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from console.desk import Desk
from runbooks.exits import ExitPath

PATHS: dict[signal.Signals, ExitPath] = {
    signal.SIGINT: "ctrl-c",
    signal.SIGTERM: "sigterm",
    signal.SIGHUP: "sighup",
}


class Leaving:
    """For as long as its block lasts, signals are heard by it. `path` is how this process leaves, once it does."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self.path: ExitPath | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._loop, self._main = asyncio.get_running_loop(), asyncio.current_task()
        self._heard = [number for number in PATHS if signal.getsignal(number) is not signal.SIG_IGN]
        for number in self._heard:  # one that was ignored at the start (nohup) stays so
            self._loop.add_signal_handler(number, self.by, PATHS[number])
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number in self._heard:
            self._loop.remove_signal_handler(number)
        await asyncio.gather(*self._tasks)

    def by(self, path: ExitPath) -> None:
        """Begin to leave on this path; asked again: now."""
        again, self.path = self.path is not None, self.path or path
        if again and path == "closed-terminal":
            return  # each further line finds it closed
        if not self._desk.driving:
            if self._main is not None:
                self._main.cancel()
        elif again:
            self._spawn(self._desk.stop())
        else:
            say(f"interlock: {path}: leaving at the next safe place; once more: at once")
            self._spawn(self._desk.leave(path))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def say(text: str, closed: Callable[[], None] = lambda: None) -> None:
    """A line for whoever reads stderr; when nobody does any more, `closed` is told."""
    try:
        print(text, file=sys.stderr, flush=True)
    except OSError:
        with suppress(OSError):
            sys.stderr.close()
        closed()
    except ValueError:
        closed()  # it was closed before
