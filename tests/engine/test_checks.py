"""The checks and the wait of drain-port on a network in memory."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest

from network.measured import ProbeResult
from network.observation import Advert, Advertised, CloudRoute, CloudRoutes, HubPreference, Kind, Load, Observation
from runbooks.checks.port_empty import PortEmpty
from runbooks.checks.restored import Restored
from runbooks.checks.standby_carries import StandbyCarries
from runbooks.checks.survivors_ready import SurvivorsReady
from runbooks.effects import Finding
from runbooks.model import StepDef
from tests.engine.little_network import SITE, LittleScene, allowed, steps, undo_steps
from tests.engine.test_prefer_standby import OT_LEAK, VERB
from tests.sample import routes, seen


async def moved() -> tuple[LittleScene, dict[str, StepDef]]:
    """Both clouds have been moved, and the routers and the fabric have not been looked at since."""
    scene = LittleScene()
    drain = steps(scene.plan())
    for name in ("move-azure", "move-aws"):
        await VERB.act(scene, drain[name], "do", allowed)
    return scene, drain


OURS = SITE.on_prem.prefixes


# -- port-empty


async def waited(scene: LittleScene, step: StepDef) -> tuple[Finding, list[Mapping[str, Any]]]:
    told: list[Mapping[str, Any]] = []
    return await PortEmpty().wait(scene, step, told.append), told


async def test_an_empty_port_needs_its_samples_in_a_row_each_read_after_the_wait_began() -> None:
    scene, drain = await moved()
    scene.look()
    began = scene.clock
    found, told = await waited(scene, drain["empty"])
    assert found.ok is True
    assert [each["expected"][0]["now"][-6:] for each in told] == ["1 of 3", "2 of 3", "3 of 3"]
    assert scene.clock - began == timedelta(seconds=3)


async def test_one_sample_is_counted_once_however_often_the_snapshot_changes() -> None:
    scene, drain = await moved()
    scene.look()
    scene.step_s, once = 0.25, scene.clock + timedelta(seconds=0.25)
    scene.blind = lambda item: item.kind is Kind.LINK and scene.clock > once
    found, told = await waited(scene, drain["empty"])
    assert found.ok is None
    assert [each["expected"][0]["now"] for each in told][:2] == ["0.04 Mbps, 1 of 3", "unknown"]


async def test_samples_closer_than_the_spacing_are_not_counted() -> None:
    scene, drain = await moved()
    scene.look()
    scene.step_s = 0.25
    began = scene.clock
    found, _ = await waited(scene, drain["empty"])
    assert found.ok is True
    assert scene.clock - began >= timedelta(seconds=2.25), "3 samples, 2 spacings of 1 s, after the first one"


async def test_a_sample_above_the_limit_starts_the_count_again() -> None:
    scene, drain = await moved()
    scene.look()
    began = scene.clock

    def burst(_item: Observation) -> bool:
        scene.facts = [scene.link("aws/dx-1", 90.0)] if (scene.clock - began).total_seconds() == 2 else []
        return False

    scene.blind = burst
    found, told = await waited(scene, drain["empty"])
    assert found.ok is True
    assert [each["expected"][0]["now"][-6:-5] for each in told] == ["1", "2", "0", "1", "2", "3"]


async def test_a_port_that_goes_on_carrying_is_seen_and_must_not_be_shut() -> None:
    scene = LittleScene()
    found, _ = await waited(scene, steps(scene.plan())["empty"])
    assert found.ok is False
    assert "port-a is 1300.00 Mbps" in found.reason
    assert "do not shut it" in found.reason


async def test_a_port_whose_counters_are_not_read_is_unknown_and_never_empty() -> None:
    scene, drain = await moved()
    scene.look()
    scene.blind = lambda item: item.name == "edge-1 vxc-aws-a"
    found, _ = await waited(scene, drain["empty"])
    assert found.ok is None
    assert "port-a is unknown" in found.reason


# -- standby-carries


async def carried(scene: LittleScene, step: StepDef, timeout_s: float = 3.0) -> Finding:
    return await StandbyCarries().check(scene, step.model_copy(update={"timeout_s": timeout_s}))


async def test_the_standby_carries_everything_both_ways() -> None:
    scene, drain = await moved()
    found = await carried(scene, drain["verify"])
    assert found.ok is True, found.reason
    assert len(found.evidence["expected"]) == 7


async def test_the_survivor_is_not_proven_by_what_was_seen_before_the_check() -> None:
    scene, drain = await moved()
    scene.look()
    scene.blind = lambda item: item.kind in {Kind.LINK, Kind.CLOUD_ROUTES}
    found = await carried(scene, drain["verify"], 1.0)
    assert found.ok is None
    assert "azure load: unknown" in found.reason


@pytest.mark.parametrize(("leftover", "ok"), [(15.0, True), (40.0, False)])
async def test_the_survivor_must_have_98_percent_of_the_load(leftover: float, ok: bool) -> None:
    scene, drain = await moved()
    scene.facts = [scene.link("azure/er-primary", leftover)]
    assert (await carried(scene, drain["verify"])).ok is ok


@pytest.mark.parametrize("before", ["idle", "loaded", "unknown"])
async def test_a_load_that_is_gone_is_no_proof_unless_there_was_none(before: str) -> None:
    scene = LittleScene()
    scene.idle = before == "idle"
    if before == "unknown":
        scene.blind = lambda item: item.kind is Kind.LINK
        scene.clock += timedelta(seconds=5)
    scene.look()
    drain = steps(scene.plan())
    for name in ("move-azure", "move-aws"):
        await VERB.act(scene, drain[name], "do", allowed)
    scene.idle, scene.blind = True, lambda _item: False
    scene.facts = [
        seen(Kind.CLOUD_ROUTES, cloud, CloudRoutes(tuple(CloudRoute(str(p.prefix), (way,)) for p in OURS), "table"))
        for cloud, way in (("azure", "azure/er-secondary"), ("aws", "aws/dx-2"))
    ]
    found = await carried(scene, drain["verify"])
    assert found.ok is {"idle": True, "loaded": False, "unknown": None}[before], found.reason


@pytest.mark.parametrize(
    ("probe", "ok", "said"),
    [
        (ProbeResult(5, 4, 3.0), False, "1 lost"),
        (ProbeResult(0, 0, None), None, "unknown"),
        (ProbeResult(5, 5, 3.0, pinned=False, why="no source address"), None, "unknown: no source address"),
    ],
)
async def test_only_probes_that_were_sent_on_their_path_and_came_back_count(
    probe: ProbeResult, ok: bool | None, said: str
) -> None:
    scene, drain = await moved()
    scene.facts = [seen(Kind.PROBE, "azure/er-secondary", probe)]
    found = await carried(scene, drain["verify"])
    assert found.ok is ok
    assert f"azure/er-secondary probes: {said}" in found.reason


async def test_the_drain_is_not_verified_while_ot_is_overlapped() -> None:
    scene, drain = await moved()
    scene.facts = [OT_LEAK]
    found = await carried(scene, drain["verify"])
    assert found.ok is False
    assert "overlaps OT" in found.reason


async def test_a_silent_router_leaves_the_way_out_unknown() -> None:
    scene, drain = await moved()
    scene.blind = lambda item: item.kind is Kind.ROUTES and item.name.startswith("edge-1 ")
    found = await carried(scene, drain["verify"])
    assert found.ok is None
    assert "azure out and back" in found.reason


# -- survivors-ready


async def ready(*facts: Observation) -> Finding:
    scene = LittleScene()
    step = steps(scene.plan())["survivors"]
    scene.facts = list(facts)
    scene.clock += timedelta(seconds=1)
    scene.look()
    return await SurvivorsReady().check(scene, step)


async def test_a_healthy_site_is_ready() -> None:
    found = await ready()
    assert found.ok is True, found.reason


@pytest.mark.parametrize(
    ("facts", "said"),
    [
        ([OT_LEAK], "overlaps OT"),
        (
            [seen(Kind.ADVERTISED, "vpn-aws-1", Advertised((Advert("10.200.0.0/16", (65010,)),)))],
            "azure: OT ranges: aws/vpn-1: 10.200.0.0/16 is advertised",
        ),
        (
            [seen(Kind.ADVERTISED, "er-secondary", Advertised((Advert("10.10.0.0/16", (65010,) * 3),)))],
            "er-secondary does not advertise 10.11.0.0/16",
        ),
        (
            routes(SITE, "azure", without=frozenset({"ibgp"})),
            "edge-1 holds no route by edge-2 for 10.50.0.0/16, 10.51.0.0/16",
        ),
    ],
)
async def test_a_run_is_refused_when(facts: list[Observation], said: str) -> None:
    found = await ready(*facts)
    assert found.ok is False
    assert said in found.reason


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        (Kind.ADVERTISED, "vpn-aws-2", "what vpn-aws-2 advertises is unknown"),
        (Kind.LOAD, "vxc-azure-b", "load history of vxc-azure-a or vxc-azure-b is unknown"),
        (Kind.HUB_PREFERENCE, "azure", "preference of hub-azure is unknown"),
        (Kind.ROUTES, "edge-2 10.60.0.0/16", "edge-2 holds no route over aws/dx-2"),
        (Kind.PROBE, "aws/dx-2", "aws/dx-2 is stale"),
    ],
)
async def test_an_old_figure_is_as_good_as_none(kind: Kind, name: str, said: str) -> None:
    scene = LittleScene()
    step = steps(scene.plan())["survivors"]
    scene.blind = lambda item: item.key == (kind, name)
    scene.clock += timedelta(seconds=5)
    scene.look()
    began = scene.clock
    found = await SurvivorsReady().check(scene, step)
    assert found.ok is False
    assert said in found.reason
    assert scene.clock - began == timedelta(seconds=step.timeout_s), "it may be known any moment"


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (Kind.ADVERTISED, "er-secondary"),
        (Kind.LOAD, "vxc-azure-b"),
        (Kind.HUB_PREFERENCE, "azure"),
        (Kind.ROUTES, "edge-1 10.50.0.0/16"),
        (Kind.SESSION_HERE, "dx-2"),
        (Kind.PROBE, "aws/dx-2"),
    ],
)
async def test_a_poll_that_is_late_is_waited_for(kind: Kind, name: str) -> None:
    scene = LittleScene()
    step = steps(scene.plan())["survivors"]
    late = scene.clock + timedelta(seconds=8)
    scene.blind = lambda item: item.key == (kind, name) and scene.clock < late
    scene.clock += timedelta(seconds=5)
    scene.look()
    found = await SurvivorsReady().check(scene, step)
    assert found.ok is True, found.reason
    assert scene.clock == late


async def test_what_has_never_been_seen_is_looked_for_before_it_is_refused() -> None:
    step = steps(LittleScene().plan())["survivors"]
    scene = LittleScene(blind=lambda item: item.key == (Kind.SESSION_THERE, "azure/er-secondary"))
    began = scene.clock
    found = await SurvivorsReady().check(scene, step)
    assert found.ok is False
    assert "azure/er-secondary is unknown: bgp_there" in found.reason
    assert scene.clock - began == timedelta(seconds=step.timeout_s)
    scene.blind = lambda _item: False
    assert (await SurvivorsReady().check(scene, step)).ok is True


async def test_what_is_seen_to_be_against_it_is_said_at_once() -> None:
    step = steps(LittleScene().plan())["survivors"]
    scene = LittleScene(facts=[OT_LEAK])
    began = scene.clock
    assert (await SurvivorsReady().check(scene, step)).ok is False
    assert scene.clock == began


async def test_a_load_or_a_preference_that_is_against_it_is_named() -> None:
    found = await ready(
        seen(Kind.LOAD, "vxc-aws-b", Load(700.0, 7)), seen(Kind.HUB_PREFERENCE, "azure", HubPreference("VpnGateway"))
    )
    assert "aws/dx-2 would carry 900 of 1000 Mbps" in found.reason
    assert "hub-azure prefers VpnGateway" in found.reason


# -- restored


async def put_back() -> tuple[LittleScene, StepDef]:
    scene = LittleScene()
    plan = scene.plan()
    for name in ("move-azure", "move-aws"):
        await VERB.act(scene, steps(plan)[name], "do", allowed)
    scene.look()
    undo = undo_steps(plan)
    for name in ("restore-move-aws", "restore-move-azure"):
        await VERB.act(scene, undo[name], "do", allowed)
    return scene, undo["restored"].model_copy(update={"timeout_s": 3.0})


async def test_what_was_put_back_is_restored_once_it_is_seen_anew() -> None:
    scene, step = await put_back()
    found = await Restored().check(scene, step)
    assert found.ok is True, found.reason


async def test_what_is_not_seen_anew_is_not_restored() -> None:
    scene, step = await put_back()
    scene.blind = lambda item: item.kind is Kind.ROUTES
    assert (await Restored().check(scene, step)).ok is None


async def test_a_silent_router_or_an_ot_overlap_keeps_it_from_being_restored() -> None:
    scene, step = await put_back()
    scene.blind = lambda item: item.kind is Kind.ROUTES and item.name.startswith("edge-2 ")
    assert (await Restored().check(scene, step)).ok is None
    scene.blind = lambda _item: False
    scene.facts = [OT_LEAK]
    assert (await Restored().check(scene, step)).ok is False
