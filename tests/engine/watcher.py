"""The person at the console during an outage of the journal."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field


@dataclass
class Watcher:
    """What they were told, what they say."""

    reason: str | None = None
    types_after_s: float = 0.0
    writes_again: list[bool] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def holding(self, _run_id: str, why: str) -> None:
        assert "unavailable" in why
        self.told.append("holding")

    def returned(self, _run_id: str, _away_s: float, spooled: int) -> None:
        self.told.append(f"returned {spooled}")

    def warn(self, _run_id: str, words: str) -> None:
        self.told.append(words)

    async def break_glass(self, _run_id: str, _within_s: float | None) -> str | None:
        self.told.append("asked")
        await asyncio.sleep(self.types_after_s)
        return self.reason

    async def write_again(self, _run_id: str, lost: int) -> bool:
        self.told.append(f"lost {lost}")
        return self.writes_again.pop(0)
