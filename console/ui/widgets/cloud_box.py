"""One cloud: its verdict in the title, who carries it out and back, what is in reserve, what would leave it dark."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from console.ui.paint import STYLES
from console.ui.widgets.lines import Lines
from console.view import Cell, FeedFacts, cloud_facts, overall
from network.health import CloudHealth
from network.verdict import Overall

FLASH_S = 0.8


class CloudBox(Lines):
    """Flashes once when its cloud goes down; never where animation is off."""

    def __init__(self, name: str) -> None:
        super().__init__(id=f"cloud-{name}", classes="cloud")
        self._cloud = name
        self._verdict: Overall | None = None
        self.border_title = self._titled(Cell(". connecting …", "unknown"))

    def show_cloud(self, cloud: CloudHealth, feeds: Sequence[FeedFacts]) -> None:
        """The feeds have a line each where there is room, else a word in the title."""
        roomy = self.screen.has_class("-tall")
        said = [feed.brief for feed in feeds if not roomy]
        self.border_title = self._titled(overall(cloud.verdict), *said)
        self.border_subtitle = Content(cloud.why) if cloud.why else None
        facts = [*cloud_facts(cloud), *(("feed", feed.whole) for feed in feeds if roomy)]
        self.show([[Cell(f"{label:<5}  ", "dim"), cell] for label, cell in facts])
        self.set_class(cloud.verdict is Overall.DEGRADED, "-degraded")
        self.set_class(cloud.verdict is Overall.DOWN, "-down")
        if cloud.verdict is Overall.DOWN and self._verdict not in {None, Overall.DOWN}:
            self._flash()
        self._verdict = cloud.verdict

    def _flash(self) -> None:
        if self.app.animation_level != "none":
            self.add_class("-flash")
            self.set_timer(FLASH_S, lambda: self.remove_class("-flash"))

    def _titled(self, verdict: Cell, *more: Cell) -> Content:
        words = [(cell.text, STYLES[cell.tone]) for cell in (verdict, *more)]
        return Content.assemble((f"{self._cloud.upper()}  ", "bold $tone-text"), *words)
