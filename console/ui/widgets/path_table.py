"""The path table: console/view.py's columns, all of them where the terminal is wide enough."""

from __future__ import annotations

from collections.abc import Sequence

from console.ui.widgets.row_table import Column, RowTable
from console.view import COLUMNS, PathRow

#: From this many columns on, everything is shown.
WIDE = 110
LONGEST_NAME = 26


class PathTable(RowTable):
    """One row a path; the name column fits the site's longest path name."""

    def __init__(self, names: Sequence[str]) -> None:
        self._name_width = min(max(map(len, names), default=4), LONGEST_NAME)
        super().__init__(self._columns(wide=False), id="paths")
        self.border_title = "paths"

    def _columns(self, *, wide: bool) -> list[Column]:
        return [
            Column(key, heading, self._name_width if key == "path" else width)
            for key, heading, width, narrow in COLUMNS
            if wide or narrow
        ]

    def on_resize(self) -> None:
        self.shape(self._columns(wide=self.app.size.width >= WIDE))

    def show_paths(self, rows: Sequence[PathRow]) -> None:
        self.shape(self._columns(wide=self.app.size.width >= WIDE))
        self.show([(row.name, row.cells) for row in rows])
