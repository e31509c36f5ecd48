"""The person at the screens, as the engine asks for him: a question stays open until it is answered or overtaken."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runbooks.model import StepDef
    from runbooks.view import RunView


class ScreenOperator:
    """`confirm` is awaited by a run; `answer` is called by a dialog. Nothing is answered by itself."""

    def __init__(self) -> None:
        self._open: dict[str, asyncio.Future[bool]] = {}
        self._glass: dict[str, asyncio.Future[str]] = {}
        self.holds: dict[str, str] = {}  # runs that wait for the journal, and why

    async def confirm(self, view: RunView, step: StepDef) -> bool | None:  # noqa: ARG002 -- the screen shows the step
        answer: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._open[view.run_id] = answer
        try:
            return await answer
        finally:
            if self._open.get(view.run_id) is answer:
                del self._open[view.run_id]

    async def evidence(self, view: RunView, step: StepDef) -> Mapping[str, str] | None:  # noqa: ARG002 -- no dialog
        """Evidence is given from a command line: nobody at the screen can."""
        return None

    # -- while the journal is away

    def holding(self, run_id: str, why: str) -> None:
        self.holds[run_id] = f"HOLD {run_id}: {why}"

    def returned(self, run_id: str, away_s: float, spooled: int) -> None:  # noqa: ARG002 -- the log tells it
        self.holds.pop(run_id, None)

    def warn(self, run_id: str, words: str) -> None:
        self.holds[run_id] = f"HOLD {run_id}: {words}"

    async def break_glass(self, run_id: str, within_s: float | None) -> str | None:
        """Wait for the typed reason; the engine stops waiting when the journal is back, or its lease is over."""
        soon = "" if within_s is None else f" within {within_s:.0f} s"
        self.holds[run_id] = f"{self.holds.get(run_id, f'HOLD {run_id}')}; `:break-glass REASON`{soon} acts without it"
        typed: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._glass[run_id] = typed
        try:
            return await typed
        finally:
            self._glass.pop(run_id, None)

    async def write_again(self, run_id: str, lost: int) -> bool:
        """What a server has forgotten is given back from a command line: here it is said, and the run holds."""
        self.holds[run_id] = f"HOLD {run_id}: the journal has lost {lost} entries that it had taken"
        return False

    def break_it(self, reason: str) -> bool:
        """Act without the journal in every run that holds for it here. False: none does."""
        waiting = [typed for typed in self._glass.values() if not typed.done()]
        for typed in waiting:
            typed.set_result(reason)
        return bool(waiting)

    def asked(self, run_id: str) -> bool:
        """A run waits for an answer here."""
        return run_id in self._open

    def answer(self, run_id: str) -> None:
        """Yes. A question that is no longer open is not answered."""
        answer = self._open.get(run_id)
        if answer is not None and not answer.done():
            answer.set_result(True)
