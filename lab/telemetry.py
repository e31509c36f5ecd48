"""Seven days of load on every path, the same on every run: the history that the lab's systems report.

A series is a function of the path's name, the direction and the time alone, so any window of it can be
computed at any moment and two systems never disagree.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from random import Random
from typing import Literal

from network.inventory import Path, Site

Direction = Literal["in", "out"]  # into the cloud, out of the cloud

STEP_S = 300
DAYS = 7
STANDBY_MBPS = 3.0
_SLOTS = 86400 // STEP_S
_OUT_SHARE = 0.62  # plants send more than they fetch
_PEAK_HOUR = 13.5
_WEEKEND = 0.82
_NOISE = 0.025


class Telemetry:
    """Load in Mbps per path, a value each 5 minutes.

    The path with the highest local preference of its cloud carries the cloud's `demand_mbps`, which is the 95th
    percentile of a week, not its mean; every other path carries about 3 Mbps of keepalives and probes.
    """

    def __init__(self, site: Site) -> None:
        self._site = site
        self._p95 = {path.name: self._level(path) for path in site.paths}

    def at(self, path: str, direction: Direction, when: datetime) -> float:
        """Load in Mbps in the 5 minutes that `when` lies in. Raises KeyError for an unknown path."""
        slot = int(when.timestamp()) // STEP_S
        share = 1.0 if direction == "in" else _OUT_SHARE
        shape = _daily_shape(slot) * (1 + _noise(path, direction, slot // _SLOTS)[slot % _SLOTS])
        return round(max(0.0, self._p95[path] * share * shape), 3)

    def series(self, path: str, direction: Direction, start: datetime, end: datetime) -> list[tuple[datetime, float]]:
        """Samples (time, Mbps) at whole 5 minutes, start <= time < end."""
        return [(when, self.at(path, direction, when)) for when in steps(start, end, STEP_S)]

    def _level(self, path: Path) -> float:
        active = max(self._site.paths_of(path.cloud), key=self._local_pref)
        carries = path.name == active.name and path.cloud in self._site.on_prem.demand_mbps
        return float(self._site.on_prem.demand_mbps[path.cloud]) if carries else STANDBY_MBPS

    def _local_pref(self, path: Path) -> int:
        policy = self._site.session(path.session).policy
        return policy.local_pref if policy else 0


def steps(start: datetime, end: datetime, step_s: int) -> Iterator[datetime]:
    """Whole steps of the epoch from start (inclusive) to end (exclusive)."""
    first = math.ceil(start.timestamp() / step_s)
    for index in range(first, math.ceil(end.timestamp() / step_s)):
        yield datetime.fromtimestamp(index * step_s, UTC)


def live_last(start: datetime, end: datetime, step_s: int, now: datetime) -> list[tuple[datetime, datetime]]:
    """Steps, each with the moment at which its value is read: its own, but now for the newest one.

    A question that ends a moment ago (clients cut to whole seconds) still gets the present in its last point.
    """
    times = [(when, when) for when in steps(start, min(end, now), step_s)]
    if times and now - times[-1][0] < timedelta(seconds=2 * step_s):
        times[-1] = (times[-1][0], now)
    return times


def week_before(end: datetime) -> datetime:
    return end - timedelta(days=DAYS)


def _daily_shape(slot: int) -> float:
    """Between 0.45 at night and about 0.97 in the early afternoon, so that a week's 95th percentile is near 1."""
    when = datetime.fromtimestamp(slot * STEP_S, UTC)
    hour = when.hour + when.minute / 60
    day = 0.5 + 0.5 * math.cos(2 * math.pi * (hour - _PEAK_HOUR) / 24)
    return (0.45 + 0.55 * day) * (_WEEKEND if when.weekday() >= 5 else 1.0)


@lru_cache(maxsize=512)
def _noise(path: str, direction: Direction, day: int) -> tuple[float, ...]:
    """A day of relative noise. Seeded by a string: Random hashes it the same way in every process."""
    random = Random(f"{path} {direction} {day}")
    return tuple(random.gauss(0.0, _NOISE) for _ in range(_SLOTS))
