"""What an operator asks for from the screens: each asks first, hands over to the desk, and says what came of it.

The desk and the engine decide; here is only the ladder of confirmations. Imports are late: nothing here is needed
for the first paint.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING

from textual.message import Message

from console.view import Cell

if TYPE_CHECKING:
    from console.ui.app import InterlockApp
    from console.ui.desk_port import Desk
    from console.ui.words import Command
    from runbooks.plan import Plan

READ_ONLY = "READ-ONLY: press R to allow changes. Nothing was sent."


class Said(Message):
    """What came of something asked of the desk; with a run, that run is shown."""

    def __init__(self, text: str, tone: str, run_id: str = "") -> None:
        self.text, self.tone, self.run_id = text, tone, run_id
        super().__init__()


class Errands:
    """One for the app. Nothing is awaited here that a backend could keep waiting."""

    def __init__(self, app: InterlockApp) -> None:
        self._app = app

    def switch_writing(self) -> None:
        """READ-ONLY to WRITE by a typed word; back without asking."""
        from console.ui.screens.dialog import Dialog

        if self._app.write:
            self._wrote(sure=False)
            return
        lines = [[Cell("Changes can then be asked for. Whether one is allowed, the engine decides each time.")]]
        does = f"to allow changes on {self._app.site.name}"
        self._app.push_screen(
            Dialog("allow changes?", lines, does=does, word="WRITE"),
            lambda sure: self._wrote(sure=True) if sure else None,
        )

    def _wrote(self, *, sure: bool) -> None:
        self._app.write = sure
        self._app.say("WRITE: changes can be asked for" if sure else "READ-ONLY again", "degraded" if sure else "plain")

    async def obey(self, text: str) -> None:
        """Do what the `:` line says, or say why not."""
        from console.ui.words import BadCommand, parse

        try:
            command = parse(text)
        except BadCommand as error:
            self._app.say(str(error), "degraded")
        else:
            await self._do(command)

    async def _do(self, command: Command) -> None:
        from console.ui.screens.plan import PlanScreen

        if command.verb == "quit":
            self.leave()
        elif command.verb == "abort":
            self.ask_abort()
        elif command.verb == "rollback":
            self.ask_rollback(command.about)
        elif command.verb == "break-glass":
            self._break_glass(command.about)
        elif command.verb == "run" and not self._app.write:
            self._app.say(READ_ONLY, "degraded")
        else:
            await self._app.push_screen(PlanScreen(command))

    def _break_glass(self, reason: str) -> None:
        """Act without the journal, in what holds for it at this console."""
        if not self._app.write:
            self._app.say(READ_ONLY, "degraded")
        elif not self._app.bridge.operator.break_it(reason):
            self._app.say("nothing here holds for the journal before an act: no glass to break", "degraded")

    def start(self, plan: Plan, change: str) -> None:
        """Run a plan that was confirmed by its target's name."""
        if desk := self._desk():
            self._ask(desk.start(plan, change), "started {}")

    def ask_rollback(self, run_id: str) -> None:
        """Say what will be put back; its target's name confirms."""
        from console import run_view
        from console.ui.screens.dialog import Dialog

        row = next((row for row in self._app.picture.runs if row.run_id == run_id), None)
        if row is None or not self._app.write:
            self._app.say(READ_ONLY if row else f"run {run_id} is not in this journal", "degraded")
            return
        word = str(row.definition.get("target") or run_id)
        dialog = Dialog(f"roll back {run_id}?", run_view.rollback_lines(row), does="to put it back", word=word)
        self._app.push_screen(dialog, lambda sure: self._rollback(run_id) if sure else None)

    def _rollback(self, run_id: str) -> None:
        if desk := self._desk():
            self._ask(desk.rollback(run_id), "rolling back: {}")

    def _desk(self) -> Desk | None:
        """The desk, told whether this console is READ-ONLY or WRITE now: it refuses by itself."""
        if desk := self._app.bridge.desk:
            desk.write = self._app.write
        return self._app.bridge.desk

    def ask_confirmation(self) -> None:
        """A confirm step waits for the person here."""
        from console import run_view
        from console.ui.screens.dialog import Dialog

        if run := self._app.picture.run:
            run_id, operator = run.row.run_id, self._app.bridge.operator
            dialog = Dialog("confirm", run_view.waiting_lines(run.view), does="confirms; the run goes on")
            self._app.push_screen(dialog, lambda sure: operator.answer(run_id) if sure else None)

    def ask_abort(self) -> None:
        """Never gated, and the same however often it is asked."""
        from console import run_view
        from console.ui.screens.dialog import Dialog

        run = self._app.picture.run
        if run is None or run.view.closed:
            self._app.say("no run is open: nothing to abort")
            return
        run_id = run.row.run_id
        dialog = Dialog(f"ABORT {run_id}?", run_view.abort_lines(run.view), does="aborts and undoes")
        self._app.push_screen(dialog, lambda sure: self._ask(self._aborted(run_id), "aborting {}") if sure else None)

    async def _aborted(self, run_id: str) -> str:
        if desk := self._app.bridge.desk:
            await desk.abort(run_id)
        return run_id

    def leave(self) -> None:
        """During a run it asks."""
        from console.ui.screens.dialog import Dialog

        run = self._app.picture.run
        if run is None or run.view.closed:
            self._app.exit()
            return
        text = f"{run.row.run_id} is {run.view.state}. Its state is safe in the journal, and it keeps its locks."
        dialog = Dialog("leave during a run?", [[Cell(text)]], does="leaves")
        self._app.push_screen(dialog, lambda sure: self._app.exit() if sure else None)

    def _ask(self, asked: Awaitable[str], words: str) -> None:
        """In a worker, which touches no widget: what comes of it is a message."""

        async def work() -> None:
            try:
                run_id = await asked
            except Exception as error:  # noqa: BLE001 -- whatever the desk says is the answer
                self._app.post_message(Said(str(error) or type(error).__name__, "degraded"))
            else:
                self._app.post_message(Said(words.format(run_id), "plain", run_id))

        self._app.run_worker(work(), exit_on_error=False)
