"""The person at the screens, as the engine asks for him: a question stays open until it is answered or overtaken."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runbooks.model import StepDef
    from runbooks.view import RunView


#: The evidence of a manual step that names none.
DONE: Mapping[str, str] = MappingProxyType({"done": "yes"})


class ScreenOperator:
    """`confirm` and `evidence` are awaited by a run; `answer` is called by a dialog.

    Nothing is answered by itself.
    """

    def __init__(self) -> None:
        self._open: dict[str, tuple[str, asyncio.Future[Mapping[str, str]]]] = {}
        self._glass: dict[str, asyncio.Future[str]] = {}
        self.holds: dict[str, str] = {}  # runs that wait for the journal, and why

    async def confirm(self, view: RunView, step: StepDef) -> bool | None:
        await self._answered(view.run_id, step.id)
        return True

    async def evidence(self, view: RunView, step: StepDef) -> Mapping[str, str] | None:
        return await self._answered(view.run_id, step.id)

    async def _answered(self, run_id: str, step: str) -> Mapping[str, str]:
        answer: asyncio.Future[Mapping[str, str]] = asyncio.get_running_loop().create_future()
        self._open[run_id] = step, answer
        try:
            return await answer
        finally:
            if self._open.get(run_id) == (step, answer):
                del self._open[run_id]

    def asked(self, run_id: str) -> str:
        """The step for which a run waits for an answer here; empty when it waits for none."""
        return self._open[run_id][0] if run_id in self._open else ""

    def answer(self, run_id: str, step: str, given: Mapping[str, str] = DONE) -> None:
        """Yes, or the evidence of a manual step by name. What a run no longer asks is not answered."""
        asked, answer = self._open.get(run_id, ("", None))
        if answer is not None and asked == step and not answer.done():
            answer.set_result(given)

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

    def may_break(self, run_id: str) -> bool:
        """Whether a run holds before something that a typed reason would let it do without the journal."""
        return run_id in self._glass and not self._glass[run_id].done()

    def break_it(self, reason: str, run_id: str = "") -> bool:
        """Act without the journal in the run that is named, else in every one that holds for it here. False: none."""
        waiting = [self._glass[run] for run in self._glass if self.may_break(run) and run_id in {"", run}]
        for typed in waiting:
            typed.set_result(reason)
        return bool(waiting)
