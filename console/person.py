"""The person at a command line: `--yes` says yes, `--prompt` asks on the terminal."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress

from console.fail import UsageError
from console.line_outage import LineOutage
from runbooks.model import StepDef
from runbooks.view import RunView


class Person:
    """Who answers at this console. The terminal is read on a thread of its own, which no exit has to wait for."""

    def __init__(self, *, asks: bool) -> None:
        self.asks = asks
        self.outage = LineOutage(self.ask if asks else None)
        self._line: asyncio.Future[str] | None = None

    async def confirm(self, view: RunView, step: StepDef) -> bool | None:  # noqa: ARG002 -- the step says it all
        """None when the input has ended: nobody answers, and the run waits for somebody who does."""
        if not self.asks:
            return True
        line = await self.ask(f"{step.title} [y/N] ")
        return line.strip().lower() in {"y", "yes"} if line else None

    async def evidence(self, view: RunView, step: StepDef) -> Mapping[str, str] | None:
        """Asked for one by one; `--yes` invents none. None when the input has ended."""
        if not self.asks:
            return None
        print(step.text or step.title, file=sys.stderr)
        given = {name: (await self.ask(f"{name}: ")).strip() for name in step.evidence}
        if step.evidence:
            return given if all(given.values()) else None
        return {"done": "yes"} if await self.confirm(view, step) else {}

    async def typed(self, target: str) -> bool:
        """The ladder's second rung: a traffic-moving run is confirmed by typing its target's name."""
        return not self.asks or (await self.ask(f"type {target} to run this plan: ")).strip() == target

    async def ask(self, question: str) -> str:
        """One line as typed; empty when the input has ended. A dropped question leaves its line to the next."""
        with suppress(OSError, ValueError):  # a terminal that is gone is told by its input
            print(question, end="", file=sys.stderr, flush=True)
        if self._line is None:
            self._line = _next_line()
        line = await asyncio.shield(self._line)
        self._line = None
        return line


def person(how: str | None) -> Person:
    """Who `--prompt`, `--yes` or neither means. Raises UsageError for neither without a terminal."""
    if how is None and not sys.stdin.isatty():
        raise UsageError("without a terminal give --prompt or --yes")
    return Person(asks=how != "yes")


def _next_line() -> asyncio.Future[str]:
    loop = asyncio.get_running_loop()
    typed: asyncio.Future[str] = loop.create_future()

    def hand_in(line: str) -> None:
        if not typed.done():
            typed.set_result(line)

    def read() -> None:
        try:
            line = sys.stdin.readline()
        except (OSError, ValueError):  # the terminal is gone
            line = ""
        if not loop.is_closed():
            loop.call_soon_threadsafe(hand_in, line)

    threading.Thread(target=read, name="terminal", daemon=True).start()
    return typed
