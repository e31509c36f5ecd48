"""What an alert is: one cause at one place, and the runbooks that fit it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Remedy:
    """A runbook that fits, and what is known of its parameters. Whether there is such a book, the console knows."""

    book: str
    parameters: tuple[tuple[str, str], ...] = ()


def remedy(book: str, **parameters: str) -> Remedy:
    return Remedy(book, tuple(parameters.items()))


@dataclass(frozen=True, slots=True)
class Alert:
    """`id` is stable for one cause at one place; `severity` is critical, warning or info.

    `path`: the place, a path where there is one. `runbooks`: what fits, the mildest first.
    """

    id: str
    severity: str
    path: str
    text: str
    since: datetime | None = None
    runbooks: tuple[Remedy, ...] = ()

    @property
    def overlaps_ot(self) -> bool:
        """An advertisement reaches into the plant floor's ranges: no change may begin, or count as proven."""
        return self.id.startswith("ot:")
