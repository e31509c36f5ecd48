"""The calendar: what providers and we ourselves plan, and where two at once are worse than either alone."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.widget import Widget

from console import calendar_view
from console.ui.screens.page import Page
from console.ui.widgets.lines import Lines
from console.ui.widgets.scroll import Scroll
from console.view import Cell
from network.layers import View

if TYPE_CHECKING:
    from console.ui.sight import Sight


class CalendarScreen(Page):
    """Opened with c; esc goes back."""

    AUTO_FOCUS = "Scroll"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.back", "back", id="calendar.back", key_display="esc")
    ]

    def body(self) -> Iterable[Widget]:
        yield Scroll(Lines(id="calendar", classes="box"))

    def draw(self, sight: Sight) -> None:
        lines = self.query_one("#calendar", Lines)
        lines.border_title = f"the next {sight.site.policy.calendar_days:g} days"
        if sight.picture.snapshot is None:
            lines.show([[Cell("nothing has been seen yet", "unknown")]])
            return
        lines.show(calendar_view.cells(View(sight.site, sight.picture.snapshot, sight.judged_at)))
