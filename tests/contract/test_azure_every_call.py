"""Every Azure call over the lab's server, with either sort of gateways: what it adds, and how it fails."""

import asyncio
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from connectors.azure_lro import ForeignPollAddress
from connectors.errors import BadReply, InterlockError, Throttled, TimedOut, Unreachable
from connectors.reading import Reading
from network.events import Events
from network.inventory import Site
from network.observation import (
    Advertised,
    Attachment,
    Circuit,
    FailoverTests,
    HubPreference,
    Kind,
    Load,
    SessionThere,
)
from tests.contract.azure_cloud import PATHS, PATIENT_S, PRIMARY, SECONDARY, SITE, Cloud, with_azure

#: Served, and not asked: lists and parts of what is.
INSIDE = (
    *("/expressroutecircuits", "/peerings", "/azureprivatepeering", "/azureprivatepeering/stats", "/er-conn"),
    *("/expressrouteconnections", "/vpngw-azure", "/on-prem", "/vpnlinkconnections", "/virtualnetworkgateways"),
    *("/vpn-azure-1", "/vpn-azure-2"),
)
CLASSIC = with_azure(gateways="classic")
LEGS_ACCEPTED = {(Kind.ACCEPTED, leg) for leg in (PRIMARY, SECONDARY)}
EVERY = {
    *((kind, path) for kind in (Kind.CIRCUIT, Kind.SESSION_THERE, Kind.ATTACHMENT) for path in PATHS),
    *((Kind.LOAD, tunnel) for tunnel in ("vpn-azure-1", "vpn-azure-2")),
    *((kind, "azure") for kind in (Kind.CLOUD_ROUTES, Kind.HUB_PREFERENCE, Kind.EVENTS, Kind.FAILOVER_TESTS)),
    *LEGS_ACCEPTED,
}


@pytest.fixture(params=["vwan", "classic"])
async def either(request: pytest.FixtureRequest) -> AsyncIterator[Cloud]:
    made = Cloud(with_azure(gateways=request.param), eventual=True)
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    made = Cloud()
    await made.start()
    yield made
    await made.stop()


@pytest.fixture
async def classic() -> AsyncIterator[Cloud]:
    made = Cloud(CLASSIC)
    await made.start()
    yield made
    await made.stop()


async def test_a_poll_makes_every_call_and_waits_for_operations_that_are_not_known_at_once(either: Cloud) -> None:
    assert set(await either.collect()) >= EVERY
    served = {*either.lab._reads, *either.lab._acts}
    assert {path for path in served - set(either.lab.asked) if not path.endswith(INSIDE)} == set()


@pytest.mark.alone
async def test_a_cold_poll_ends_within_two_and_a_half_seconds(either: Cloud) -> None:
    began = time.monotonic()
    seen = {item.key for item in await either.source.collect()}
    assert time.monotonic() - began < 2.5
    assert (Kind.CIRCUIT, PRIMARY) in seen


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("down", Unreachable),
        ("hang", TimedOut),
        ("slow", TimedOut),
        ("429", Throttled),
        ("500", BadReply),
        ("garbage", BadReply),
    ],
)
async def test_every_call_names_each_fault_and_comes_back_after_it(fault: str, error: type[InterlockError]) -> None:
    await asyncio.gather(*(break_and_mend(with_azure(gateways=sort), fault, error) for sort in ("vwan", "classic")))


async def break_and_mend(site: Site, fault: str, error: type[InterlockError]) -> None:
    cloud = Cloud(site)
    await cloud.start()
    await cloud.collect()
    cloud.source._api.deadline_s = 0.3 if error is TimedOut else PATIENT_S
    await cloud.gate.set(fault)
    with pytest.raises(error):
        await cloud.collect()

    async def fails(reading: Reading) -> None:
        reading.forget()
        (task,) = await reading.done(PATIENT_S)
        with pytest.raises(error):
            await task

    await asyncio.gather(*map(fails, cloud.source._readings))
    await cloud.gate.set("none")
    cloud.source._api.deadline_s = PATIENT_S
    assert set(await cloud.whole("every call answers again")) >= EVERY
    await cloud.stop()


async def test_a_throttled_call_waits_alone_and_is_not_asked_before_its_time(cloud: Cloud) -> None:
    cloud.told.add("azure", "maintenance", ["er-primary"], in_s=3600, lasts_s=60)
    ends = ("/effectiveroutes", "/stats", "/impactedresources")
    cloud.lab.throttled = dict.fromkeys(ends, 60)

    def asked() -> list[int]:
        return [sum(count for path, count in cloud.lab.asked.items() if path.endswith(end)) for end in ends]

    seen, errors = await cloud.collect_some()
    assert asked() == [1, 1, 1]
    assert errors.count("HTTP 429") == errors.count("asked again in 60 s") == 3
    assert set(seen) >= EVERY - {(Kind.CLOUD_ROUTES, "azure"), (Kind.EVENTS, "azure")} - LEGS_ACCEPTED
    _, errors = await cloud.collect_some()
    assert asked() == [1, 1, 1], "they are held back here, and the service is left alone"
    assert errors.count("The other calls go on meanwhile") == 3


