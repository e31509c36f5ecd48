"""The one-line header: who looks at what, live or not, allowed to write or not, how old the figures are."""

from __future__ import annotations

from collections.abc import Sequence

from console.ui.widgets.lines import Lines
from console.view import Cell


class Header(Lines):
    """Left and right; where both do not fit, the left gives way."""

    def show_sides(self, left: Sequence[Cell], right: Sequence[Cell]) -> None:
        room = self.app.size.width - sum(len(cell.text) for cell in right) - 1
        fitting: list[Cell] = []
        for cell in left:
            if room - len(cell.text) < 1:
                break
            room -= len(cell.text)
            fitting.append(cell)
        self.show([[*fitting, Cell(" " * max(room, 1)), *right]])
