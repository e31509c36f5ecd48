"""One path, layer by layer, and the raw evidence behind each: the command, the reply, the source, the age."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widget import Widget

from console import view, vpn_view
from console.plain import evidence_of
from console.ui.paint import STYLES
from console.ui.screens.page import Page
from console.ui.widgets.lines import Lines
from console.ui.widgets.scroll import Scroll
from console.view import Cell
from network.layers import View
from network.vpn import proof

if TYPE_CHECKING:
    from console.ui.sight import Sight


class DrillScreen(Page):
    """Opened with enter on a path; esc goes back."""

    AUTO_FOCUS = "Scroll"
    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "app.back", "back", id="drill.back", key_display="esc")]

    def __init__(self, name: str) -> None:
        super().__init__()
        self._path = name
        self._commands: list[str] = []

    def body(self) -> Iterable[Widget]:
        yield Scroll(
            Lines(id="layers", classes="box"),
            Lines(id="proof", classes="box"),
            Lines(id="evidence", classes="box", title="evidence"),
        )

    def draw(self, sight: Sight) -> None:
        if sight.health is None or sight.picture.snapshot is None:
            return
        path = sight.health.path(self._path)
        layers = self.query_one("#layers", Lines)
        verdict = view.mark(path.verdict)
        words = f"{verdict.text} {path.verdict.value.upper()}"
        layers.border_title = Content.assemble(
            (f"{path.name}  ", "bold $tone-text"), (words, STYLES[verdict.tone]), (f"  {path.role}", "$tone-dim")
        )
        layers.show(view.layer_lines(path))
        self._draw_proof(View(sight.site, sight.picture.snapshot, sight.judged_at))
        found = evidence_of(sight.site, sight.picture.snapshot, path)
        self._commands = list(dict.fromkeys(item.evidence for item in found if item.evidence))
        self.query_one("#evidence", Lines).show(
            [line for item in found for line in view.evidence_lines(item, sight.judged_at)]
            or [[Cell("nothing has been seen yet", "unknown")]]
        )

    def _draw_proof(self, seen: View) -> None:
        """Of a VPN path: that it would really carry, mark by mark."""
        box, path = self.query_one("#proof", Lines), seen.site.path(self._path)
        box.display = path.kind == "vpn"
        if box.display:
            found = proof(seen, path)
            box.border_title = f"would carry: {'proven' if found.proven else 'not proven'}"
            box.show(vpn_view.cells(found))

    def commands(self) -> str:
        return "\n".join(self._commands)
