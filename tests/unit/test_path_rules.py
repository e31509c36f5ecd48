"""What is wrong with one path, layer by layer, beyond up and down."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from network.health import PathHealth, SiteHealth, judge
from network.measured import LossCount, ProbeResult
from network.observation import (
    BfdHere,
    FabricPort,
    FabricVxc,
    Kind,
    Link,
    Observation,
    Optics,
    Received,
    ReceivedRoute,
    Rides,
    RoutePath,
    Routes,
    SessionHere,
    SessionThere,
)
from network.snapshot import Snapshot
from network.verdict import Overall, Verdict
from tests.sample import NOW, healthy, reference, routes, seen

SITE = reference()
HEALTHY = healthy(SITE)
UP = SessionHere("Established", NOW - timedelta(days=1), 2, 3, 100)
PRIMARY = "azure/er-primary"


def judged(*facts: Observation) -> SiteHealth:
    return judge(SITE, HEALTHY.with_observations([replace(fact, at=NOW) for fact in facts]), NOW)


def primary(*facts: Observation) -> PathHealth:
    return judged(*facts).path(PRIMARY)


def held(prefix: str, *paths: RoutePath, router: str = "edge-1") -> Observation:
    return seen(Kind.ROUTES, f"{router} {prefix}", Routes(paths))


def over_primary(pref: int, as_path: str = "12076") -> list[Observation]:
    """Both routers' tables with the primary at this preference and this AS path, the standby at 150."""

    def seen_so(path: RoutePath) -> RoutePath:
        return replace(path, as_path=as_path) if path.peer == "10.255.1.2" else path

    found = routes(SITE, "azure", prefs={"er-primary": pref})
    return [
        replace(each, fact=Routes(tuple(map(seen_so, each.fact.paths))))
        for each in found
        if isinstance(each.fact, Routes)
    ]


BFD_DOWN = seen(Kind.BFD, "er-primary", BfdHere("down", "control detection time expired"))


def test_a_path_that_carries_without_bfd_is_slow_to_notice_and_not_down() -> None:
    path = primary(BFD_DOWN)
    assert path.verdict is Verdict.DEGRADED
    assert path.why == "bfd: no fast detection: BFD down (control detection time expired), BGP is established"


def test_bfd_is_down_with_the_session_or_when_nothing_comes_back() -> None:
    lost = seen(Kind.SESSION_HERE, "er-primary", replace(UP, state="Active", reason="BFD"))
    dead = seen(Kind.PROBE, PRIMARY, ProbeResult(3, 0, None))
    for also in (lost, dead):
        assert primary(BFD_DOWN, also).layers["bfd"].verdict is Verdict.DOWN


@pytest.mark.parametrize(
    ("fact", "words"),
    [
        (seen(Kind.SESSION_HERE, "er-primary", replace(UP, received=80)), "80 of 100 prefixes received: past the"),
        (seen(Kind.SESSION_HERE, "er-primary", replace(UP, limit=None, received=81)), "81 of 100 prefixes received"),
        (seen(Kind.SESSION_THERE, PRIMARY, SessionThere(up=True, state="up", received=3200)), "holds 3200 of 4000"),
        (seen(Kind.SESSION_HERE, "er-primary", replace(UP, advertised=3300)), "we advertise 3300 of 4000 prefixes"),
    ],
)
def test_a_limit_that_is_near_is_told_at_either_end(fact: Observation, words: str) -> None:
    path = primary(fact)
    assert path.verdict is Verdict.DEGRADED
    assert words in path.why


def test_the_room_left_below_both_limits_is_told_and_unknown_is_not_zero() -> None:
    counts = primary(seen(Kind.SESSION_HERE, "er-primary", replace(UP, received=2, advertised=None))).prefixes
    assert (counts.room_here, counts.room_there) == (98, 3998), "two routes are announced, by the list of them"
    assert judge(SITE, Snapshot(), NOW).path(PRIMARY).prefixes.room_here is None


