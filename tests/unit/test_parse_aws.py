"""AWS's replies: connections, peers, tunnels, attachments, and which leg the way back takes."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors import aws_parse as parse
from connectors.errors import BadReply
from connectors.reply import Origin
from network import sitefile
from network.observation import Advert, Advertised, Kind, SessionThere

SITE_FILE = Path(__file__).parents[2] / "lab" / "reference.yaml"
SITE = sitefile.load(SITE_FILE.read_text(), SITE_FILE).site
CLOUD = SITE.cloud("aws")
SIDE = parse._side(CLOUD)
DX = ("aws/dx-1", "aws/dx-2")
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def by_name(found: list[Any]) -> dict[str, Any]:
    return {each.name: each.fact for each in found}


@pytest.mark.parametrize("state", ["available", "down", "pending", "unknown", "", "someday"])
def test_a_connection_is_up_when_available(state: str) -> None:
    data = {"connections": [{"connectionId": "dxcon-fg000001", "connectionState": state}]}
    seen = by_name(parse.parse_connections(data, SITE, CLOUD))
    assert seen["aws/dx-1"].up is (state == "available")
    assert (seen["aws/dx-2"].up, seen["aws/dx-2"].state) == (False, "connection absent")


def vif(**over: Any) -> dict[str, Any]:
    return {
        "virtualInterfaceId": "dxvif-fg000001",
        "virtualInterfaceState": "available",
        "directConnectGatewayId": SIDE.dx_gateway_id,
        "authKey": "canary-1",
        "customerRouterConfig": "<config>canary-2</config>",
        "bgpPeers": [
            {"addressFamily": "ipv6", "customerAddress": "2001:db8::1/126", "bgpStatus": "down"},
            {"customerAddress": "10.255.3.1/30", "bgpStatus": "up", "authKey": "canary-3"},
        ],
        **over,
    }


def sessions(*vifs: dict[str, Any], accepted: dict[str, Advertised] | None = None) -> dict[str, SessionThere]:
    read = parse.parse_vifs({"virtualInterfaces": list(vifs)}, SITE, CLOUD)
    return by_name(parse.parse_sessions(read, accepted or {}, SITE, CLOUD))


def test_a_session_is_its_own_peers_state_with_the_count_of_what_was_accepted() -> None:
    routes = Advertised((Advert("10.10.0.0/16", (65010,)), Advert("10.11.0.0/16", (65010,))))
    seen = sessions(vif(), accepted={"aws/dx-1": routes})
    assert seen["aws/dx-1"] == SessionThere(up=True, state="up, VIF available", received=2)
    assert seen["aws/dx-2"] == SessionThere(up=False, state="VIF absent")


@pytest.mark.parametrize(
    ("over", "state"),
    [
        ({"virtualInterfaceState": "testing"}, "up, VIF testing"),
        ({"bgpPeers": []}, "peer absent"),
        ({"bgpPeers": [{"customerAddress": "10.255.3.1/30", "bgpStatus": "down"}]}, "down, VIF available"),
        ({"bgpPeers": [{"customerAddress": "10.255.3.1/30"}]}, "unknown, VIF available"),
    ],
)
def test_a_session_that_is_not_up_says_why_and_knows_no_count(over: dict[str, Any], state: str) -> None:
    assert sessions(vif(**over))["aws/dx-1"] == SessionThere(up=False, state=state)


def test_an_omitted_peer_list_is_a_bad_reply_not_a_lost_peer() -> None:
    without = {key: value for key, value in vif().items() if key != "bgpPeers"}
    with pytest.raises(BadReply, match="bgpPeers"):
        sessions(without)


def test_the_three_copies_of_the_bgp_key_end_at_the_parser() -> None:
    read = parse.parse_vifs({"virtualInterfaces": [vif()]}, SITE, CLOUD)
    origin = Origin("aws", datetime(2026, 1, 1, tzinfo=UTC), 3, "DescribeVirtualInterfaces")
    seen = origin.observe(parse.parse_sessions(read, {}, SITE, CLOUD))
    assert "canary" not in json.dumps([item.raw for item in seen])
    assert "10.255.3.1" in seen[0].raw


def test_accepted_routes_keep_as_path_and_communities() -> None:
    route = {
        "cidr": "10.10.0.0/16",
        "asPath": [{"pathType": "seq", "path": [65010, 65010]}, {"pathType": "set", "path": [64999]}],
        "communities": ["7224:7300"],
    }
    found = by_name(parse.parse_vif_routes({"routes": [route]}, SITE.path("aws/dx-1")))
    assert found == {"aws/dx-1": Advertised((Advert("10.10.0.0/16", (65010, 65010, 64999), ("7224:7300",)),))}


def vpn(**row: Any) -> dict[str, Any]:
    other = {"OutsideIpAddress": "203.0.113.99", "Status": "UP", "AcceptedRouteCount": 7}
    ours = {"OutsideIpAddress": "203.0.113.1", **row}
    first = {"VpnConnectionId": SIDE.vpn_connection_ids["vpn-aws-1"], "VgwTelemetry": [other, ours]}
    return {"VpnConnections": [{**first, "CustomerGatewayConfiguration": "<psk>canary</psk>"}]}


@pytest.mark.parametrize(
    ("row", "ipsec", "bgp"),
    [
        ({"Status": "UP", "StatusMessage": "3 BGP ROUTES", "AcceptedRouteCount": 3}, True, True),
        ({"Status": "UP", "StatusMessage": "0 BGP ROUTES", "AcceptedRouteCount": 0}, True, False),
        ({"Status": "UP", "StatusMessage": ""}, True, False),
        ({"Status": "DOWN", "StatusMessage": "IPSEC IS UP", "AcceptedRouteCount": 0}, True, False),
        ({"Status": "DOWN", "StatusMessage": "IPSEC IS DOWN", "AcceptedRouteCount": 3}, False, False),
        ({"Status": "UP", "StatusMessage": "IPSEC IS DOWN"}, False, False),
        ({"Status": None}, False, False),
    ],
)
def test_a_tunnels_count_decides_for_bgp_and_its_words_for_ipsec(row: dict[str, Any], ipsec: bool, bgp: bool) -> None:
    found = parse.parse_vpn(vpn(**row), SITE, CLOUD)
    seen = {(each.kind, each.name): each.fact for each in found}
    assert seen[Kind.CIRCUIT, "aws/vpn-1"].up is ipsec
    assert seen[Kind.SESSION_THERE, "aws/vpn-1"].up is bgp
    assert seen[Kind.SESSION_THERE, "aws/vpn-1"].received == row.get("AcceptedRouteCount")
    assert seen[Kind.CIRCUIT, "aws/vpn-2"].state == "absent"


def attached(
    *, state: str = "available", spread: str = "enabled", gateway: str = "associated", vif_on: str | None = None
) -> dict[str, Any]:
    rows = [
        {
            "TransitGatewayAttachmentId": f"tgw-attach-{index}",
            "ResourceId": resource,
            "State": state,
            "Association": {"State": "associated"},
        }
        for index, resource in enumerate((SIDE.dx_gateway_id, *SIDE.vpn_connection_ids.values()))
    ]
    spreads = [{"TransitGatewayAttachmentId": f"tgw-attach-{index}", "State": spread} for index in range(3)]
    association = {"associationState": gateway, "associatedGateway": {"id": SIDE.tgw_id}}
    vifs = [vif(), vif(virtualInterfaceId="dxvif-fg000002")]
    if vif_on is not None:
        vifs[0]["directConnectGatewayId"] = vif_on
    found = parse.parse_attachments(
        {"TransitGatewayAttachments": rows},
        {"TransitGatewayRouteTablePropagations": spreads},
        {"directConnectGatewayAssociations": [association]},
        parse.parse_vifs({"virtualInterfaces": vifs}, SITE, CLOUD),
        SITE,
        CLOUD,
    )
    return by_name(found)


def test_every_path_is_attached_when_all_its_links_are() -> None:
    seen = attached()
    assert {name for name, fact in seen.items() if fact.up} == {path.name for path in SITE.paths_of("aws")}


@pytest.mark.parametrize(
    ("over", "down"),
    [
        ({"state": "modifying"}, {"aws/dx-1", "aws/dx-2", "aws/vpn-1", "aws/vpn-2"}),
        ({"spread": "disabled"}, {"aws/dx-1", "aws/dx-2", "aws/vpn-1", "aws/vpn-2"}),
        ({"gateway": "disassociating"}, {"aws/dx-1", "aws/dx-2"}),
        ({"vif_on": ""}, {"aws/dx-1"}),
    ],
)
def test_a_broken_link_detaches_the_paths_behind_it(over: dict[str, str], down: set[str]) -> None:
    assert {name for name, fact in attached(**over).items() if not fact.up} == down


def table(*resources: str, state: str = "active", **over: Any) -> dict[str, Any]:
    ours = {
        "DestinationCidrBlock": "10.10.0.0/16",
        "State": state,
        "TransitGatewayAttachments": [{"ResourceId": each} for each in resources],
    }
    vpc = {
        "DestinationCidrBlock": "10.60.0.0/16",
        "State": "active",
        "TransitGatewayAttachments": [{"ResourceId": "vpc-1", "ResourceType": "vpc"}],
    }
    return {"Routes": [vpc, ours], "AdditionalRoutesAvailable": False, **over}


def leg(times: int, *communities: str) -> Advertised:
    return Advertised((Advert("10.10.0.0/16", (65010,) * times, communities),))


def back(data: Any, accepted: dict[str, Advertised] | None, up: tuple[str, ...] = DX) -> tuple[Any, str]:
    (found,) = parse.parse_tgw_routes(data, accepted, up, SITE, CLOUD)
    (route,) = [route for route in found.fact.routes if route.prefix == "10.10.0.0/16"]
    assert {each.prefix for each in found.fact.routes} == {"10.10.0.0/16", "10.11.0.0/16"}
    return route.via, found.fact.basis


DXGW = SIDE.dx_gateway_id


@pytest.mark.parametrize(
    ("one", "two", "via"),
    [
        (leg(1, "7224:7300"), leg(3, "7224:7100"), DX[:1]),
        (leg(3, "7224:7300"), leg(1, "7224:7100"), DX[:1]),  # preference is judged before the AS path
        (leg(3, "7224:7100"), leg(1), DX[1:]),  # no community is medium
        (leg(2), leg(1), DX[1:]),
        (leg(2, "7224:7200"), leg(2), DX),
    ],
)
def test_among_direct_connect_legs_preference_then_as_path_decides(
    one: Advertised, two: Advertised, via: tuple[str, ...]
) -> None:
    assert back(table(DXGW), dict(zip(DX, (one, two), strict=True))) == (via, "inferred")


def test_with_one_leg_left_the_table_alone_tells() -> None:
    legs = {"aws/dx-1": leg(1), "aws/dx-2": leg(3)}
    assert back(table(DXGW), legs, up=DX[1:]) == (DX[1:], "table")
    assert back(table(DXGW), {"aws/dx-1": leg(1), "aws/dx-2": Advertised(())}) == (DX[:1], "table")
    assert back(table(DXGW), None, up=DX[1:]) == (DX[1:], "table")


def test_between_two_legs_of_unknown_routes_nothing_is_claimed() -> None:
    assert parse.parse_tgw_routes(table(DXGW), None, DX, SITE, CLOUD) == []


def test_a_vpn_attachment_is_its_path_and_several_are_ecmp() -> None:
    one, two = SIDE.vpn_connection_ids["vpn-aws-1"], SIDE.vpn_connection_ids["vpn-aws-2"]
    assert back(table(one, two), {}) == (("aws/vpn-1", "aws/vpn-2"), "table")


def test_a_blackhole_is_no_way_back_and_neither_is_silence() -> None:
    assert back(table(DXGW, state="blackhole"), {"aws/dx-1": leg(1)}) == ((), "table")
    found = parse.parse_tgw_routes({"Routes": []}, {}, DX, SITE, CLOUD)
    assert [route.via for route in found[0].fact.routes] == [(), ()]


def test_a_cut_table_proves_no_absence() -> None:
    with pytest.raises(BadReply, match="not proven absent"):
        back(table(DXGW, AdditionalRoutesAvailable=True), {})


@pytest.mark.parametrize("reply", [{}, None, {"message": "<html>"}, {"connections": None}, {"connections": {}}])
def test_an_unknown_shape_is_a_bad_reply_never_an_empty_one(reply: Any) -> None:
    with pytest.raises(BadReply):
        parse.parse_connections(reply, SITE, CLOUD)


@given(JSON_VALUES)
@settings(max_examples=100)
def test_any_json_is_facts_or_a_bad_reply(noise: Any) -> None:
    one = {"connectionId": "dxcon-fg000001", "virtualInterfaceId": "dxvif-fg000001", "bgpPeers": noise}
    row = {"VpnConnectionId": SIDE.vpn_connection_ids["vpn-aws-1"], "VgwTelemetry": noise}
    keys = ("connections", "virtualInterfaces", "routes", "VpnConnections", "Routes")
    for reply in (noise, *({key: value} for key in keys for value in (noise, [noise], [one], [row]))):
        for reader in (
            lambda data: parse.parse_connections(data, SITE, CLOUD),
            lambda data: parse.parse_vifs(data, SITE, CLOUD),
            lambda data: parse.parse_vif_routes(data, SITE.path("aws/dx-1")),
            lambda data: parse.parse_vpn(data, SITE, CLOUD),
            lambda data: parse.parse_attachments(data, data, data, {}, SITE, CLOUD),
            lambda data: parse.parse_tgw_routes(data, {}, DX, SITE, CLOUD),
        ):
            try:
                reader(reply)
            except BadReply:
                continue
