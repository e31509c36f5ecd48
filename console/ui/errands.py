"""What an operator asks for from the screens beside orders to a run (run_errands.py): the `:` line, a start, the end.

The desk and the engine decide; here is only the ladder of confirmations. Imports are late: nothing here is needed
for the first paint.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from console.ui.asking import Asking
from console.view import Cell

if TYPE_CHECKING:
    from console.ui.words import Command
    from runbooks.plan import Plan


class Errands(Asking):
    """One for the app."""

    def switch_writing(self) -> None:
        """READ-ONLY to WRITE by a typed word; back without asking."""
        from console.ui.screens.dialog import Dialog

        if self._app.write:
            self._wrote(sure=False)
            return
        lines = [[Cell("Changes can then be asked for. Whether one is allowed, the engine decides each time.")]]
        does = f"to allow changes on {self._app.site.name}"
        self._app.push_screen(
            Dialog("allow changes?", lines, does=does, words=["WRITE"]),
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
        from console.ui.words import ORDERS

        if command.verb == "quit":
            self.leave()
        elif command.verb in ORDERS:
            self._app.orders.obey(command)
        elif command.verb == "follow":
            await self._follow(command.about)
        elif command.verb == "break-glass":
            self._break_glass(command.about)
        elif command.verb == "plan" or self._may_write():
            self.plan(command)

    def plan(self, command: Command) -> None:
        """Show a plan; one that is to be run asks then."""
        from console.ui.screens.plan import PlanScreen

        self._app.push_screen(PlanScreen(command))

    async def _follow(self, run_id: str) -> None:
        """Show a run of this journal, whoever drives it."""
        if any(row.run_id == run_id for row in self._app.picture.runs):
            self._app.bridge.open_run(run_id)
            await self._app.action_view("run")
        else:
            self._app.say(f"run {run_id} is not in this journal", "degraded")

    def _break_glass(self, reason: str) -> None:
        """Act without the journal, in what holds for it at this console."""
        if self._may_write() and not self._app.bridge.operator.break_it(reason):
            self._app.say("nothing here holds for the journal before an act: no glass to break", "degraded")

    def start(self, plan: Plan, change: str) -> None:
        """Run a plan that was confirmed by its target's name. An undo needs no change."""
        if self._may_write() and (desk := self._desk):
            self._ask(desk.start(plan, change or None), "started {}")

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
