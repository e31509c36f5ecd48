"""The VPN forced and put back on edges in memory: what is sent, what a look says, what is refused and why."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import IPv4Network

import pytest

from connectors.errors import OutcomeUnknown
from lab.embedded.editor import apply
from network.measured import ProbeResult
from network.observation import Kind, Received, ReceivedRoute, Rides, SessionHere
from runbooks.checks.primary_stable import PrimaryStable
from runbooks.checks.vpn_carries import VpnCarries
from runbooks.checks.vpn_ready import VpnReady
from runbooks.effects import NotSent
from runbooks.model import Phase, StepDef, steps_of
from runbooks.perform import Performer
from runbooks.plan import Plan
from runbooks.putback import undo_definition
from runbooks.scene import CannotPlan
from runbooks.verbs import VERBS
from runbooks.view import Timer
from tests.engine.little_edges import HALVES, Edges
from tests.engine.little_network import SITE, allowed, steps
from tests.sample import NOW, seen

EXIT = "ip prefix-list INTERLOCK-SPECIFICS-azure"


def texts(scene: Edges) -> dict[str, str]:
    return {name: edge.text for name, edge in scene.routers.items()}


async def act(scene: Edges, step: StepDef, phase: Phase = "do") -> None:
    await VERBS["act"][step.verb].act(scene, step, phase, allowed)


async def state(scene: Edges, step: StepDef) -> str:
    return str((await VERBS["act"][step.verb].observe(scene, step)).state)


async def proven(scene: Edges, step: StepDef, phase: Phase = "do") -> None:
    found = await VERBS["act"][step.verb].verify(scene, step, phase)
    assert found.ok is True, found.reason


def acts(plan: Plan) -> list[StepDef]:
    return [step for step in steps_of(plan.definition()) if step.kind == "act"]


def inverse(plan: Plan) -> list[StepDef]:
    return [step for step in steps_of(undo_definition(plan.definition(), "R-1")) if step.kind == "act"]


# -- what is planned


def test_return_comes_before_egress_and_both_are_one_group_of_each_cloud() -> None:
    plan = Edges().force("all")
    assert [step.id for step in plan.steps] == [
        "ready-azure", "ready-aws", "return-azure", "egress-azure", "return-aws", "egress-aws", "carried-azure",
        "carried-aws",
    ]  # fmt: skip
    assert [step.group for step in acts(plan)] == ["force-azure", "force-azure", "force-aws", "force-aws"]
    assert {"edge-1", "edge-2", "azure", "aws"} <= set(plan.touches)
    assert "all" not in plan.touches
    assert {"cloud:azure", "cloud:aws", "port:port-a", "port:port-b"} <= set(plan.locks)


def test_the_plan_foretells_the_tunnels_for_the_forced_cloud_alone() -> None:
    plan = Edges().force("azure")
    tunnels = ["azure/vpn-1", "azure/vpn-2"]
    assert plan.after["azure"] == {"carried_by": tunnels, "return_by": tunnels}
    assert plan.after["aws"] == plan.before["aws"]


def test_the_standby_goes_down_first_and_the_providers_drain_below_both() -> None:
    lines = Edges().force("azure").steps[2].lines
    assert [line for line in lines if "local-preference" in line or line.startswith("edge-1> clear")] == [
        "edge-2(config)> set local-preference 70",
        "edge-2(config)> set local-preference 80",
        "edge-1(config)> set local-preference 70",
        "edge-1(config)> set local-preference 90",
        "edge-1> clear bgp ipv4 unicast 10.255.1.2 soft",
    ]


# -- what is sent


@pytest.mark.parametrize("cloud", ["azure", "aws", "all"])
async def test_forced_proven_and_put_back_byte_for_byte(cloud: str) -> None:
    scene = Edges()
    before, plan = texts(scene), scene.force(cloud)
    for step in acts(plan):
        assert await state(scene, step) == "undo"
        await act(scene, step)
        assert await state(scene, step) == "do"
        await proven(scene, step)
    assert texts(scene) != before
    for step in reversed(acts(plan)):
        await act(scene, step, "undo")
        assert await state(scene, step) == "undo"
        await proven(scene, step, "undo")
    assert texts(scene) == before


async def test_a_linked_undo_does_the_same_the_other_way_round() -> None:
    scene = Edges()
    before, plan = texts(scene), scene.force()
    for step in acts(plan):
        await act(scene, step)
    for step in inverse(plan):
        assert await state(scene, step) == "undo"
        await act(scene, step)
        assert await state(scene, step) == "do"
        await proven(scene, step)
    assert texts(scene) == before


async def test_the_halves_go_out_by_the_tunnels_alone_and_never_to_our_other_router() -> None:
    scene = Edges()
    await act(scene, acts(scene.force())[0])
    for path in SITE.paths:
        sent = set(HALVES) & set(scene.edge_of(path).announced(path.session))
        assert sent == (set(HALVES) if path.name in {"azure/vpn-1", "azure/vpn-2"} else set()), path.name
    for edge in scene.routers.values():
        assert not set(HALVES) & set(edge.inward())
        assert "10.10.0.0/16" in edge.inward()


@pytest.mark.parametrize("first", ["azure", "aws"])
async def test_what_another_cloud_needs_stays_until_the_last_one_is_failed_back(first: str) -> None:
    scene = Edges()
    before = texts(scene)
    plans = {"azure": scene.force("azure")}
    for step in acts(plans["azure"]):
        await act(scene, step)
    scene.look()
    plans["aws"] = scene.force("aws")
    for step in acts(plans["aws"]):
        await act(scene, step)
    other = "aws" if first == "azure" else "azure"
    for step in inverse(plans[first]):
        await act(scene, step)
        await proven(scene, step)
    tunnel = SITE.path(f"{other}/vpn-1")
    assert set(HALVES) <= set(scene.edge_of(tunnel).announced(tunnel.session)), "the other cloud is still forced"
    for step in acts(plans[other]):
        assert await state(scene, step) == "do"
    for step in inverse(plans[other]):
        await act(scene, step)
        await proven(scene, step)
    assert texts(scene) == before


async def test_a_timer_that_fires_takes_nothing_from_a_cloud_that_is_forced_by_another_run() -> None:
    scene = Edges()
    azure = acts(scene.force("azure"))
    for step in azure:
        await act(scene, step)
    scene.look()
    forced, performer = texts(scene), Performer(scene)
    moved = acts(scene.force("aws"))[0]
    timer = Timer("R-1-return-aws-a1", 15.0, tuple(performer.places(moved)), "R-1", 1)
    await performer.arm(moved, timer)
    await act(scene, moved)
    for router in scene.routers.values():
        await router.configure(router.timers[timer.id][1])
    assert [await state(scene, step) for step in azure] == ["do", "do"], "azure is still forced, whole"
    assert texts(scene) == forced


async def test_half_a_change_is_mixed_and_both_ways_out_of_it_are_open() -> None:
    for phase in ("do", "undo"):
        scene = Edges()
        before, step = texts(scene), acts(scene.force())[0]
        scene.routers["edge-2"].failures = [OutcomeUnknown("it failed", where="edge-2", do_next="look")]
        with pytest.raises(OutcomeUnknown):
            await act(scene, step)
        assert await state(scene, step) == "mixed"
        await act(scene, step, phase)  # type: ignore[arg-type]  # a tuple of two phases
        assert await state(scene, step) == phase
        assert (texts(scene) == before) == (phase == "undo")


# -- somebody else was here

FOREIGN = [
    (("route-map OUT-vpn-azure-1 permit 9", "set as-path prepend 65010"), "somebody else's clause"),
    ((f"{EXIT} seq 99 permit 10.10.0.0/18",), "somebody else's entry in our list"),
]


@pytest.mark.parametrize(("lines", "words"), FOREIGN)
@pytest.mark.parametrize("phase", ["do", "undo"])
async def test_somebody_elses_change_is_shown_and_never_written_over(
    lines: tuple[str, ...], words: str, phase: Phase
) -> None:
    scene = Edges()
    step = acts(scene.force())[0]
    if phase == "undo":
        await act(scene, step)
    edge = scene.routers["edge-1"]
    apply(edge.config, lines)
    sent = list(edge.sent)
    with pytest.raises(NotSent, match=words):
        await act(scene, step, phase)
    assert edge.sent == sent
    found = await VERBS["act"][step.verb].observe(scene, step)
    assert found.state == "unknown"
    assert words in found.evidence["foreign"][0]


async def test_an_origination_that_appeared_since_the_plan_is_not_taken_for_ours() -> None:
    scene = Edges()
    step = acts(scene.force())[0]
    apply(scene.routers["edge-1"].config, ["router bgp 65010", "address-family ipv4 unicast", f"network {HALVES[0]}"])
    with pytest.raises(NotSent, match=f"somebody else originates {HALVES[0]}"):
        await act(scene, step)


async def test_a_preference_that_somebody_changed_is_not_written_over() -> None:
    scene = Edges()
    step = acts(scene.force())[1]
    apply(scene.routers["edge-2"].config, ["route-map IN-msee-secondary permit 10", "set local-preference 160"])
    with pytest.raises(NotSent, match="somebody else changed route-map IN-msee-secondary permit 10"):
        await act(scene, step)
    assert scene.routers["edge-1"].sent == []


# -- what is refused


def test_a_policy_that_is_not_below_the_vpn_is_refused_with_its_numbers() -> None:
    scene = Edges()
    scene.site = SITE.model_copy(update={"policy": SITE.policy.model_copy(update={"forced_local_pref": 100})})
    with pytest.raises(CannotPlan, match=r"100 for azure/er-primary .* is not below the VPN's 100"):
        scene.force()


def test_a_cloud_that_is_forced_already_is_not_forced_twice() -> None:
    scene = Edges()
    apply(scene.routers["edge-2"].config, [f"{EXIT} seq 5 permit {HALVES[0]}"])
    with pytest.raises(CannotPlan, match="edge-2 has INTERLOCK-SPECIFICS-azure already"):
        scene.force()


def test_an_origination_inside_a_half_is_in_the_way() -> None:
    scene = Edges()
    apply(scene.routers["edge-1"].config, ["router bgp 65010", "address-family ipv4 unicast", "network 10.10.8.0/24"])
    with pytest.raises(CannotPlan, match=r"edge-1 has `network 10.10.8.0/24` inside 10.10.0.0/17"):
        scene.force()


def test_an_internal_route_as_long_as_a_half_is_in_the_way() -> None:
    scene = Edges()
    got = Received((ReceivedRoute("10.10.128.0/17", ()), ReceivedRoute("10.10.0.0/16", ())))
    scene.facts = [seen(Kind.RECEIVED, "ibgp", got)]
    scene.look()
    with pytest.raises(CannotPlan, match=r"edge-1 has an internal route 10.10.128.0/17 inside 10.10.128.0/17"):
        scene.force()


def test_a_router_that_checks_its_table_would_originate_nothing() -> None:
    scene = Edges()
    apply(scene.routers["edge-1"].config, ["router bgp 65010", "bgp network import-check"])
    with pytest.raises(CannotPlan, match="edge-1 originates only what its own table holds"):
        scene.force()


def test_more_than_the_cloud_takes_is_refused_with_the_count() -> None:
    scene = Edges()
    sessions = tuple(
        s.model_copy(update={"max_prefix_there": 6}) if s.name == "vpn-azure-1" else s for s in SITE.sessions
    )
    scene.site = SITE.model_copy(update={"sessions": sessions})
    with pytest.raises(CannotPlan, match="vpn-azure-1 would announce 7 of 6 prefixes that the cloud takes"):
        scene.force()


# -- before and after


def check(scene: Edges, name: str) -> StepDef:
    return steps(scene.force())[name]


async def test_a_proven_vpn_with_room_is_ready_and_says_how_old_the_proof_is() -> None:
    scene = Edges()
    found = await VpnReady().check(scene, check(scene, "ready-azure"))
    assert found.ok is True, found.reason
    told = {line["what"]: line["now"] for line in found.evidence["expected"]}
    assert told["azure/vpn-1"].startswith("proven ")
    assert told["azure demand"] == "400 of 1000 Mbps over azure/vpn-1, azure/vpn-2"


async def test_a_session_that_rides_the_private_path_is_no_backup() -> None:
    scene = Edges()
    step = check(scene, "ready-azure")
    scene.facts = [seen(Kind.RIDES, "vpn-azure-1", Rides("vxc-azure-a"))]
    scene.look()
    found = await VpnReady().check(scene, step.model_copy(update={"timeout_s": 2}))
    assert found.ok is False
    assert "rides vxc-azure-a, not vpn-azure-1" in found.reason


async def test_packets_of_full_size_that_nobody_has_tried_leave_it_unknown() -> None:
    scene = Edges()
    step = check(scene, "ready-azure")
    scene.blind = lambda item: item.kind is Kind.MTU
    scene.clock += timedelta(seconds=10)
    scene.look()
    found = await VpnReady().check(scene, step.model_copy(update={"timeout_s": 2}))
    assert found.ok is None
    assert "whether packets of full size pass is unknown" in found.reason


async def test_a_tunnel_that_is_down_is_left_out_and_the_rest_must_hold_it_all() -> None:
    scene = Edges()
    step = check(scene, "ready-azure")
    scene.facts = [
        seen(Kind.SESSION_HERE, "vpn-azure-2", SessionHere("Active", NOW, None, None, 100)),
        scene.link("azure/er-primary", 1200.0),
    ]
    scene.look()
    found = await VpnReady().check(scene, step.model_copy(update={"timeout_s": 2}))
    assert found.ok is False
    assert "will not fit: 100 Mbps too many (600 of 500 over azure/vpn-1)" in found.reason


async def test_the_wait_ends_when_the_tunnels_carry_what_was_carried_before() -> None:
    scene = Edges()
    plan = scene.force()
    for step in acts(plan):
        await act(scene, step)
    waiting, told = steps(plan)["carried-azure"], list[object]()
    found = await VpnCarries().wait(scene, waiting, told.append)
    assert found.ok is True, found.reason
    assert len(told) >= SITE.policy.empty_samples


async def test_a_load_that_is_gone_is_not_carried_by_the_tunnels() -> None:
    scene = Edges()
    plan = scene.force()
    for step in acts(plan):
        await act(scene, step)
    scene.facts = [scene.link(name, 60.0) for name in ("azure/vpn-1", "azure/vpn-2")]
    found = await VpnCarries().wait(scene, steps(plan)["carried-azure"], lambda _: None)
    assert found.ok is False
    assert "azure VPN: 120.00 Mbps, expected at least 160 Mbps" in found.reason


@pytest.mark.parametrize(("mbps", "ok"), [(400.0, True), (0.02, None)])
async def test_without_a_load_before_more_than_idle_shows_that_the_tunnels_carry(mbps: float, ok: bool | None) -> None:
    """A console that has just started has counted once: a rate takes two."""
    scene = Edges()
    scene.blind = lambda item: item.kind is Kind.LINK
    scene.clock += timedelta(seconds=5)
    scene.look()
    waiting = steps(scene.force())["carried-azure"]
    scene.blind = lambda _: False
    scene.facts = [
        *(scene.link(path.name, 0.02) for path in SITE.paths_of("azure")),
        *(scene.link(name, mbps) for name in ("azure/vpn-1", "azure/vpn-2")),
    ]
    found = await VpnCarries().wait(scene, waiting, lambda _: None)
    assert found.ok is ok, found.reason


def stable(scene: Edges) -> StepDef:
    compiled = PrimaryStable().compile(scene.moment(), {"cloud": "azure"})
    return StepDef(id="stable", kind="check", args=dict(compiled.args), timeout_s=compiled.timeout_s or 1.0)


async def test_a_primary_that_has_held_is_stable() -> None:
    scene = Edges()
    scene.facts = [seen(Kind.PROBE, "azure/er-primary", ProbeResult(3, 3, 4.1, usual_ms=4.0, median_ms=4.1))]
    scene.look()
    found = await PrimaryStable().check(scene, stable(scene))
    assert found.ok is True, found.reason
    assert (scene.clock - NOW).total_seconds() >= SITE.policy.baseline_s


async def test_each_flap_doubles_the_hold_down() -> None:
    scene = Edges()
    up = SessionHere("Established", NOW - timedelta(seconds=9), 2, 3, 100, drops=3)
    scene.facts = [seen(Kind.SESSION_HERE, "er-primary", up)]
    scene.look()
    found = await PrimaryStable().check(scene, stable(scene).model_copy(update={"timeout_s": 3}))
    assert found.ok is False
    assert "of 40 after 3 losses" in found.reason


@pytest.mark.parametrize(
    ("probe", "ok", "words"),
    [
        (ProbeResult(300, 299, 4.1, usual_ms=4.0, median_ms=4.1), False, "1 of 300 probes lost"),
        (ProbeResult(3, 3, 9.0, usual_ms=4.0, median_ms=9.0), False, "9.0 ms, usual 4.0"),
        (ProbeResult(3, 3, 4.1), None, "its usual round trip not known yet"),
        (ProbeResult(3, 3, 4.1, pinned=False, why="not proven"), None, "unpinned: not proven"),
    ],
)
async def test_a_primary_that_loses_or_is_slow_is_not_stable_and_what_is_not_known_proves_nothing(
    probe: ProbeResult, ok: bool | None, words: str
) -> None:
    scene = Edges()
    scene.facts = [seen(Kind.PROBE, "azure/er-primary", probe)]
    scene.look()
    found = await PrimaryStable().check(scene, stable(scene).model_copy(update={"timeout_s": 5}))
    assert found.ok is ok
    assert words in found.reason


def test_declared_specifics_are_used_instead_of_halves() -> None:
    own = (IPv4Network("10.10.0.0/16"),)
    quarters = tuple(part for each in own for part in each.subnets(new_prefix=18))
    on_prem = SITE.on_prem.model_copy(update={"specifics": quarters})
    assert SITE.model_copy(update={"on_prem": on_prem}).specifics("azure") == quarters
    assert tuple(map(str, SITE.specifics("azure"))) == HALVES