async def test_a_throttled_call_is_asked_again_when_its_time_is_over(cloud: Cloud) -> None:
    cloud.lab.throttled = {"/effectiveroutes": 1}
    began = time.monotonic()
    await cloud.collect_some()
    cloud.lab.throttled = {}
    assert set(await cloud.whole("the throttled call answers again")) >= EVERY
    assert time.monotonic() - began >= 1
    assert [count for path, count in cloud.lab.asked.items() if path.endswith("/effectiveroutes")] == [2]


async def test_what_may_not_be_asked_every_poll_is_not(either: Cloud) -> None:
    live = either.site.model_copy(update={"mode": "live"})
    either.site = live
    await either.source.close()
    await either.start()
    await either.collect()
    either.lab.asked.clear()
    await either.poll()
    kinds = sorted(path.rpartition("/")[2] for path in either.lab.asked)
    gets = {
        "vwan": ["er-circuit", "ergw-azure", "hub-azure", "vpnconnections"],
        "classic": ["connections", "er-circuit", "er-conn", "ergw-azure"],
    }
    assert kinds == gets[live.cloud("azure").azure.gateways]  # type: ignore[union-attr] # it has one


async def test_a_poke_reads_the_tables_anew_and_leaves_the_week_of_load(either: Cloud) -> None:
    first_poll = set(await either.poll())
    assert not {key for key in first_poll if key[0] is Kind.LOAD}, "the first poll is spared it"
    await either.collect()
    either.lab.asked.clear()
    either.source.forget()
    first = either.source._gateways.loads.kept
    assert set(await either.poll()) >= EVERY
    assert any(path.endswith("routetablessummary/primary") for path in either.lab.asked)
    assert list(either.source._gateways.loads.kept) == list(first)


# -- the circuit's signs


async def test_bgp_availability_degrades_a_leg_whose_session_is_up_and_never_takes_it_down(cloud: Cloud) -> None:
    cloud.lab.metrics.worked_on.add("er-primary")
    seen = await cloud.collect()
    primary, secondary = (seen[Kind.CIRCUIT, path].fact for path in (PRIMARY, SECONDARY))
    assert isinstance(primary, Circuit)
    assert (primary.up, primary.degraded) == (True, True)
    assert "BGP availability 0 % although its session is up" in primary.state
    fine = "circuit Enabled, provider Provisioned, peering Enabled, layer 2 up"
    assert secondary == Circuit(up=True, state=fine, bandwidth_mbps=2000)
    cloud.lab.metrics.worked_on.clear()
    assert not (await cloud.collect())[Kind.CIRCUIT, PRIMARY].fact.degraded  # type: ignore[attr-defined] # a Circuit


async def test_a_dead_session_is_not_said_a_second_time_by_the_circuit(cloud: Cloud) -> None:
    cloud.world.down = {f"bgp {PRIMARY}"}
    seen = await cloud.collect()
    assert not seen[Kind.SESSION_THERE, PRIMARY].fact.up  # type: ignore[attr-defined] # a SessionThere
    assert seen[Kind.CIRCUIT, PRIMARY].fact == seen[Kind.CIRCUIT, SECONDARY].fact


async def test_one_metric_in_trouble_is_told_and_leaves_the_others(cloud: Cloud) -> None:
    cloud.lab.metrics.troubled["ArpAvailability"] = "QueryThrottled"
    cloud.lab.metrics.worked_on.add("er-secondary")
    seen, errors = await cloud.collect_some()
    assert "ArpAvailability: QueryThrottled" in errors
    assert seen[Kind.CIRCUIT, SECONDARY].fact.degraded  # type: ignore[attr-defined] # a Circuit


async def test_the_circuits_evidence_holds_counters_metrics_and_resource_health(cloud: Cloud) -> None:
    raw = (await cloud.collect())[Kind.CIRCUIT, PRIMARY].raw
    for word in ('"primary_in":', '"BitsInPerSecond":415', '"availability_state":"Available"', '"peer_asn":65010'):
        assert word in raw
    assert "QosDrop" not in raw, "without a value there is no figure"
    cloud.world.down = {"er-primary"}
    seen = await cloud.collect()
    assert "Resource Health Degraded" in seen[Kind.CIRCUIT, PRIMARY].fact.state  # type: ignore[attr-defined] # a Circuit
    assert not seen[Kind.CIRCUIT, SECONDARY].fact.degraded  # type: ignore[attr-defined] # a Circuit: the other leg's


