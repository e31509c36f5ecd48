"""What Azure says beside its tables: the circuit's signs, classic gateways, maintenance and failover tests, judged."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors import azure_classic_parse as classic
from connectors import azure_failover as failover
from connectors import azure_health as health
from connectors.azure_circuit_parse import (
    Availability,
    CircuitMetrics,
    Signs,
    parse_circuit,
    parse_circuit_metrics,
    parse_stats,
)
from connectors.azure_load import parse_tunnel_load
from connectors.errors import BadReply
from network import sitefile
from network.events import ProviderEvent
from network.observation import Advert, Advertised, Attachment, Circuit, CloudRoutes, Load, SessionThere

SITE_FILE = Path(__file__).parents[2] / "lab" / "reference.yaml"
SITE = sitefile.load(SITE_FILE.read_text(), SITE_FILE).site
CLOUD = SITE.cloud("azure")
PRIMARY, SECONDARY = "azure/er-primary", "azure/er-secondary"
NOW = datetime(2026, 1, 7, 12, tzinfo=UTC)
IDS = "/subscriptions/s/resourceGroups/RG-HYBRID/providers/Microsoft.Network"


def circuit(signs: Signs, asn: int = 65010) -> dict[str, Circuit]:
    peering = {"name": "AzurePrivatePeering", "properties": {"state": "Enabled", "peerASN": asn}}
    properties = {
        "circuitProvisioningState": "Enabled",
        "serviceProviderProvisioningState": "Provisioned",
        "peerings": [peering],
    }
    return {found.name: found.fact for found in parse_circuit({"properties": properties}, SITE, CLOUD, signs)}


def bgp(percent: float, minute: datetime = NOW) -> CircuitMetrics:
    return CircuitMetrics(bgp={PRIMARY: Availability(percent, minute)})


@pytest.mark.parametrize(
    ("signs", "degraded"),
    [
        (Signs(metrics=bgp(0), session_up={PRIMARY: True}), True),
        (Signs(metrics=bgp(99.5), session_up={PRIMARY: True}), True),
        (Signs(metrics=bgp(100), session_up={PRIMARY: True}), False),
        (Signs(metrics=bgp(0), session_up={PRIMARY: False}), False),
        (Signs(metrics=bgp(0)), False),
        (Signs(metrics=bgp(0), session_up={PRIMARY: True}, bgp_back={PRIMARY: NOW + timedelta(seconds=1)}), False),
        (Signs(metrics=bgp(0), session_up={PRIMARY: True}, bgp_back={PRIMARY: NOW}), True),
        (Signs(metrics=CircuitMetrics(arp={PRIMARY: Availability(40, NOW)})), True),
        (Signs(metrics=CircuitMetrics(arp={PRIMARY: Availability(40, NOW)}), layer_2={PRIMARY: "gone"}), False),
        (Signs(health={"availability_state": "Unavailable", "summary": "being worked on"}), True),
        (Signs(health={"availability_state": "Degraded", "summary": "one link"}), False),
        (Signs(metrics=CircuitMetrics(mbps={"QosDropBitsInPerSecond": 12.5})), True),
        (Signs(metrics=CircuitMetrics(mbps={"QosDropBitsInPerSecond": 0.0})), False),
    ],
)
def test_signs_degrade_a_circuit_that_otherwise_works(signs: Signs, degraded: bool) -> None:
    seen = circuit(signs)[PRIMARY]
    assert seen.degraded is degraded
    assert seen.up is (signs.layer_2 == {}), "only a dead layer 2 takes it down"


def test_a_peering_that_expects_another_as_from_us_is_told() -> None:
    assert circuit(Signs(), asn=65099)[SECONDARY].state.endswith("the peering expects AS 65099 from us")


def point(name: str, dimension: str, value: str, *points: dict[str, Any]) -> dict[str, Any]:
    series = {"metadatavalues": [{"name": {"value": dimension}, "value": value}], "data": list(points)}
    return {"name": {"value": name}, "errorCode": "Success", "timeseries": [series]}


def test_peer_is_matched_by_its_beginning_and_the_worse_family_counts() -> None:
    series = [
        point("BgpAvailability", "peer", peer, {"timeStamp": "2026-01-07T11:59:00Z", "average": value})["timeseries"][0]
        for peer, value in (("primary-IPv4", 100.0), ("Primary-IPv6", 60.0), ("SECONDARY", 100.0), ("Tertiary", 1.0))
    ]
    value = [{"name": {"value": "BgpAvailability"}, "timeseries": series}]
    found = parse_circuit_metrics({"value": value}, SITE, CLOUD).bgp
    assert {path: seen.percent for path, seen in found.items()} == {PRIMARY: 60.0, SECONDARY: 100.0}


def test_a_metric_with_an_error_of_its_own_is_unknown_and_named() -> None:
    broken = {"name": {"value": "BitsInPerSecond"}, "errorCode": "InternalError", "errorMessage": "later"}
    data = {"value": [broken, point("BitsOutPerSecond", "x", "y", {"timeStamp": "2026-01-07T11:59:00Z", "total": 5e6})]}
    found = parse_circuit_metrics(data, SITE, CLOUD)
    assert (found.mbps, found.errors) == ({"BitsOutPerSecond": 5.0}, ("BitsInPerSecond: InternalError later",))


@pytest.mark.parametrize("word", ["primarybytesIn", "primaryBytesIn", "PRIMARYBYTESIN"])
def test_byte_counters_are_read_in_any_spelling(word: str) -> None:
    assert parse_stats({word: 7})["primary_in"] == 7
    assert parse_stats({})["primary_in"] is None


def test_a_tunnels_load_is_the_larger_direction_and_none_without_samples() -> None:
    times = [f"2026-01-07T11:{minute:02}:00Z" for minute in range(0, 60, 5)]
    into = [{"timeStamp": at, "total": 37.5e6} for at in times]
    out = [{"timeStamp": at, "total": 75e6} for at in times]
    data = {
        "value": [
            point("TunnelIngressBytes", "connectionname", "/vpnConnections/on-prem/VPN-AZURE-1", *into),
            point("TunnelEgressBytes", "connectionname", "vpn-azure-1", *out),
            point("TunnelEgressBytes2", "connectionname", "vpn-azure-2", *out),
        ]
    }
    (found,) = parse_tunnel_load(data, SITE, CLOUD)
    assert (found.name, found.fact) == ("vpn-azure-1", Load(p95_mbps=2.0, days=0.04))


# -- classic gateways


def connection(**over: Any) -> classic.Connection:
    properties = {
        "provisioningState": "Succeeded",
        "connectionStatus": None,
        "peer": {"id": f"{IDS}/expressRouteCircuits/ER-CIRCUIT"},
        "virtualNetworkGateway1": {"id": f"{IDS}/virtualNetworkGateways/ergw-azure"},
    }
    return classic.parse_connection({"name": "er-conn", "properties": {**properties, **over}})


def peer(**row: Any) -> classic.Peer:
    return classic.parse_peers([row])[0]


def msee(neighbor: str, state: str) -> classic.Peer:
    return peer(neighbor=neighbor, asn=12076, state=state)


SIBLING = peer(neighbor="10.50.254.13", asn=65515, state="Connected")


@pytest.mark.parametrize(
    ("ours", "wrong", "peers", "fact"),
    [
        (connection(), "", (), Attachment(up=True, state="Succeeded")),
        (connection(provisioningState="Provisioned"), "", (), Attachment(up=True, state="Succeeded")),
        (None, "", (), Attachment(up=False, state="connection er-conn absent")),
        (connection(peer=None), "", (), Attachment(up=False, state="connection is not to er-circuit")),
        (connection(), "gateway Failed", (), Attachment(up=False, state="gateway Failed")),
        (
            connection(),
            "",
            (msee("10.50.254.4", "Connected"), msee("10.50.254.4", "Connecting"), msee("10.50.254.5", "Idle")),
            Attachment(up=True, state="Succeeded, BGP with 1 of 2 MSEEs"),
        ),
        (
            connection(),
            "",
            (msee("10.50.254.4", "Connecting"), SIBLING),
            Attachment(up=False, state="gateway has no BGP with Microsoft's edge"),
        ),
    ],
)
def test_an_er_attachment_is_its_gateway_its_connection_and_bgp_with_the_edge(
    ours: classic.Connection | None, wrong: str, peers: tuple[classic.Peer, ...], fact: Attachment
) -> None:
    assert {found.fact for found in classic.er_attachment(ours, wrong, peers, SITE, CLOUD)} == {fact}


def test_a_gateway_of_the_wrong_sort_has_no_preference() -> None:
    wrong, found = classic.parse_gateway({"properties": {"gatewayType": "Vpn"}}, CLOUD)
    assert (wrong, found) == ("gateway unknown, ergw-azure is a gateway of type Vpn", [])


def test_a_vpn_session_is_up_when_one_instance_has_it_and_its_sibling_is_no_path() -> None:
    ours = peer(neighbor="10.255.5.1", asn=65010, state="Connecting")
    up = peer(neighbor="10.255.5.1", state="Connected", routesReceived=3, connectedDuration="3.03:14:13.17")
    found = {each.name: each.fact for each in classic.vpn_sessions((SIBLING, ours, up), SITE, CLOUD)}
    assert found == {
        "azure/vpn-1": SessionThere(up=True, state="Connected", received=3, uptime="3.03:14:13.17"),
        "azure/vpn-2": SessionThere(up=False, state="absent"),
    }


def route(peer: str, as_path: str, network: str = "10.10.0.0/16") -> classic.Learned:
    return classic.parse_routes([{"network": network, "sourcePeer": peer, "asPath": as_path}])[0]


TAKEN = {
    PRIMARY: Advertised((Advert("10.10.0.0/16", (65010,)),)),
    SECONDARY: Advertised((Advert("10.10.0.0/16", (65010,) * 3),)),
}
DRAIN = "-".join(["12076"] * 8)


@pytest.mark.parametrize(
    ("er", "vpn", "via"),
    [
        ([route("e4", "12076-65010"), route("e5", "12076-65010-65010-65010")], [], (PRIMARY,)),
        ([route("e4", f"{DRAIN}-12076-65010"), route("e5", "12076-65010-65010-65010")], [], (SECONDARY,)),
        ([], [route("10.255.5.1", "65010"), route("10.50.254.12", "65010")], ("azure/vpn-1",)),
        ([], [route("10.255.6.1", "65010"), route("10.255.5.1", "65010")], ("azure/vpn-1", "azure/vpn-2")),
        ([route("e4", "12076-65010")], [route("10.255.6.1", "65010")], (PRIMARY,)),
        ([route("e4", "12076-64999")], [], ()),
    ],
)
def test_the_vnet_takes_expressroute_before_vpn_and_the_shortest_path_of_either(
    er: list[classic.Learned], vpn: list[classic.Learned], via: tuple[str, ...]
) -> None:
    (found,) = classic.way_back(er, vpn, TAKEN, SITE, CLOUD)
    assert isinstance(found.fact, CloudRoutes)
    assert found.fact.basis == "inferred"
    assert next(each.via for each in found.fact.routes if each.prefix == "10.10.0.0/16") == via


def test_a_gateway_that_sends_us_none_of_the_clouds_prefixes_is_not_attached_to_them() -> None:
    rows = [{"name": f"vpn-azure-{n}", "properties": {"provisioningState": "Succeeded"}} for n in (1, 2)]
    sent = {"azure/vpn-1": (route("", "", "10.50.128.0/17"), route("", "", "::/0")), "azure/vpn-2": ()}
    found = {each.name: each.fact for each in classic.parse_vpn_connections(rows, sent, SITE, CLOUD) if
             isinstance(each.fact, Attachment)}  # fmt: skip
    assert found == {
        "azure/vpn-1": Attachment(up=True, state="Succeeded, advertises 1 of 2 prefixes to us"),
        "azure/vpn-2": Attachment(up=False, state="Succeeded, advertises 0 of 2 prefixes to us"),
    }


def test_a_route_with_a_word_in_its_as_path_is_a_bad_reply() -> None:
    with pytest.raises(BadReply, match="AS path"):
        classic.parse_routes([{"network": "10.10.0.0/16", "asPath": "12076-via"}])


# -- Service Health


def told(
    impacted: tuple[str, ...] = (f"{IDS}/expressRouteCircuits/ER-Circuit",), *, hours: float = 5, **over: Any
) -> ProviderEvent | None:
    properties = {
        "eventType": "PlannedMaintenance",
        "status": "Active",
        "title": "Planned&nbsp;<b>maintenance</b>",
        "impactStartTime": (NOW + timedelta(hours=hours)).isoformat(),
        "impactMitigationTime": (NOW + timedelta(hours=hours + 2)).isoformat(),
        "lastUpdateTime": (NOW - timedelta(days=15)).isoformat(),
        "impact": [{"impactedService": "ExpressRoute \\ ExpressRoute Circuits"}],
        **over,
    }
    data = {"value": [{"name": "VN7C-9D8", "properties": properties}]}
    found = health.parse_events(data, NOW, timedelta(days=14))
    return health.provider_event(found[0], impacted, SITE, CLOUD, NOW) if found else None


BOTH = ("er-primary", "er-secondary")


@pytest.mark.parametrize(
    ("over", "touches"),
    [
        ({}, BOTH),
        ({"summary": "<p>The <i>Primary</i> connection is drained first.</p>"}, ("er-primary",)),
        ({"title": "Maintenance of msee-secondary"}, ("er-secondary",)),
        ({"summary": "first primary, then secondary"}, BOTH),
        ({"impacted": (f"{IDS}/vpnGateways/vpngw-azure",)}, ("vpn-azure-1", "vpn-azure-2")),
        ({"impacted": (f"{IDS}/connections/vpn-azure-2",)}, ("vpn-azure-2",)),
        ({"impacted": (f"{IDS}/expressRouteGateways/ergw-azure",), "title": "primary"}, BOTH),
        ({"impacted": (f"{IDS}/virtualHubs/hub-azure",)}, ("azure",)),
        ({"impacted": ()}, ("azure",)),
    ],
)
def test_an_event_touches_the_things_of_the_site_that_it_names(over: dict[str, Any], touches: tuple[str, ...]) -> None:
    event = told(**over)
    assert event is not None
    assert event.touches == touches


def test_what_is_of_other_resources_or_services_is_not_ours() -> None:
    other = IDS.replace("RG-HYBRID", "rg-other") + "/expressRouteCircuits/er-circuit"
    assert told((other,)) is None
    assert told((), impact=[{"impactedService": "Azure Batch"}]) is None
    assert told(eventType="SecurityAdvisory") is None
    assert told((), impact=None) is None


@pytest.mark.parametrize(
    ("hours", "over", "state"),
    [
        (5, {}, "announced"),
        (-1, {}, "running"),
        (-1, {"impactMitigationTime": None}, "running"),
        (-3, {}, "done"),
        (-1, {"status": "Resolved"}, "done"),
        (5, {"status": "Resolved"}, "cancelled"),
        (-1, {"status": "Resolved", "title": "CANCELLED: maintenance"}, "cancelled"),
    ],
)
def test_an_events_state_follows_its_times_and_its_status(hours: float, over: dict[str, Any], state: str) -> None:
    event = told(hours=hours, **over)
    assert event is not None
    assert (event.state, event.kind, event.system, event.id) == (state, "maintenance", "azure", "VN7C-9D8")


def test_a_title_loses_its_html_and_an_outage_without_an_end_has_none() -> None:
    event = told(eventType="ServiceIssue", hours=-1, impactMitigationTime=None)
    assert event is not None
    assert (event.title, event.kind, event.ends) == ("Planned maintenance", "outage", None)
    assert health.plain("a &lt; b <br/>\n <a href='x'>c</a> <![CDATA[ & d") == "a < b c <![CDATA[ & d"


@pytest.mark.parametrize("hours", [15 * 24, -27])
def test_what_is_beyond_the_calendar_is_left_out(hours: float) -> None:
    assert told(hours=hours) is None
    assert told(hours=hours / 1.2) is not None


# -- failover tests


def test_a_test_runs_until_it_is_over_and_an_unreadable_time_is_unknown() -> None:
    data = [
        {"status": "Running", "startTime": "2026-01-07T11:00:00", "linkType": "Primary", "circuitTestCategory": "X"},
        {"status": "StopFailed", "startTime": "1/7/2026 9:00", "linkType": "secondary"},
        {"status": "Completed", "startTime": "2026-01-06T11:00:00Z", "endTime": "2026-01-06T11:20:00.1234567Z"},
    ]
    found = failover.newest_first(failover.parse_link_tests({"value": data}, SITE, CLOUD))
    unknown, running, *over = found
    assert (unknown.path, unknown.running, unknown.starts, unknown.state) == (SECONDARY, True, None, "StopFailed")
    assert (running.path, running.running, running.state, running.ends) == (PRIMARY, True, "Running (X)", None)
    assert running.starts == datetime(2026, 1, 7, 11, tzinfo=UTC)
    assert [test.path for test in over] == [PRIMARY, SECONDARY], "without a link it is of both"
    assert over[0].ends == datetime(2026, 1, 6, 11, 20, 0, 123456, tzinfo=UTC)
    assert replace(over[0], path=SECONDARY) == over[1]


def test_a_location_is_the_sites_own_however_it_is_written() -> None:
    for place, count in (("Frankfurt", 2), ("FRANKFURT", 2), ("", 2), ("Amsterdam", 0)):
        data = [{"status": "NotStarted", "peeringLocation": place}]
        assert len(failover.parse_site_tests(data, SITE, CLOUD)) == count
