"""What the lab's systems saw written: the outside truth that tests compare the console's own account with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime


@dataclass(frozen=True, slots=True)
class Write:
    """One accepted write: `where` is the system, `what` its own words for it, `by` whose credential it was."""

    at: datetime
    where: str
    what: str
    by: str


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Ledger:
    """Every write in the order in which it was accepted."""

    clock: Callable[[], datetime] = _utc_now
    entries: list[Write] = field(default_factory=list)

    def record(self, where: str, what: str, by: str) -> None:
        """Add a write that a system has just accepted."""
        self.entries.append(Write(self.clock(), where, what, by))
