"""What a forecast says of the reference site, and when it says that it does not know."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from network.forecast import Action, CloudForecast, Forecast, forecast
from network.health import judge
from network.layers import View
from network.observation import (
    Advert,
    Advertised,
    CloudRoute,
    CloudRoutes,
    HubPreference,
    Kind,
    Observation,
    Received,
    ReceivedRoute,
    Rides,
    RoutePath,
    Routes,
)
from network.snapshot import Snapshot
from network.things import UnknownThing, names
from network.verdict import Overall
from tests.sample import NOW, healthy, reference, seen
from tests.truth import World, snapshot_of

SITE = reference()
P95 = {"vxc-azure-a": 400.0, "vxc-azure-b": 1.0, "vxc-aws-a": 250.0, "vxc-aws-b": 1.0}
P95 |= {tunnel.name: 2.0 for tunnel in SITE.tunnels}
WORLD = World(SITE, p95=P95)


def known(*more: Observation, world: World = WORLD) -> Snapshot:
    """A healthy site of which everything is known that a forecast needs."""
    return healthy(SITE).with_observations([*snapshot_of(world).observations.values(), *more])


def foretold(action: Action, *things: str, snapshot: Snapshot | None = None) -> Forecast:
    snapshot = snapshot or known()
    return forecast(View(SITE, snapshot, NOW), judge(SITE, snapshot, NOW), action, things)


def ways(cloud: CloudForecast) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return cloud.after.carried_by, cloud.after.return_by


A, B = "azure/er-primary", "azure/er-secondary"
ONE, TWO = "aws/dx-1", "aws/dx-2"
AZURE_VPN, AWS_VPN = ("azure/vpn-1", "azure/vpn-2"), ("aws/vpn-1", "aws/vpn-2")
IS, MOVED = ((A,), (A,)), ((B,), (B,))
AWS_IS, AWS_MOVED = ((ONE,), (ONE,)), ((TWO,), (TWO,))


@pytest.mark.parametrize(
    ("action", "things", "azure", "aws"),
    [
        ("fail", ("port-a",), MOVED, AWS_MOVED),
        ("fail", ("port-b",), IS, AWS_IS),
        ("fail", ("er-primary",), MOVED, AWS_IS),
        ("fail", ("vxc-aws-a",), IS, AWS_MOVED),
        ("fail", ("dx-1",), IS, AWS_MOVED),
        ("fail", ("pop-a",), MOVED, AWS_MOVED),
        ("fail", ("carrier-2",), IS, AWS_IS),
        ("fail", ("msee-primary",), MOVED, AWS_IS),
        ("fail", ("dx-location-1",), IS, AWS_MOVED),
        ("fail", ("ergw-azure",), (AZURE_VPN, AZURE_VPN), AWS_IS),
        ("fail", ("isp-1",), IS, AWS_IS),
        ("fail", ("fabric",), (AZURE_VPN, AZURE_VPN), (AWS_VPN, AWS_VPN)),
        ("fail", ("internet",), IS, AWS_IS),
        ("fail", ("ibgp",), ((A, B), (A,)), ((ONE, TWO), (ONE,))),
        ("fail", ("edge-1",), MOVED, AWS_MOVED),
        ("fail", ("fabric", "internet"), ((), ()), ((), ())),
        ("fail", ("port-a", "edge-2"), (("azure/vpn-1",), ("azure/vpn-1",)), (("aws/vpn-1",), ("aws/vpn-1",))),
        ("drain", ("port-a",), MOVED, AWS_MOVED),
        ("drain", ("port-b",), IS, AWS_IS),
        ("drain", ("edge-1",), MOVED, AWS_MOVED),
        ("drain", ("er-primary",), MOVED, AWS_IS),
    ],
)
def test_the_outcome_is_that_of_the_reference_policy_on_real_routers(
    action: Action, things: tuple[str, ...], azure: object, aws: object
) -> None:
    found = foretold(action, *things)
    assert (ways(found.cloud("azure")), ways(found.cloud("aws"))) == (azure, aws)
    assert found.known is True


def test_a_single_loss_moves_both_directions_and_says_what_is_left() -> None:
    azure = foretold("fail", "port-a").cloud("azure")
    assert azure.before.verdict is Overall.HEALTHY
    assert azure.after.verdict is Overall.DEGRADED
    assert azure.moved == ("10.50.0.0/16", "10.51.0.0/16", "10.10.0.0/16", "10.11.0.0/16")
    assert (azure.lost, azure.unaffected, azure.one_loss_from) == ((), (), ())


def test_a_cloud_that_is_not_touched_is_unaffected_and_as_healthy_as_before() -> None:
    aws = foretold("fail", "er-primary").cloud("aws")
    assert (aws.moved, aws.lost, len(aws.unaffected)) == ((), (), 4)
    assert aws.after.verdict is Overall.HEALTHY


def test_a_dark_cloud_is_down_and_all_of_it_is_lost() -> None:
    azure = foretold("fail", "fabric", "internet").cloud("azure")
    assert azure.after.verdict is Overall.DOWN
    assert len(azure.lost) == 4
    assert azure.moved == ()


def test_when_the_tunnels_are_all_that_is_left_their_gateway_is_the_next_loss() -> None:
    assert foretold("fail", "fabric").cloud("azure").one_loss_from == ("vpngw-azure",)


def test_without_add_path_the_standby_is_still_found_once_the_active_path_is_gone() -> None:
    """The site file says add-path and the routers say otherwise: what they hold decides."""
    inside = SITE.session("ibgp").model_copy(update={"add_path": False})
    bare = SITE.model_copy(update={"sessions": (inside, *(s for s in SITE.sessions if not s.internal))})
    snapshot = known(world=World(bare, p95=P95))
    held = snapshot.fact(Kind.ROUTES, "edge-1 10.50.0.0/16", Routes)
    assert held is not None
    assert not any(route.internal for route in held.paths)
    assert ways(foretold("fail", "port-a", snapshot=snapshot).cloud("azure")) == MOVED


def test_the_survivor_is_counted_with_its_own_history_and_what_it_takes_over() -> None:
    found = foretold("fail", "port-a")
    load = found.cloud("azure").load[0]
    assert (load.path, load.mbps, load.rate_mbps, load.pct) == (B, 401.0, 1000, pytest.approx(40.1))


def test_each_of_two_takers_is_counted_with_all_of_it_since_the_division_is_not_known() -> None:
    loads = {load.path: load.mbps for load in foretold("fail", "fabric").cloud("azure").load}
    assert loads == {"azure/vpn-1": 402.0, "azure/vpn-2": 402.0}


def test_a_missing_or_old_history_is_unknown_and_never_nothing() -> None:
    few = {name: mbps for name, mbps in P95.items() if name != "vxc-azure-b"}
    found = foretold("fail", "port-a", snapshot=known(world=World(SITE, p95=few)))
    assert [(load.path, load.mbps, load.pct) for load in found.cloud("azure").load] == [(B, None, None)]
    assert found.cloud("aws").load[0].mbps == 251.0


def gone(kind: Kind, name: str) -> Snapshot:
    kept = {key: item for key, item in known().observations.items() if key != (kind, name)}
    return replace(known(), observations=kept)


def aged(kind: Kind, name: str) -> Snapshot:
    item = known().observations[kind, name]
    old = replace(item, at=item.at - timedelta(hours=1))
    return replace(known(), observations={**known().observations, old.key: old})


@pytest.mark.parametrize(
    ("kind", "name", "why"),
    [
        (Kind.ROUTES, "edge-1 10.50.0.0/16", "what edge-1 holds for 10.50.0.0/16"),
        (Kind.HUB_PREFERENCE, "azure", "preference of hub-azure is unknown"),
        (Kind.ADVERTISED, "vpn-azure-1", "what azure accepted on azure/vpn-1"),
    ],
)
@pytest.mark.parametrize("lacks", [gone, aged])
def test_what_is_missing_or_past_its_limit_makes_the_answer_unknown(kind: Kind, name: str, why: str, lacks) -> None:
    found = foretold("fail", "port-a", snapshot=lacks(kind, name))
    azure = found.cloud("azure")
    assert azure.after.verdict is Overall.UNKNOWN
    assert any(why in said for said in azure.why)
    assert (azure.load, azure.one_loss_from) == ((), ())
    assert found.known is False
    assert found.cloud("aws").after.verdict is Overall.DEGRADED, "the other cloud is known"


def test_the_direction_that_is_known_is_told_while_the_other_is_not() -> None:
    azure = foretold("fail", "port-a", snapshot=gone(Kind.HUB_PREFERENCE, "azure")).cloud("azure")
    assert ways(azure) == ((B,), ())
    assert azure.moved == ("10.50.0.0/16", "10.51.0.0/16")


def test_a_preference_that_nobody_knows_is_no_reason_to_guess() -> None:
    odd = known(seen(Kind.HUB_PREFERENCE, "azure", HubPreference("Cheapest"), age_s=0.1))
    azure = foretold("fail", "port-a", snapshot=odd).cloud("azure")
    assert "'Cheapest'" in azure.why[0]


@pytest.mark.parametrize(
    ("preference", "back"),
    [("VpnGateway", AZURE_VPN), ("ASPath", (A, *AZURE_VPN)), ("ExpressRoute", (A,))],
)
def test_the_way_back_follows_the_hubs_preference(preference: str, back: tuple[str, ...]) -> None:
    snapshot = known(world=World(SITE, hub=preference))
    azure = foretold("fail", "port-b", snapshot=snapshot).cloud("azure")
    assert (azure.after.carried_by, azure.after.return_by) == ((A,), back)


def test_communities_that_are_unknown_leave_the_way_back_from_aws_unknown() -> None:
    blind = [
        seen(Kind.ACCEPTED, path, Advertised((Advert("10.10.0.0/16", (65010,)),)), age_s=0.1) for path in (ONE, TWO)
    ]
    aws = foretold("fail", "er-primary", snapshot=known(*blind)).cloud("aws")
    assert aws.after.verdict is Overall.UNKNOWN
    assert "communities" in aws.why[0]


def test_a_table_that_disagrees_with_its_own_routes_is_not_built_upon() -> None:
    other = CloudRoutes(tuple(CloudRoute(str(p.prefix), (B,)) for p in SITE.on_prem.prefixes), "table")
    snapshot = known(seen(Kind.CLOUD_ROUTES, "azure", other, age_s=0.1))
    azure = foretold("fail", "port-b", snapshot=snapshot).cloud("azure")
    assert azure.after.verdict is Overall.UNKNOWN
    assert "comes back to 10.10.0.0/16 by azure/er-secondary where its routes say azure/er-primary" in azure.why[0]


def test_a_router_that_uses_what_its_routes_do_not_explain_is_not_built_upon() -> None:
    held = known().fact(Kind.ROUTES, "edge-1 10.50.0.0/16", Routes)
    assert held is not None
    tunnel = str(SITE.session("vpn-azure-1").peer)
    odd = Routes(tuple(replace(route, best=route.peer == tunnel) for route in held.paths))
    snapshot = known(seen(Kind.ROUTES, "edge-1 10.50.0.0/16", odd, age_s=0.1))
    azure = foretold("fail", "port-b", snapshot=snapshot).cloud("azure")
    assert "edge-1 uses vpn-azure-1 for 10.50.0.0/16 where its routes say er-primary" in azure.why[0]


def test_a_leg_that_its_provider_drains_is_longer_on_the_way_back_too() -> None:
    """Eight times 12076 is seen on what we receive; the hub sees as many, which no table of accepted routes shows."""
    peer, moved = str(SITE.session("er-primary").peer), []
    for router in ("edge-1", "edge-2"):
        for prefix in ("10.50.0.0/16", "10.51.0.0/16"):
            held = known().fact(Kind.ROUTES, f"{router} {prefix}", Routes)
            assert held is not None
            paths = tuple(_drained(route, peer, router) for route in held.paths)
            moved.append(seen(Kind.ROUTES, f"{router} {prefix}", Routes(paths), age_s=0.1))
    table = CloudRoutes(tuple(CloudRoute(str(p.prefix), (B,)) for p in SITE.on_prem.prefixes), "table")
    snapshot = known(*moved, seen(Kind.CLOUD_ROUTES, "azure", table, age_s=0.1))
    azure = foretold("fail", "dx-1", snapshot=snapshot).cloud("azure")
    assert azure.why == ()
    assert ways(azure) == MOVED
    assert ways(foretold("fail", "port-b", snapshot=snapshot).cloud("azure")) == IS


def _drained(route: RoutePath, peer: str, router: str) -> RoutePath:
    standby = route.local_pref == 150
    if route.peer == peer or (route.internal and route.local_pref == 200):
        return replace(route, as_path="12076 " * 9, local_pref=120, best=False)
    return replace(route, best=standby) if standby or router else route


def test_the_halves_of_a_forced_vpn_win_by_length_and_fall_back_to_the_whole() -> None:
    """procedures 3: return by the /17s on the tunnels; when they are gone, by the /16s again [LAB]."""
    halves = ("10.10.0.0/17", "10.10.128.0/17", "10.11.0.0/17", "10.11.128.0/17")
    whole = ("10.10.0.0/16", "10.11.0.0/16")
    forced = [
        seen(
            Kind.ADVERTISED,
            name,
            Advertised(tuple(Advert(prefix, (65010,)) for prefix in (*whole, *halves))),
            age_s=0.1,
        )
        for name in ("vpn-azure-1", "vpn-azure-2")
    ]
    table = CloudRoutes((*(CloudRoute(p, (A,)) for p in whole), *(CloudRoute(p, AZURE_VPN) for p in halves)), "table")
    snapshot = known(*forced, seen(Kind.CLOUD_ROUTES, "azure", table, age_s=0.1))
    kept = foretold("fail", "port-b", snapshot=snapshot).cloud("azure")
    assert (kept.why, kept.after.return_by) == ((), AZURE_VPN)
    lost = foretold("fail", "internet", snapshot=snapshot).cloud("azure")
    assert lost.after.return_by == (A,)
    assert "10.10.0.0/16" in lost.moved, "both halves moved alike and are told as one"
    assert lost.lost == ()


def test_a_more_specific_route_that_was_received_draws_its_part_of_the_way_out() -> None:
    """A summary on the private path and a /17 on the tunnel: the tunnel carries that half (procedures 1)."""
    half = Received((ReceivedRoute("10.50.0.0/17", (65515,), 100),))
    refused = Received((ReceivedRoute("10.50.128.0/17", (65515,), 100, accepted=False),))
    facts = [
        seen(Kind.RECEIVED, "vpn-azure-1", half, age_s=0.1),
        seen(Kind.RECEIVED, "vpn-azure-2", refused, age_s=0.1),
    ]
    azure = foretold("fail", "port-a", snapshot=known(*facts)).cloud("azure")
    assert azure.after.carried_by == (B, "azure/vpn-1")
    assert "10.50.0.0/17" in azure.unaffected
    assert "10.50.128.0/17" in azure.moved


def test_a_tunnel_whose_session_rides_the_private_path_dies_with_it() -> None:
    riding = known(seen(Kind.RIDES, "vpn-azure-1", Rides("vxc-azure-a"), age_s=0.1))
    azure = foretold("fail", "port-a", "port-b", snapshot=riding).cloud("azure")
    assert ways(azure) == (("azure/vpn-2",), ("azure/vpn-2",))


def test_the_knobs_of_a_drain_that_do_nothing_are_named_with_the_reason() -> None:
    said = dict(foretold("drain", "port-a").no_effect)
    assert set(said) == {"med", "community 65535:0", "community 7224", "routingWeight"}
    assert "believed" in said["med"]
    assert foretold("fail", "port-a").no_effect == ()


def test_a_drain_of_both_legs_says_that_prepends_cannot_move_to_the_tunnels() -> None:
    found = foretold("drain", "fabric")
    assert ways(found.cloud("azure")) == ((A, B), (A,)), "equal preferences: each router leaves by its own leg"
    assert any(knob == "prepend" and "only tunnels are left" in why for knob, why in found.no_effect)


def test_a_drain_never_raises_a_tunnels_preference_and_says_so() -> None:
    found = foretold("drain", "vpn-azure-1")
    assert ways(found.cloud("azure")) == IS
    assert any(knob == "local-pref 120" for knob, _ in found.no_effect)
    assert any(knob == "prepend" for knob, _ in found.no_effect)


def test_there_is_nothing_to_turn_between_our_own_routers() -> None:
    found = foretold("drain", "ibgp")
    assert ways(found.cloud("azure")) == IS
    assert found.no_effect[0][0] == "drain"


def test_a_name_that_is_nothing_gets_the_nearest_that_is() -> None:
    with pytest.raises(UnknownThing, match="did you mean 'port-a'"):
        foretold("fail", "prt-a")
    assert {"port-a", "vxc-aws-b", "dx-2", "vpn-aws-1", "edge-1", "ibgp", "fabric", "internet", "isp-2"} <= set(
        names(SITE)
    )
