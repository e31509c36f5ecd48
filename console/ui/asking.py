"""How anything is asked of the desk from the screens: never waited for, and what comes of it is a message."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from textual.message import Message

if TYPE_CHECKING:
    from console.ui.app import InterlockApp
    from console.ui.desk_port import Desk

READ_ONLY = "READ-ONLY: press R to allow changes. Nothing was sent."


class Said(Message):
    """What came of something asked of the desk; with a run, that run is shown."""

    def __init__(self, text: str, tone: str, run_id: str = "") -> None:
        self.text, self.tone, self.run_id = text, tone, run_id
        super().__init__()


class Asking:
    """One for the app. Nothing is awaited here that a backend could keep waiting."""

    def __init__(self, app: InterlockApp) -> None:
        self._app = app

    @property
    def _desk(self) -> Desk | None:
        """The desk, told whether this console is READ-ONLY or WRITE now: it refuses by itself."""
        if desk := self._app.bridge.desk:
            desk.write = self._app.write
        else:
            self._app.say("the desk is not open yet: see the line below", "degraded")
        return self._app.bridge.desk

    def _may_write(self) -> bool:
        """Else it is said that this console is READ-ONLY."""
        if not self._app.write:
            self._app.say(READ_ONLY, "degraded")
        return self._app.write

    def _ask(self, asked: Awaitable[str], words: str) -> None:
        """`asked` gives the run that is to be shown. In a worker, which touches no widget."""

        async def work() -> None:
            try:
                run_id = await asked
            except Exception as error:  # noqa: BLE001 -- whatever the desk says is the answer
                self._app.post_message(Said(str(error) or type(error).__name__, "degraded"))
            else:
                self._app.post_message(Said(words.format(run_id), "plain", run_id))

        self._app.run_worker(work(), exit_on_error=False)

    def _order(self, order: Awaitable[object], run_id: str, words: str) -> None:
        """An order to a run: `words` say what was told, and that run is shown."""

        async def given() -> str:
            await order
            return run_id

        self._ask(given(), words)
