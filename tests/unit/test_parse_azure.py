"""Azure's replies: legs, sessions, routes, and the traps that the real service is known for."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from connectors import azure_parse as parse
from connectors import azure_tables as tables
from connectors.azure_circuit_parse import Signs, parse_circuit
from connectors.azure_lro import ForeignPollAddress, poll_address
from connectors.azure_metrics import parse_bgp
from connectors.errors import BadReply
from network import sitefile
from network.observation import (
    Advert,
    Advertised,
    CloudRoute,
    CloudRoutes,
    HubPreference,
    Kind,
    SessionThere,
)

SITE_FILE = Path(__file__).parents[2] / "lab" / "reference.yaml"
SITE = sitefile.load(SITE_FILE.read_text(), SITE_FILE).site
CLOUD = SITE.cloud("azure")
PRIMARY, SECONDARY = "azure/er-primary", "azure/er-secondary"


def circuit(**over: Any) -> dict[str, Any]:
    properties = {
        "circuitProvisioningState": "Enabled",
        "serviceProviderProvisioningState": "Provisioned",
        "serviceKey": "canary",
        "peerings": [
            {"name": "AzurePrivatePeering", "properties": {"state": "Enabled", "sharedKey": "canary"}},
            {"name": "MicrosoftPeering", "properties": {"state": "Disabled"}},
        ],
    }
    return {"name": "er-circuit", "properties": {**properties, **over}}


def by_name(found: list[Any]) -> dict[str, Any]:
    return {each.name: each.fact for each in found}


@pytest.mark.parametrize(
    ("over", "up"),
    [
        ({}, True),
        ({"circuitProvisioningState": "Disabled"}, False),
        ({"serviceProviderProvisioningState": "Deprovisioning"}, False),
        ({"serviceProviderProvisioningState": None}, False),
        ({"serviceProviderProvisioningState": None, "expressRoutePort": {"id": "/x"}}, True),
        ({"peerings": []}, False),
        ({"peerings": None}, False),
        ({"peerings": [{"properties": {"peeringType": "AzurePrivatePeering", "state": "Disabled"}}]}, False),
    ],
)
def test_a_circuit_is_up_by_its_states_and_its_private_peering(over: dict[str, Any], up: bool) -> None:
    seen = by_name(parse_circuit(circuit(**over), SITE, CLOUD, Signs()))
    assert {name: fact.up for name, fact in seen.items()} == {PRIMARY: up, SECONDARY: up}


def test_a_dead_leg_is_told_by_its_layer_2() -> None:
    rows = [
        {"interface": "On-Prem", "macAddress": "Incomplete"},
        {"interface": "Microsoft", "macAddress": "a.b.c"},
    ]
    dead = tables.parse_arp({"value": rows}, SITE.path(PRIMARY))
    seen = by_name(parse_circuit(circuit(), SITE, CLOUD, Signs(layer_2={PRIMARY: dead})))
    assert not seen[PRIMARY].up
    assert seen[PRIMARY].state.endswith("layer 2 incomplete")
    assert seen[SECONDARY].up


@pytest.mark.parametrize(
    ("rows", "word"),
    [
        ([{"interface": "On-Prem", "macAddress": "0600.0000.3c27"}], "layer 2 up"),
        ([{"interface": "Microsoft", "macAddress": "0600.0000.3c27"}], "no layer 2 neighbour"),
        ([], ""),
    ],
)
def test_arp_tables_are_read_as_the_troubleshooting_guide_does(rows: list[Any], word: str) -> None:
    assert tables.parse_arp({"value": rows}, SITE.path(PRIMARY)) == word


def gateway(**connection: Any) -> dict[str, Any]:
    peering = {"id": "/SUBSCRIPTIONS/s/providers/x/expressRouteCircuits/ER-CIRCUIT/peerings/AzurePrivatePeering"}
    properties = {"provisioningState": "Succeeded", "expressRouteCircuitPeering": peering, **connection}
    return {
        "properties": {
            "provisioningState": "Succeeded",
            "virtualHub": {"id": "/s/virtualHubs/hub-azure"},
            "expressRouteConnections": [{"name": "er-conn", "properties": properties}],
        }
    }


def test_a_private_path_is_attached_by_gateway_connection_and_hub() -> None:
    assert by_name(parse.parse_er_gateway(gateway(), SITE, CLOUD))[PRIMARY].up
    updating = by_name(parse.parse_er_gateway(gateway(provisioningState="Updating"), SITE, CLOUD))
    assert (updating[PRIMARY].up, updating[PRIMARY].state) == (False, "connection Updating")
    other = gateway(expressRouteCircuitPeering={"id": "/expressRouteCircuits/er-circuit-2/peerings/p"})
    assert not by_name(parse.parse_er_gateway(other, SITE, CLOUD))[PRIMARY].up
    bare = {"properties": {"provisioningState": "Succeeded", "virtualHub": {"id": "/virtualHubs/hub-azure"}}}
    assert by_name(parse.parse_er_gateway(bare, SITE, CLOUD))[PRIMARY].state == "connection er-conn absent"


def test_a_tunnel_is_its_link_connection_and_an_unlisted_one_is_absent() -> None:
    link = {
        "name": "vpn-azure-1",
        "properties": {"connectionStatus": "Connected", "provisioningState": "Succeeded"},
    }
    data = {"value": [{"name": "on-prem", "properties": {"vpnLinkConnections": [link]}}]}
    found = parse.parse_vpn_connections(data, SITE, CLOUD)
    seen = {(each.kind, each.name): each.fact for each in found}
    assert seen[Kind.CIRCUIT, "azure/vpn-1"].up
    assert seen[Kind.ATTACHMENT, "azure/vpn-1"].up
    assert seen[Kind.CIRCUIT, "azure/vpn-2"].state == "absent"
    assert not seen[Kind.ATTACHMENT, "azure/vpn-2"].up


@pytest.mark.parametrize("status", ["NotConnected", "Connecting", "Unknown", None, "Provisioned"])
def test_only_connected_is_connected(status: str | None) -> None:
    data = {"value": [{"name": "vpn-azure-1", "properties": {"connectionStatus": status}}]}
    assert not by_name(parse.parse_vpn_connections(data, SITE, CLOUD)[:1])["azure/vpn-1"].up


def test_the_hubs_preference_is_an_open_word() -> None:
    found = parse.parse_hub({"properties": {"hubRoutingPreference": "ASPath"}}, CLOUD)
    assert by_name(found) == {"azure": HubPreference("ASPath")}
    with pytest.raises(BadReply, match="hubRoutingPreference"):
        parse.parse_hub({"properties": {}}, CLOUD)


def summary(state: Any, neighbor: str = "10.255.1.1") -> dict[str, Any]:
    gateway_row = {"neighbor": "10.50.254.12", "v": 4, "as": 65515, "upDown": "8w4d", "statePfxRcd": "2"}
    ours = {"neighbor": neighbor, "v": 4, "as": 65010, "upDown": "1d14h", "statePfxRcd": state}
    return {"value": [gateway_row, ours], "nextLink": None}


@pytest.mark.parametrize(
    ("state", "fact"),
    [
        ("3", SessionThere(up=True, state="Established", received=3, uptime="1d14h")),
        (3, SessionThere(up=True, state="Established", received=3, uptime="1d14h")),
        ("0", SessionThere(up=True, state="Established", received=0, uptime="1d14h")),
        ("Idle", SessionThere(up=False, state="Idle", uptime="1d14h")),
        ("", SessionThere(up=False, state="unknown", uptime="1d14h")),
        ("٣", SessionThere(up=False, state="٣", uptime="1d14h")),
    ],
)
def test_digits_are_established_and_a_word_is_the_state(state: Any, fact: SessionThere) -> None:
    assert by_name(tables.parse_summary(summary(state), SITE, SITE.path(PRIMARY))) == {PRIMARY: fact}


@pytest.mark.parametrize("reply", [summary("3", "10.9.9.9"), {}, [], {"value": None}])
def test_a_session_that_the_table_does_not_show_is_absent_and_not_up(reply: Any) -> None:
    fact = by_name(tables.parse_summary(reply, SITE, SITE.path(PRIMARY)))[PRIMARY]
    assert (fact.up, fact.state, fact.received) == (False, "absent", None)


@pytest.mark.parametrize("reply", [None, "x", {"rows": []}, {"value": "x"}, {"value": [3]}, {"value": [{}]}])
def test_an_unknown_shape_is_a_bad_reply_never_no_peers(reply: Any) -> None:
    with pytest.raises(BadReply):
        tables.parse_summary(reply, SITE, SITE.path(PRIMARY))


def test_a_leg_accepted_what_begins_with_our_as() -> None:
    rows = [
        {"network": "10.50.0.0/16", "nextHop": "10.50.254.12", "locPrf": "", "weight": 0, "path": "65515"},
        {"network": "10.10.0.0/16", "nextHop": "10.255.2.1", "path": "65010 65010 65010 i"},
        {"network": "10.51.0.0/16", "nextHop": "10.50.254.12", "path": ""},
    ]
    found = tables.parse_route_table({"value": rows}, SITE, SITE.path(SECONDARY))
    assert by_name(found) == {SECONDARY: Advertised((Advert("10.10.0.0/16", (65010, 65010, 65010)),))}
    with pytest.raises(BadReply):
        tables.parse_route_table({"value": [{"network": "x", "path": "65010 via"}]}, SITE, SITE.path(PRIMARY))


def accepted(primary: int, secondary: int) -> dict[str, Advertised]:
    """Both legs accepted 10.10.0.0/16 with our AS so many times; 0 = not at all."""
    return {
        path: Advertised((Advert("10.10.0.0/16", (65010,) * times),) if times else ())
        for path, times in ((PRIMARY, primary), (SECONDARY, secondary))
    }


def effective(as_path: str, kind: str = "ExpressRouteGateway", hops: tuple[str, ...] = ()) -> dict[str, Any]:
    vnet = {"addressPrefixes": ["10.50.0.0/16"], "asPath": "", "nextHopType": "Virtual Network Connection"}
    row = {"addressPrefixes": ["10.10.0.0/16"], "asPath": as_path, "nextHopType": kind, "nextHops": list(hops)}
    return {"value": [vnet, row]}


def back(data: Any, legs: dict[str, Advertised], connected: tuple[str, ...] = ()) -> tuple[str, ...]:
    found = by_name(parse.parse_effective_routes(data, SITE, CLOUD, legs, connected))["azure"]
    assert found.basis == "table"
    (route,) = [route for route in found.routes if route.prefix == "10.10.0.0/16"]
    return tuple(route.via)


def test_the_way_back_is_the_leg_whose_as_path_the_hub_holds() -> None:
    assert back(effective("12076-65010"), accepted(1, 3)) == (PRIMARY,)
    assert back(effective("12076-65010-65010-65010"), accepted(5, 3)) == (SECONDARY,)


def test_equal_legs_share_the_way_back() -> None:
    assert back(effective("12076-65010"), accepted(1, 1)) == (PRIMARY, SECONDARY)


def test_a_leg_that_microsoft_drains_is_not_the_way_back_although_its_own_table_is_shorter() -> None:
    # The drained MSEE puts eight 12076 in front towards the hub; its own table still shows our short path.
    assert back(effective("12076-65010-65010-65010"), accepted(1, 3)) == (SECONDARY,)


def test_the_shortest_leg_when_the_tables_were_read_across_a_change() -> None:
    assert back(effective("12076-65010-65010"), accepted(1, 3)) == (PRIMARY,)
    assert back(effective("12076-65010"), accepted(0, 0)) == ()


def test_a_vpn_route_is_of_the_link_that_it_names_or_of_all_connected_ones() -> None:
    link = "/vpnGateways/g/vpnConnections/on-prem/vpnLinkConnections/vpn-azure-2"
    both = ("azure/vpn-1", "azure/vpn-2")
    assert back(effective("65010", "VPN_S2S_Gateway", (link,)), accepted(0, 0), both) == ("azure/vpn-2",)
    assert back(effective("65010", "VPN_S2S_Gateway", ("/vpnGateways/g",)), accepted(0, 0), both) == both
    assert back(effective("65010", "", ()), accepted(1, 1), both[:1]) == both[:1]


def test_a_sanctioned_prefix_without_a_hub_route_has_no_way_back() -> None:
    found = by_name(parse.parse_effective_routes({"value": []}, SITE, CLOUD, accepted(1, 3), ()))["azure"]
    assert found == CloudRoutes((CloudRoute("10.10.0.0/16", ()), CloudRoute("10.11.0.0/16", ())), "table")


def metrics(*points: dict[str, Any], name: str = "BgpPeerStatus", **over: Any) -> dict[str, Any]:
    dimension = {"name": {"value": "bgppeeraddress"}, "value": "10.255.5.1"}
    series = {"metadatavalues": [dimension], "data": list(points)}
    return {"value": [{"name": {"value": name}, "errorCode": "Success", "timeseries": [series], **over}]}


def test_a_vpn_session_is_its_newest_point_with_a_value() -> None:
    old = {"timeStamp": "2026-01-01T10:00:00Z", "average": 0.0}
    new = {"timeStamp": "2026-01-01T10:01:00Z", "average": 1.0}
    empty = {"timeStamp": "2026-01-01T10:02:00Z"}
    ((ends, found),) = parse_bgp(metrics(new, old, empty), SITE, CLOUD)
    assert found.name == "azure/vpn-1"
    assert found.fact == SessionThere(up=True, state="up", received=None)
    assert ends == datetime(2026, 1, 1, 10, 2, tzinfo=UTC)


def test_a_vpn_session_without_a_point_is_unknown_and_a_metrics_own_error_is_told() -> None:
    assert parse_bgp(metrics({"timeStamp": "2026-01-01T10:00:00Z"}), SITE, CLOUD) == []
    assert parse_bgp({"value": []}, SITE, CLOUD) == []
    with pytest.raises(BadReply, match="QueryThrottled"):
        parse_bgp(metrics(errorCode="QueryThrottled"), SITE, CLOUD)


BASE = "https://management.azure.com"


@pytest.mark.parametrize(
    "url",
    [f"{BASE}/subscriptions/s/operations/1?api-version=2", f"{BASE}:443/x", "/subscriptions/s/operations/1"],
)
def test_a_poll_address_of_our_own_origin_is_followed(url: str) -> None:
    assert poll_address(url, BASE).startswith(BASE)


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("https://evil.example/x", BASE),
        ("http://management.azure.com/x", BASE),
        ("https://management.azure.com:8443/x", BASE),
        ("https://management.azure.com@evil.example/x", BASE),
        ("//evil.example/x", BASE),
        ("http://127.0.0.1:2/x", "http://127.0.0.1:1"),
        ("http://example.com/x", "http://example.com"),
    ],
)
def test_a_poll_address_of_any_other_origin_gets_no_token(url: str, base: str) -> None:
    with pytest.raises(ForeignPollAddress):
        poll_address(url, base)
