"""Changing a VXC's rate: what the fabric takes, and how long it takes until the change is recorded and effective.

Accepted is not recorded is not effective: after the answer a GET still shows the old rate for `recorded_s`, and the
network still shapes to the old one for `effective_s`. One change per service in `update_gap_s`, accepted ones counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, runtime_checkable

from lab.megaport.answers import JSON, ms
from network.inventory import Site, Vxc


class Refused(Exception):
    """What the fabric says when it does not take a change, with its status; seconds to wait when it is too early."""

    def __init__(self, status: int, message: str, wait_s: float | None = None) -> None:
        self.status, self.message, self.wait_s = status, message, wait_s
        super().__init__(message)


@runtime_checkable
class Shapes(Protocol):
    """A world whose links carry no more than their VXC's rate."""

    def shape(self, vxc: str, mbps: int) -> None: ...


@dataclass(frozen=True, slots=True)
class _Change:
    before: int
    mbps: int
    at: datetime


class Rates:
    """The rate of every VXC, as recorded and as effective."""

    def __init__(self, site: Site, world: object, now: Callable[[], datetime]) -> None:
        self._site, self._world, self._now = site, world, now
        self.recorded_s, self.effective_s = 0.3, 1.0
        self.update_gap_s = site.policy.megaport_update_gap_s
        self._changes: dict[str, _Change] = {}
        self._shaping: list[asyncio.TimerHandle] = []

    def recorded(self, vxc: Vxc) -> int:
        """The rate that a GET shows."""
        return self._after(vxc, self.recorded_s)

    def effective(self, vxc: Vxc) -> int:
        """The rate that the network shapes to."""
        return self._after(vxc, self.effective_s)

    def _after(self, vxc: Vxc, seconds: float) -> int:
        change = self._changes.get(vxc.name)
        if change is None:
            return vxc.rate_mbps
        return change.mbps if self._now() - change.at >= timedelta(seconds=seconds) else change.before

    def change(self, vxc: Vxc, body: Any, shown: JSON, port: JSON) -> int:
        """Take a change of the rate, and nothing else; `shown` and `port` are the products as they stand. Mbps.

        Raises Refused.
        """
        mbps = _rate_of(body)
        self._refuse_locked(shown, port)
        self._refuse_too_early(vxc)
        if vxc.b_end == "aws-hosted-connection":
            raise Refused(400, "Validation failed: the speed of a hosted connection cannot be changed")
        limits = {"its maximum rate": shown.get("maximumRate"), "the speed of its port": port.get("portSpeed")}
        for whose, limit in limits.items():
            if limit is not None and mbps > limit:
                raise Refused(400, f"Validation failed: rateLimit {mbps} is above {whose}, {limit}")
        self._changes[vxc.name] = _Change(self.recorded(vxc), mbps, self._now())
        if isinstance(self._world, Shapes):
            later = asyncio.get_running_loop().call_later(self.effective_s, self._world.shape, vxc.name, mbps)
            self._shaping.append(later)
        return mbps

    def stop(self) -> None:
        """Forget what was to become effective later."""
        for later in self._shaping:
            later.cancel()

    def _refuse_locked(self, shown: JSON, port: JSON) -> None:
        for thing, what in ((shown, "Service"), (port, "Port")):
            if thing.get("locked") or thing.get("adminLocked"):
                raise Refused(403, f"{what} {thing['productName']} is locked")

    def _refuse_too_early(self, vxc: Vxc) -> None:
        change = self._changes.get(vxc.name)
        if change is None:
            return
        wait_s = self.update_gap_s - (self._now() - change.at).total_seconds()
        if wait_s > 0:
            raise Refused(429, f"Too many requests: one update per service in {self.update_gap_s:g} s", wait_s)


def updated(vxc: Vxc, mbps: int, now: datetime) -> JSON:
    """The answer to a change: not the shape of a GET, so that nobody reads a state out of it."""
    return {
        "serviceName": vxc.name,
        "technicalServiceUid": vxc.uid,
        "productType": "VXC",
        "provisioningStatus": "LIVE",
        "rateLimit": mbps,
        "requestedDate": ms(now),
        "locked": False,
        "adminLocked": False,
    }


def _rate_of(body: Any) -> int:
    if not isinstance(body, dict) or not body:
        raise Refused(400, "Validation failed: a JSON object with the fields to change is required")
    foreign = sorted(set(body) - {"rateLimit"})
    if foreign:
        raise Refused(400, f"Validation failed: {foreign[0]} cannot be changed here")
    mbps = body["rateLimit"]
    if not isinstance(mbps, int) or isinstance(mbps, bool) or mbps <= 0:
        raise Refused(400, "Validation failed: rateLimit must be a positive integer")
    return mbps
