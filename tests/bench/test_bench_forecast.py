"""What a forecast costs on a large site: 50 plants, 100 routers, 400 paths."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from statistics import median

import pytest

from network.forecast import forecast
from network.health import judge
from network.layers import View
from network.observation import Kind
from network.verdict import Overall
from tests.plants import plant_of, plants
from tests.sample import NOW
from tests.truth import World, snapshot_of

pytestmark = pytest.mark.bench

LIMIT_MS = 25.0
#: A shared machine: the figure is the median, the bound here only keeps the shape.
BOUND_MS = 10 * LIMIT_MS


def typical(work: Callable[[], object], rounds: int = 9) -> float:
    def once() -> float:
        began = time.perf_counter()
        work()
        return (time.perf_counter() - began) * 1000

    once()
    return median(once() for _ in range(rounds))


def test_a_forecast_of_fifty_plants() -> None:
    site = plants(50)
    ours = [str(p.prefix) for p in site.on_prem.prefixes]
    of_plant = {path.name: int(plant_of(site, path)) for path in site.paths}
    snapshot = snapshot_of(World(site, announces=lambda p: ours[2 * of_plant[p.name] : 2 * of_plant[p.name] + 2]))
    view, health = View(site, snapshot, NOW), judge(site, snapshot, NOW)
    assert (len(site.routers), len(site.paths)) == (100, 400)
    found = forecast(view, health, "fail", ["edge-7-1"])
    assert all(cloud.why == () for cloud in found.clouds)
    assert {cloud.after.verdict for cloud in found.clouds} <= {Overall.DEGRADED, Overall.UNKNOWN}
    facts = [str(item.fact) for item in snapshot.observations.values() if item.kind is Kind.ROUTES]
    took = typical(lambda: forecast(view, health, "fail", ["edge-7-1"]))
    raw = typical(lambda: json.dumps(facts))
    print(f"\nforecast, 400 paths: {took:.1f} ms (limit {LIMIT_MS:.0f}); json.dumps of its routes: {raw:.1f} ms")
    print(f"ratio {took / raw:.1f}")
    assert took < BOUND_MS
