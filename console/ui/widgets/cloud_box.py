"""One cloud: its verdict in the title, who carries it out and back, what is in reserve, what would leave it dark."""

from __future__ import annotations

from textual.content import Content

from console.ui.paint import STYLES
from console.ui.widgets.lines import Lines
from console.view import Cell, cloud_facts, overall
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

    def show_cloud(self, cloud: CloudHealth) -> None:
        self.border_title = self._titled(overall(cloud.verdict))
        self.border_subtitle = Content(cloud.why) if cloud.why else None
        self.show([[Cell(f"{label:<5}  ", "dim"), cell] for label, cell in cloud_facts(cloud)])
        self.set_class(cloud.verdict is Overall.DEGRADED, "-degraded")
        self.set_class(cloud.verdict is Overall.DOWN, "-down")
        if cloud.verdict is Overall.DOWN and self._verdict not in {None, Overall.DOWN}:
            self._flash()
        self._verdict = cloud.verdict

    def _flash(self) -> None:
        if self.app.animation_level != "none":
            self.add_class("-flash")
            self.set_timer(FLASH_S, lambda: self.remove_class("-flash"))

    def _titled(self, verdict: Cell) -> Content:
        return Content.assemble((f"{self._cloud.upper()}  ", "bold $tone-text"), (verdict.text, STYLES[verdict.tone]))
