"""AWS's replies: connections, peers, tunnels, attachments, and which leg the way back takes."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors import aws_direct, aws_health, aws_metrics, aws_transit, aws_vpn
from connectors.aws_direct import BgpHistory
from connectors.errors import BadReply
from connectors.reply import Origin
from network import sitefile
from network.events import ProviderEvent
from network.observation import Advert, Advertised, Attachment, Circuit, FailoverTest, Kind, Load, Optics, SessionThere

SITE_FILE = Path(__file__).parents[2] / "lab" / "reference.yaml"
SITE = sitefile.load(SITE_FILE.read_text(), SITE_FILE).site
CLOUD = SITE.cloud("aws")
SIDE = CLOUD.aws
assert SIDE is not None
NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
DX = ("aws/dx-1", "aws/dx-2")
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def by_name(found: list[Any]) -> dict[str, Any]:
    return {each.name: each.fact for each in found}


def connection(number: int = 1, **over: Any) -> dict[str, Any]:
    return {"connectionId": f"dxcon-fg00000{number}", "connectionState": "available", **over}


def circuits(*rows: dict[str, Any]) -> dict[str, Circuit]:
    return by_name(aws_direct.parse_connections({"connections": list(rows)}, SITE, CLOUD))


@pytest.mark.parametrize("state", ["available", "down", "pending", "ordering", "rejected", "unknown", "", "someday"])
def test_a_connection_is_up_when_available_and_unknown_when_aws_does_not_know(state: str) -> None:
    seen = circuits(connection(connectionState=state))
    assert (seen["aws/dx-1"].up, seen["aws/dx-1"].known) == (state == "available", state not in {"unknown", ""})
    assert (seen["aws/dx-2"].up, seen["aws/dx-2"].state) == (False, "connection absent")


@pytest.mark.parametrize(
    ("over", "degraded"),
    [
        ({"macSecCapable": True, "encryptionMode": "should_encrypt", "portEncryptionStatus": "Encryption Down"}, True),
        ({"macSecCapable": True, "encryptionMode": "must_encrypt", "portEncryptionStatus": "Encryption Up"}, False),
        ({"macSecCapable": True, "encryptionMode": "no_encrypt", "portEncryptionStatus": "Encryption Down"}, False),
        ({"macSecCapable": False, "encryptionMode": "no_encrypt", "portEncryptionStatus": "Encryption Down"}, False),
        ({"macSecCapable": True, "encryptionMode": "should_encrypt"}, False),  # nothing said is nothing known
    ],
)
def test_macsec_that_is_wanted_and_down_impairs_a_connection(over: dict[str, Any], degraded: bool) -> None:
    seen = circuits(connection(**over))["aws/dx-1"]
    assert (seen.up, seen.degraded, "MACsec down" in seen.state) == (True, degraded, degraded)


def test_connections_on_one_device_that_the_site_believes_apart_are_told() -> None:
    seen = circuits(*(connection(number, awsDeviceV2="FRA-1") for number in (1, 2)))
    assert {name: fact.degraded for name, fact in seen.items()} == dict.fromkeys(DX, True)
    assert seen["aws/dx-1"].state == "connection available, on one device (FRA-1) with aws/dx-2"
    apart = circuits(connection(1, awsDeviceV2="FRA-1"), connection(2, awsDeviceV2="FRA-2"), connection(3))
    assert not any(fact.degraded for fact in apart.values())


def test_types_that_differ_in_fields_of_no_use_do_no_harm() -> None:
    seen = circuits(connection(hasLogicalRedundancy=False, bandwidth=1, loaIssueTime="soon", vlan="100"))
    assert seen["aws/dx-1"] == Circuit(up=True, state="connection available")


def peer(**over: Any) -> dict[str, Any]:
    return {"customerAddress": "10.255.3.1/30", "bgpStatus": "up", **over}


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


def sessions(
    *vifs: dict[str, Any],
    accepted: dict[str, Advertised] | None = None,
    history: dict[str, BgpHistory] | None = None,
) -> dict[str, SessionThere]:
    read = aws_direct.parse_vifs({"virtualInterfaces": list(vifs)}, SITE, CLOUD)
    return by_name(aws_direct.parse_sessions(read, accepted or {}, history or {}, SITE, CLOUD))


def test_a_session_is_its_own_peers_state_with_the_count_of_what_was_accepted() -> None:
    routes = Advertised((Advert("10.10.0.0/16", (65010,)), Advert("10.11.0.0/16", (65010,))))
    seen = sessions(vif(), accepted={"aws/dx-1": routes})
    assert seen["aws/dx-1"] == SessionThere(up=True, state="up, VIF available", received=2)
    assert seen["aws/dx-2"] == SessionThere(up=False, state="VIF absent")
    late = sessions(accepted={"aws/dx-2": routes})["aws/dx-2"]
    assert late == SessionThere(up=False, state="VIF not listed", known=False), "its routes say that it is there"


@pytest.mark.parametrize(
    ("over", "state"),
    [
        ({"bgpPeers": []}, "peer absent"),
        ({"bgpPeers": [peer(bgpStatus="down")]}, "down, VIF available"),
        ({"bgpPeers": [peer(bgpStatus="down", bgpPeerState="deleting")]}, "down, VIF available, peer deleting"),
    ],
)
def test_a_session_that_is_not_up_says_why_and_knows_no_count(over: dict[str, Any], state: str) -> None:
    assert sessions(vif(**over))["aws/dx-1"] == SessionThere(up=False, state=state)


@pytest.mark.parametrize(
    ("over", "state"),
    [
        ({"virtualInterfaceState": "testing"}, "up, VIF testing"),
        ({"virtualInterfaceState": "testing", "bgpPeers": [peer(bgpStatus="down")]}, "down, VIF testing"),
        ({"bgpPeers": [peer(bgpStatus="unknown")]}, "unknown, VIF available"),
        ({"bgpPeers": [{"customerAddress": "10.255.3.1/30"}]}, "unknown, VIF available"),
    ],
)
def test_a_failover_test_and_an_unknown_word_are_neither_up_nor_down(over: dict[str, Any], state: str) -> None:
    assert sessions(vif(**over))["aws/dx-1"] == SessionThere(up=False, state=state, known=False)


VIF_STATES = (
    "confirming", "verifying", "pending", "available", "down", "testing", "deleting", "deleted", "rejected", "unknown",
)  # fmt: skip


@pytest.mark.parametrize("state", VIF_STATES)
def test_every_state_of_a_vif_is_shown_and_its_peer_decides(state: str) -> None:
    up, down = (sessions(vif(virtualInterfaceState=state, bgpPeers=[peer(bgpStatus=word)])) for word in ("up", "down"))
    assert (up["aws/dx-1"].state, down["aws/dx-1"].state) == (f"up, VIF {state}", f"down, VIF {state}")
    assert (up["aws/dx-1"].up, up["aws/dx-1"].known) == (state != "testing",) * 2
    assert (down["aws/dx-1"].up, down["aws/dx-1"].known) == (False, state != "testing")


@pytest.mark.parametrize(
    ("numbers", "state"),
    [
        ({"asn": 0, "asnLong": 65010}, "up, VIF available"),
        ({"asn": 65010}, "up, VIF available"),
        ({"asn": 0, "asnLong": 4200000001}, "up, VIF available, for AS 4200000001, not 65010"),
        ({}, "up, VIF available"),
    ],
)
def test_a_four_byte_as_number_stands_in_its_own_field(numbers: dict[str, int], state: str) -> None:
    assert sessions(vif(bgpPeers=[peer(**numbers)]))["aws/dx-1"].state == state


def test_the_past_adds_a_flap_and_stands_in_for_a_count_that_cannot_be_read() -> None:
    past = BgpHistory(NOW - timedelta(minutes=5), 7, 2, NOW - timedelta(minutes=5))
    assert sessions(vif(), history={"aws/dx-1": past})["aws/dx-1"] == SessionThere(
        up=True,
        state="up, VIF available, prefixes as of 11:55 UTC",
        received=7,
        advertised=2,
        down_at=NOW - timedelta(minutes=5),
    )
    routes = Advertised((Advert("10.10.0.0/16", (65010,)),))
    assert sessions(vif(), accepted={"aws/dx-1": routes}, history={"aws/dx-1": past})["aws/dx-1"].received == 1
    down = sessions(vif(bgpPeers=[peer(bgpStatus="down")]), history={"aws/dx-1": past})["aws/dx-1"]
    assert (down.received, down.advertised) == (None, None)


def test_an_omitted_peer_list_is_a_bad_reply_not_a_lost_peer() -> None:
    without = {key: value for key, value in vif().items() if key != "bgpPeers"}
    with pytest.raises(BadReply, match="bgpPeers"):
        sessions(without)


def test_the_three_copies_of_the_bgp_key_end_at_the_parser() -> None:
    read = aws_direct.parse_vifs({"virtualInterfaces": [vif()]}, SITE, CLOUD)
    origin = Origin("aws", datetime(2026, 1, 1, tzinfo=UTC), 3, "DescribeVirtualInterfaces")
    seen = origin.observe(aws_direct.parse_sessions(read, {}, {}, SITE, CLOUD))
    assert "canary" not in json.dumps([item.raw for item in seen])
    assert "10.255.3.1" in seen[0].raw


def test_accepted_routes_keep_as_path_and_communities() -> None:
    route = {
        "cidr": "10.10.0.0/16",
        "asPath": [{"pathType": "seq", "path": [65010, 65010]}, {"pathType": "set", "path": [64999]}],
        "communities": ["7224:7300"],
    }
    found = by_name(aws_direct.parse_vif_routes({"routes": [route]}, SITE.path("aws/dx-1")))
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
        ({"Status": "UP", "StatusMessage": ""}, True, None),
        ({"Status": "DOWN", "StatusMessage": "IPSEC IS UP", "AcceptedRouteCount": 0}, True, False),
        ({"Status": "DOWN", "StatusMessage": "IPSEC IS DOWN", "AcceptedRouteCount": 3}, False, False),
        ({"Status": "UP", "StatusMessage": "IPSEC IS DOWN"}, False, None),
        ({"Status": "DOWN", "StatusMessage": ""}, False, False),
        ({"Status": None}, None, None),
    ],
)
def test_a_tunnels_count_decides_for_bgp_and_its_words_for_ipsec(
    row: dict[str, Any], ipsec: bool | None, bgp: bool | None
) -> None:
    found = aws_vpn.parse_vpn(vpn(**row), SITE, CLOUD)
    seen = {(each.kind, each.name): each.fact for each in found}
    for kind, wanted in ((Kind.CIRCUIT, ipsec), (Kind.SESSION_THERE, bgp)):
        fact = seen[kind, "aws/vpn-1"]
        assert (fact.up, fact.known) == (bool(wanted), wanted is not None)
    assert seen[Kind.SESSION_THERE, "aws/vpn-1"].received == row.get("AcceptedRouteCount")
    assert seen[Kind.CIRCUIT, "aws/vpn-2"].state == "absent"


def attached(
    *,
    state: str = "available",
    spread: str = "enabled",
    gateway: str = "associated",
    vif_on: str | None = None,
    allowed: tuple[str, ...] = ("10.60.0.0/16", "10.61.0.0/16"),
    vif_state: str = "attached",
    users: str = "associated",
    dx_gateway: str = "available",
    tgw: str = "available",
    asn: int = 64513,
    vifs_known: bool = True,
) -> dict[str, Attachment]:
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
    association = {
        "associationState": gateway,
        "associatedGateway": {"id": SIDE.tgw_id},
        "allowedPrefixesToDirectConnectGateway": [{"cidr": prefix} for prefix in allowed],
    }
    vifs = [vif(), vif(virtualInterfaceId="dxvif-fg000002")]
    if vif_on is not None:
        vifs[0]["directConnectGatewayId"] = vif_on
    joined = [{"virtualInterfaceId": f"dxvif-fg00000{n}", "attachmentState": vif_state} for n in (1, 2)]
    gateways = [{"directConnectGatewayId": SIDE.dx_gateway_id, "directConnectGatewayState": dx_gateway}]
    replies = aws_transit.AttachmentReplies(
        attachments={"TransitGatewayAttachments": rows},
        propagations={"TransitGatewayRouteTablePropagations": spreads},
        table_associations={"Associations": [{"TransitGatewayAttachmentId": "tgw-attach-vpc", "State": users}]},
        transit_gateways={
            "TransitGateways": [{"TransitGatewayId": SIDE.tgw_id, "State": tgw, "Options": {"AmazonSideAsn": asn}}]
        },
        dx_gateways={"directConnectGateways": gateways},
        dx_associations={"directConnectGatewayAssociations": [association]},
        dx_attachments={"directConnectGatewayAttachments": joined},
    )
    known = aws_direct.parse_vifs({"virtualInterfaces": vifs}, SITE, CLOUD) if vifs_known else None
    return by_name(aws_transit.parse_attachments(replies, known, SITE, CLOUD))


ALL = {path.name for path in SITE.paths_of("aws")}
PRIVATE = set(DX)


def test_every_path_is_attached_when_all_its_links_are() -> None:
    seen = attached()
    assert {name for name, fact in seen.items() if fact.up and not fact.degraded} == ALL
    assert attached(vifs_known=False) == seen


@pytest.mark.parametrize(
    ("over", "down"),
    [
        ({"state": "failing"}, ALL),
        ({"spread": "disabled"}, ALL),
        ({"users": "disassociated"}, ALL),
        ({"tgw": "deleting"}, ALL),
        ({"gateway": "disassociating"}, PRIVATE),
        ({"dx_gateway": "deleted"}, PRIVATE),
        ({"vif_state": "detaching"}, PRIVATE),
        ({"vif_on": ""}, {"aws/dx-1"}),
    ],
)
def test_a_broken_link_detaches_the_paths_behind_it(over: dict[str, Any], down: set[str]) -> None:
    assert {name for name, fact in attached(**over).items() if not fact.up} == down


@pytest.mark.parametrize(
    ("over", "impaired", "why"),
    [
        ({"state": "modifying"}, ALL, "TGW attachment modifying"),
        ({"gateway": "updating"}, PRIVATE, "DX gateway association updating"),
        ({"allowed": ("10.60.0.0/16",)}, PRIVATE, "not allowed towards on-prem: 10.61.0.0/16"),
        ({"allowed": ("10.60.0.0/15",)}, set(), ""),  # a wider one covers both, and is announced as it is listed
        ({"asn": 64599}, ALL, "TGW is AS 64599, not 64513"),
    ],
)
def test_what_is_being_changed_or_lacks_a_part_is_impaired_and_not_down(
    over: dict[str, Any], impaired: set[str], why: str
) -> None:
    seen = attached(**over)
    assert all(fact.up for fact in seen.values())
    assert {name for name, fact in seen.items() if fact.degraded} == impaired
    assert all(why in seen[name].state for name in impaired)


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
    (found,) = aws_transit.parse_tgw_routes(data, accepted, up, SITE, CLOUD)
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
    assert aws_transit.parse_tgw_routes(table(DXGW), None, DX, SITE, CLOUD) == []


def test_a_vpn_attachment_is_its_path_and_several_are_ecmp() -> None:
    one, two = SIDE.vpn_connection_ids["vpn-aws-1"], SIDE.vpn_connection_ids["vpn-aws-2"]
    assert back(table(one, two), {}) == (("aws/vpn-1", "aws/vpn-2"), "table")


def test_a_blackhole_is_no_way_back_and_neither_is_silence() -> None:
    assert back(table(DXGW, state="blackhole"), {"aws/dx-1": leg(1)}) == ((), "table")
    found = aws_transit.parse_tgw_routes({"Routes": []}, {}, DX, SITE, CLOUD)
    assert [route.via for route in found[0].fact.routes] == [(), ()]


def test_a_cut_table_proves_no_absence() -> None:
    with pytest.raises(BadReply, match="not proven absent"):
        back(table(DXGW, AdditionalRoutesAvailable=True), {})


@pytest.mark.parametrize("reply", [{}, None, {"message": "<html>"}, {"connections": None}, {"connections": {}}])
def test_an_unknown_shape_is_a_bad_reply_never_an_empty_one(reply: Any) -> None:
    with pytest.raises(BadReply):
        aws_direct.parse_connections(reply, SITE, CLOUD)


def test_a_blackhole_inside_our_space_is_a_hole_though_no_attachment_of_ours_is_behind_it() -> None:
    hole = {"DestinationCidrBlock": "10.10.9.0/24", "State": "blackhole", "Type": "static"}
    elsewhere = {"DestinationCidrBlock": "10.99.0.0/16", "State": "blackhole", "Type": "static"}
    data = table(DXGW)
    data["Routes"] += [hole, elsewhere, {"DestinationCidrBlock": "2001:db8::/32", "State": "blackhole"}]
    (found,) = aws_transit.parse_tgw_routes(data, {"aws/dx-1": leg(1)}, DX, SITE, CLOUD)
    assert {route.prefix: route.via for route in found.fact.routes} == {
        "10.10.0.0/16": DX[:1],
        "10.11.0.0/16": (),
        "10.10.9.0/24": (),
    }


def test_a_route_of_ours_without_a_destination_is_no_reply() -> None:
    with pytest.raises(BadReply, match="without a destination"):
        back({"Routes": [{"State": "active", "TransitGatewayAttachments": [{"ResourceId": DXGW}]}]}, {})


@pytest.mark.parametrize("status", ["In progress", "IN_PROGRESS", "in-progress", "inProgress"])
def test_a_running_failover_test_is_known_however_its_status_is_spelled(status: str) -> None:
    ended = {"virtualInterfaceId": "dxvif-fg000002", "status": "Completed", "startTime": NOW - timedelta(days=2)}
    mine = {
        "virtualInterfaceId": "dxvif-fg000001",
        "status": status,
        "startTime": NOW - timedelta(minutes=1),
        "endTime": NOW + timedelta(minutes=9),
    }
    data = {"virtualInterfaceTestHistory": [ended, mine, {"virtualInterfaceId": "dxvif-of-another"}]}
    (found,) = aws_direct.parse_test_history(data, SITE, CLOUD)
    assert found.fact.tests == (
        FailoverTest("aws/dx-1", True, status, NOW - timedelta(minutes=1), NOW + timedelta(minutes=9)),
        FailoverTest("aws/dx-2", False, "Completed", NOW - timedelta(days=2)),
    )


@pytest.mark.parametrize("word", ["none", "", "No", None, "Not available"])
def test_no_waiting_maintenance_is_no_event(word: str | None) -> None:
    data = {"MaintenanceDetails": {"PendingMaintenance": word, "LastMaintenanceApplied": NOW}}
    assert aws_vpn.parse_replacement(data, SITE.path("aws/vpn-1"), SITE, NOW) is None


def test_maintenance_that_waits_for_a_tunnel_is_an_event_of_that_tunnel() -> None:
    later = NOW + timedelta(days=3)
    data = {"MaintenanceDetails": {"PendingMaintenance": "available", "MaintenanceAutoAppliedAfter": later}}
    event = aws_vpn.parse_replacement(data, SITE.path("aws/vpn-1"), SITE, NOW)
    assert event is not None
    assert (event.kind, event.state, event.starts, event.touches) == ("maintenance", "announced", later, ("vpn-aws-1",))
    undated = aws_vpn.parse_replacement(
        {"MaintenanceDetails": {"PendingMaintenance": "available"}}, SITE.path("aws/vpn-1"), SITE, NOW
    )
    assert undated is not None
    assert undated.starts == NOW


def health(*rows: dict[str, Any], entities: tuple[tuple[str, str], ...] = ()) -> list[ProviderEvent]:
    events = [
        {"arn": f"arn:aws:health:eu-central-1::event/DIRECTCONNECT/X/{n}", "region": SIDE.region, **row}
        for n, row in enumerate(rows)
    ]
    affected = [
        {"entities": [{"eventArn": events[int(at)]["arn"], "entityValue": value}]} for at, value in entities
    ]  # a page each
    return aws_health.parse_events({"events": events}, affected, SITE, CLOUD, NOW)


def change(**over: Any) -> dict[str, Any]:
    return {
        "eventTypeCode": "AWS_DIRECTCONNECT_MAINTENANCE_SCHEDULED",
        "eventTypeCategory": "scheduledChange",
        "statusCode": "upcoming",
        "startTime": NOW + timedelta(days=2),
        "endTime": NOW + timedelta(days=2, hours=4),
        **over,
    }


@pytest.mark.parametrize(
    ("value", "touches"),
    [
        ("dxcon-fg000001", ("dx-1",)),
        ("dxvif-fg000002", ("dx-2",)),
        ("arn:aws:directconnect:eu-central-1:123456789012:dxcon/dxcon-fg000001", ("dx-1",)),
        (SIDE.vpn_connection_ids["vpn-aws-1"], ("vpn-aws-1",)),
        ("AWS_ACCOUNT", ("aws",)),
        ("UNKNOWN", ("aws",)),
    ],
)
def test_an_event_touches_the_sites_own_things(value: str, touches: tuple[str, ...]) -> None:
    (event,) = health(change(), entities=(("0", value),))
    assert event.touches == touches
    assert (event.system, event.kind, event.state) == ("aws", "maintenance", "announced")
    assert event.title == "directconnect maintenance scheduled"


def test_an_event_of_others_things_alone_is_not_ours_and_one_of_no_thing_is_the_regions() -> None:
    assert health(change(), entities=(("0", "dxcon-ofothers"),)) == []
    assert [event.touches for event in health(change())] == [("aws",)]
    assert health(change(region="us-west-1")) == []


@pytest.mark.parametrize(
    ("over", "kind", "state"),
    [
        ({}, "maintenance", "announced"),
        ({"statusCode": "open", "startTime": NOW - timedelta(hours=1)}, "maintenance", "running"),
        ({"statusCode": "closed"}, "maintenance", "done"),
        ({"eventTypeCategory": "issue", "statusCode": "open", "startTime": NOW, "endTime": None}, "outage", "running"),
    ],
)
def test_an_events_kind_and_state(over: dict[str, Any], kind: str, state: str) -> None:
    (event,) = health(change(**over), entities=(("0", "dxcon-fg000001"),))
    assert (event.kind, event.state, event.emergency) == (kind, state, False)


def test_events_beyond_the_calendar_are_left_out_and_emergencies_marked() -> None:
    far = change(startTime=NOW + timedelta(days=SITE.policy.calendar_days + 1), endTime=None)
    past = change(startTime=NOW - timedelta(days=9), endTime=NOW - timedelta(days=8), statusCode="open")
    near = change(eventTypeCode="AWS_DIRECTCONNECT_EMERGENCY_MAINTENANCE_SCHEDULED")
    (event,) = health(far, past, near)
    assert event.emergency


def listed(metric: str, **dimensions: str) -> dict[str, Any]:
    names = {"ConnectionId": "dxcon-fg000001"} | dimensions
    return {"MetricName": metric, "Dimensions": [{"Name": key, "Value": value} for key, value in names.items()]}


BGP = {"VirtualInterfaceId": "dxvif-fg000001", "IpAddressFamily": "IPv4"}
METRICS = [
    listed("ConnectionLightLevelRx", OpticalLaneNumber="1"),
    listed("ConnectionLightLevelRx", OpticalLaneNumber="2"),
    listed("ConnectionLightLevelRx", OpticalLaneNumber="2"),  # listed twice: asked once
    listed("ConnectionEncryptionState"),
    listed("VirtualInterfaceBgpStatus", **BGP),
    listed("VirtualInterfaceBgpStatus", **BGP | {"IpAddressFamily": "ipv6"}),
    listed("VirtualInterfaceBgpStatus", **BGP | {"ConnectionId": "dxcon-other"}),
    listed("ConnectionPpsEgress"),
]


def test_light_of_the_worst_lane_macsec_and_a_flap_between_polls() -> None:
    queries = aws_metrics.dx_queries({"Metrics": METRICS}, SITE, CLOUD)
    assert [query.metric for query in queries] == [
        "ConnectionLightLevelRx", "ConnectionLightLevelRx", "ConnectionEncryptionState", "VirtualInterfaceBgpStatus",
    ]  # fmt: skip
    assert {query.stat for query in queries} == {"Minimum"}
    times = [NOW - timedelta(minutes=m) for m in (5, 10, 15)]
    values = [[-3.0, -3.1, -3.0], [-9.5, -3.0, -3.0], [1.0, 1.0, 1.0], [1.0, 0.0, 1.0]]
    results = [
        {"Id": f"q{n}", "StatusCode": "Complete", "Timestamps": times, "Values": row} for n, row in enumerate(values)
    ]
    pieces = [{**results[3], "Timestamps": [times[n]], "Values": [values[3][n]]} for n in range(3)]
    cut = [*results[:3], *pieces]
    for answer in (results, cut):  # a result may come in pieces
        points = aws_metrics.parse_data({"MetricDataResults": answer}, queries)
        ((ends, finding),) = aws_metrics.optics(points, SITE, CLOUD)
        assert (finding.name, finding.fact, ends) == ("dx-1", Optics(rx_dbm=-9.5, macsec=True), NOW)
        past = aws_metrics.bgp_history(points, SITE, CLOUD)
        assert past["aws/dx-1"].down_at == NOW - timedelta(minutes=10)
        assert past["aws/dx-2"] == BgpHistory()


@pytest.mark.parametrize(
    "result",
    [
        {"Id": "q0", "StatusCode": "Forbidden"},
        {"Id": "q0", "StatusCode": "InternalError"},
        {"Id": "q0", "Timestamps": [NOW], "Values": []},
        {"Id": "q9", "Timestamps": [], "Values": []},
        {"Id": "q0", "Timestamps": [NOW], "Values": [float("nan")]},
    ],
)
def test_a_metric_that_was_refused_or_does_not_fit_is_no_reply(result: dict[str, Any]) -> None:
    queries = aws_metrics.dx_queries({"Metrics": METRICS}, SITE, CLOUD)
    with pytest.raises(BadReply):
        aws_metrics.parse_data({"MetricDataResults": [result]}, queries)


def test_the_load_of_a_tunnel_is_the_95th_percentile_of_its_larger_direction() -> None:
    queries = aws_metrics.vpn_queries(SITE, CLOUD)
    assert [(query.thing, query.metric) for query in queries][:2] == [
        ("vpn-aws-1", "TunnelDataIn"), ("vpn-aws-1", "TunnelDataOut"),
    ]  # fmt: skip
    megabit = 900 * 1e6 / 8  # bytes in a period that make one Mbps
    times = tuple(NOW - timedelta(minutes=15 * n) for n in range(100))
    points = {
        queries[0]: tuple((when, n * megabit) for n, when in enumerate(times, 1)),
        queries[1]: tuple((when, megabit) for when in times),
    }
    (found,) = aws_metrics.loads(points)
    assert (found.name, found.fact) == ("vpn-aws-1", Load(p95_mbps=95.0, days=1.04))
    assert aws_metrics.loads({}) == []


@pytest.mark.parametrize("when", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59Z", 1e300, "soon", -1e18])
def test_a_time_out_of_this_age_is_no_reply(when: object) -> None:
    with pytest.raises(BadReply, match="startTime"):
        aws_direct.parse_test_history(
            {"virtualInterfaceTestHistory": [{"virtualInterfaceId": "dxvif-fg000001", "startTime": when}]}, SITE, CLOUD
        )


REPLIES: list[tuple[str, Callable[[Any], object]]] = [
    ("connections", lambda data: aws_direct.parse_connections(data, SITE, CLOUD)),
    ("virtualInterfaces", lambda data: aws_direct.parse_vifs(data, SITE, CLOUD)),
    ("routes", lambda data: aws_direct.parse_vif_routes(data, SITE.path("aws/dx-1"))),
    ("virtualInterfaceTestHistory", lambda data: aws_direct.parse_test_history(data, SITE, CLOUD)),
    ("VpnConnections", lambda data: aws_vpn.parse_vpn(data, SITE, CLOUD)),
    ("MaintenanceDetails", lambda data: aws_vpn.parse_replacement(data, SITE.path("aws/vpn-1"), SITE, NOW)),
    ("Routes", lambda data: aws_transit.parse_tgw_routes(data, {}, DX, SITE, CLOUD)),
    ("events", lambda data: (aws_health.questions(data), aws_health.parse_events(data, [data], SITE, CLOUD, NOW))),
    ("entities", lambda data: aws_health.parse_events({"events": []}, [data], SITE, CLOUD, NOW)),
    ("Metrics", lambda data: aws_metrics.dx_queries(data, SITE, CLOUD)),
    (
        "MetricDataResults",
        lambda data: aws_metrics.parse_data(data, aws_metrics.dx_queries({"Metrics": METRICS}, SITE, CLOUD)),
    ),
    *(
        (key, lambda data: aws_transit.parse_attachments(aws_transit.AttachmentReplies(*[data] * 7), {}, SITE, CLOUD))
        for key in (
            "TransitGatewayAttachments", "TransitGatewayRouteTablePropagations", "Associations", "TransitGateways",
            "directConnectGateways", "directConnectGatewayAssociations", "directConnectGatewayAttachments",
        )
    ),
]  # fmt: skip
ROW = {
    "connectionId": "dxcon-fg000001", "virtualInterfaceId": "dxvif-fg000001", "arn": "arn:1", "eventArn": "arn:1",
    "cidr": "10.10.0.0/16", "Id": "q0", "MetricName": "ConnectionState", "DestinationCidrBlock": "10.10.0.0/16",
    "VpnConnectionId": SIDE.vpn_connection_ids["vpn-aws-1"], "TransitGatewayAttachmentId": "tgw-attach-1",
    "directConnectGatewayId": SIDE.dx_gateway_id, "TransitGatewayId": SIDE.tgw_id,
}  # fmt: skip
FIELDS = [
    "bgpPeers", "VgwTelemetry", "asPath", "communities", "Timestamps", "Values", "Dimensions", "State", "status",
    "TransitGatewayAttachments", "associatedGateway", "allowedPrefixesToDirectConnectGateway", "startTime",
    "entityValue", "PendingMaintenance", "MaintenanceAutoAppliedAfter", "Options", "Association", *ROW,
]  # fmt: skip


@given(st.data())
@settings(max_examples=60, derandomize=True)
def test_any_json_in_any_place_of_any_reply_is_facts_or_a_bad_reply(data: st.DataObject) -> None:
    noise = data.draw(JSON_VALUES)
    spoiled = {**ROW, data.draw(st.sampled_from(FIELDS)): noise}
    for key, reader in REPLIES:
        for reply in (noise, {key: noise}, {key: [noise]}, {key: [spoiled]}, {key: spoiled}):
            try:
                reader(reply)
            except BadReply:
                continue
