"""How many requests the fabric answers: 500 per rolling five minutes and source address."""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Callable
from datetime import datetime, timedelta

LIMIT = 500
WINDOW = timedelta(minutes=5)


class RequestLimit:
    """None as `limit` lets everything through: a lab serves many consoles from one address."""

    def __init__(self, limit: int | None, now: Callable[[], datetime]) -> None:
        self.limit, self._now = limit, now
        self._seen: defaultdict[str, deque[datetime]] = defaultdict(deque)

    def wait(self, address: str) -> timedelta | None:
        """Counts a request; how long to wait instead when there are too many of them."""
        now, seen = self._now(), self._seen[address]
        while seen and seen[0] <= now - WINDOW:
            seen.popleft()
        if self.limit is not None and len(seen) >= self.limit:
            return seen[0] + WINDOW - now
        seen.append(now)
        return None
