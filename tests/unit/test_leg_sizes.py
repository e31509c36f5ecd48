"""When a router looks how large a packet its legs carry."""

from __future__ import annotations

from ipaddress import IPv4Address
from itertools import pairwise
from typing import Any, cast

from connectors.routers.legs import LegSource
from connectors.routers.pings import Pinged
from connectors.sizes import Sizes
from tests.engine.little_device import until
from tests.sample import reference

EVERY_S, PING_S = 15.0, 0.1


class Answers:
    """Every peer answers, whatever the size; `looked` are the moments at which sizes were asked for.

    Time goes on with the pings alone.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.looked: list[tuple[float, IPv4Address]] = []

    async def leg(self, _source: IPv4Address, _peer: IPv4Address) -> Pinged:
        self.now += PING_S
        return Pinged(5, 5, 1.0)

    async def largest(self, _source: IPv4Address, peer: IPv4Address, wanted: int) -> int:
        self.looked.append((self.now, peer))
        return wanted

    async def close(self) -> None:
        """There is nothing to close."""


async def test_sizes_are_all_looked_at_at_once_and_then_one_leg_after_the_other() -> None:
    site = reference()
    probes = site.probes.model_copy(update={"mtu_every_s": EVERY_S, "leg_every_s": PING_S})
    site, pings = site.model_copy(update={"probes": probes}), Answers()
    router, sizes = site.router("edge-1"), Sizes(site)
    source = LegSource(site, router, cast("Any", pings), sizes, monotonic=lambda: pings.now, first_s=0.0)
    await source.collect()
    await until(lambda: len(pings.looked) >= 12, "each leg three times")
    await source.close()
    peers = [peer for _, peer in pings.looked]
    assert len(set(peers[:4])) == len(set(peers)) == 4, "each of edge-1's legs once, before any a second time"
    later = [moment for moment, _ in pings.looked[4:]]
    assert min(after - before for before, after in pairwise(later)) > EVERY_S / 4 - 2 * len(set(peers)) * PING_S
