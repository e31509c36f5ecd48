"""A feed's objective: what was looked at counts, what was not does not."""

from __future__ import annotations

import pytest

from network.health import judge
from network.measured import FeedResult
from network.observation import Kind
from network.slo import slo
from network.surroundings import Feed
from network.verdict import Overall
from tests.sample import NOW, healthy, reference, seen

FEED = Feed(
    name="f", cloud="azure", kind="tcp", address="192.0.2.1:443", objective_pct=99.9, window_s=10_000, cadence_s=1
)


def test_nobody_looked_is_unknown_and_not_perfect() -> None:
    account = slo(FEED, FeedResult(True, 1.0, "", 0, 0))
    assert (account.availability_pct, account.budget_left_pct, account.burn) == (None, None, None)


def test_each_bad_look_takes_its_time_out_of_the_windows_budget() -> None:
    account = slo(FEED, FeedResult(False, None, "refused", 95, 100, 9, 10))
    assert account.availability_pct == pytest.approx(95)
    assert account.budget_left_pct == pytest.approx(50)  # 5 s of the 10 s that 0.1 % of 10 000 s are
    assert account.burn == pytest.approx(100)  # a tenth bad, a thousandth allowed


def test_an_overspent_budget_is_below_nothing() -> None:
    account = slo(FEED, FeedResult(False, None, "refused", 0, 30))
    assert account.budget_left_pct == pytest.approx(-200)
    assert account.burn is None


def test_a_feed_that_fails_is_a_critical_alert_and_leaves_the_verdict_alone() -> None:
    site = reference()
    failing = seen(Kind.FEED, "forecasting", FeedResult(False, None, "no answer within 3 s", 1, 2))
    health = judge(site, healthy(site).with_observations([failing]), NOW)
    assert [(a.id, a.severity, a.text) for a in health.alerts] == [
        ("feed:forecasting", "critical", "feed forecasting: no answer within 3 s")
    ]
    assert health.verdict is Overall.HEALTHY
    stale = seen(Kind.FEED, "forecasting", FeedResult(False, None, "no answer", 1, 2), age_s=99)
    assert judge(site, healthy(site).with_observations([stale]), NOW).alerts == ()
