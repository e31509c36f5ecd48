"""A question before something happens: enter confirms, esc leaves; some want a word typed first, or one of several."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from console.ui.widgets.lines import Lines
from console.ui.widgets.scroll import Scroll
from console.view import Cell

#: The part of the terminal's height that the text may take before it scrolls.
MOST = 0.55
YES = "yes"


class Dialog(ModalScreen[str], inherit_bindings=False):
    """Answers with the word that confirmed it, YES where none is asked for, and with nothing when it is left.

    `words`: one of them must be typed, exactly, before enter counts.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "confirm", "confirm", id="dialog.confirm", show=False),
        Binding("escape", "leave", "leave", id="dialog.leave", show=False),
        Binding("up", "scroll('up')", "up", id="dialog.up", show=False),
        Binding("down", "scroll('down')", "down", id="dialog.down", show=False),
        Binding("pageup", "scroll('page_up')", "page up", id="dialog.page-up", show=False),
        Binding("pagedown", "scroll('page_down')", "page down", id="dialog.page-down", show=False),
    ]

    def __init__(self, title: str, lines: Sequence[Sequence[Cell]], *, does: str, words: Sequence[str] = ()) -> None:
        super().__init__()
        self._title, self._lines, self._does, self._words = title, lines, does, words

    def compose(self) -> ComposeResult:
        with Vertical(id="dialog", classes="box") as box:
            box.border_title = self._title
            with Scroll(id="said"):
                yield Lines(id="what")
            if self._words:
                yield Lines(id="ask")
                yield Input(compact=True, id="word")
            yield Lines(id="hint")

    def on_mount(self) -> None:
        self.query_one("#what", Lines).show(self._lines)
        self.query_one("#said").styles.height = min(len(self._lines), int(self.app.size.height * MOST))
        if self._words:
            asked = [Cell(" or ".join(self._words), "current"), Cell(f" {self._does}")]
            self.query_one("#ask", Lines).show([[Cell("type "), *asked]])
            self.set_focus(self.query_one(Input))  # at once: the next key typed belongs to it
        self._hint(Cell(""))

    def _hint(self, said: Cell) -> None:
        does = "confirms" if self._words else self._does
        self.query_one("#hint", Lines).show(
            [[said], [*_key("enter", does), *_key("esc", "back"), *_key("↑↓", "scroll")]]
        )

    def action_confirm(self) -> None:
        if not self._words:
            self.dismiss(YES)

    def action_scroll(self, way: str) -> None:
        """The text scrolls while the word is typed."""
        said = self.query_one(Scroll)
        moves = {"up": said.scroll_up, "down": said.scroll_down, "page_up": said.scroll_page_up}
        moves.get(way, said.scroll_page_down)(animate=False)

    def action_leave(self) -> None:
        self.dismiss("")

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        typed = event.value.strip()
        if typed in self._words:
            self.dismiss(typed)
        else:
            self._hint(Cell(f"{typed!r} is not {' or '.join(self._words)}: nothing was done", "degraded"))


def _key(key: str, does: str) -> list[Cell]:
    return [Cell(key, "key"), Cell(f" {does}   ")]