async def test_the_tunnels_have_a_week_of_load(cloud: Cloud) -> None:
    load = (await cloud.collect())[Kind.LOAD, "vpn-azure-1"].fact
    assert isinstance(load, Load)
    assert load.p95_mbps == pytest.approx(3.0, rel=0.2)
    assert load.days == pytest.approx(7, abs=0.05)


async def test_no_secret_of_either_sort_of_gateways_is_kept(either: Cloud) -> None:
    kept = " ".join(item.raw for item in (await either.collect()).values())
    assert len(either.lab.secrets) == 6
    assert not [secret for secret in either.lab.secrets if secret in kept]


async def test_a_hub_that_prefers_otherwise_than_the_site_says_is_told_as_it_is() -> None:
    cloud = Cloud(SITE, with_azure(hub_preference="VpnGateway"))
    await cloud.start()
    assert (await cloud.collect())[Kind.HUB_PREFERENCE, "azure"].fact == HubPreference("VpnGateway")
    await cloud.stop()


# -- classic gateways


async def test_classic_gateways_tell_their_sessions_routes_and_attachments(classic: Cloud) -> None:
    seen = await classic.collect()
    session = seen[Kind.SESSION_THERE, "azure/vpn-1"]
    assert isinstance(session.fact, SessionThere)
    assert (session.fact.up, session.fact.state, session.fact.received) == (True, "Connected", 3)
    assert session.evidence.endswith("/virtualNetworkGateways/vpngw-azure/getBgpPeerStatus")
    accepted = seen[Kind.ACCEPTED, "azure/vpn-2"].fact
    assert isinstance(accepted, Advertised)
    assert {route.prefix for route in accepted.routes} == {"10.10.0.0/16", "10.11.0.0/16", "10.10.255.4/32"}
    state = "Succeeded, BGP with 2 of 2 MSEEs"
    assert seen[Kind.ATTACHMENT, PRIMARY].fact == Attachment(up=True, state=state), "a null status is not down"
    sends = Attachment(up=True, state="Succeeded, advertises 2 of 2 prefixes to us")
    assert seen[Kind.ATTACHMENT, "azure/vpn-1"].fact == sends
    assert seen[Kind.HUB_PREFERENCE, "azure"].fact == HubPreference("ExpressRoute")


async def test_the_way_back_through_classic_gateways_follows_leg_then_tunnel(classic: Cloud) -> None:
    assert await classic.way_back("inferred") == (PRIMARY,)
    classic.world.down = {"er-primary"}
    assert await classic.way_back("inferred") == (SECONDARY,)
    classic.world.down = {"er-primary", "er-secondary"}
    assert await classic.way_back("inferred") == ("azure/vpn-1", "azure/vpn-2")
    classic.world.down |= {"bgp azure/vpn-1"}
    assert await classic.way_back("inferred") == ("azure/vpn-2",)


async def test_a_dead_session_on_a_live_classic_tunnel(classic: Cloud) -> None:
    classic.world.down = {"bgp azure/vpn-2", "vpn-azure-1"}
    seen = await classic.collect()
    assert seen[Kind.CIRCUIT, "azure/vpn-1"].fact == Circuit(up=False, state="NotConnected")
    assert seen[Kind.CIRCUIT, "azure/vpn-2"].fact == Circuit(up=True, state="Connected")
    assert seen[Kind.SESSION_THERE, "azure/vpn-2"].fact == SessionThere(up=False, state="Idle")
    assert seen[Kind.ACCEPTED, "azure/vpn-2"].fact == Advertised(())


async def test_a_missing_connection_to_the_circuit_is_absent() -> None:
    cloud = Cloud(CLASSIC, with_azure(gateways="classic", er_connection="another"))
    await cloud.start()
    fact = (await cloud.collect())[Kind.ATTACHMENT, PRIMARY].fact
    assert fact == Attachment(up=False, state="connection er-conn absent")
    await cloud.stop()


# -- Service Health


async def events(cloud: Cloud) -> Events:
    (seen,) = await cloud.source._events()
    assert (seen.kind, seen.name) == (Kind.EVENTS, "azure")
    assert isinstance(seen.fact, Events)
    return seen.fact


async def test_an_announced_maintenance_of_one_leg_is_of_that_leg_and_runs_and_ends(cloud: Cloud) -> None:
    entry = cloud.told.add("azure", "maintenance", ["er-secondary"], in_s=3600, lasts_s=7200)
    (event,) = (await events(cloud)).events
    assert (event.system, event.kind, event.state, event.touches) == (
        "azure", "maintenance", "announced", ("er-secondary",),
    )  # fmt: skip
    assert event.title == "Planned maintenance \N{EN DASH} ExpressRoute & VPN: secondary connection"
    assert event.ends is not None
    assert event.ends - event.starts == timedelta(hours=2)
    assert not event.emergency
    running = cloud.told.add("azure", "maintenance", ["er-primary"], in_s=0, lasts_s=3600, emergency=True)
    assert [(e.state, e.touches, e.emergency) for e in (await events(cloud)).events][1:] == [
        ("running", ("er-primary",), True)
    ]
    cloud.told.end(entry.number)
    cloud.told.end(running.number)
    assert {e.touches: e.state for e in (await events(cloud)).events} == {
        ("er-secondary",): "cancelled",
        ("er-primary",): "done",
    }


