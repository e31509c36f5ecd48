"""What a person must know now: each cause has one alert with a stable id, and the runbooks that fit it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from console.status import document
from network.alert import Alert, remedy
from network.events import Events, ProviderEvent
from network.health import SiteHealth, judge
from network.observation import (
    Advert,
    Advertised,
    BfdHere,
    CloudRoute,
    CloudRoutes,
    FailoverTest,
    FailoverTests,
    HubPreference,
    Kind,
    Link,
    Observation,
    Received,
    ReceivedRoute,
    RoutePath,
    Routes,
    SessionHere,
)
from network.snapshot import Snapshot
from runbooks.book import names
from tests.sample import NOW, healthy, reference, routes, seen

SITE = reference()
HEALTHY = healthy(SITE)
UP = SessionHere("Established", NOW - timedelta(days=1), 2, 3, 100)
PRIMARY = "azure/er-primary"


def with_facts(*facts: Observation) -> Snapshot:
    return HEALTHY.with_observations([replace(fact, at=NOW) for fact in facts])


def judged(*facts: Observation) -> SiteHealth:
    return judge(SITE, with_facts(*facts), NOW)


def alerts(*facts: Observation) -> dict[str, Alert]:
    return {alert.id: alert for alert in judged(*facts).alerts}


# -- what we announce


def test_who_says_that_a_leak_is_there_is_said() -> None:
    leak = Advertised((Advert("10.201.0.0/16", (65010,)),))
    ours, theirs = seen(Kind.ADVERTISED, "er-primary", leak), seen(Kind.ACCEPTED, PRIMARY, leak)
    text = alerts(ours, theirs)[f"ot:{PRIMARY}:10.201.0.0/16"].text
    assert "overlaps OT 10.200.0.0/14 (our router says, azure accepted it)" in text
    assert "(azure accepted it)" in alerts(theirs)[f"ot:{PRIMARY}:10.201.0.0/16"].text


def test_a_leak_that_was_seen_stays_until_it_is_seen_gone() -> None:
    leak = seen(Kind.ADVERTISED, "er-primary", Advertised((Advert("0.0.0.0/0", (65010,)),)))
    snapshot, later = with_facts(leak), NOW + timedelta(minutes=5)
    found = next(a for a in judge(SITE, snapshot, later).alerts if a.id.startswith("ot:"))
    assert "our router says 300 s ago" in found.text
    gone = replace(leak, fact=Advertised(()), at=later)
    assert not [a for a in judge(SITE, snapshot.with_observations([gone]), later).alerts if a.overlaps_ot]


def test_an_ot_range_in_the_clouds_own_table_is_critical_on_the_cloud() -> None:
    table = CloudRoutes((CloudRoute("10.200.0.0/16", (PRIMARY,)), CloudRoute("10.202.0.0/16", ())), "table")
    found = [a for a in alerts(seen(Kind.CLOUD_ROUTES, "azure", table)).values() if a.overlaps_ot]
    assert [(a.id, a.severity, a.path) for a in found] == [("ot:azure:10.200.0.0/16", "critical", "azure")]


@pytest.mark.parametrize("prefix", ["2001:db8::/32", "nonsense", "10.50.0.0/16", "10.10.255.2/32"])
def test_anything_else_that_is_announced_is_a_leak(prefix: str) -> None:
    sent = seen(Kind.ADVERTISED, "er-primary", Advertised((Advert(prefix, (65010,)),)))
    assert alerts(sent)[f"leak:{PRIMARY}:{prefix}"].severity == "critical"


def test_the_longer_prefixes_that_force_the_vpn_are_sanctioned_on_a_tunnel_and_a_leak_anywhere_else() -> None:
    half = Advertised((Advert("10.10.0.0/17", (65010,)), Advert("10.10.0.0/18", (65010,))))
    found = alerts(*(seen(Kind.ADVERTISED, session, half) for session in ("vpn-azure-1", "er-primary")))
    assert sorted(name for name in found if name.startswith("leak:")) == [
        "leak:azure/er-primary:10.10.0.0/17", "leak:azure/er-primary:10.10.0.0/18", "leak:azure/vpn-1:10.10.0.0/18",
    ]  # fmt: skip


def test_a_prefix_of_the_other_cloud_says_towards_whom_it_is_sanctioned() -> None:
    only = SITE.on_prem.prefixes[0].model_copy(update={"towards": ("azure",)})
    on_prem = SITE.on_prem.model_copy(update={"prefixes": (only, *SITE.on_prem.prefixes[1:])})
    health = judge(SITE.model_copy(update={"on_prem": on_prem}), HEALTHY, NOW)
    texts = {a.id: a.text for a in health.alerts}
    assert "is not sanctioned towards aws, only towards azure" in texts["leak:aws/dx-1:10.10.0.0/16"]


# -- what we accept


def accepted(*prefixes: str, ok: bool = True) -> Observation:
    return seen(Kind.RECEIVED, "er-primary", Received(tuple(ReceivedRoute(p, (12076,), accepted=ok) for p in prefixes)))


@pytest.mark.parametrize(
    ("prefix", "of"),
    [
        ("10.201.0.0/16", "OT 10.200.0.0/14"),
        ("0.0.0.0/0", "OT 10.200.0.0/14"),
        ("10.10.7.0/24", "our own 10.10.0.0/16"),
    ],
)
def test_an_accepted_route_into_ot_or_our_own_is_critical(prefix: str, of: str) -> None:
    found = [a for a in alerts(accepted(prefix)).values() if a.path == PRIMARY]
    assert [a.severity for a in found] == ["critical"]
    assert found[0].text == f"accepted from azure: {prefix}, which overlaps {of}"
    assert not found[0].overlaps_ot, "it is no advertisement of ours"


def test_an_accepted_route_that_nobody_expects_is_one_warning_however_many_there_are() -> None:
    many = [f"172.16.{n}.0/24" for n in range(120)]
    found = alerts(accepted("10.50.255.1/32", *many))
    assert list(found) == [f"unexpected:{PRIMARY}"]
    assert "172.16.3.0/24 and 116 more, a route that this site does not expect" in found[f"unexpected:{PRIMARY}"].text


def test_what_our_policy_stops_and_what_the_cloud_owns_is_no_alert() -> None:
    assert not alerts(accepted("10.201.0.0/16", "0.0.0.0/0", ok=False))
    assert not alerts(accepted("10.50.0.0/16", "10.51.128.0/17"))


# -- what flaps


def test_one_loss_between_two_looks_is_a_note_and_two_are_flapping() -> None:
    once = alerts(seen(Kind.SESSION_HERE, "er-primary", replace(UP, drops=1, since=NOW - timedelta(seconds=3))))
    assert [(a.id, a.severity) for a in once.values()] == [(f"dropped:{PRIMARY}", "info")]
    twice = alerts(seen(Kind.SESSION_HERE, "er-primary", replace(UP, drops=2, since=NOW - timedelta(seconds=3))))
    assert [(a.id, a.severity) for a in twice.values()] == [(f"flap:{PRIMARY}", "warning")]


@pytest.mark.parametrize(
    ("kind", "name", "before", "after", "id_"),
    [
        (Kind.BFD, "er-primary", BfdHere("up", drops=1), BfdHere("up", drops=4), f"flap:bfd:{PRIMARY}"),
        (
            Kind.LINK,
            "edge-1 vxc-azure-a",
            Link(True, True, 400.0, 400.0, downs=0),
            Link(True, True, 400.0, 400.0, downs=2),
            "flap:link:edge-1 vxc-azure-a",
        ),
        (Kind.LINK, "edge-1 port-a", Link(True, True, downs=2), Link(True, True, downs=3), "flap:link:edge-1 port-a"),
        (Kind.SESSION_HERE, "ibgp", replace(UP, drops=0), replace(UP, drops=2), "flap:ibgp"),
    ],
)
def test_a_counter_that_moved_while_the_level_did_not_is_a_flap_for_a_minute(
    kind: Kind, name: str, before: object, after: object, id_: str
) -> None:
    first = with_facts(seen(kind, name, before))
    assert id_ not in {a.id for a in judge(SITE, first, NOW).alerts}
    moved = NOW + timedelta(seconds=1)
    second = first.with_observations([replace(seen(kind, name, after), at=moved, fresh_s=100.0)])
    told = {a.id: a for a in judge(SITE, second, moved + timedelta(seconds=30)).alerts}
    assert told[id_].severity == "warning"
    assert id_ not in {a.id for a in judge(SITE, second, moved + timedelta(seconds=61)).alerts}


def test_a_counter_that_becomes_known_has_not_moved() -> None:
    later = seen(Kind.LINK, "edge-1 port-a", Link(admin_up=True, oper_up=True, downs=7))
    assert not [id_ for id_ in alerts(later) if id_.startswith("flap:")]


# -- what is hidden, misplaced, otherwise than declared


IBGP = seen(Kind.SESSION_HERE, "ibgp", UP)
ONLY_ITS_OWN = [
    seen(
        Kind.ROUTES,
        f"edge-1 {prefix}",
        Routes(
            (
                RoutePath("10.255.1.2", "12076", 200, best=True, valid=True, internal=False),
                RoutePath("10.255.5.2", "65515", 100, best=False, valid=True, internal=False),
            )
        ),
    )
    for prefix in ("10.50.0.0/16", "10.51.0.0/16")
]


def test_a_standby_that_the_other_edge_keeps_to_itself_is_told() -> None:
    found = alerts(IBGP, *ONLY_ITS_OWN)
    assert list(found) == ["hidden:edge-1:azure"]
    assert found["hidden:edge-1:azure"].text == (
        "edge-1 holds no standby by edge-2 for 10.50.0.0/16, 10.51.0.0/16: ibgp has no add-path "
        "(edge-2 does not send it, though the site file says so)"
    )
    assert not alerts(IBGP), "with additional paths each holds the other's"


def test_a_site_that_declares_no_addpath_is_told_so() -> None:
    bare = SITE.session("ibgp").model_copy(update={"add_path": False})
    site = SITE.model_copy(update={"sessions": (bare, *SITE.sessions[1:])})
    health = judge(site, with_facts(IBGP, *ONLY_ITS_OWN), NOW)
    assert "(as the site file says)" in next(a.text for a in health.alerts if a.id == "hidden:edge-1:azure")


def test_a_hub_that_prefers_otherwise_than_the_site_file_is_told() -> None:
    found = alerts(seen(Kind.HUB_PREFERENCE, "azure", HubPreference("ASPath")))
    assert found["preference:azure"].text == "hub-azure prefers ASPath; the site file says ExpressRoute"
    assert not alerts(seen(Kind.HUB_PREFERENCE, "azure", HubPreference("ExpressRoute")))


def test_a_cloud_on_its_vpn_while_a_private_path_could_carry_is_offered_a_failback() -> None:
    forced = routes(SITE, "azure", prefs={"er-primary": 90, "er-secondary": 80})
    alert = alerts(*forced)["backup:azure"]
    assert alert.severity == "warning"
    assert "although azure/er-primary, azure/er-secondary could" in alert.text
    assert alert.runbooks == (remedy("failback", cloud="azure"),)


def test_a_running_failover_test_is_told_and_when_it_ends() -> None:
    test = FailoverTest("aws/dx-1", running=True, state="TESTING", starts=NOW, ends=NOW + timedelta(hours=3))
    over = replace(test, path="aws/dx-2", running=False)
    found = alerts(seen(Kind.FAILOVER_TESTS, "aws", FailoverTests((test, over))))
    assert list(found) == ["failover-test:aws/dx-1"]
    assert "ends 2026-11-23 06:00Z" in found["failover-test:aws/dx-1"].text


# -- maintenance


def event(state: str, *touches: str, starts_h: float = 48.0, **more: object) -> Observation:
    starts = NOW + timedelta(hours=starts_h)
    made = ProviderEvent(
        "MAINT-7", "megaport", "maintenance", state, "line card", starts, starts + timedelta(hours=4), touches, **more
    )
    return seen(Kind.EVENTS, "megaport", Events((made,)))


def test_announced_maintenance_is_a_note_with_what_it_touches_and_the_book_that_prepares_for_it() -> None:
    found = alerts(event("announced", "port-a"))
    alert = found["maintenance:megaport:MAINT-7"]
    assert alert.severity == "info"
    assert alert.text == (
        "megaport maintenance announced for 2026-11-25 03:00Z, ends 2026-11-25 07:00Z: line card; "
        "touches port-a (azure/er-primary, aws/dx-1)"
    )
    assert alert.runbooks == (remedy("drain-port", port="port-a"),)
    assert judged(event("announced", "port-a")).path(PRIMARY).why == "", "it is no fault of the path"


@pytest.mark.parametrize(
    "fact",
    [
        event("running", "port-a", starts_h=-1),
        event("announced", "port-a", starts_h=-1),
        event("announced", "port-a", emergency=True),
        event("announced", "port-a", "port-b", "isp-1"),
    ],
)
def test_maintenance_that_runs_or_leaves_too_little_is_a_warning(fact: Observation) -> None:
    assert alerts(fact)["maintenance:megaport:MAINT-7"].severity == "warning"


def test_our_own_change_is_a_window_and_takes_nothing_away_by_itself() -> None:
    change = ProviderEvent(
        "CHG0030001", "servicenow", "change", "running", "planned work", NOW, None, ("port-a", "port-b")
    )
    alert = alerts(seen(Kind.EVENTS, "servicenow", Events((change,))))["maintenance:servicenow:CHG0030001"]
    assert (alert.severity, alert.runbooks) == ("info", ())


def test_what_maintenance_would_leave_is_said() -> None:
    text = alerts(event("announced", "port-a", "port-b", "isp-1"))["maintenance:megaport:MAINT-7"].text
    assert "azure is left with one failure domain (edge-2, isp-2, vpn-azure-2, vpngw-azure)" in text
    everything = alerts(event("announced", "azure"))["maintenance:megaport:MAINT-7"].text
    assert "azure has no other way" in everything


@pytest.mark.parametrize("state", ["done", "cancelled"])
def test_maintenance_that_is_over_is_no_alert(state: str) -> None:
    assert not alerts(event(state, "port-a"))


@pytest.mark.parametrize(
    ("thing", "book"),
    [
        ("vxc-azure-a", remedy("drain-session", session="er-primary")),
        ("dx-2", remedy("drain-session", session="dx-2")),
        ("edge-2", remedy("drain-edge", edge="edge-2")),
    ],
)
def test_each_thing_is_emptied_at_its_own_grain(thing: str, book: object) -> None:
    assert alerts(event("announced", thing))["maintenance:megaport:MAINT-7"].runbooks == (book,)


def test_a_path_that_fails_while_something_is_done_to_it_says_so() -> None:
    lost = seen(Kind.SESSION_HERE, "dx-1", replace(UP, state="Active", reason="BFD went down"))
    test = seen(Kind.FAILOVER_TESTS, "aws", FailoverTests((FailoverTest("aws/dx-1", running=True, state="on"),)))
    text = alerts(lost, test, event("running", "port-a", starts_h=-1))["path:aws/dx-1"].text
    assert text.endswith("; megaport maintenance MAINT-7 is running; aws runs a failover test on it")
    assert "is running" not in alerts(lost, event("announced", "port-a"))["path:aws/dx-1"].text


def test_either_end_of_an_inner_session_may_say_that_it_is_lost() -> None:
    far = seen(Kind.SESSION_HERE, "ibgp@edge-2", replace(UP, state="Active", reason="hold timer expired"))
    near = replace(far, name="ibgp")
    for said in ((far,), (near,), (near, far)):
        assert [(a.id, a.severity) for a in alerts(*said).values()] == [("session:ibgp", "warning")]


# -- runbooks, order, documents


def test_an_impaired_path_that_carries_is_offered_a_drain_and_with_its_twin_the_vpn() -> None:
    slow = [seen(Kind.BFD, name, BfdHere("down")) for name in ("er-primary", "er-secondary")]
    one = alerts(slow[0])[f"path:{PRIMARY}"].runbooks
    assert one == (remedy("drain-session", session="er-primary"), remedy("drain-port", port="port-a"))
    both = alerts(*slow)
    assert both[f"path:{PRIMARY}"].runbooks == (*one, remedy("force-vpn", cloud="azure"))
    assert both["path:azure/er-secondary"].runbooks == (remedy("force-vpn", cloud="azure"),)


def test_a_full_path_is_offered_the_book_that_its_far_end_allows() -> None:
    full = Link(admin_up=True, oper_up=True, in_mbps=999.0, out_mbps=0.0)
    azure = alerts(seen(Kind.LINK, "edge-1 vxc-azure-a", full))[f"path:{PRIMARY}"].runbooks
    assert azure[-1] == remedy("resize-vxc", vxc="vxc-azure-a")
    aws = alerts(seen(Kind.LINK, "edge-1 vxc-aws-a", full))["path:aws/dx-1"].runbooks
    assert aws[-1] == remedy("replace-vxc", vxc="vxc-aws-a")


def test_the_gravest_comes_first_and_no_id_comes_twice() -> None:
    facts = [
        event("announced", "port-a"),
        seen(Kind.BFD, "er-primary", BfdHere("down")),
        seen(Kind.ADVERTISED, "er-secondary", Advertised((Advert("10.200.0.0/16", (65010,)),))),
        seen(Kind.FAILOVER_TESTS, "aws", FailoverTests((FailoverTest("aws/dx-1", True, "on"),) * 2)),
    ]
    found = judged(*facts).alerts
    assert [a.severity for a in found] == ["critical", "warning", "warning", "info"]
    assert len({a.id for a in found}) == len(found)


def test_a_document_offers_only_books_that_are_in_the_library() -> None:
    snapshot = with_facts(event("announced", "port-a"), seen(Kind.BFD, "dx-1", BfdHere("down")))
    shown = document(SITE, snapshot, judge(SITE, snapshot, NOW), NOW)
    by_id = {alert["id"]: alert["runbooks"] for alert in shown["alerts"]}
    assert by_id["maintenance:megaport:MAINT-7"] == [{"book": "drain-port", "parameters": {"port": "port-a"}}]
    assert {book["book"] for books in by_id.values() for book in books} <= set(names())
    assert shown["why"] == "aws: impaired: aws/dx-1"
    assert shown["paths"][0]["drained"] is None
    assert shown["paths"][0]["prefixes"]["room_here"] == 98
