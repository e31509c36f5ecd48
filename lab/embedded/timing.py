"""Time in the model: the event loop's clock, seeded jitter, and delays that FRR was measured to have."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

#: Seconds, as measured on FRR 8.4.4.
CARRIER_S = (0.003, 0.010)
BFD_FRACTION = (0.73, 0.98)
HOLD_FRACTION = (0.72, 0.98)
UNSHUT_S = (1.06, 1.11)
RETRY_S = (1.2, 1.8)
BFD_UP_S = (0.3, 0.6)
FIB_S = 0.07
EXCHANGE_S = 1.2
ROUTE_MAP_S = (5.06, 5.12)
SOFT_S = (0.10, 0.15)


class Clock:
    """Wall time that follows the loop's clock from the moment of creation, and named timers upon it."""

    def __init__(self, wall: float, seed: int = 1) -> None:
        self._loop = asyncio.get_running_loop()
        self._offset = wall - self._loop.time()
        self._random = random.Random(seed)
        self._timers: dict[object, asyncio.TimerHandle] = {}

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._loop.time() + self._offset

    def between(self, span: tuple[float, float]) -> float:
        return self._random.uniform(*span)

    def after(self, name: object, seconds: float, call: Callable[[], None]) -> None:
        """Start the named timer unless it already runs."""
        if name not in self._timers:
            self._timers[name] = self._loop.call_later(seconds, self._fire, name, call)

    def cancel(self, name: object) -> None:
        timer = self._timers.pop(name, None)
        if timer:
            timer.cancel()

    def stop(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _fire(self, name: object, call: Callable[[], None]) -> None:
        self._timers.pop(name, None)
        call()
