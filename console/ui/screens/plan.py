"""A plan in full before anything is asked: the commands, what is expected, the undo, who carries before and after."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget

from console import plan_view
from console.ui.screens.dialog import Dialog
from console.ui.screens.page import Page
from console.ui.widgets.lines import Lines
from console.ui.widgets.scroll import Scroll
from console.ui.words import Command
from console.view import Cell

if TYPE_CHECKING:
    from console.ui.sight import Sight
    from runbooks.plan import Plan


class PlanScreen(Page):
    """Compiles in a worker and shows what came of it, here. To be run, it asks for the target's name."""

    AUTO_FOCUS = "Scroll"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "run", "run it", id="plan.run", key_display="⏎"),
        Binding("escape", "app.back", "back", id="plan.back", key_display="esc"),
    ]

    class Compiled(Message):
        """The plan, or why there is none."""

        def __init__(self, plan: Plan | None, error: str) -> None:
            self.plan, self.error = plan, error
            super().__init__()

    def __init__(self, command: Command) -> None:
        super().__init__()
        self._command = command
        self._plan: Plan | None = None
        self._error = ""

    def body(self) -> Iterable[Widget]:
        yield Scroll(Lines(id="plan"), classes="box")

    def on_mount(self) -> None:
        super().on_mount()
        self.run_worker(self._compile(), exclusive=True)

    def draw(self, sight: Sight) -> None:  # noqa: ARG002 -- a plan is of the moment at which it was made
        words = " ".join([self._command.about, *(f"{k}={v}" for k, v in self._command.parameters.items())])
        self.query_one(Scroll).border_title = f"plan · {words}"
        self.query_one("#plan", Lines).show(self._lines())

    def _lines(self) -> list[list[Cell]]:
        if self._error:
            return [[Cell("X ", "down"), Cell(line)] for line in self._error.splitlines()]
        if self._plan is None:
            return [[Cell("compiling against the routers as they are now …", "unknown")]]
        return plan_view.lines(self._plan, self._command.change)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:  # noqa: ARG002 -- textual's own
        return action != "run" or self._runnable

    @property
    def _runnable(self) -> bool:
        """What was only to be planned is not run from here; what restores needs no change."""
        plan, asked = self._plan, self._command
        return plan is not None and asked.verb == "run" and bool(asked.change or plan.undo_of or plan.rescue)

    def commands(self) -> str:
        return "\n".join(line for step in self._plan.steps for line in step.lines) if self._plan else ""

    async def _compile(self) -> None:
        desk = self.console.bridge.desk
        if desk is None:
            self.post_message(self.Compiled(None, "the desk is not open yet: see the line below"))
            return
        try:
            plan = await desk.plan(self._command.about, self._command.parameters)
        except Exception as error:  # noqa: BLE001 -- its text is the answer, and it lands in this pane
            self.post_message(self.Compiled(None, str(error) or type(error).__name__))
        else:
            self.post_message(self.Compiled(plan, ""))

    def on_plan_screen_compiled(self, event: PlanScreen.Compiled) -> None:
        self._plan, self._error = event.plan, event.error
        self.refresh_sight()
        self.action_run()

    def action_run(self) -> None:
        if self._plan is None or not self._runnable:
            return
        plan, lines = self._plan, plan_view.lines(self._plan, self._command.change)
        dialog = Dialog(f"run {plan.book}?", lines, does="to run it", words=[plan.target])
        self.app.push_screen(
            dialog, lambda sure: self.console.errands.start(plan, self._command.change) if sure else None
        )
