"""Grey failure: what is told, where it is put, and what is too little to tell."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from network.grey import Grey, locate
from network.health import judge
from network.layers import View
from network.measured import LegResult, LossCount, MtuResult, ProbeResult
from network.observation import Kind, Observation
from network.verdict import Verdict
from tests.sample import NOW, healthy, reference, seen

SITE = reference()
PATH = SITE.path("azure/er-primary")
BEGAN = NOW - timedelta(seconds=30)
LOSSY = LossCount(sent=300, lost=30, times=28, out=1, back=27, since=BEGAN)
SLOW = ProbeResult(15, 15, 124.0, usual_ms=4.0, median_ms=124.0, step_out_ms=61.0, step_since=BEGAN)


def probe(fact: ProbeResult) -> Observation:
    return seen(Kind.PROBE, PATH.name, fact, age_s=0.1)


def leg(sent: int, received: int, rtt_ms: float = 1.6, usual_ms: float | None = 1.6) -> Observation:
    fact = LegResult(sent, received, rtt_ms, usual_ms, since=BEGAN)
    return seen(Kind.LEG, PATH.name, fact, age_s=0.2, fresh_s=20)


def mtu(passes: int | None, leg_passes: int | None) -> Observation:
    return seen(Kind.MTU, PATH.name, MtuResult(1500, passes, leg_passes), fresh_s=20)


def found(*facts: Observation) -> Grey | None:
    return locate(View(SITE, healthy(SITE).with_observations(facts), NOW), PATH)


def lossy(count: LossCount = LOSSY) -> Observation:
    return probe(ProbeResult(15, 13, 4.0, long=count))


def test_a_healthy_path_is_not_grey() -> None:
    assert found() is None
    assert found(lossy(LossCount(300, 0, 0, 0, 0)), leg(60, 60), mtu(1500, 1500)) is None


@pytest.mark.parametrize(
    ("pings", "where"),
    [
        (leg(60, 54), "edge-provider"),
        (leg(60, 60), "provider-cloud"),
        (leg(60, 59), "provider-cloud"),
        (leg(20, 20), "unknown"),  # two were to be expected lost: that none is proves nothing
        (leg(60, 58), "edge-provider"),
    ],
)
def test_loss_is_put_where_the_pings_of_the_leg_lose_as_much(pings: Observation, where: str) -> None:
    grey = found(lossy(), pings)
    assert grey is not None
    assert (grey.kind, grey.leg, grey.direction, grey.since) == ("loss", where, "back", BEGAN)


def test_pings_of_before_the_trouble_say_nothing_of_it() -> None:
    clean_before = replace(LegResult(300, 300, 1.6, 1.6), since=NOW - timedelta(minutes=10))
    fresh = LossCount(sent=100, lost=10, times=9, out=0, back=9, since=NOW - timedelta(seconds=5))
    grey = found(lossy(fresh), seen(Kind.LEG, PATH.name, clean_before, age_s=0.2, fresh_s=20))
    assert grey is not None
    assert grey.leg == "unknown"
    old = seen(Kind.LEG, PATH.name, LegResult(60, 60, 1.6, 1.6, since=BEGAN), age_s=10, fresh_s=20)
    grey = found(lossy(fresh), old)
    assert grey is not None
    assert grey.leg == "unknown"


@pytest.mark.parametrize(
    ("out", "back", "way"),
    [(20, 1, "out"), (1, 20, "back"), (10, 12, "both"), (None, None, "unknown"), (0, 0, "unknown")],
)
def test_the_direction_is_the_one_that_loses(out: int | None, back: int | None, way: str) -> None:
    grey = found(lossy(replace(LOSSY, out=out, back=back)))
    assert grey is not None
    assert grey.direction == way
    assert ("on the way" in grey.text) == (way in {"out", "back"})


@pytest.mark.parametrize(
    "count",
    [
        LossCount(3, 1, 1),
        LossCount(9, 3, 3),
        LossCount(15, 4, 2),  # two bursts are two events
        LossCount(300, 3, 3),  # one percent, which is allowed
    ],
)
def test_too_little_is_no_loss(count: LossCount) -> None:
    assert found(lossy(count)) is None


def test_a_step_in_latency_is_put_on_its_leg_and_direction() -> None:
    far = found(probe(SLOW), leg(60, 60))
    assert far is not None
    assert (far.kind, far.leg, far.direction) == ("latency", "provider-cloud", "both")
    assert far.text == "124 ms, usually 4 ms both ways between msee-primary and azure"
    near = found(probe(replace(SLOW, step_out_ms=0.5)), leg(60, 60, rtt_ms=121.0))
    assert near is not None
    assert (near.leg, near.direction) == ("edge-provider", "back")
    assert "between edge-1 and msee-primary" in near.text


def test_a_step_is_large_both_in_milliseconds_and_in_percent_and_has_lasted_a_window() -> None:
    assert found(probe(replace(SLOW, median_ms=23.0))) is None  # 19 ms more
    assert found(probe(replace(SLOW, usual_ms=100.0, median_ms=140.0))) is None  # 40 % more
    assert found(probe(replace(SLOW, step_since=None))) is None
    assert found(probe(replace(SLOW, usual_ms=None))) is None


@pytest.mark.parametrize(
    ("passes", "leg_passes", "where"),
    [(1300, 1500, "provider-cloud"), (1300, 1296, "edge-provider"), (None, None, "unknown")],
)
def test_a_hole_for_large_packets_is_put_on_its_leg(passes: int | None, leg_passes: int | None, where: str) -> None:
    grey = found(mtu(passes, leg_passes))
    assert grey is not None
    assert (grey.kind, grey.leg) == ("mtu", where)
    assert "1500 are wanted" in grey.text


def test_a_dead_an_unpinned_or_a_stale_path_is_not_grey() -> None:
    assert found(probe(ProbeResult(5, 0, None, long=LOSSY)), mtu(None, None)) is None
    assert found(probe(ProbeResult(5, 4, 1.0, pinned=False, long=LOSSY))) is None
    assert found(seen(Kind.PROBE, PATH.name, ProbeResult(5, 4, 1.0, long=LOSSY), age_s=9)) is None


def test_grey_makes_the_probe_layer_degraded_with_its_words_and_its_beginning() -> None:
    health = judge(SITE, healthy(SITE).with_observations([lossy(), leg(60, 54)]), NOW).path(PATH.name)
    assert health.verdict is Verdict.DEGRADED
    assert health.why == "probe: 10 % lost on the way back between edge-1 and msee-primary (30 of 300 probes)"
    assert health.since == BEGAN


COUNTS = st.integers(0, 400)


@settings(max_examples=100, derandomize=True)
@given(sent=COUNTS, lost=COUNTS, out=COUNTS, back=COUNTS, pinged=COUNTS, answered=COUNTS)
def test_any_counts_give_a_place_or_none(sent: int, lost: int, out: int, back: int, pinged: int, answered: int) -> None:
    count = LossCount(sent, min(lost, sent), min(lost, sent), out, back, BEGAN)
    grey = found(lossy(count), leg(pinged, min(answered, pinged)))
    assert grey is None or (grey.kind == "loss" and grey.leg and grey.text)
