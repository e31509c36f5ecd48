"""The lab's fabric shapes: a VXC carries no more than its rate, from when a change of it is effective."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from lab.embedded.timing import Clock
from lab.embedded.world import World
from lab.megaport.rates import Rates, Refused
from tests.sample import reference

SITE = reference()
VXC, PATH = SITE.vxc("vxc-azure-a"), "azure/er-primary"
SHOWN, PORT = {"productName": VXC.name, "maximumRate": 2000}, {"productName": VXC.port, "portSpeed": 10000}
WOBBLE = 1.03


@pytest.fixture
async def world() -> AsyncIterator[World]:
    made = World(SITE, Clock(time.time()))
    yield made
    made.clock.stop()


async def test_a_lower_rate_cuts_the_load_once_it_is_effective(world: World) -> None:
    rates = Rates(SITE, world, lambda: datetime.now(UTC))
    rates.recorded_s, rates.effective_s = 0.02, 0.1
    assert world.mbps(PATH)[0] > 300
    rates.change(VXC, {"rateLimit": 100}, SHOWN, PORT)
    assert world.mbps(PATH)[0] > 300, "accepted is not effective"
    deadline = time.monotonic() + 30
    while world.mbps(PATH)[0] > 100 * WOBBLE or (rates.recorded(VXC), rates.effective(VXC)) != (100, 100):
        assert time.monotonic() < deadline, "the load never came down to the new rate"
        await asyncio.sleep(0.01)
    assert world.mbps("aws/dx-1")[0] > 200, "no other VXC is shaped"


async def test_each_change_is_recorded_then_effective_and_the_next_one_has_to_wait() -> None:
    now = datetime(2026, 11, 25, tzinfo=UTC)
    rates = Rates(SITE, object(), lambda: now)
    seen = []
    rates.change(VXC, {"rateLimit": 1500}, SHOWN, PORT)
    for _ in range(4):
        seen.append((rates.recorded(VXC), rates.effective(VXC)))
        now += timedelta(seconds=0.4)
    assert seen == [(1000, 1000), (1500, 1000), (1500, 1000), (1500, 1500)]
    with pytest.raises(Refused, match="one update per service") as early:
        rates.change(VXC, {"rateLimit": 1000}, SHOWN, PORT)
    assert early.value.wait_s == pytest.approx(0.4)
    now += timedelta(seconds=0.4)
    rates.change(VXC, {"rateLimit": 1000}, SHOWN, PORT)
    assert rates.recorded(VXC) == 1500
