"""The plan's hash: it moves with each thing that it covers, and with nothing else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from network.measured import ProbeResult
from network.observation import Advert, Advertised, Kind, Load, Observation, SessionHere
from runbooks.book import parse, shipped
from runbooks.covered import moved
from runbooks.language import BookGuard
from runbooks.plan import Plan, compile_plan
from runbooks.scene import Moment
from tests.engine.test_plan import RUNNING, SITE, SITE_TEXT, moment
from tests.sample import NOW, seen

TEXT = shipped("drain-port").text


def plan(at: Moment | None = None, *, text: str = TEXT, site_text: str = SITE_TEXT, port: str = "port-a") -> Plan:
    return compile_plan(parse(text, "book.yaml"), {"port": port}, at or moment(), site_text)


BASE = plan()


@st.composite
def quiet_changes(draw: st.DrawFn) -> list[Observation]:
    """What goes on all the time: round trips, probes, loads, ages."""
    path = draw(st.sampled_from([path for path in SITE.paths if path.vxc]))
    age_s = draw(st.floats(0, 0.5))
    rtt_ms, mbps = draw(st.floats(0.1, 19.0)), draw(st.floats(0, 900))
    return [
        seen(Kind.PROBE, path.name, ProbeResult(3, 3, rtt_ms), age_s=age_s),
        seen(Kind.LOAD, path.vxc or "", Load(mbps, 7), age_s=age_s),
    ]


@given(quiet_changes(), st.floats(0, 0.4))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_time_ages_round_trips_and_loads_move_nothing(facts: list[Observation], later_s: float) -> None:
    again = plan(replace(moment(*facts), now=NOW + timedelta(seconds=later_s)))
    assert moved(BASE.covered, again.covered) == []
    assert again.hash == BASE.hash


def text_of(router: str, was: str, now: str) -> Moment:
    assert was in RUNNING[router]
    return moment(texts={**RUNNING, router: RUNNING[router].replace(was, now)})


def longer() -> Moment:
    return moment(seen(Kind.ADVERTISED, "er-secondary", Advertised((Advert("10.10.0.0/16", (65010,) * 7),)), age_s=0.1))


def down() -> Moment:
    gone = SessionHere("Active", NOW, 0, 0, 100, reason="hold timer")
    return moment(seen(Kind.SESSION_HERE, "vpn-azure-2", gone, age_s=0.1))


def fewer() -> Plan:
    """The same book, compiled where two people must approve."""
    policy = SITE.policy.model_copy(
        update={"approvals": SITE.policy.approvals.model_copy(update={"traffic_moving": 1})}
    )
    return plan(replace(moment(), site=SITE.model_copy(update={"policy": policy})))


def guarded() -> Plan:
    """The same text, but other guards in the book that was read."""
    book = parse(TEXT, "book.yaml").model_copy(update={"guards": (BookGuard(name="symmetry"),)})
    return compile_plan(book, {"port": "port-a"}, moment(), SITE_TEXT)


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (lambda: plan(text=TEXT + "# a word\n"), "the book: "),
        (lambda: plan(site_text=SITE_TEXT + "# a word\n"), "the site file: "),
        (lambda: plan(port="port-b"), "parameter port: port-a → port-b"),
        (lambda: plan(text_of("edge-1", "local-preference 200", "local-preference 210")), "clauses of azure: "),
        (lambda: plan(longer()), "commands of move-azure: "),
        (lambda: plan(down()), "azure/vpn-2 is down: no → yes"),
        (fewer, "the steps: survivors, move-azure"),
        (guarded, "guards of move-azure: "),
        (
            lambda: plan(text=TEXT.replace("risk: traffic-moving", "risk: last-spare")),
            "risk of move-aws: traffic-moving → ",
        ),
    ],
)
def test_each_thing_that_is_covered_moves_the_hash_and_is_said(other: Callable[[], Plan], said: str) -> None:
    made = other()
    assert made.hash != BASE.hash
    assert any(words.startswith(said) for words in moved(BASE.covered, made.covered)), moved(BASE.covered, made.covered)


def test_the_facts_are_frozen_with_the_plan() -> None:
    assert BASE.definition()["covered"] == BASE.covered
    assert BASE.definition()["text"] == TEXT
