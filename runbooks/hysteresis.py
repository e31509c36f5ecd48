"""k of n samples: one bad look is no harm, one good look is no cure. Pure."""

from __future__ import annotations

from collections import deque

from runbooks.view import GuardState

_AS: dict[bool | None, GuardState] = {False: "tripped", None: "unknown", True: "clear"}
#: Which of two states wins when both have their k of n: harm that was seen, then blindness.
_ORDER: tuple[bool | None, ...] = (False, None, True)


class Tally:
    """The last `n` samples of one guard. `state` is None until enough of them agree.

    A state needs `k` samples of its kind among the last `n`; the very first good one is enough to be clear, because
    nothing bad has been seen then. With fewer than `k` samples that were *seen* bad it never trips.
    """

    def __init__(self, k: int, n: int) -> None:
        self._k = k
        self._samples: deque[bool | None] = deque(maxlen=max(k, n))
        self.state: GuardState | None = None

    def add(self, ok: bool | None) -> GuardState | None:
        """Count one more sample and return the state after it."""
        self._samples.append(ok)
        if self.state is None and ok and len(self._samples) == 1:
            self.state = "clear"
            return self.state
        enough = (_AS[kind] for kind in _ORDER if self._samples.count(kind) >= self._k)
        self.state = next(enough, self.state)
        return self.state
