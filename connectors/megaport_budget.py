"""How many requests the fabric still answers us. Pure: the caller brings the time.

The fabric counts 500 requests per rolling five minutes and source address, whoever behind that address sends them.
"""

from __future__ import annotations

from collections import deque
from math import ceil

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
        self._refusal = ""  # the words with which the fabric asked for the silence that ends last

    def spend(self, now: float) -> None:
        """One request goes out."""
        self._sent.append(now)

    def hold(self, now: float, seconds: float, refusal: str) -> None:
        """The fabric asked to wait, and with what words."""
        until = now + min(seconds, LONGEST_HOLD_S)
        if until >= self._held_until:
            self._held_until, self._refusal = until, refusal

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

    def objection(self, now: float, keep: int = 0) -> str:
        """Why `wait_s` is more than nothing, in words."""
        if held := self.held_s(now):
            return f"the fabric asked to wait {ceil(held)} s more with {self._refusal}"
        kept = f", the last {keep} are kept for the status" if keep else ""
        return f"{self.left(now)} of {self.limit} requests are left in five minutes{kept}"

    def pace_s(self, now: float) -> float:
        """Seconds between two requests at which the rest of the budget lasts for a whole window."""
        return self.window_s / max(1, self.left(now))

    def _counted(self, now: float) -> int:
        while self._sent and self._sent[0] <= now - self.window_s:
            self._sent.popleft()
        return len(self._sent)
