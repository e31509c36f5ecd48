"""Who carries a cloud, out and back, when one router or one figure is missing: unknown is never an answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from network.health import CloudHealth, judge
from network.observation import CloudRoute, CloudRoutes, Kind, Observation, Routes, SessionThere
from network.snapshot import Snapshot
from tests.sample import NOW, healthy, reference, routes, seen

SITE = reference()


def azure(snapshot: Snapshot) -> CloudHealth:
    return judge(SITE, snapshot, NOW).cloud("azure")


def without(snapshot: Snapshot, kind: Kind, prefix: str) -> Snapshot:
    kept = {k: v for k, v in snapshot.observations.items() if not (k[0] is kind and k[1].startswith(prefix))}
    return replace(snapshot, observations=kept)


def table(*rows: CloudRoute) -> Observation:
    return seen(Kind.CLOUD_ROUTES, "azure", CloudRoutes(rows, "table"), age_s=0.1)


def test_counters_of_one_router_alone_do_not_tell_the_way_back() -> None:
    """edge-2's counters would say that whatever comes back comes by its own port."""
    rows = [CloudRoute(str(p.prefix), ("azure/er-primary",)) for p in SITE.on_prem.prefixes]
    half = without(healthy(SITE), Kind.LINK, "edge-1 ").with_observations([table(*rows)])
    back = azure(half).way_back
    assert (back.paths, back.basis) == (("azure/er-primary",), "table")


def test_a_path_that_the_cloud_says_is_down_needs_no_counter() -> None:
    gone = [
        seen(Kind.SESSION_THERE, name, SessionThere(up=False, state="down"), age_s=0.1)
        for name in ("azure/vpn-1", "azure/vpn-2")
    ]
    back = azure(without(healthy(SITE).with_observations(gone), Kind.LINK, "edge-2 vpn")).way_back
    assert (back.paths, back.basis) == (("azure/er-primary",), "measured")


def test_a_router_that_cannot_be_asked_is_named_beside_what_the_other_does() -> None:
    """edge-2 uses its own port: that says nothing of edge-1."""
    alone = healthy(SITE).with_observations(routes(SITE, "azure", without=frozenset({"ibgp"})))
    found = azure(without(alone, Kind.ROUTES, "edge-1 "))
    assert found.carried_by == ("azure/er-secondary",)
    assert found.unseen_routers == ("edge-1",)


def test_a_way_that_leads_to_a_router_which_cannot_be_asked_is_not_known_and_not_lost() -> None:
    """edge-2 sends to edge-1, as always."""
    found = azure(without(healthy(SITE), Kind.ROUTES, "edge-1 "))
    assert (found.carried_by, found.lost, found.unseen_routers) == ((), (), ("edge-1",))
    assert found.why == "edge-1 cannot be asked"


def test_a_prefix_that_one_router_has_no_way_to_is_named() -> None:
    hole = seen(Kind.ROUTES, "edge-1 10.51.0.0/16", Routes(()), age_s=0.1)
    kept = seen(
        Kind.ROUTES,
        "edge-2 10.51.0.0/16",
        healthy(SITE)
        .with_observations(routes(SITE, "azure", without=frozenset({"ibgp"})))
        .observations[Kind.ROUTES, "edge-2 10.51.0.0/16"]
        .fact,
        age_s=0.1,
    )
    assert azure(healthy(SITE).with_observations([hole, kept])).lost == ("edge-1 10.51.0.0/16",)


def test_a_prefix_of_ours_that_the_cloud_does_not_hold_is_lost_though_the_load_comes_back() -> None:
    found = azure(healthy(SITE).with_observations([table(CloudRoute("10.10.0.0/16", ("azure/er-primary",)))]))
    assert found.way_back.basis == "measured"
    assert found.lost == ("10.11.0.0/16 back",)


HALVES = ("10.10.0.0/17", "10.10.128.0/17")


def by_tables(*rows: CloudRoute) -> CloudHealth:
    return azure(without(healthy(SITE), Kind.LINK, "edge-1 ").with_observations([table(*rows)]))


def test_the_way_back_in_a_table_is_the_longest_match_of_each_piece() -> None:
    rest = [CloudRoute(str(p.prefix), ("azure/er-primary",)) for p in SITE.on_prem.prefixes]
    one = by_tables(*rest, CloudRoute(HALVES[0], ("azure/vpn-1",)))
    assert one.way_back.paths == ("azure/er-primary", "azure/vpn-1")
    both = by_tables(rest[0], *(CloudRoute(half, ("azure/vpn-1", "azure/vpn-2")) for half in HALVES), rest[1])
    assert both.way_back.paths == ("azure/er-primary", "azure/vpn-1", "azure/vpn-2"), "the other prefix has no halves"


def test_a_prefix_is_held_by_its_halves_and_lost_where_a_longer_one_leads_nowhere() -> None:
    other = CloudRoute("10.11.0.0/16", ("azure/er-primary",))
    assert by_tables(other, *(CloudRoute(half, ("azure/vpn-1",)) for half in HALVES)).lost == ()
    assert by_tables(other, CloudRoute(HALVES[0], ("azure/vpn-1",))).lost == ("10.10.0.0/16 back",)
    whole = CloudRoute("10.10.0.0/16", ("azure/er-primary",))
    assert by_tables(other, whole, CloudRoute(HALVES[0], ())).lost == ("10.10.0.0/16 back",)


def test_the_probes_own_addresses_are_no_way_back() -> None:
    rest = [CloudRoute(str(p.prefix), ("azure/er-primary",)) for p in SITE.on_prem.prefixes]
    assert by_tables(*rest, CloudRoute("10.10.255.3/32", ("azure/vpn-1",))).way_back.paths == ("azure/er-primary",)


def test_a_healthy_site_has_lost_nothing() -> None:
    found = azure(healthy(SITE))
    assert (found.lost, found.unseen_routers) == ((), ())


def test_since_keeps_only_what_was_seen_later() -> None:
    snapshot = healthy(SITE)
    moment = NOW - timedelta(seconds=0.5)
    assert not snapshot.since(moment).observations
    assert snapshot.since(moment - timedelta(seconds=0.1)).observations == snapshot.observations
    assert snapshot.since(moment).revision == snapshot.revision
