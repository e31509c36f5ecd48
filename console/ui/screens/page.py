"""What every screen has: the header, the line that says which source fails, the command line, the footer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import Screen
from textual.widget import Widget

from console import view
from console.ui.widgets.command_line import CommandLine
from console.ui.widgets.header import Header
from console.ui.widgets.key_line import KeyLine
from console.ui.widgets.lines import Lines
from console.view import Cell

if TYPE_CHECKING:
    from console.ui.app import InterlockApp
    from console.ui.sight import Sight


class Page(Screen[None], inherit_bindings=False):
    """A screen: `body` gives its widgets, `draw` fills them from what is known. Nothing here waits."""

    HORIZONTAL_BREAKPOINTS = [(0, "-tiny"), (60, "-narrow"), (110, "-wide")]  # noqa: RUF012 -- textual declares an instance variable
    VERTICAL_BREAKPOINTS = [(0, "-flat"), (15, "-short"), (32, "-tall")]  # noqa: RUF012 -- same
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("tab", "app.focus_next", "next pane", id="page.next", show=False),
        Binding("shift+tab", "app.focus_previous", "previous pane", id="page.previous", show=False),
        Binding("ctrl+c", "screen.copy_text", "copy the selection", id="page.copy", show=False),
    ]

    @property
    def console(self) -> InterlockApp:
        return cast("InterlockApp", self.app)

    def body(self) -> Iterable[Widget]:
        raise NotImplementedError

    def draw(self, sight: Sight) -> None:
        raise NotImplementedError

    def copied(self) -> str:
        """What `y` copies."""
        return "\n".join(lines.text for lines in self.query(Lines).results() if lines.display and lines.text)

    def commands(self) -> str:
        """What `Y` copies: the exact commands in view, if there are any."""
        return ""

    def compose(self) -> ComposeResult:
        yield Header(id="header")
        with Vertical(id="body"):
            yield from self.body()
            yield Lines(id="notice")
            yield Lines(id="sources")
        yield Lines(id="too-small")
        yield KeyLine(id="keys")
        yield CommandLine()

    def on_mount(self) -> None:
        self.refresh_sight()

    def on_screen_resume(self) -> None:
        self.refresh_sight()

    def on_resize(self) -> None:
        self.call_after_refresh(self.refresh_sight)

    def refresh_sight(self) -> None:
        """Draw what is known now."""
        sight = self.console.sight
        if not self.is_mounted or not self.query("#too-small"):
            return
        self.query_one(Header).show_sides(sight.header, view.freshness(sight.health, sight.frozen_s))
        sources, said = self.query_one("#sources", Lines), self._sources(sight)
        sources.show([said])
        sources.display = said[0].tone != "up" or self.has_class("-tall")  # nothing to say, and no room to say it
        self.query_one("#too-small", Lines).show(self._too_small(sight))
        notice = self.query_one("#notice", Lines)
        notice.show(self.console.notice)
        notice.display = bool(self.console.notice)
        self.draw(sight)
        self.query_one(KeyLine).refresh_keys()

    def says_itself(self, sight: Sight) -> bool:  # noqa: ARG002 -- of this screen
        """Whether the trouble with the journal stands in the body: then it needs no line below."""
        return False

    def _sources(self, sight: Sight) -> list[Cell]:
        if sight.picture.trouble and not self.says_itself(sight):
            return [Cell("X ", "down"), Cell(sight.picture.trouble, "down")]
        if sight.picture.snapshot is None:
            return [Cell("connecting …", "unknown")]
        return view.source_line(sight.picture.snapshot.sources.values(), sight.judged_at)

    def _too_small(self, sight: Sight) -> list[list[Cell]]:
        down = view.down_count(sight.health)
        lines = [
            [Cell("too small: 60x15 at least", "strong")],
            [Cell(f"{down} DOWN", "down" if down else "up") if sight.health else Cell("connecting …", "unknown")],
        ]
        return [*lines, [Cell("X", "key"), Cell(" ABORT and undo the run")]] if sight.run_open else lines
