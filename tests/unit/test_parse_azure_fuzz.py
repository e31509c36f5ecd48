"""Every Azure parser against noise: a reply is facts or a BadReply, whatever is missing from it or wrong in it."""

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors import azure_circuit_parse as circuit
from connectors import azure_classic_parse as classic
from connectors import azure_failover as failover
from connectors import azure_health as health
from connectors import azure_parse as hub
from connectors import azure_tables as tables
from connectors.azure_load import parse_tunnel_load
from connectors.azure_metrics import parse_bgp
from connectors.errors import BadReply
from network import sitefile
from network.observation import Advert, Advertised

SITE_FILE = Path(__file__).parents[2] / "lab" / "reference.yaml"
SITE = sitefile.load(SITE_FILE.read_text(), SITE_FILE).site
CLOUD = SITE.cloud("azure")
LEG = SITE.path("azure/er-primary")
NOW = datetime(2026, 1, 7, 12, tzinfo=UTC)
ACCEPTED = {LEG.name: Advertised((Advert("10.10.0.0/16", (65010,)),))}
IDS = "/subscriptions/s/resourceGroups/rg-hybrid/providers/Microsoft.Network"

NOISE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.sampled_from(["", "<![", "//x"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def metric(name: str, dimension: str, value: str, **point: Any) -> dict[str, Any]:
    series = {
        "metadatavalues": [{"name": {"value": dimension}, "value": value}],
        "data": [{"timeStamp": "2026-01-07T11:59:00Z", **point}, {"timeStamp": "2026-01-07T12:00:00Z"}],
    }
    return {"name": {"value": name}, "unit": "Count", "errorCode": "Success", "timeseries": [series]}


def events(data: Any) -> None:
    for event in health.parse_events(data, NOW, timedelta(days=14)):
        health.provider_event(event, (), SITE, CLOUD, NOW)


def legs_and_tunnels(data: Any) -> None:
    rows = classic.parse_routes(data)
    classic.vpn_accepted(rows, SITE, CLOUD)
    classic.way_back(rows, rows, ACCEPTED, SITE, CLOUD)
    connected = {path.name: rows for path in SITE.paths_of("azure")}
    classic.parse_vpn_connections([], connected, SITE, CLOUD)


def peers(data: Any) -> None:
    rows = classic.parse_peers(data)
    classic.vpn_sessions(rows, SITE, CLOUD)
    classic.er_attachment(None, "", rows, SITE, CLOUD)


Parser = tuple[Callable[[Any], Any], Any]
PARSERS: dict[str, Parser] = {
    "circuit": (
        lambda data: circuit.parse_circuit(data, SITE, CLOUD, circuit.Signs()),
        {
            "properties": {
                "circuitProvisioningState": "Enabled",
                "serviceProviderProvisioningState": "Provisioned",
                "expressRoutePort": {"id": "/x"},
                "peerings": [{"name": "AzurePrivatePeering", "properties": {"state": "Enabled", "peerASN": 65010}}],
            }
        },
    ),
    "circuit stats": (circuit.parse_stats, {"primaryBytesIn": 1, "primarybytesOut": 2, "secondarybytesIn": 3}),
    "circuit metrics": (
        lambda data: circuit.parse_circuit_metrics(data, SITE, CLOUD),
        {
            "value": [
                metric("BgpAvailability", "peer", "Primary", average=100.0),
                metric("BitsInPerSecond", "x", "y", total=4e8),
            ]
        },
    ),
    "resource health": (circuit.parse_health, {"properties": {"availabilityState": "Available", "summary": "fine"}}),
    "hub": (lambda data: hub.parse_hub(data, CLOUD), {"properties": {"hubRoutingPreference": "ASPath"}}),
    "ER gateway": (
        lambda data: hub.parse_er_gateway(data, SITE, CLOUD),
        {
            "properties": {
                "provisioningState": "Succeeded",
                "virtualHub": {"id": "/hubs/hub-azure"},
                "expressRouteConnections": [
                    {"name": "er-conn", "properties": {"expressRouteCircuitPeering": {"id": "/er-circuit/p"}}}
                ],
            }
        },
    ),
    "VPN connections": (
        lambda data: hub.parse_vpn_connections(data, SITE, CLOUD),
        {
            "value": [
                {
                    "name": "on-prem",
                    "properties": {"vpnLinkConnections": [{"name": "vpn-azure-1", "properties": {}}]},
                }
            ]
        },
    ),
    "effective routes": (
        lambda data: hub.parse_effective_routes(data, SITE, CLOUD, ACCEPTED, ()),
        {
            "value": [
                {
                    "addressPrefixes": ["10.10.0.0/16"],
                    "asPath": "12076-65010",
                    "nextHops": ["/x"],
                    "nextHopType": "ExpressRouteGateway",
                    "routeOrigin": "/x",
                }
            ]
        },
    ),
    "summary": (
        lambda data: tables.parse_summary(data, SITE, LEG),
        {"value": [{"neighbor": "10.255.1.1", "as": 65010, "upDown": "1d14h", "statePfxRcd": "3"}]},
    ),
    "route table": (
        lambda data: tables.parse_route_table(data, SITE, LEG),
        {"value": [{"network": "10.10.0.0/16", "nextHop": "10.255.1.1", "path": "65010 ?"}]},
    ),
    "ARP table": (
        lambda data: tables.parse_arp(data, LEG),
        {"value": [{"interface": "On-Prem", "macAddress": "Incomplete"}]},
    ),
    "BGP metrics": (
        lambda data: parse_bgp(data, SITE, CLOUD),
        {
            "value": [
                metric("BgpPeerStatus", "bgppeeraddress", "10.255.5.1", average=1.0),
                metric("BgpRoutesLearned", "bgppeeraddress", "10.255.5.1", total=3.0),
            ]
        },
    ),
    "tunnel load": (
        lambda data: parse_tunnel_load(data, SITE, CLOUD),
        {"value": [metric("TunnelIngressBytes", "connectionname", "vpn-azure-1", total=1e9)]},
    ),
    "classic gateway": (
        lambda data: classic.parse_gateway(data, CLOUD),
        {"properties": {"provisioningState": "Succeeded", "gatewayType": "ExpressRoute"}},
    ),
    "classic connection": (
        lambda data: classic.er_attachment(classic.parse_connection(data), "", (), SITE, CLOUD),
        {"name": "er-conn", "properties": {"connectionStatus": None, "peer": {"id": f"{IDS}/er-circuit"}}},
    ),
    "classic connections": (
        lambda data: classic.parse_vpn_connections(data, {}, SITE, CLOUD),
        {"value": [{"name": "vpn-azure-1", "properties": {"connectionStatus": "Connected"}}]},
    ),
    "BGP peers": (
        peers,
        {
            "value": [
                {"neighbor": "10.255.5.1", "asn": 65010, "state": "Connected", "connectedDuration": "3.03:14:13.1"}
            ]
        },
    ),
    "gateway routes": (
        legs_and_tunnels,
        {"value": [{"network": "10.10.0.0/16", "sourcePeer": "10.255.5.1", "asPath": "12076-65010", "origin": "EBgp"}]},
    ),
    "Service Health": (
        events,
        {
            "value": [
                {
                    "name": "VN7C",
                    "properties": {
                        "eventType": "PlannedMaintenance",
                        "status": "Active",
                        "title": "<b>Primary</b>",
                        "impactStartTime": "2026-01-08T00:00:00Z",
                        "impactMitigationTime": None,
                        "lastUpdateTime": "2026-01-01T00:00:00Z",
                        "impact": [{"impactedService": "ExpressRoute"}],
                    },
                }
            ]
        },
    ),
    "impacted resources": (
        health.parse_impacted,
        {"value": [{"properties": {"targetResourceId": f"{IDS}/expressRouteCircuits/er-circuit"}}]},
    ),
    "link tests": (
        lambda data: failover.newest_first(failover.parse_link_tests(data, SITE, CLOUD)),
        [{"status": "Running", "startTime": "2026-01-07T11:00:00", "linkType": "Primary"}, {"status": "Invalid"}],
    ),
    "site tests": (
        lambda data: failover.newest_first(failover.parse_site_tests(data, SITE, CLOUD)),
        [{"status": "Completed", "startTime": "1/7/2026", "endTime": "", "peeringLocation": "Frankfurt"}],
    ),
}


def spoil(draw: st.DrawFn, reply: Any) -> Any:
    """The reply with something missing or of another sort, anywhere in it."""
    if isinstance(reply, dict) and reply and draw(st.integers(0, 5)):
        key = draw(st.sampled_from(sorted(reply)))
        rest = {name: value for name, value in reply.items() if name != key}
        return rest if draw(st.integers(0, 3)) == 0 else rest | {key: spoil(draw, reply[key])}
    if isinstance(reply, list) and reply and draw(st.integers(0, 5)):
        place = draw(st.integers(0, len(reply) - 1))
        return [*reply[:place], spoil(draw, reply[place]), *reply[place + 1 :]]
    return draw(NOISE)


@pytest.mark.parametrize("name", PARSERS)
def test_the_example_of_each_reply_is_read(name: str) -> None:
    parse, example = PARSERS[name]
    parse(copy.deepcopy(example))


LISTS = (
    *("VPN connections", "effective routes", "summary", "route table", "ARP table", "classic connections"),
    *("BGP peers", "gateway routes", "Service Health", "impacted resources", "link tests", "site tests"),
)


@pytest.mark.parametrize("name", LISTS)
@pytest.mark.parametrize("empty", [{}, []], ids=["{}", "[]"])
def test_an_empty_list_comes_in_two_forms(name: str, empty: Any) -> None:
    PARSERS[name][0](empty)


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.data())
@settings(max_examples=40)
def test_a_spoilt_reply_is_facts_or_a_bad_reply(name: str, data: st.DataObject) -> None:
    parse, example = PARSERS[name]
    try:
        parse(spoil(data.draw, example))
    except BadReply:
        return
