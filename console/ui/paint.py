"""Cells to what textual draws. A tone becomes a colour here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from rich.style import Style
from rich.text import Text
from textual.color import Color
from textual.content import Content

from console.view import Cell

#: Tone to textual style; the variables come from the theme.
STYLES = {
    "plain": "",
    "strong": "bold",
    "up": "$tone-up",
    "degraded": "bold $tone-degraded",
    "down": "bold $tone-down",
    "stale": "$tone-stale",
    "unknown": "$tone-unknown",
    "dim": "$tone-dim",
    "accent": "$tone-accent",
    "current": "bold $tone-accent",
    "brand": "bold $tone-back on $tone-accent",
    "brand-write": "bold $tone-back on $tone-degraded",
    "key": "bold $tone-accent",
    "frozen": "bold $tone-back on $tone-degraded",
    "alarm": "bold $tone-back on $tone-down",
}

Line = Sequence[Cell]


def content(lines: Iterable[Line]) -> Content:
    """Lines of cells as one content."""
    return Content("\n").join([line_content(line) for line in lines])


def line_content(line: Line) -> Content:
    return Content.assemble(*((cell.text, STYLES[cell.tone]) for cell in line))


def rich_text(cell: Cell, colours: Mapping[str, str]) -> Text:
    """A cell for a table, whose cells are not styled by the stylesheet. `colours`: the theme's variables."""
    words = STYLES[cell.tone].split()
    names = [word[1:] for word in words if word.startswith("$")]
    colour = Color.parse(colours[names[0]]).rich_color if names else None
    return Text(cell.text, Style(color=colour, bold="bold" in words), no_wrap=True, end="")
