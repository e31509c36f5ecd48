"""An ExpressRoute circuit in memory that takes its time, and loses or refuses what a test wants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from connectors.azure_bandwidth import SUCCEEDED, CircuitDetails
from connectors.errors import NotSent


@dataclass
class LittleCircuit:
    """`reads` and `answers` are raised in turn instead of an answer; an OutcomeUnknown is raised *after* the change."""

    mbps: int = 2000
    lag_s: float = 0.0
    ledger: list[int] = field(default_factory=list)
    reads: list[Exception] = field(default_factory=list)
    answers: list[Exception] = field(default_factory=list)
    after_set: Callable[[int], None] | None = None  # what happens directly after a change was taken
    _coming: tuple[int, float] | None = None

    async def circuit(self) -> CircuitDetails:
        if self.reads:
            raise self.reads.pop(0)
        if self._coming and monotonic() >= self._coming[1]:
            self.mbps, self._coming = self._coming[0], None
        return CircuitDetails(self.mbps, "Updating" if self._coming else SUCCEEDED)

    async def set_bandwidth(self, seen: CircuitDetails, mbps: int, send_allowed: Callable[[], None]) -> None:
        assert seen.bandwidth_mbps == self.mbps, "what is sent back is what was read"
        send_allowed()
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, NotSent):
            raise answer
        self.ledger.append(mbps)
        self._coming = mbps, monotonic() + self.lag_s
        if self.after_set is not None:
            self.after_set(mbps)
        if answer is not None:
            raise answer