def test_a_prefix_that_one_path_lacks_makes_it_impaired() -> None:
    other = RoutePath("10.255.0.2", "12076", 150, best=True, valid=True, internal=True)
    path = primary(held("10.51.0.0/16", other))
    assert (path.verdict, path.why) == (Verdict.DEGRADED, "bgp_here: no route over it to 10.51.0.0/16")


def test_a_wider_route_that_is_accepted_covers_the_prefix() -> None:
    other = RoutePath("10.255.0.2", "12076", 150, best=True, valid=True, internal=True)
    lacking = held("10.51.0.0/16", other)

    def accepts(prefix: str, *, accepted: bool = True) -> Observation:
        return seen(Kind.RECEIVED, "er-primary", Received((ReceivedRoute(prefix, (12076,), accepted=accepted),)))

    assert primary(lacking, accepts("10.50.0.0/15")).verdict is Verdict.UP
    assert primary(lacking, accepts("10.50.0.0/15", accepted=False)).verdict is Verdict.DEGRADED
    assert primary(lacking, accepts("10.51.128.0/17")).verdict is Verdict.DEGRADED


def test_a_tunnel_whose_session_rides_a_private_path_is_impaired_and_shares_its_fate() -> None:
    rides = seen(Kind.RIDES, "vpn-azure-1", Rides("vxc-azure-a"))
    path = judged(rides).path("azure/vpn-1")
    assert path.verdict is Verdict.DEGRADED
    assert "runs over vxc-azure-a, not vpn-azure-1 (azure/er-primary): it dies with that path" in path.why
    gone = frozenset({"er-secondary", "vpn-azure-2"})
    lost = [seen(Kind.SESSION_HERE, name, replace(UP, state="Active", reason="BFD")) for name in gone]
    left = [*lost, *routes(SITE, "azure", without=gone)]
    assert "port-a" not in judged(*left).cloud("azure").one_loss_from
    assert "port-a" in judged(*left, rides).cloud("azure").one_loss_from


@pytest.mark.parametrize("interface", ["vpn-azure-1", None])
def test_a_tunnel_that_rides_itself_or_is_not_known_to_ride_is_left_alone(interface: str | None) -> None:
    assert judged(seen(Kind.RIDES, "vpn-azure-1", Rides(interface))).path("azure/vpn-1").verdict is Verdict.UP


def test_a_path_that_carries_all_it_may_is_full() -> None:
    load = Link(admin_up=True, oper_up=True, in_mbps=960.0, out_mbps=12.0)
    path = primary(seen(Kind.LINK, "edge-1 vxc-azure-a", load))
    assert (path.verdict, path.why) == (Verdict.DEGRADED, "vxc: full: 960 of 1000 Mbps")
    tunnel = judged(seen(Kind.LINK, "edge-1 vpn-azure-1", replace(load, in_mbps=480.0))).path("azure/vpn-1")
    assert tunnel.why == "circuit: full: 480 of 500 Mbps"


def test_the_fabrics_own_rate_counts_more_than_the_site_files() -> None:
    load = seen(Kind.LINK, "edge-1 vxc-azure-a", Link(admin_up=True, oper_up=True, in_mbps=960.0, out_mbps=12.0))
    vxc = FabricVxc(up=True, shutdown=False, status="LIVE", rate_mbps=2000)
    assert primary(load, seen(Kind.VXC, "vxc-azure-a", vxc)).verdict is Verdict.UP


@pytest.mark.parametrize(
    ("name", "optics", "said"),
    [
        ("edge-1 port-a", Optics(rx_dbm=-18.2, tx_dbm=-1.0), "port: light received -18.2 dBm, outside -14.4 to 2.5"),
        ("er-primary", Optics(tx_dbm=3.1), "circuit: light sent 3.1 dBm, outside -14.4 to 2.5"),
        ("edge-1 port-a", Optics(rx_dbm=-3.0, macsec=True), ""),
        ("edge-1 port-a", Optics(), ""),
    ],
)
def test_light_outside_the_policys_range_is_told_where_it_is_reported(name: str, optics: Optics, said: str) -> None:
    path = primary(seen(Kind.OPTICS, name, optics))
    assert path.why == said
    assert path.verdict is (Verdict.DEGRADED if said else Verdict.UP)


