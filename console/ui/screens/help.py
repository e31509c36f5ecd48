"""Every key that does something where help was asked for; enter does it, `/` searches."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar

from textual.binding import ActiveBinding, Binding, BindingType
from textual.widget import Widget

from console.ui.screens.page import Page
from console.ui.widgets.command_line import CommandLine
from console.ui.widgets.row_table import Column, RowTable
from console.view import Cell

if TYPE_CHECKING:
    from console.ui.sight import Sight

_COLUMNS = (Column("key", "key", 16), Column("what", "does", 36), Column("id", "binding", 20))


class HelpScreen(Page):
    """Lists exactly the bindings that were active, and runs the chosen one there."""

    AUTO_FOCUS = "RowTable"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "app.back", "back", id="help.back", key_display="esc"),
        Binding("slash", "search", "search", id="help.search", key_display="/"),
    ]

    def __init__(self, active: Mapping[str, ActiveBinding]) -> None:
        super().__init__()
        self._active: dict[str, list[ActiveBinding]] = {}
        for binding in active.values():
            self._active.setdefault(str(binding.binding.id), []).append(binding)
        self._search = ""

    @property
    def listed(self) -> list[str]:
        """The ids in view."""
        return [name for name, _ in self._rows()]

    def body(self) -> Iterable[Widget]:
        table = RowTable(_COLUMNS, id="bindings")
        table.border_title = "keys · enter does it"
        yield table

    def draw(self, sight: Sight) -> None:  # noqa: ARG002 -- what is known of the network does not change the keys
        self.query_one(RowTable).show(self._rows())

    def _rows(self) -> list[tuple[str, dict[str, Cell]]]:
        rows = []
        for name, bindings in self._active.items():
            keys = ", ".join(dict.fromkeys(self.app.get_key_display(each.binding) for each in bindings))
            what = bindings[0].tooltip or bindings[0].binding.description
            if self._search in f"{keys} {what} {name}".lower():
                rows.append((name, {"key": Cell(keys, "key"), "what": Cell(what), "id": Cell(name, "dim")}))
        return rows

    def action_search(self) -> None:
        self.query_one(CommandLine).open("/", self._search)

    def on_command_line_typed(self, event: CommandLine.Typed) -> None:
        self._search = event.text.strip().lower()
        self.refresh_sight()

    def on_data_table_row_selected(self, event: RowTable.RowSelected) -> None:
        event.stop()
        chosen = self._active[str(event.row_key.value)][0]
        self.app.pop_screen()  # not awaited: a screen cannot wait for its own end
        self.app.call_later(self.app.run_action, chosen.binding.action, chosen.node)
