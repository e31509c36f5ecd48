"""A scrolling column with vim keys."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.containers import ScrollableContainer
from textual.message import Message


class Scroll(ScrollableContainer, can_focus=True, inherit_bindings=False):
    """Textual's own bindings have no ids; these have. Says so when its size is another: its lines are fitted to it."""

    class Fitted(Message):
        """This box has a new size."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_up", "up", id="scroll.up", show=False),
        Binding("down,j", "scroll_down", "down", id="scroll.down", show=False),
        Binding("pageup", "page_up", "page up", id="scroll.page-up", show=False),
        Binding("pagedown", "page_down", "page down", id="scroll.page-down", show=False),
        Binding("home,g", "scroll_home", "first", id="scroll.first", show=False),
        Binding("end,G", "scroll_end", "last", id="scroll.last", show=False),
    ]

    def on_resize(self) -> None:
        self.post_message(self.Fitted())