def test_all_that_is_impaired_is_said_at_once() -> None:
    path = primary(BFD_DOWN, seen(Kind.OPTICS, "edge-1 port-a", Optics(rx_dbm=-20.0)))
    assert [part.split(":")[0] for part in path.why.split("; ")] == ["port", "bfd"]


# -- drains


def test_a_path_that_we_drained_is_up_a_standby_and_says_so() -> None:
    quiet = seen(Kind.LINK, "edge-1 vxc-azure-a", Link(admin_up=True, oper_up=True, in_mbps=0.01, out_mbps=0.0))
    health = judged(*over_primary(120), quiet)
    path = health.path(PRIMARY)
    assert (path.verdict, path.role) == (Verdict.UP, "standby")
    assert path.why == "drained: local-preference 120, 200 at rest; it can still carry"
    assert PRIMARY in health.cloud("azure").spares
    alert = next(a for a in health.alerts if a.id == f"drained:{PRIMARY}")
    assert (alert.severity, alert.text) == ("info", path.why)


@pytest.mark.parametrize(
    ("others", "mbps", "left"),
    [
        (frozenset({"er-secondary"}), 0.0, "still the best way of its router"),
        (frozenset(), 3.4, "3.4 Mbps still on it"),
    ],
)
def test_a_path_that_is_not_empty_yet_is_draining_and_that_is_a_warning(
    others: frozenset[str], mbps: float, left: str
) -> None:
    load = seen(Kind.LINK, "edge-1 vxc-azure-a", Link(admin_up=True, oper_up=True, in_mbps=mbps, out_mbps=0.0))
    health = judged(*routes(SITE, "azure", without=others, prefs={"er-primary": 120}), load)
    assert health.path(PRIMARY).why == f"draining: local-preference 120, 200 at rest; {left}"
    assert next(a.severity for a in health.alerts if a.id == f"drained:{PRIMARY}") == "warning"


def test_a_tunnel_at_its_usual_preference_is_not_drained() -> None:
    assert {path.drained for path in judged().paths} == {None}


def test_the_providers_own_drain_is_maintenance_and_no_fault() -> None:
    eight = " ".join(["12076"] * 9)
    quiet = seen(Kind.LINK, "edge-1 vxc-azure-a", Link(admin_up=True, oper_up=True, in_mbps=0.0, out_mbps=0.0))
    health = judged(*over_primary(120, eight), quiet)
    path = health.path(PRIMARY)
    assert (path.verdict, path.role) == (Verdict.UP, "standby")
    assert path.why == "drained: the provider prepends 8 times; it can still carry"
    assert health.verdict is Overall.HEALTHY
    alert = next(a for a in health.alerts if a.path == PRIMARY)
    assert (alert.id, alert.severity) == (f"maintenance:{PRIMARY}", "info")
    assert alert.text.startswith("provider maintenance: ")


def test_a_provider_that_drains_a_path_which_we_force_is_a_warning() -> None:
    health = judged(*over_primary(200, " ".join(["12076"] * 9)))
    alert = next(a for a in health.alerts if a.id == f"maintenance:{PRIMARY}")
    assert alert.severity == "warning"
    assert "still the best way" in alert.text


# -- since


