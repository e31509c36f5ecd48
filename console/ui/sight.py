"""What the screens see at one moment: the picture, judged, and how the operator looks at it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from console.ui.bridge import Picture
from console.view import Cell
from network.health import SiteHealth
from network.inventory import Site


@dataclass(frozen=True, slots=True)
class Sight:
    """`judged_at` stands still while frozen; `frozen_s` says for how long it has."""

    site: Site
    picture: Picture
    health: SiteHealth | None
    judged_at: datetime
    now: datetime
    header: list[Cell]
    frozen_s: float | None

    @property
    def run_open(self) -> bool:
        return self.picture.run is not None and not self.picture.run.view.closed
