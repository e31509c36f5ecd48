"""What is kept of a session between polls: the first firm reason of each drop, and the drops while watched."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.routers.frr_reason import Reason
from connectors.routers.latch import Remembered, settle
from network.observation import SessionHere

T0 = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
UP = SessionHere("Established", since=T0, received=3, advertised=2, limit=100, drops=20)
DOWN = replace(UP, state="Active", received=0, advertised=0, drops=21, since=T0 + timedelta(seconds=60))
BFD = Reason("BFD went down")
WAITING = Reason("down: no usable next hop to the peer", firm=False)


def polls(*seen: tuple[SessionHere, Reason | None]) -> list[SessionHere]:
    kept: Remembered | None = None
    facts = []
    for fact, reason in seen:
        settled, kept = settle(replace(fact, reason=reason.text if reason else fact.reason), reason, kept)
        facts.append(settled)
    return facts


def test_the_first_firm_reason_of_a_drop_is_kept_while_it_lasts() -> None:
    facts = polls((UP, None), (DOWN, BFD), (DOWN, WAITING), (DOWN, Reason("our shutdown was lifted")))
    assert [fact.reason for fact in facts] == ["", BFD.text, BFD.text, BFD.text]


def test_a_firm_reason_replaces_one_that_only_says_what_is_waited_for() -> None:
    assert [fact.reason for fact in polls((DOWN, WAITING), (DOWN, BFD))] == [WAITING.text, BFD.text]


def test_a_new_drop_has_a_reason_of_its_own() -> None:
    again = replace(DOWN, drops=22)
    assert [fact.reason for fact in polls((DOWN, BFD), (again, WAITING))] == [BFD.text, WAITING.text]


def test_up_again_and_stopped_on_purpose_show_no_old_reason() -> None:
    shut = replace(DOWN, state="Idle (Admin)", admin_shut=True, reason="shut on our router")
    facts = polls((DOWN, BFD), (shut, None), (DOWN, WAITING), (replace(UP, drops=21), None))
    assert [fact.reason for fact in facts] == [BFD.text, "shut on our router", WAITING.text, ""]


def test_drops_count_from_the_first_poll_and_survive_a_restart_of_the_routers_bgp() -> None:
    facts = polls((UP, None), (DOWN, BFD), (replace(UP, drops=23), None), (replace(UP, drops=1), None))
    assert [fact.drops for fact in facts] == [0, 1, 3, 4]


def test_a_flap_between_two_polls_shows_in_the_drops() -> None:
    facts = polls((UP, None), (replace(UP, drops=21, since=T0 + timedelta(seconds=30)), None))
    assert facts[1].drops == 1
    assert facts[1].since == T0 + timedelta(seconds=30)


def test_the_same_moment_does_not_wander_with_rounding() -> None:
    wandering = [replace(UP, since=T0 + timedelta(seconds=n % 2)) for n in range(5)]
    assert {fact.since for fact in polls(*((fact, None) for fact in wandering))} == {T0}


@given(st.lists(st.integers(0, 30), min_size=1, max_size=20))
@settings(max_examples=60)
def test_drops_never_go_back_and_start_at_zero(counters: list[int]) -> None:
    drops = [fact.drops for fact in polls(*((replace(UP, drops=counter), None) for counter in counters))]
    assert drops[0] == 0
    assert drops == sorted(drops, key=lambda count: count or 0)
