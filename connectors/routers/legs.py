"""The leg from a router to each of its peers, pinged by the router itself: lossy, slow or narrow here or further on.

A source beside the router's own, with a connection of its own, because a ping takes seconds and a poll must not wait.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from connectors.ending import end
from connectors.ports import Clock
from connectors.routers.pings import Pinged, Pings
from connectors.sizes import Sizes
from connectors.stamp_figures import Usual
from network.inventory import Path, Router, Session, Site
from network.measured import LegResult
from network.observation import Kind, Observation

#: A single look at the status is over before a ping would tell it anything: nobody logs in for that.
FIRST_S = 3.0
READ_S = 1.0
EVIDENCE = "ping from the router to the session's peer"


class LegSource:
    """Reads what the pings have found since the last poll, and never waits for one."""

    kind = "probes"
    cadence_s = READ_S
    deadline_s = 5.0

    def __init__(
        self,
        site: Site,
        router: Router,
        pings: Pings,
        sizes: Sizes,
        clock: Clock = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
        *,
        first_s: float = FIRST_S,
    ) -> None:
        self.name = f"legs-{router.name}"
        self._every_s, self._mtu_every_s, self._first_s = site.probes.leg_every_s, site.probes.mtu_every_s, first_s
        self._pings, self._sizes, self._clock, self._monotonic = pings, sizes, clock, monotonic
        mine = [path for path in site.paths if path.probe and site.session(path.session).router == router.name]
        self._legs = [Leg(path, site.session(path.session), site) for path in mine]
        for place, leg in enumerate(self._legs):
            leg.size_lag_s = place * self._mtu_every_s / len(mine)
        # A round has so many pings of a second each, and now and then a search for a size.
        self._fresh_s = 2 * self._every_s + 4 * len(mine) + 10
        self._found: list[Observation] = []
        self._work: asyncio.Task[None] | None = None

    async def collect(self) -> Sequence[Observation]:
        """Raises what the pings raised; they begin anew at the next poll."""
        if self._work is not None and self._work.done():
            work, self._work = self._work, None
            work.result()
        if self._work is None:
            self._work = asyncio.create_task(self._ping_on(), name=self.name)
        found, self._found = self._found, []
        return found

    async def close(self) -> None:
        work, self._work = self._work, None
        if work is not None:
            await end([work])
        await self._pings.close()

    async def _ping_on(self) -> None:
        await asyncio.sleep(self._first_s)
        while self._legs:
            began = self._monotonic()
            await self._round()
            await self._find_sizes()
            await asyncio.sleep(max(0.0, began + self._every_s - self._monotonic()))

    async def _round(self) -> None:
        for leg in self._legs:  # each with its own time: the last one is pinged seconds after the first
            asked_at = self._clock()
            fact = leg.take(seen := await self._pings.leg(leg.session.local, leg.session.peer), asked_at)
            raw = f"{seen.received} of {seen.sent} came back"
            self._found.append(
                Observation(Kind.LEG, leg.path.name, fact, self.name, asked_at, self._fresh_s, EVIDENCE, raw)
            )

    async def _find_sizes(self) -> None:
        """Of those whose time it is: all of them once, then one by one, since large packets look like a load."""
        for leg in self._legs:
            if leg.alive and leg.path.probe and (now := self._monotonic()) >= leg.size_at:
                leg.size_at, leg.size_lag_s = now + self._mtu_every_s + leg.size_lag_s, 0.0
                passes = await self._pings.largest(leg.session.local, leg.session.peer, leg.path.probe.mtu)
                self._sizes.leg_passed(leg.path.name, passes)


class Leg:
    """One path's leg: its pings within the time that the probes' long count looks back, and its usual round trip."""

    def __init__(self, path: Path, session: Session, site: Site) -> None:
        self.path, self.session = path, session
        self._back = timedelta(seconds=site.probes.grey_s)
        self._usual = Usual(site.policy.latency_step_ms, site.policy.latency_step_pct / 100)
        self._pinged: deque[tuple[datetime, Pinged]] = deque()
        self.alive = False
        self.size_at = self.size_lag_s = 0.0  # the next look at its size, and how much later once

    def take(self, seen: Pinged, at: datetime) -> LegResult:
        self.alive = seen.received > 0
        usual_ms = self._usual.value()
        if not self.alive:  # an outage is not grey: the counts begin anew behind it
            self._pinged.clear()
            return LegResult(seen.sent, 0, None, usual_ms)
        self._pinged.append((at, seen))
        while self._pinged[0][0] < at - self._back:
            self._pinged.popleft()
        if seen.rtt_ms is not None:
            self._usual.learn(seen.rtt_ms, at.timestamp())
        sent = sum(one.sent for _, one in self._pinged)
        received = sum(one.received for _, one in self._pinged)
        return LegResult(sent, received, seen.rtt_ms, usual_ms, self._pinged[0][0])
