"""How many requests the fabric still answers us. Pure: the caller brings the time.

The fabric counts 500 requests per rolling five minutes and source address, whoever behind that address sends them.
"""

from __future__ import annotations

from collections import deque

LIMIT = 500
WINDOW_S = 300.0
RESERVE = 100  # what questions asked on demand leave for the polls
LONGEST_HOLD_S = 30.0  # a longer Retry-After is not believed


class Budget:
    """Requests sent in the window, and how long the fabric asked us to be silent. Times are seconds of one clock."""

    def __init__(self, limit: int = LIMIT, window_s: float = WINDOW_S) -> None:
        self.limit, self.window_s = limit, window_s
        self._sent: deque[float] = deque()
        self._held_until = float("-inf")

    def spend(self, now: float) -> None:
        """One request goes out."""
        self._sent.append(now)

    def hold(self, now: float, seconds: float) -> None:
        """The fabric asked to wait."""
        self._held_until = max(self._held_until, now + min(seconds, LONGEST_HOLD_S))

    def held_s(self, now: float) -> float:
        """Seconds for which the fabric wants to hear nothing."""
        return max(0.0, self._held_until - now)

    def left(self, now: float) -> int:
        """Requests that the fabric still answers in this window; others behind our address may use them too."""
        return max(0, self.limit - self._counted(now))

    def wait_s(self, now: float, keep: int = 0) -> float:
        """Seconds until one more request leaves `keep` of the budget; 0.0 means now."""
        missing = keep + 1 + self._counted(now) - self.limit
        if missing <= 0:
            return self.held_s(now)
        if missing > len(self._sent):
            return self.window_s
        return max(self.held_s(now), self._sent[missing - 1] + self.window_s - now)

    def pace_s(self, now: float) -> float:
        """Seconds between two requests at which the rest of the budget lasts for a whole window."""
        return self.window_s / max(1, self.left(now))

    def _counted(self, now: float) -> int:
        while self._sent and self._sent[0] <= now - self.window_s:
            self._sent.popleft()
        return len(self._sent)
