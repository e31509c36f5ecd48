"""The line at the bottom: `:` for a command, `/` for a filter. Hidden until asked for."""

from __future__ import annotations

from typing import ClassVar, Literal

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.widgets import Input, Static

Mode = Literal[":", "/"]


class CommandLine(Horizontal):
    """Posts Typed at each key in filter mode, Entered at enter, and Left at esc."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "back", id="line.leave", show=False)]

    class Typed(Message):
        def __init__(self, text: str) -> None:
            self.text = text
            super().__init__()

    class Entered(Message):
        def __init__(self, mode: Mode, text: str) -> None:
            self.mode, self.text = mode, text
            super().__init__()

    def __init__(self) -> None:
        super().__init__(id="line")
        self._mode: Mode = ":"
        self.display = False

    def compose(self) -> ComposeResult:
        yield Static(":", id="prompt", markup=False)
        yield Input(compact=True, id="entry", select_on_focus=False)

    def open(self, mode: Mode, text: str = "") -> None:
        self._mode = mode
        self.query_one("#prompt", Static).update(mode)
        self.display = True
        entry = self.query_one(Input)
        entry.value = text
        entry.cursor_position = len(text)
        self.screen.set_focus(entry)  # at once: the next key typed belongs to the line

    def close(self) -> None:
        self.display = False
        self.screen.focus_next("RowTable, Scroll")

    def action_leave(self) -> None:
        if self._mode == "/":
            self.post_message(self.Typed(""))
        self.close()

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        if self._mode == "/" and self.display:
            self.post_message(self.Typed(event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.close()
        self.post_message(self.Entered(self._mode, event.value.strip()))