async def test_an_outage_has_no_end_before_it_is_over_and_may_be_of_a_tunnel_or_of_everything(cloud: Cloud) -> None:
    cloud.told.add("azure", "outage", ["vpn-azure-2"], in_s=0, lasts_s=600)
    cloud.told.add("azure", "outage", ["azure"], in_s=0, lasts_s=600)
    cloud.told.add("azure", "maintenance", ["er-primary", "er-secondary", "vpn-azure-1"], in_s=60, lasts_s=600)
    found = (await events(cloud)).events
    assert [(event.kind, event.touches) for event in found] == [
        ("outage", ("vpn-azure-2",)),
        ("outage", ("azure",)),
        ("maintenance", ("er-primary", "er-secondary", "vpn-azure-1")),
    ]
    assert [event.ends for event in found[:2]] == [None, None]


async def test_notice_given_long_ago_is_seen_what_is_far_off_or_of_others_is_not(cloud: Cloud) -> None:
    now = datetime.now(UTC)
    cloud.told.now = lambda: now - timedelta(days=20)
    cloud.told.add("azure", "maintenance", ["er-primary"], in_s=21 * 86400, lasts_s=60)
    cloud.told.add("azure", "maintenance", ["er-primary"], in_s=60 * 86400, lasts_s=60)
    cloud.told.add("azure", "maintenance", ["er-primary"], in_s=86400, lasts_s=60)
    cloud.told.add("megaport", "maintenance", ["port-a"], in_s=20 * 86400, lasts_s=60)
    assert [event.id for event in (await events(cloud)).events] == ["LAB1-AZR"]


async def test_a_long_list_comes_in_pages(cloud: Cloud) -> None:
    for index in range(23):
        cloud.told.add("azure", "maintenance", ["er-primary"], in_s=60 * index, lasts_s=60)
    assert len((await events(cloud)).events) == 23
    before = cloud.lab.asked.total()
    again = await events(cloud)
    assert len(again.events) == 23
    impacted = [path for path in cloud.lab.asked if path.endswith("/impactedresources")]
    assert {cloud.lab.asked[path] for path in impacted} == {1}, f"asked once each ({before} calls before)"


async def test_a_drain_of_a_leg_is_a_running_maintenance_of_it(cloud: Cloud) -> None:
    assert (await events(cloud)).events == ()
    cloud.world.drained = {PRIMARY}
    (event,) = (await events(cloud)).events
    assert (event.kind, event.state, event.touches, event.ends) == ("maintenance", "running", ("er-primary",), None)
    cloud.world.drained = set()
    (event,) = (await events(cloud)).events
    assert event.state == "done"
    assert event.ends is not None


async def test_a_drained_leg_is_no_way_back_through_classic_gateways(classic: Cloud) -> None:
    classic.world.drained = {PRIMARY}
    assert await classic.way_back("inferred") == (SECONDARY,)


# -- failover tests


async def test_azures_own_failover_tests_are_seen_and_those_of_a_location_on_both_legs(cloud: Cloud) -> None:
    async def tests() -> list[tuple[str, bool, str]]:
        (seen,) = await cloud.source._tests()
        assert (seen.kind, seen.name) == (Kind.FAILOVER_TESTS, "azure")
        assert isinstance(seen.fact, FailoverTests)
        return [(test.path, test.running, test.state) for test in seen.fact.tests]

    assert await tests() == []
    cloud.lab.tests.begin("secondary", "ASPathPrepend")
    assert await tests() == [(SECONDARY, True, "Running (ASPathPrepend)")]
    cloud.lab.tests.stop()
    cloud.lab.tests.begin()
    assert sorted(await tests()) == [
        (PRIMARY, True, "Running (site Frankfurt)"),
        (SECONDARY, False, "Completed (ASPathPrepend)"),
        (SECONDARY, True, "Running (site Frankfurt)"),
    ]


# -- lists in pages


async def test_a_next_page_of_another_origin_gets_no_token(cloud: Cloud) -> None:
    other = Cloud()
    await other.start()
    cloud.lab.health.origin = other.gate.address
    for _ in range(11):
        cloud.told.add("azure", "maintenance", ["er-primary"], in_s=60, lasts_s=60)
    with pytest.raises(ForeignPollAddress):
        await cloud.source._events()
    assert other.lab.asked.total() == 0
    await other.stop()
