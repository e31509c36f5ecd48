"""A BGP session and its BFD: what each end shows, and when it goes down and comes back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from lab.embedded import resets, timing
from lab.embedded.links import Carriage
from lab.embedded.resets import Reset
from lab.embedded.timing import Clock
from network.inventory import Session

ESTABLISHED = "Established"


@dataclass
class End:
    """One end of a session. `since` is when it last came up or went down; None when it never came up."""

    state: str = ESTABLISHED
    since: float | None = None
    established: int = 1
    dropped: int = 0
    reset: Reset = resets.HEALTHY
    reset_at: float = 0.0
    over_limit: bool = False

    @property
    def up(self) -> bool:
        return self.state == ESTABLISHED

    def rise(self, now: float) -> None:
        if self.up:
            self.dropped += 1
        self.state, self.since, self.reset, self.over_limit = ESTABLISHED, now, resets.HEALTHY, False
        self.established += 1

    def fall(self, state: str, reset: Reset, now: float) -> None:
        if self.up:
            self.dropped += 1
            self.since = now
        self.state, self.reset, self.reset_at = state, reset, now


@dataclass
class BfdSession:
    """BFD as our end sees it."""

    up: bool = True
    since: float = 0.0
    diagnostic: str = "ok"
    ups: int = 1
    downs: int = 0


@dataclass(frozen=True)
class Condition:
    """Everything outside the session that decides whether it can live."""

    carriage: Carriage
    shut_here: str | None = None
    shut_there: str | None = None
    alive_here: bool = True
    alive_there: bool = True
    bfd: bool = False
    bfd_hung: bool = False
    detect_s: float = 0.3
    hold_s: float = 9.0


@dataclass
class BgpSession:
    """Both ends of one session. `changed` is called after every transition with the seconds until routes follow."""

    site: Session
    clock: Clock
    changed: Callable[[float], None]
    condition: Condition
    here: End = field(default_factory=End)
    there: End = field(default_factory=End)
    bfd: BfdSession = field(default_factory=BfdSession)
    exchanging: bool = True

    @property
    def up(self) -> bool:
        return self.here.up and self.there.up

    def start(self, since: float) -> None:
        self.here.since = self.there.since = self.bfd.since = since
        self.here.reset_at = self.there.reset_at = since

    def reconsider(self, condition: Condition) -> None:
        """Compare the session with what is now possible; start, keep or stop its timers."""
        before, self.condition = self.condition, condition
        self._reconsider_bfd()
        if condition.shut_here is not None or condition.shut_there is not None:
            self._shut(condition)
            return
        unshut = before.shut_here is not None or before.shut_there is not None
        if before.alive_here and not condition.alive_here:
            self.here = self._dead()
        if self.site.internal and before.alive_there and not condition.alive_there:
            self.there = self._dead()
        self._reconsider_falls(condition)
        self._reconsider_rise(condition, timing.UNSHUT_S if unshut else timing.RETRY_S)

    def _dead(self) -> End:
        """The end of a router that lost its power: it will know nothing of before."""
        self._set_exchange(on=False)
        self.changed(timing.FIB_S)
        return End("Idle", None, 0, 0, resets.HEALTHY, self.clock.now())

    def _possible(self, condition: Condition) -> bool:
        over = self.here.over_limit or self.there.over_limit
        return condition.carriage.both and condition.alive_here and condition.alive_there and not over

    def _reconsider_rise(self, condition: Condition, span: tuple[float, float]) -> None:
        if self._possible(condition) and not self.up:
            self.clock.after((self.site.name, "rise"), self.clock.between(span), self._rise)
        elif not self._possible(condition):
            self.clock.cancel((self.site.name, "rise"))

    def _reconsider_falls(self, condition: Condition) -> None:
        lost = not condition.carriage.both or not (condition.alive_here and condition.alive_there)
        for end, alive in ((self.here, condition.alive_here), (self.there, condition.alive_there)):
            name = (self.site.name, "hold", "here" if end is self.here else "there")
            if lost and end.up and alive and not (condition.bfd and self.bfd.up):
                hold = condition.hold_s * self.clock.between(timing.HOLD_FRACTION)
                self.clock.after(name, hold, lambda end=end: self._fall(end, "Connect", resets.HOLD_EXPIRED))  # type: ignore[misc]  # the default binds the loop's end
            elif not lost:
                self.clock.cancel(name)
        carrier = (self.site.name, "carrier")
        if not condition.carriage.light and self.here.up:
            self.clock.after(carrier, self.clock.between(timing.CARRIER_S), self._carrier_lost)
        elif condition.carriage.light:
            self.clock.cancel(carrier)
            self.clock.cancel((self.site.name, "nht"))

    def _reconsider_bfd(self) -> None:
        condition = self.condition
        well = condition.carriage.both and condition.alive_here and condition.alive_there and not condition.bfd_hung
        down, up = (self.site.name, "bfd down"), (self.site.name, "bfd up")
        if condition.bfd and self.bfd.up and not well:
            self.clock.after(down, condition.detect_s * self.clock.between(timing.BFD_FRACTION), self._bfd_lost)
        elif well:
            self.clock.cancel(down)
        if condition.bfd and not self.bfd.up and well:
            self.clock.after(up, self.clock.between(timing.BFD_UP_S), self._bfd_found)
        elif not well:
            self.clock.cancel(up)

    def _bfd_lost(self) -> None:
        self.bfd = BfdSession(
            False, self.clock.now(), "control detection time expired", self.bfd.ups, self.bfd.downs + 1
        )
        for end in (self.here, self.there):
            if end.up:
                self._fall(end, "Connect", resets.BFD_DOWN)
        self.reconsider(self.condition)

    def _bfd_found(self) -> None:
        self.bfd = BfdSession(True, self.clock.now(), "ok", self.bfd.ups + 1, self.bfd.downs)

    def _carrier_lost(self) -> None:
        for end in (self.here, *([self.there] if self.site.internal else [])):
            self._fall(end, "Active", resets.CARRIER_FIRST)
        self.clock.after((self.site.name, "nht"), 2.0, self._next_hop_gone)

    def _next_hop_gone(self) -> None:
        if self.here.reset == resets.CARRIER_FIRST:
            self.here.reset = resets.CARRIER_LATER

    def _shut(self, condition: Condition) -> None:
        for name in ("rise", "carrier", "nht"):
            self.clock.cancel((self.site.name, name))
        ours, theirs = condition.shut_here, condition.shut_there
        if ours is not None:
            self._fall(self.here, "Idle", resets.ADMIN_HERE)
        elif self.here.up:
            self._fall(self.here, "Active", resets.ADMIN_THERE.with_text(theirs or ""))
        if theirs is not None:
            self._fall(self.there, "Idle", resets.ADMIN_HERE)
        elif self.there.up and condition.carriage.both:
            self._fall(self.there, "Active", resets.ADMIN_THERE.with_text(ours or ""))
        elif self.there.up:
            self._reconsider_falls(condition)

    def exceed(self, *, here: bool) -> None:
        """An end has counted more prefixes than it allows."""
        mine, other = (self.here, self.there) if here else (self.there, self.here)
        mine.over_limit = True
        self.clock.cancel((self.site.name, "rise"))
        self._fall(mine, "Idle", resets.PREFIXES_HERE)
        self._fall(other, "Active", resets.PREFIXES_THERE)

    def clear(self, *, here: bool) -> None:
        """A hard clear by one end: the session drops and comes back; it revives a session over its limit."""
        mine, other = (self.here, self.there) if here else (self.there, self.here)
        mine.over_limit = other.over_limit = False
        if self.up:
            self._fall(mine, "Idle", resets.CLEARED_HERE)
            self._fall(other, "Active", resets.CLEARED_THERE)
        if self.condition.shut_here is None and self.condition.shut_there is None:
            self._reconsider_rise(self.condition, timing.UNSHUT_S)

    def _fall(self, end: End, state: str, reset: Reset) -> None:
        if not end.up and end.state == state and end.reset == reset:
            return
        was_up = end.up
        end.fall(state, reset, self.clock.now())
        if was_up:
            self._set_exchange(on=False)
            self.changed(timing.FIB_S)
            if self.condition.shut_here is None and self.condition.shut_there is None:
                self._reconsider_rise(self.condition, timing.RETRY_S)

    def _set_exchange(self, *, on: bool) -> None:
        self.exchanging = on
        self.clock.cancel((self.site.name, "exchange"))

    def _rise(self) -> None:
        now = self.clock.now()
        for name in (("hold", "here"), ("hold", "there")):
            self.clock.cancel((self.site.name, *name))
        self.here.rise(now)
        self.there.rise(now)
        self._set_exchange(on=False)
        self.clock.after((self.site.name, "exchange"), timing.EXCHANGE_S, self._exchange)
        self.changed(timing.FIB_S)
        self.reconsider(self.condition)

    def _exchange(self) -> None:
        self.exchanging = True
        self.changed(0.0)
