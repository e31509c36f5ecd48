"""What judging costs when the network is as large as one gets, beside writing the same snapshot out as JSON."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import timedelta

import pytest

from network.health import judge
from network.observation import Kind
from network.snapshot import Snapshot
from network.verdict import Overall
from tests.big_site import big_site, big_snapshot
from tests.sample import NOW

pytestmark = pytest.mark.bench

LIMIT_MS = 25


def best_ms(work: Callable[[], object], rounds: int = 15) -> float:
    """The best round in CPU time: the machine is shared, and only our own work is meant."""
    took = []
    for _ in range(rounds):
        began = time.process_time()
        work()
        took.append((time.process_time() - began) * 1000)
    return min(took)


def test_four_hundred_paths_are_judged_between_two_frames() -> None:
    site = big_site()
    snapshot = big_snapshot(site)
    assert (len(site.routers), len(site.paths)) == (100, 400)
    assert judge(site, snapshot, NOW).verdict is Overall.HEALTHY
    broken = replace(snapshot, observations={k: v for k, v in snapshot.observations.items() if k[0] is not Kind.PROBE})
    written = best_ms(lambda: _json(snapshot), rounds=3)
    cases = {
        "healthy": (snapshot, NOW),
        "all stale": (snapshot, NOW + timedelta(minutes=1)),
        "nothing known": (Snapshot(), NOW),
        "no probes": (broken, NOW),
    }
    for name, (known, now) in cases.items():
        ours = best_ms(lambda known=known, now=now: judge(site, known, now))
        print(
            f"\njudge, {name}: {ours:.1f} ms (limit {LIMIT_MS}); as JSON: {written:.0f} ms; ratio {ours / written:.2f}"
        )
        assert ours < LIMIT_MS or ours < 0.5 * written, name


def test_a_poll_of_one_router_is_folded_in_far_less_than_a_judgement() -> None:
    site = big_site()
    snapshot = big_snapshot(site)
    poll = [item for item in snapshot.observations.values() if "edge-1-07" in item.name]
    folded = best_ms(lambda: snapshot.with_observations(poll))
    judged = best_ms(lambda: judge(site, snapshot, NOW), rounds=5)
    print(f"\nfold a poll: {folded:.2f} ms; judge: {judged:.1f} ms; ratio {folded / judged:.3f}")
    assert folded < judged


def _json(snapshot: Snapshot) -> str:
    return json.dumps([asdict(item) for item in snapshot.observations.values()], default=str)
