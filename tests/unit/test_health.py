from dataclasses import replace
from datetime import timedelta

import pytest

from network.health import SiteHealth, judge
from network.measured import ProbeResult
from network.observation import (
    Advert,
    Advertised,
    CloudRoute,
    CloudRoutes,
    FabricPort,
    Kind,
    Link,
    Observation,
    SessionHere,
)
from network.verdict import Overall, Verdict
from tests.sample import NOW, healthy, reference, routes, seen

SITE = reference()
UP = SessionHere("Established", NOW - timedelta(days=1), 2, 3, 100)


def judged(*facts: Observation) -> SiteHealth:
    return judge(SITE, healthy(SITE).with_observations(facts), NOW)


def here(session: str, fact: SessionHere) -> Observation:
    return seen(Kind.SESSION_HERE, session, fact, age_s=0.1)


def test_a_healthy_site() -> None:
    health = judged()
    assert health.verdict is Overall.HEALTHY
    azure = health.cloud("azure")
    assert azure.carried_by == ("azure/er-primary",)
    assert azure.way_back.paths == ("azure/er-primary",)
    assert azure.way_back.basis == "measured"
    assert azure.symmetric is True
    assert azure.spares == ("azure/er-secondary", "azure/vpn-1", "azure/vpn-2")
    assert azure.one_loss_from == ()
    assert [p.role for p in health.paths] == ["active", "standby", "backup", "backup"] * 2
    assert health.alerts == ()


def test_layers_that_a_vpn_does_not_have_are_none_and_never_count() -> None:
    path = judged().path("azure/vpn-1")
    assert [path.layers[name].verdict for name in ("port", "vxc", "bfd")] == [Verdict.NONE] * 3
    assert path.verdict is Verdict.UP


@pytest.mark.parametrize(
    ("fact", "layer", "why"),
    [
        (
            here("er-primary", replace(UP, state="Idle (Admin)", admin_shut=True, shutdown_text="CHG1")),
            "bgp_here",
            "CHG1",
        ),
        (here("er-primary", replace(UP, state="Idle (PfxCt)", over_limit=True)), "bgp_here", "max-prefix"),
        (here("er-primary", replace(UP, state="Active", reason="BFD detection time expired")), "bgp_here", "BFD"),
        (here("er-primary", replace(UP, no_policy=True)), "bgp_here", "RFC 8212"),
        (seen(Kind.PORT, "port-a", FabricPort(up=False, status="LIVE"), age_s=0.1), "port", "no light"),
        (seen(Kind.LINK, "edge-1 port-a", Link(admin_up=True, oper_up=False), age_s=0.1), "port", "no carrier"),
        (seen(Kind.LINK, "edge-1 vxc-azure-a", Link(admin_up=False, oper_up=False), age_s=0.1), "vxc", "is shut"),
        (seen(Kind.PROBE, "azure/er-primary", ProbeResult(3, 0, None), age_s=0.1), "probe", "none of 3"),
    ],
)
def test_each_fault_is_told_apart(fact: Observation, layer: str, why: str) -> None:
    path = judged(fact).path("azure/er-primary")
    assert path.verdict is Verdict.DOWN
    assert path.layers[layer].verdict is Verdict.DOWN
    assert path.why.startswith(f"{layer}: ")
    assert why in path.why


def test_a_silent_loss_says_that_the_layers_below_are_up() -> None:
    lost = here("er-primary", replace(UP, state="Active", reason="BFD detection time expired"))
    assert "(port, vxc, circuit up)" in judged(lost).path("azure/er-primary").why


def test_when_port_a_is_lost_port_b_carries_and_the_cloud_is_degraded() -> None:
    down = [here(name, replace(UP, state="Active", reason="BFD")) for name in ("er-primary", "dx-1")]
    gone = frozenset({"er-primary", "dx-1"})
    moved = [route for cloud in ("azure", "aws") for route in routes(SITE, cloud, without=gone)]
    health = judged(*down, *moved)
    assert health.cloud("azure").carried_by == ("azure/er-secondary",)
    assert health.cloud("aws").carried_by == ("aws/dx-2",)
    assert health.cloud("azure").verdict is Overall.DEGRADED
    assert health.path("azure/er-primary").role == "down"
    assert health.path("azure/er-secondary").role == "active"
    assert {a.id for a in health.alerts} >= {"path:azure/er-primary", "path:aws/dx-1"}


def test_without_ibgp_each_edge_leaves_by_its_own_port() -> None:
    moved = routes(SITE, "azure", without=frozenset({"ibgp"}))
    assert judged(*moved).cloud("azure").carried_by == ("azure/er-primary", "azure/er-secondary")


def test_the_last_gateway_is_named_as_the_loss_that_leaves_the_cloud_dark() -> None:
    private = frozenset({"er-primary", "er-secondary"})
    down = [here(name, replace(UP, state="Active", reason="BFD")) for name in private]
    azure = judged(*down, *routes(SITE, "azure", without=private)).cloud("azure")
    assert azure.carried_by == ("azure/vpn-1", "azure/vpn-2")
    assert azure.one_loss_from == ("vpngw-azure",)


def test_while_spares_are_unknown_the_loss_that_darkens_is_not_claimed_and_not_denied() -> None:
    unknown = [
        seen(Kind.PROBE, path.name, ProbeResult(0, 0, None), age_s=0.1)
        for path in SITE.paths_of("azure")
        if path.name != "azure/er-primary"
    ]
    azure = judged(*unknown).cloud("azure")
    assert (azure.one_loss_from, azure.one_loss_known) == ((), False)
    assert azure.verdict is Overall.UNKNOWN


