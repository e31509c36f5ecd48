"""A drain's lines, the scoped inverse, and the notice that somebody else was there."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.errors import NotFound
from connectors.routers.frr_config import Clause, read_clause
from connectors.routers.frr_render import (
    NoPolicyDeclared,
    applied,
    change,
    drain,
    foreign_change,
    same_clauses,
)
from network.sitefile import load
from tests.sample import REFERENCE

DATA = Path(__file__).parents[1] / "data" / "frr"
SITE = load(REFERENCE.read_text(), REFERENCE).site

RUNNING = """Building configuration...

Current configuration:
!
frr version 8.4.4
hostname edge-1
!
route-map IN-msee-primary permit 5
 match as-path MSDRAIN
 match ip address prefix-list CLOUD
 set local-preference 120
exit
!
route-map IN-msee-primary permit 10
 match ip address prefix-list CLOUD
 set local-preference 200
exit
!
route-map OUT-msee-primary permit 10
 match ip address prefix-list SANCTIONED
exit
!
route-map IN-dx-router-1 permit 10
 match ip address prefix-list CLOUD
 set local-preference 200
exit
!
route-map OUT-dx-router-1 permit 10
 match ip address prefix-list SANCTIONED
 set community 7224:7300
exit
!
end
"""


def test_an_expressroute_drain_lowers_the_import_and_prepends_the_export() -> None:
    plan = drain(SITE.session("er-primary"), 65010, RUNNING, local_pref=120, prepend=4)
    assert plan.lines == (
        "route-map IN-msee-primary permit 10",
        "set local-preference 120",
        "route-map OUT-msee-primary permit 10",
        "set as-path prepend 65010 65010 65010 65010",
    )
    assert plan.undo == (
        "route-map OUT-msee-primary permit 10",
        "no set as-path prepend",
        "route-map IN-msee-primary permit 10",
        "set local-preference 200",
    )
    assert plan.soft_clear == "clear bgp ipv4 unicast 10.255.1.2 soft"


def test_a_direct_connect_drain_replaces_the_preference_community() -> None:
    plan = drain(SITE.session("dx-1"), 65010, RUNNING, prepend=4, community="7224:7100")
    assert plan.lines == (
        "route-map OUT-dx-router-1 permit 10",
        "set as-path prepend 65010 65010 65010 65010",
        "set community 7224:7100",
    )
    assert plan.undo == (
        "route-map OUT-dx-router-1 permit 10",
        "no set as-path prepend",
        "set community 7224:7300",
    )
    assert plan.edits[0].expected.lines == (
        " match ip address prefix-list SANCTIONED",
        " set as-path prepend 65010 65010 65010 65010",
        " set community 7224:7100",
    )


def test_a_prepend_of_none_takes_it_out() -> None:
    running = (DATA / "01-established" / "edge__show_running-config.txt").read_text()
    edit = change(read_clause(running, "RM-CL2-OUT", 10), ["no set as-path prepend"])
    assert edit.expected.lines == (" match ip address prefix-list PL-ONPREM",)
    assert edit.undo == ("route-map RM-CL2-OUT permit 10", "set as-path prepend 65010 65010")


def test_what_a_real_router_showed_after_the_same_edit_is_what_was_expected() -> None:
    before = (DATA / "01-established" / "edge__show_running-config.txt").read_text()
    after = (DATA / "11-prepend-and-localpref" / "edge__show_running-config.txt").read_text()
    out = change(read_clause(before, "RM-CL1-OUT", 10), ["set as-path prepend 65010 65010 65010"])
    into = change(read_clause(before, "RM-CL1-IN", 10), ["set local-preference 50"])
    assert out.expected == read_clause(after, "RM-CL1-OUT", 10)
    assert into.expected == read_clause(after, "RM-CL1-IN", 10)
    assert foreign_change(out, read_clause(after, "RM-CL1-OUT", 10)) is None


def test_a_session_without_policy_and_a_clause_that_is_not_there_are_named() -> None:
    with pytest.raises(NoPolicyDeclared, match="session ibgp"):
        drain(SITE.session("ibgp"), 65010, RUNNING, local_pref=120)
    with pytest.raises(NotFound, match="no clause 10 in route-map IN-msee-secondary"):
        drain(SITE.session("er-secondary"), 65010, RUNNING, local_pref=120)


def test_a_setting_that_a_run_may_not_touch_is_refused() -> None:
    with pytest.raises(ValueError, match="set metric 5"):
        change(read_clause(RUNNING, "IN-dx-router-1", 10), ["set metric 5"])


def test_a_foreign_change_says_so_with_every_text() -> None:
    edit = change(read_clause(RUNNING, "IN-dx-router-1", 10), ["set local-preference 120"])
    found = applied(edit.expected, ["set local-preference 90"])
    foreign = foreign_change(edit, found)
    assert foreign is not None
    for line in ("set local-preference 200", "set local-preference 120", "set local-preference 90"):
        assert line in str(foreign)
    assert foreign_change(edit, edit.before) is None
    assert foreign_change(edit, edit.expected) is None


def test_our_own_community_in_the_routers_own_order_is_not_foreign() -> None:
    edit = change(read_clause(RUNNING, "OUT-dx-router-1", 10), ["set community 7224:7100 65535:0 65010:1"])
    shown = applied(edit.before, ["set community 7224:7100 65010:1 graceful-shutdown"])
    assert foreign_change(edit, shown) is None
    assert not same_clauses(edit.before, shown)


MATCHES = st.lists(st.sampled_from([" match as-path A", " match ip address prefix-list P"]), unique=True)
AS_PATHS = st.lists(st.just("65010"), min_size=1, max_size=9).map(lambda path: f"set as-path prepend {' '.join(path)}")
COMMUNITIES = st.lists(st.sampled_from(["7224:7100", "7224:7300", "65010:1"]), min_size=1, unique=True).map(
    lambda values: f"set community {' '.join(sorted(values))}"
)
PREFERENCES = st.integers(1, 999).map(lambda value: f"set local-preference {value}")
SETTING = st.one_of(AS_PATHS, COMMUNITIES, PREFERENCES)
REMOVAL = st.sampled_from(["no set as-path prepend", "no set community", "no set local-preference"])
FOREIGN = st.lists(st.sampled_from([" set metric 5", " set origin igp"]), unique=True)


@st.composite
def clauses(draw: st.DrawFn) -> Clause:
    bare = Clause("M", "permit", 10, (*draw(MATCHES), *draw(FOREIGN)))
    return applied(bare, draw(st.lists(SETTING, max_size=3)))


@given(clauses(), st.lists(SETTING | REMOVAL, min_size=1, max_size=4))
@settings(max_examples=100)
def test_the_inverse_of_what_was_applied_gives_back_the_clause(clause: Clause, wanted: list[str]) -> None:
    edit = change(clause, wanted)
    assert edit.lines[0] == edit.undo[0] == clause.header
    assert same_clauses(applied(applied(clause, edit.lines[1:]), edit.undo[1:]), clause)


@given(clauses(), st.lists(SETTING | REMOVAL, min_size=1, max_size=4))
@settings(max_examples=100)
def test_applying_or_undoing_twice_changes_nothing_more(clause: Clause, wanted: list[str]) -> None:
    edit = change(clause, wanted)
    assert applied(edit.expected, edit.lines[1:]) == edit.expected
    assert applied(applied(edit.expected, edit.undo[1:]), edit.undo[1:]) == clause


@given(clauses(), st.lists(SETTING | REMOVAL, min_size=1, max_size=4))
@settings(max_examples=100)
def test_an_edit_touches_only_what_it_names(clause: Clause, wanted: list[str]) -> None:
    others = [line for line in clause.lines if line.startswith((" match", " set metric", " set origin"))]
    assert [line for line in change(clause, wanted).expected.lines if line in others] == others