def test_since_is_when_it_was_seen_to_change_and_unknown_when_the_watch_began_so() -> None:
    dark = seen(Kind.PORT, "port-a", FabricPort(up=False, status="LIVE"))
    began = judge(SITE, Snapshot().with_observations([*HEALTHY.observations.values(), dark]), NOW)
    assert began.path(PRIMARY).since is not None, "it was up a moment before"
    alone = Snapshot().with_observations([dark])
    later = NOW + timedelta(seconds=1.4)
    assert judge(SITE, alone, NOW).path(PRIMARY).since is None
    again = judge(SITE, HEALTHY.with_observations([replace(dark, at=NOW)]), later)
    assert again.path(PRIMARY).since == NOW
    assert again.cloud("azure").since == NOW
    assert (again.since, again.why) == (NOW, "azure: down: azure/er-primary; aws: down: aws/dx-1")


def test_a_stale_path_is_stale_since_its_figure_ran_out() -> None:
    later = NOW + timedelta(seconds=60)
    path = judge(SITE, HEALTHY, later).path(PRIMARY)
    assert path.since == NOW - timedelta(seconds=0.5) + timedelta(seconds=2)


def test_figures_have_their_age() -> None:
    path = primary()
    assert (path.age_s, path.age_there_s, path.load_age_s, path.probe_age_s) == (0.5, 0.5, 0.5, 0.5)


def test_rates_and_counts_come_and_go_without_a_change() -> None:
    moved = [
        seen(Kind.LINK, "edge-1 vxc-azure-a", Link(admin_up=True, oper_up=True, in_mbps=1.0, out_mbps=2.0)),
        seen(Kind.SESSION_HERE, "er-primary", replace(UP, received=3)),
        seen(Kind.PROBE, PRIMARY, ProbeResult(3, 2, 9.0)),
    ]
    assert not HEALTHY.with_observations([replace(fact, at=NOW) for fact in moved]).changed


def test_a_path_over_two_failures_is_down_since_the_first() -> None:
    port = seen(Kind.PORT, "port-a", FabricPort(up=False, status="LIVE"))
    session = seen(Kind.SESSION_HERE, "er-primary", replace(UP, state="Active", since=NOW - timedelta(seconds=40)))
    assert primary(port, session).since == NOW - timedelta(seconds=40)


def test_symmetry_across_a_stateful_device_makes_the_cloud_impaired() -> None:
    narrow = SITE.stateful[0].model_copy(update={"crosses": (PRIMARY, "azure/vpn-1")})
    site = SITE.model_copy(update={"stateful": (narrow, *SITE.stateful[1:])})
    other = seen(Kind.LINK, "edge-2 vxc-azure-b", Link(admin_up=True, oper_up=True, in_mbps=400.0, out_mbps=0.0))
    silent = seen(Kind.LINK, "edge-1 vxc-azure-a", Link(admin_up=True, oper_up=True, in_mbps=0.0, out_mbps=400.0))
    health = judge(site, HEALTHY.with_observations([replace(fact, at=NOW) for fact in (other, silent)]), NOW)
    azure = health.cloud("azure")
    assert (azure.verdict, azure.why, azure.missed) == (
        Overall.DEGRADED,
        "replies miss azure-firewall",
        ("azure-firewall",),
    )
    alert = next(a for a in health.alerts if a.id == "asymmetry:azure")
    assert alert.severity == "critical"
    assert "back by azure/er-secondary (measured on our interfaces): replies miss azure-firewall" in alert.text


@pytest.mark.parametrize(
    ("long", "verdict"),
    [
        (LossCount(sent=8, lost=2, times=2), Verdict.DEGRADED),
        (LossCount(sent=8, lost=1, times=1), Verdict.UP),
        (LossCount(sent=400, lost=2, times=2), Verdict.UP),
        (None, Verdict.DEGRADED),
    ],
)
def test_a_first_look_at_a_lossy_path_is_no_health(long: LossCount | None, verdict: Verdict) -> None:
    lossy = seen(Kind.PROBE, "azure/er-primary", ProbeResult(8, 6, 4.1, long=long))
    assert judge(SITE, healthy(SITE).with_observations([lossy]), NOW).path("azure/er-primary").verdict is verdict