def test_routers_that_point_at_each_other_are_of_different_moments_and_not_a_lost_cloud() -> None:
    """edge-1 has moved to edge-2 already; edge-2's table is still the one from before."""
    after = routes(SITE, "azure", without=frozenset({"er-primary", "vpn-azure-1"}))
    moved = [route for route in after if route.name.startswith("edge-1 ")]
    azure = judged(*moved).cloud("azure")
    assert azure.verdict is Overall.UNKNOWN
    assert "different moments" in azure.why


def test_no_route_at_all_is_down() -> None:
    everything = frozenset(path.session for path in SITE.paths) | {"ibgp"}
    health = judged(*routes(SITE, "azure", without=everything))
    assert health.cloud("azure").verdict is Overall.DOWN
    assert health.verdict is Overall.DOWN


def test_old_figures_are_stale_and_never_healthy() -> None:
    later = NOW + timedelta(seconds=60)
    health = judge(SITE, healthy(SITE), later)
    assert {path.verdict for path in health.paths} == {Verdict.STALE}
    assert health.verdict is Overall.UNKNOWN
    assert health.cloud("azure").carried_by == ()
    assert health.cloud("azure").symmetric is None
    assert all(path.stale for path in health.paths)


def test_nothing_seen_is_unknown() -> None:
    from network.snapshot import Snapshot

    health = judge(SITE, Snapshot(), NOW)
    assert {path.verdict for path in health.paths} == {Verdict.UNKNOWN}
    assert {cloud.verdict for cloud in health.clouds} == {Overall.UNKNOWN}


def test_one_router_that_does_not_answer_leaves_the_rest_judged() -> None:
    snapshot = healthy(SITE)
    old = [
        replace(o, at=o.at - timedelta(seconds=30))
        for o in snapshot.observations.values()
        if o.name.startswith("edge-1 ")
        or (o.kind in {Kind.SESSION_HERE, Kind.BFD} and o.name in {"er-primary", "dx-1"})
    ]
    kept = {o.key: o for o in snapshot.observations.values()} | {o.key: o for o in old}
    health = judge(SITE, replace(snapshot, observations=kept), NOW)
    assert health.path("azure/er-primary").verdict is Verdict.STALE
    assert health.path("azure/er-secondary").verdict is Verdict.UP
    assert health.verdict is Overall.UNKNOWN


def test_an_unpinned_probe_is_unknown_never_up() -> None:
    health = judged(
        seen(Kind.PROBE, "azure/er-primary", ProbeResult(3, 3, 4.0, pinned=False, why="no source"), age_s=0.1)
    )
    assert health.path("azure/er-primary").layers["probe"].verdict is Verdict.UNKNOWN


@pytest.mark.parametrize("prefix", ["10.200.0.0/14", "10.201.7.0/24", "10.0.0.0/8", "0.0.0.0/0"])
def test_an_advertisement_that_overlaps_ot_is_critical(prefix: str) -> None:
    leak = seen(Kind.ADVERTISED, "er-secondary", Advertised((Advert(prefix, (65010,)),)), age_s=0.1)
    alerts = judged(leak).alerts
    assert [(a.id, a.severity) for a in alerts] == [(f"ot:azure/er-secondary:{prefix}", "critical")]


def test_an_unsanctioned_advertisement_is_critical_and_the_probe_prefix_is_not() -> None:
    sent = Advertised((Advert("192.0.2.0/24", (65010,)), Advert("10.10.255.2/32", (65010,))))
    alerts = judged(seen(Kind.ADVERTISED, "er-secondary", sent, age_s=0.1)).alerts
    assert [a.id for a in alerts] == ["leak:azure/er-secondary:192.0.2.0/24"]


def test_a_flapping_session_is_told_until_it_has_held_for_a_minute() -> None:
    def flaps(since: timedelta) -> bool:
        fact = replace(UP, drops=3, since=NOW - since)
        return any(a.id == "flap:azure/er-primary" for a in judged(here("er-primary", fact)).alerts)

    assert flaps(timedelta(seconds=5))
    assert not flaps(timedelta(seconds=61))


def test_a_lost_session_between_our_own_routers_is_told() -> None:
    lost = here("ibgp", replace(UP, state="Active", reason="hold timer expired"))
    assert [(a.id, a.severity) for a in judged(lost).alerts] == [("session:ibgp", "warning")]


def test_the_way_back_falls_to_the_clouds_tables_and_asymmetry_is_a_note_inside_one_boundary() -> None:
    quiet = [
        seen(Kind.LINK, f"{SITE.session(p.session).router} {SITE.interface(p)}", Link(True, True, 0.0, 0.0), age_s=0.1)
        for p in SITE.paths_of("azure")
    ]
    table = CloudRoutes(
        tuple(CloudRoute(str(p.prefix), ("azure/er-secondary",)) for p in SITE.on_prem.prefixes), "table"
    )
    health = judged(*quiet, seen(Kind.CLOUD_ROUTES, "azure", table, age_s=0.1))
    azure = health.cloud("azure")
    assert (azure.way_back.paths, azure.way_back.basis, azure.symmetric) == (("azure/er-secondary",), "table", False)
    assert [(a.id, a.severity) for a in health.alerts] == [("asymmetry:azure", "info")]


def test_alert_ids_are_stable_over_time() -> None:
    down = here("er-primary", replace(UP, state="Active", reason="BFD"))
    snapshot = healthy(SITE).with_observations([down])
    first = {a.id for a in judge(SITE, snapshot, NOW).alerts}
    assert first == {a.id for a in judge(SITE, snapshot, NOW + timedelta(seconds=1)).alerts}
