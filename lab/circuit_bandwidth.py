"""The ExpressRoute circuit's bandwidth: Azure changes it, the fabric reads it. It only goes up, in a while."""

from __future__ import annotations

import time
from collections.abc import Callable

from network.inventory import Site

OFFERED = (50, 100, 200, 500, 1000, 2000, 5000, 10000)  # Mbps, of a provider's circuits
TAKES_S = 0.1  # as long as ARM says that the operation runs


class NotTaken(Exception):
    """A change that the service refuses; `code` is ARM's."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class CircuitBandwidth:
    """In Mbps. `version` counts the changes; `clock` is a monotonic clock in seconds."""

    def __init__(self, site: Site, clock: Callable[[], float] = time.monotonic) -> None:
        side = next((cloud.azure for cloud in site.clouds if cloud.azure), None)
        self._before = self._mbps = side.circuit_bandwidth_mbps if side else 0
        self._clock, self._ready_at = clock, clock()
        self.version = 1

    @property
    def updating(self) -> bool:
        return self._clock() < self._ready_at

    @property
    def mbps(self) -> int:
        """The bandwidth as it is: the old one until the change is through."""
        return self._before if self.updating else self._mbps

    def raise_to(self, mbps: int) -> None:
        """Begin a change. Raises NotTaken."""
        if self.updating:
            raise NotTaken("AnotherOperationInProgress", "Another operation on this circuit is in progress.")
        if mbps not in OFFERED:
            raise NotTaken("ExpressRouteCircuitBandwidthNotSupported", f"{mbps} Mbps is not offered.")
        if mbps < self._mbps:
            raise NotTaken("ExpressRouteCircuitBandwidthCannotBeReduced", "The bandwidth of a circuit only goes up.")
        self._before, self._mbps = self._mbps, mbps
        self._ready_at, self.version = self._clock() + TAKES_S, self.version + 1
