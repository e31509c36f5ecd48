"""A table with fixed widths and keyed rows that rewrites only the cells that changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.widgets import DataTable

from console.ui.paint import rich_text
from console.view import Cell


@dataclass(frozen=True, slots=True)
class Column:
    key: str
    heading: str
    width: int


Row = tuple[str, Mapping[str, Cell]]


class RowTable(DataTable[Text], inherit_bindings=False):
    """Columns are measured never, given always: letting the table measure is near-quadratic in its rows."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "cursor_up", "up", id="table.up", show=False),
        Binding("down,j", "cursor_down", "down", id="table.down", show=False),
        Binding("home,g", "scroll_top", "first", id="table.first", show=False),
        Binding("end,G", "scroll_bottom", "last", id="table.last", show=False),
        Binding("enter,l", "select_cursor", "open", id="table.open", show=False),
    ]

    def __init__(self, columns: Sequence[Column], *, id: str | None = None) -> None:  # noqa: A002 -- textual's own name
        super().__init__(id=id, cursor_type="row", zebra_stripes=False, cell_padding=0)
        self.cursor_foreground_priority = "renderable"
        self._shape: tuple[Column, ...] = ()
        self._shown: dict[str, dict[str, Cell]] = {}
        self._rows: list[Row] = []
        self.rewritten = 0  # cells written into an existing row since the start
        self._wanted = tuple(columns)

    def on_mount(self) -> None:
        self.app.theme_changed_signal.subscribe(self, lambda _theme: self._rebuild())

    @property
    def chosen(self) -> str | None:
        """The key of the row under the cursor."""
        if not self.row_count:
            return None
        return self.coordinate_to_cell_key(self.cursor_coordinate).row_key.value

    def shape(self, columns: Sequence[Column]) -> None:
        """Show other columns: the terminal became narrower or wider."""
        self._wanted = tuple(columns)
        if self._shape != self._wanted and self._rows:
            self._rebuild()

    def show(self, rows: Sequence[Row]) -> None:
        """Show these rows in this order."""
        self._rows = list(rows)
        if self._shape != self._wanted or [key for key, _ in rows] != list(self._shown):
            self._rebuild()
            return
        for key, cells in rows:
            self._rewrite(key, cells)

    def _rewrite(self, key: str, cells: Mapping[str, Cell]) -> None:
        before = self._shown[key]
        for column in self._shape:
            cell = cells[column.key]
            if before[column.key] != cell:
                self.update_cell(key, column.key, self._drawn(cell), update_width=False)
                before[column.key] = cell
                self.rewritten += 1

    def _rebuild(self) -> None:
        chosen = self.chosen
        self._shape = self._wanted
        self.clear(columns=True)
        for column in self._shape:
            # One column of air on the right of each, in place of padding on both sides.
            self.add_column(Text(column.heading, end=""), width=column.width + 1, key=column.key)
        for key, cells in self._rows:
            self.add_row(*(self._drawn(cells[column.key]) for column in self._shape), key=key)
        self._shown = {key: dict(cells) for key, cells in self._rows}
        if chosen in self._shown:
            self.move_cursor(row=self.get_row_index(chosen))

    def _drawn(self, cell: Cell) -> Text:
        return rich_text(cell, self.app.theme_variables)
