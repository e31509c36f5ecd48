"""What we measured ourselves: probes, pings, packet sizes, looks at a business feed; each by path or by feed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class LossCount:
    """Losses over minutes, in which a small loss shows. An outage is not in it: it begins anew behind one.

    `times`: how many separate times something was lost. `out` and `back` are None where the reflector does not number
    its replies; `since` is the first lost one's time.
    """

    sent: int
    lost: int
    times: int
    out: int | None = None
    back: int | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """A window of probes on one path. `pinned` is False when the path of the probe is not proven.

    `lost_out` and `lost_back` divide the lost ones by direction where the reflector numbers its replies.
    `usual_ms` is the path's own usual round trip, learned before the newest window; None until it is known.
    `median_ms` is the window's, to compare with it; `step_out_ms` is how much more of it is on the way out than usual;
    `step_since` is when it became far more than usual. `long` looks back further than the window.
    """

    sent: int
    received: int
    rtt_ms: float | None
    pinned: bool = True
    why: str = ""
    lost_out: int | None = None
    lost_back: int | None = None
    usual_ms: float | None = None
    median_ms: float | None = None
    step_out_ms: float | None = None
    step_since: datetime | None = None
    long: LossCount | None = None

    @property
    def loss_pct(self) -> float | None:
        return None if self.sent == 0 else 100.0 * (self.sent - self.received) / self.sent


@dataclass(frozen=True, slots=True)
class LegResult:
    """Pings from the router to the session's peer: the leg edge to provider, apart from what lies behind it.

    `sent` and `received` count from `since`, as far back as the probes' long count; `rtt_ms` is of the newest pings.
    """

    sent: int
    received: int
    rtt_ms: float | None
    usual_ms: float | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class MtuResult:
    """The largest packet in bytes that passed unfragmented, from end to end and on the leg to the provider.

    None: not even the smallest passed, or that part was not tried. `wanted` is what the site says the path carries.
    """

    wanted: int
    passes: int | None
    leg_passes: int | None = None


@dataclass(frozen=True, slots=True)
class FeedResult:
    """One look at a business feed, and the account of its window: looks so far, and how many were good.

    `ok` is of the newest look; `why` says what was wrong with it. `hour_good` and `hour_total` are the last hour's.
    """

    ok: bool
    latency_ms: float | None
    why: str
    good: int
    total: int
    hour_good: int = 0
    hour_total: int = 0
