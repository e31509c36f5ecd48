"""A static block of lines made of cells; drawn again only when they differ."""

from __future__ import annotations

from collections.abc import Sequence

from textual.widgets import Static

from console.ui.paint import content
from console.view import Cell

Rows = Sequence[Sequence[Cell]]


class Lines(Static):
    """`show` takes the lines; `text` gives what stands there, for copying and tests."""

    def __init__(self, *, id: str | None = None, classes: str | None = None, title: str = "") -> None:  # noqa: A002 -- textual's own name
        super().__init__(id=id, classes=classes, markup=False)
        self._rows: list[list[Cell]] | None = None
        self.border_title = title or None

    @property
    def text(self) -> str:
        return "\n".join("".join(cell.text for cell in row).rstrip() for row in self._rows or ())

    def show(self, rows: Rows) -> None:
        new = [list(row) for row in rows]
        if new != self._rows:
            self._rows = new
            self.update(content(new))
