"""The fabric's request budget, in made-up seconds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.megaport_budget import LONGEST_HOLD_S, Budget


def spent(times: list[float], limit: int = 5, window_s: float = 300.0) -> Budget:
    budget = Budget(limit, window_s)
    for at in times:
        budget.spend(at)
    return budget


def test_what_was_sent_a_window_ago_does_not_count_any_more() -> None:
    budget = spent([0.0, 10.0, 20.0])
    assert [budget.left(at) for at in (20.0, 299.9, 300.0, 310.0, 320.0)] == [2, 2, 3, 4, 5]


def test_the_wait_is_until_enough_of_the_oldest_have_left_the_window() -> None:
    budget = spent([0.0, 10.0, 20.0, 30.0])
    assert budget.wait_s(30.0) == 0.0
    assert budget.wait_s(30.0, keep=1) == 270.0
    assert budget.wait_s(30.0, keep=2) == 280.0
    assert budget.wait_s(30.0, keep=9) == 300.0  # never, with such a reserve


def test_a_hold_is_kept_whatever_is_left_and_never_longer_than_thirty_seconds() -> None:
    budget = spent([])
    budget.hold(100.0, 2.0, "HTTP 429")
    assert (budget.wait_s(100.0), budget.wait_s(101.5), budget.wait_s(102.0)) == (2.0, 0.5, 0.0)
    budget.hold(200.0, 3600.0, "HTTP 403 limit")
    budget.hold(200.0, 1.0, "HTTP 429")  # a shorter one does not end a longer one
    assert budget.wait_s(200.0) == LONGEST_HOLD_S
    assert budget.objection(200.0) == "the fabric asked to wait 30 s more with HTTP 403 limit"


@pytest.mark.parametrize(("now", "left"), [(100.0, "2 s"), (100.1, "2 s"), (101.0, "1 s"), (101.9, "1 s")])
def test_what_was_refused_is_still_told_while_a_wait_runs_out_and_what_is_left_is_never_nothing(
    now: float, left: str
) -> None:
    budget = spent([])
    budget.hold(100.0, 2.0, "HTTP 429 slow down")
    assert budget.objection(now) == f"the fabric asked to wait {left} more with HTTP 429 slow down"


def test_without_a_wait_the_objection_is_what_is_left_and_for_whom() -> None:
    budget = spent([0.0, 10.0, 20.0, 30.0])
    assert budget.objection(30.0) == "1 of 5 requests are left in five minutes"
    assert budget.objection(30.0, keep=2).endswith("in five minutes, the last 2 are kept for the status")


def test_the_pace_lets_the_rest_last_for_a_window() -> None:
    assert spent([]).pace_s(0.0) == 60.0
    assert spent([0.0] * 4).pace_s(0.0) == 300.0
    assert spent([0.0] * 9).pace_s(0.0) == 300.0


@given(st.integers(1, 40), st.integers(0, 30), st.lists(st.floats(0.01, 30.0), max_size=200))
def test_who_asks_the_budget_first_never_sends_more_than_the_limit_in_any_window(
    limit: int, keep: int, steps: list[float]
) -> None:
    budget, now, sent = Budget(limit, 60.0), 0.0, list[float]()
    for step in steps:
        now += step
        if budget.wait_s(now, keep) == 0.0:
            budget.spend(now)
            sent.append(now)
        assert len([at for at in sent if at > now - 60.0]) <= max(0, limit - keep)


@given(st.lists(st.floats(0.0, 100.0), max_size=40).map(sorted), st.integers(0, 8))
def test_after_the_wait_that_it_names_the_answer_is_yes(times: list[float], keep: int) -> None:
    budget = spent(times, limit=10, window_s=50.0)
    now = times[-1] if times else 0.0
    later = now + budget.wait_s(now, keep)
    assert budget.wait_s(later, keep) == pytest.approx(0.0, abs=1e-6)
