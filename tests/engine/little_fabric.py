"""A fabric in memory that takes its time, keeps its update gap, and loses or refuses what a test wants."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic

from connectors.errors import NotSent, OutcomeUnknown, TooEarly, Unreachable
from connectors.megaport_price import Resize
from connectors.megaport_vxc import Sent, VxcDetails, parse_vxc
from network.inventory import Vxc

WHERE = {"where": "fabric", "do_next": "Wait."}


@dataclass
class LittleFabric:
    """`reads` and `answers` are raised in turn instead of an answer; an OutcomeUnknown is raised *after* the change."""

    rate: int = 1000
    most: int = 2000
    lag_s: float = 0.0
    gap_s: float = 0.0
    locked: bool = False
    ledger: list[int] = field(default_factory=list)
    asked: list[int] = field(default_factory=list)  # every attempt, taken or not
    reads: list[Exception] = field(default_factory=list)
    answers: list[Exception] = field(default_factory=list)
    monthly: float | None = 378.0
    after_set: Callable[[], None] | None = None  # what happens directly after a change was taken
    _at: float | None = None
    _coming: int | None = None
    _sent: tuple[int, float] | None = None

    async def vxc(self, uid: str) -> VxcDetails:
        if self.reads:
            raise self.reads.pop(0)
        if self._coming is not None and self._at is not None and monotonic() - self._at >= self.lag_s:
            self.rate, self._coming = self._coming, None
        product = {"productUid": uid, "provisioningStatus": "LIVE", "rateLimit": self.rate, "locked": self.locked}
        product |= {"maximumRate": self.most}
        return parse_vxc({**product, "resources": {"vll": {"rate_limit_mbps": self.rate}}}, "fabric")

    async def price(self, vxc: Vxc, mbps: int) -> Resize:
        if self.monthly is None:
            raise Unreachable("no price book", **WHERE)
        then = self.monthly * mbps / self.rate
        return Resize(vxc.name, self.rate, mbps, self.monthly, then, "EUR", (), (), replaces=False)

    def sent(self, _uid: str) -> Sent | None:
        return Sent(self._sent[0], monotonic() - self._sent[1]) if self._sent else None

    async def set_rate(self, _uid: str, mbps: int, send_allowed: Callable[[], None]) -> None:
        send_allowed()
        self.asked.append(mbps)
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, NotSent):
            raise answer
        if self._at is not None and (left_s := self._at + self.gap_s - monotonic()) > 0:
            raise TooEarly("one update per service", wait_s=left_s, **WHERE)
        self.ledger.append(mbps)
        self._at = monotonic()
        self._coming, self._sent = mbps, (mbps, self._at)
        if self.after_set is not None:
            self.after_set()
        if answer is not None:
            raise answer

    def somebody_sets_700(self) -> None:
        """A colleague's change overtakes ours."""
        self.rate, self._coming = 700, None

    def forget(self) -> None:
        """Another console comes: it does not know what this one sent."""
        self._sent = None


def lost() -> OutcomeUnknown:
    return OutcomeUnknown("the answer was lost", **WHERE)
