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

    def asked(self, run_id: str) -> bool:
        """A run waits for an answer here."""
        return run_id in self._open

    def answer(self, run_id: str) -> None:
        """Yes. A question that is no longer open is not answered."""
        answer = self._open.get(run_id)
        if answer is not None and not answer.done():
            answer.set_result(True)
