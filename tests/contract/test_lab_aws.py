import asyncio
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from lab.announcements import Announcements
from lab.aws import AwsLab
from lab.aws.cloudwatch import CloudWatch
from lab.aws.habits import Habits, VifTest
from lab.aws.side import Side
from lab.faults import FaultGate
from lab.telemetry import Telemetry
from tests.contract.fake_world import NOW, STARTED, World, reference

SITE = reference()
SIDE = SITE.cloud("aws").aws
assert SIDE is not None
TABLE = SIDE.tgw_route_table
KEYS = {"AKIALAB00000000000001": "lab-secret-1"}
Call = Callable[..., Any]


@pytest.fixture
def world() -> World:
    return World(SITE)


@pytest.fixture
def told() -> Announcements:
    return Announcements(SITE, now=lambda: NOW)


@pytest.fixture
def lab(world: World, told: Announcements) -> AwsLab:
    return AwsLab(SITE, world, KEYS.get, Telemetry(SITE), told, now=lambda: NOW)


@pytest.fixture
async def gate(lab: AwsLab) -> AsyncIterator[FaultGate]:
    gate = FaultGate("aws", lab.app, lab.refuse)
    await gate.start()
    yield gate
    await gate.stop()


def client_of(
    service: str,
    gate: FaultGate,
    key: str = "AKIALAB00000000000001",
    secret: str = "lab-secret-1",
    read_s: float = 30.0,
) -> Any:
    config = Config(
        connect_timeout=30, read_timeout=read_s, retries={"mode": "standard", "total_max_attempts": 1}, proxies={}
    )
    return boto3.client(
        service, region_name="eu-central-1", endpoint_url=gate.address, config=config,
        aws_access_key_id=key, aws_secret_access_key=secret, aws_session_token="lab-token",
    )  # fmt: skip


def caller(service: str, gate: FaultGate, read_s: float = 30.0) -> Call:
    client = client_of(service, gate, read_s=read_s)

    async def call(operation: str, **asked: Any) -> Any:
        return await asyncio.to_thread(getattr(client, operation), **asked)

    return call


@pytest.fixture
def dx(gate: FaultGate) -> Call:
    return caller("directconnect", gate)


@pytest.fixture
def ec2(gate: FaultGate) -> Call:
    return caller("ec2", gate)


@pytest.fixture
def health(gate: FaultGate) -> Call:
    return caller("health", gate)


@pytest.fixture
def cloudwatch(gate: FaultGate) -> Call:
    return caller("cloudwatch", gate)


async def error_of(call: Any) -> tuple[str, int]:
    with pytest.raises(ClientError) as caught:
        await call
    answer = caught.value.response
    return answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize(
    ("service", "operation", "unknown_key", "wrong_secret"),
    [
        ("directconnect", "describe_connections", "UnrecognizedClientException", "InvalidSignatureException"),
        ("cloudwatch", "list_metrics", "InvalidClientTokenId", "InvalidSignatureException"),
        ("ec2", "describe_vpn_connections", "AuthFailure", "AuthFailure"),
        ("health", "describe_events", "UnrecognizedClientException", "InvalidSignatureException"),
    ],
)
async def test_each_service_refuses_unknown_keys_and_wrong_secrets_in_its_words(
    gate: FaultGate, service: str, operation: str, unknown_key: str, wrong_secret: str
) -> None:
    stranger = client_of(service, gate, key="AKIANOBODY")
    assert (await error_of(asyncio.to_thread(getattr(stranger, operation))))[0] == unknown_key
    forger = client_of(service, gate, secret="other")
    assert (await error_of(asyncio.to_thread(getattr(forger, operation))))[0] == wrong_secret


async def test_no_signature_is_refused_in_both_shapes(gate: FaultGate) -> None:
    async with httpx.AsyncClient(base_url=gate.address, trust_env=False, timeout=30) as client:
        target = {"X-Amz-Target": "OvertureService.DescribeConnections"}
        unsigned = await client.post("/", content=b"{}", headers=target)
        assert (unsigned.status_code, unsigned.json()["__type"]) == (400, "MissingAuthenticationTokenException")
        assert unsigned.headers["content-type"] == "application/x-amz-json-1.1"
        query = await client.post("/", data={"Action": "DescribeVpnConnections"})
        assert query.status_code == 401
        assert "<Code>AuthFailure</Code>" in query.text


async def test_connections_and_their_state(dx: Call, world: World) -> None:
    world.down.add("dx-2")
    one, two = (await dx("describe_connections"))["connections"]
    assert (one["connectionId"], one["connectionName"], one["bandwidth"]) == ("dxcon-fg000001", "dx-1", "1Gbps")
    assert (one["connectionState"], two["connectionState"]) == ("available", "down")
    assert (one["location"], one["awsDeviceV2"]) == ("dx-location-1", "dx-router-1")
    only = await dx("describe_connections", connectionId="dxcon-fg000002")
    assert [entry["connectionId"] for entry in only["connections"]] == ["dxcon-fg000002"]
    assert (await error_of(dx("describe_connections", connectionId="dxcon-no")))[0] == "DirectConnectClientException"


async def test_virtual_interfaces_show_the_session_per_peer_and_the_key_three_times(
    dx: Call, world: World, lab: AwsLab
) -> None:
    world.down.add("bgp aws/dx-2")
    one, two = (await dx("describe_virtual_interfaces"))["virtualInterfaces"]
    assert (one["virtualInterfaceState"], one["bgpPeers"][0]["bgpStatus"]) == ("available", "up")
    assert (two["virtualInterfaceState"], two["bgpPeers"][0]["bgpStatus"]) == ("down", "down")
    assert (one["asnLong"], one["amazonSideAsn"], one["virtualInterfaceType"]) == (65010, 64512, "transit")
    assert (one["customerAddress"], one["amazonAddress"]) == ("10.255.3.1/30", "10.255.3.2/30")
    assert one["directConnectGatewayId"] == SIDE.dx_gateway_id
    assert one["virtualGatewayId"] == ""
    assert one["authKey"] == one["bgpPeers"][0]["authKey"]
    assert one["authKey"] in lab.secrets
    assert f"<bgp_auth_key>{one['authKey']}</bgp_auth_key>" in one["customerRouterConfig"]


async def test_gateways_associations_and_attachments(dx: Call) -> None:
    gateway_id = {"directConnectGatewayId": SIDE.dx_gateway_id}
    (gateway,) = (await dx("describe_direct_connect_gateways"))["directConnectGateways"]
    assert (gateway["amazonSideAsn"], gateway["directConnectGatewayState"]) == (64512, "available")
    (association,) = (await dx("describe_direct_connect_gateway_associations", **gateway_id))[
        "directConnectGatewayAssociations"
    ]
    assert association["associationState"] == "associated"
    assert association["associatedGateway"]["id"] == SIDE.tgw_id
    allowed = [entry["cidr"] for entry in association["allowedPrefixesToDirectConnectGateway"]]
    assert allowed == ["10.60.0.0/16", "10.61.0.0/16"]
    attachments = await dx("describe_direct_connect_gateway_attachments", **gateway_id)
    rows = attachments["directConnectGatewayAttachments"]
    assert [row["virtualInterfaceId"] for row in rows] == ["dxvif-fg000001", "dxvif-fg000002"]
    assert {row["attachmentState"] for row in rows} == {"attached"}
    assert (await error_of(dx("describe_direct_connect_gateway_attachments")))[0] == "DirectConnectClientException"
    assert (await dx("list_virtual_interface_test_history"))["virtualInterfaceTestHistory"] == []


async def test_routes_of_a_vif_with_paths_communities_filters_and_paging(dx: Call, world: World) -> None:
    vif = {"virtualInterfaceId": "dxvif-fg000002"}
    accepted = await dx("list_virtual_interface_routes", **vif, filters={"routeDirection": "accepted"})
    route = accepted["routes"][0]
    assert (route["cidr"], route["addressFamily"]) == ("10.10.0.0/16", "ipv4")
    assert route["asPath"] == [{"pathType": "seq", "path": [65010, 65010, 65010]}]
    assert route["communities"] == ["7224:7100"]
    assert route["routeInstalledAt"].astimezone(UTC) == STARTED
    one = await dx("list_virtual_interface_routes", **vif, filters={"cidrs": ["10.60.0.0/16"]})
    assert [(row["cidr"], row["routeDirection"]) for row in one["routes"]] == [("10.60.0.0/16", "advertised")]
    collected, token = [], {}
    pages = 0
    while pages == 0 or token:
        answer = await dx("list_virtual_interface_routes", **vif, maxResults=2, **token)
        collected += [row["cidr"] for row in answer["routes"]]
        token = {"nextToken": answer["nextToken"]} if "nextToken" in answer else {}
        pages += 1
    assert pages == 3
    assert collected == ["10.10.0.0/16", "10.11.0.0/16", "10.10.255.6/32", "10.60.0.0/16", "10.61.0.0/16"]
    bad_token = dx("list_virtual_interface_routes", **vif, nextToken="nonsense")
    assert (await error_of(bad_token))[0] == "DirectConnectClientException"
    world.down.add("dx-2")
    assert (await dx("list_virtual_interface_routes", **vif))["routes"] == []


async def test_vpn_telemetry_tells_ipsec_from_bgp(ec2: Call, world: World, lab: AwsLab) -> None:
    async def telemetry(tunnel: str) -> dict[str, Any]:
        asked = [SIDE.vpn_connection_ids[tunnel]]
        (vpn,) = (await ec2("describe_vpn_connections", VpnConnectionIds=asked))["VpnConnections"]
        assert vpn["TransitGatewayId"] == SIDE.tgw_id
        key = vpn["Options"]["TunnelOptions"][0]["PreSharedKey"]
        assert key in lab.secrets
        assert key in vpn["CustomerGatewayConfiguration"]
        (entry,) = vpn["VgwTelemetry"]
        return entry

    entry = await telemetry("vpn-aws-1")
    assert (entry["OutsideIpAddress"], entry["Status"]) == ("203.0.113.1", "UP")
    assert (entry["StatusMessage"], entry["AcceptedRouteCount"]) == ("3 BGP ROUTES", 3)
    assert entry["LastStatusChange"] == STARTED
    world.down.add("bgp aws/vpn-1")
    entry = await telemetry("vpn-aws-1")
    assert (entry["Status"], entry["StatusMessage"], entry["AcceptedRouteCount"]) == ("DOWN", "IPSEC IS UP", 0)
    world.down.add("vpn-aws-1")
    assert (await telemetry("vpn-aws-1"))["StatusMessage"] == "IPSEC IS DOWN"
    by_filter = [{"Name": "transit-gateway-id", "Values": [SIDE.tgw_id]}]
    assert len((await ec2("describe_vpn_connections", Filters=by_filter))["VpnConnections"]) == 2
    missing = ec2("describe_vpn_connections", VpnConnectionIds=["vpn-0"])
    assert await error_of(missing) == ("InvalidVpnConnectionID.NotFound", 400)
    assert await error_of(ec2("describe_vpn_connections", DryRun=True)) == ("DryRunOperation", 412)


async def test_the_transit_gateway_and_its_attachments(ec2: Call) -> None:
    (gateway,) = (await ec2("describe_transit_gateways"))["TransitGateways"]
    assert (gateway["State"], gateway["Options"]["AmazonSideAsn"]) == ("available", 64513)
    assert gateway["Options"]["AssociationDefaultRouteTableId"] == TABLE
    rows = (await ec2("describe_transit_gateway_attachments"))["TransitGatewayAttachments"]
    assert [row["ResourceType"] for row in rows] == ["vpc", "vpc", "direct-connect-gateway", "vpn", "vpn"]
    assert {row["State"] for row in rows} == {"available"}
    assert {row["Association"]["State"] for row in rows} == {"associated"}
    only = [{"Name": "resource-type", "Values": ["direct-connect-gateway"]}]
    (dx_gateway,) = (await ec2("describe_transit_gateway_attachments", Filters=only))["TransitGatewayAttachments"]
    assert dx_gateway["ResourceId"] == SIDE.dx_gateway_id
    first = await ec2("describe_transit_gateway_attachments", MaxResults=5)
    assert "NextToken" not in first
    propagations = await ec2("get_transit_gateway_route_table_propagations", TransitGatewayRouteTableId=TABLE)
    assert {row["State"] for row in propagations["TransitGatewayRouteTablePropagations"]} == {"enabled"}


async def test_the_route_table_shows_the_winner_alone(ec2: Call, world: World) -> None:
    async def winners(prefix: str = "10.10.0.0/16") -> list[tuple[str, str]]:
        exact = [{"Name": "route-search.exact-match", "Values": [prefix]}]
        found = await ec2("search_transit_gateway_routes", TransitGatewayRouteTableId=TABLE, Filters=exact)
        assert found["AdditionalRoutesAvailable"] is False
        return [
            (item["ResourceType"], item["ResourceId"])
            for row in found["Routes"]
            for item in row["TransitGatewayAttachments"]
        ]

    assert await winners() == [("direct-connect-gateway", SIDE.dx_gateway_id)]
    world.down.add("dx-1")
    assert await winners() == [("direct-connect-gateway", SIDE.dx_gateway_id)]
    world.chosen_by_cloud["aws"] = {"10.10.0.0/16": ("aws/vpn-1", "aws/vpn-2")}
    assert await winners() == [("vpn", vpn) for vpn in SIDE.vpn_connection_ids.values()]
    world.chosen_by_cloud["aws"] = {}
    assert await winners() == []
    assert [kind for kind, _ in await winners("10.60.0.0/16")] == ["vpc"]


async def test_route_search_filters_and_what_it_refuses(ec2: Call) -> None:
    async def cidrs(name: str, value: str, **asked: Any) -> list[str]:
        filters = [{"Name": name, "Values": [value]}]
        found = await ec2("search_transit_gateway_routes", TransitGatewayRouteTableId=TABLE, Filters=filters, **asked)
        return [row["DestinationCidrBlock"] for row in found["Routes"]]

    assert await cidrs("attachment.resource-type", "direct-connect-gateway") == ["10.10.0.0/16", "10.11.0.0/16"]
    assert await cidrs("route-search.subnet-of-match", "10.60.0.0/15") == ["10.60.0.0/16", "10.61.0.0/16"]
    assert await cidrs("route-search.longest-prefix-match", "10.10.255.1/32") == ["10.10.0.0/16"]
    assert len(await cidrs("type", "propagated")) == 4
    assert await cidrs("state", "blackhole") == []
    assert (await error_of(cidrs("mood", "good")))[0] == "InvalidParameterValue"
    assert (await error_of(cidrs("state", "active", MaxResults=2000)))[0] == "InvalidParameterValue"
    empty = ec2("search_transit_gateway_routes", TransitGatewayRouteTableId=TABLE, Filters=[])
    assert (await error_of(empty))[0] == "MissingParameter"
    other = ec2(
        "search_transit_gateway_routes",
        TransitGatewayRouteTableId="tgw-rtb-0",
        Filters=[{"Name": "state", "Values": ["active"]}],
    )
    assert (await error_of(other))[0] == "InvalidRouteTableID.NotFound"
    assert (await error_of(ec2("describe_regions")))[0] == "InvalidAction"


async def test_cloudwatch_lists_its_metrics_and_gives_their_data(cloudwatch: Call, world: World) -> None:
    listed = (await cloudwatch("list_metrics", Namespace="AWS/DX", MetricName="VirtualInterfaceBgpStatus"))["Metrics"]
    assert [{item["Name"] for item in metric["Dimensions"]} for metric in listed] == [
        {"ConnectionId", "VirtualInterfaceId", "IpAddressFamily"}
    ] * 2
    world.down.add("bgp aws/dx-2")

    def query(number: int, metric: dict[str, Any], stat: str) -> dict[str, Any]:
        return {"Id": f"m{number}", "MetricStat": {"Metric": metric, "Period": 300, "Stat": stat}}

    load = {
        "Namespace": "AWS/DX",
        "MetricName": "VirtualInterfaceBpsIngress",
        "Dimensions": [
            {"Name": "ConnectionId", "Value": "dxcon-fg000001"},
            {"Name": "VirtualInterfaceId", "Value": "dxvif-fg000001"},
        ],
    }
    queries = [query(index, metric, "Minimum") for index, metric in enumerate(listed)]
    queries.append(query(2, load, "Average"))
    window = {"StartTime": NOW - timedelta(hours=1), "EndTime": NOW}
    answer = await cloudwatch("get_metric_data", MetricDataQueries=queries, **window)
    one, two, bits = answer["MetricDataResults"]
    assert (one["StatusCode"], len(one["Values"])) == ("Complete", 12)
    assert one["Timestamps"][0].astimezone(UTC) == datetime(2026, 1, 7, 11, 55, tzinfo=UTC)
    assert (set(one["Values"]), two["Values"][0], two["Values"][-1]) == ({1.0}, 0.0, 1.0)
    assert bits["Values"][0] == 255e6
    turned = {"StartTime": NOW, "EndTime": NOW - timedelta(hours=1)}
    refused = cloudwatch("get_metric_data", MetricDataQueries=queries, **turned)
    assert (await error_of(refused))[0] == "ValidationError"


def test_the_newest_point_is_live_however_long_its_answer_takes(world: World) -> None:
    moment = NOW

    def later() -> datetime:
        nonlocal moment
        moment += timedelta(seconds=2)
        return moment

    cloudwatch = CloudWatch(Side(SITE), world, Telemetry(SITE), Habits(), later)
    dimensions = [{"Name": "ConnectionId", "Value": "dxcon-fg000001"}]
    metric = {"Namespace": "AWS/DX", "MetricName": "ConnectionBpsIngress", "Dimensions": dimensions}
    asked = {
        "StartTime": (NOW - timedelta(hours=1)).timestamp(),
        "EndTime": NOW.timestamp(),
        "MetricDataQueries": [{"Id": "m0", "MetricStat": {"Metric": metric, "Period": 300, "Stat": "Average"}}],
    }
    (bits,) = cloudwatch.operations["GetMetricData"](asked)["MetricDataResults"]
    assert bits["Values"][0] == 255e6


async def test_faults_as_boto3_meets_them(gate: FaultGate, dx: Call, ec2: Call) -> None:
    assert (await dx("describe_connections"))["connections"]
    await gate.set("429")
    assert await error_of(dx("describe_connections")) == ("ThrottlingException", 429)
    assert await error_of(ec2("describe_transit_gateways")) == ("RequestLimitExceeded", 429)
    await gate.set("500")
    assert await error_of(dx("describe_connections")) == ("DirectConnectServerException", 500)
    await gate.set("hang")
    with pytest.raises(ReadTimeoutError):
        await caller("directconnect", gate, read_s=0.3)("describe_connections")
    await gate.set("down")
    with pytest.raises(EndpointConnectionError):
        await dx("describe_connections")
    await gate.set("garbage")
    async with httpx.AsyncClient(base_url=gate.address, trust_env=False, timeout=30) as client:
        assert (await client.post("/")).headers["content-type"].startswith("text/html")
    await gate.set("none")
    assert (await dx("describe_connections"))["connections"]


async def pages(call: Call, operation: str, key: str, token: str, **asked: Any) -> list[list[Any]]:
    """The rows of every page."""
    found, following = [], dict[str, Any]()
    while not found or following:
        answer = await call(operation, **asked, **following)
        found.append(answer[key])
        following = {token: answer[token]} if token in answer else {}
    return found


async def test_every_list_comes_in_pages_whatever_its_protocol(
    dx: Call, ec2: Call, cloudwatch: Call, lab: AwsLab
) -> None:
    lab.habits.page = 2
    table = {"TransitGatewayRouteTableId": TABLE}
    connections = await pages(dx, "describe_connections", "connections", "nextToken", maxResults=1)
    assert [len(rows) for rows in connections] == [1, 1]
    spread = "get_transit_gateway_route_table_associations"
    assert [len(rows) for rows in await pages(ec2, spread, "Associations", "NextToken", **table)] == [2, 2, 1]
    routes = {**table, "Filters": [{"Name": "state", "Values": ["active"]}], "MaxResults": 5}
    found = await pages(ec2, "search_transit_gateway_routes", "Routes", "NextToken", **routes)
    assert [len(rows) for rows in found] == [2, 2]
    first = await ec2("search_transit_gateway_routes", **routes)
    assert first["AdditionalRoutesAvailable"] is True
    listed = await pages(cloudwatch, "list_metrics", "Metrics", "NextToken", Namespace="AWS/DX")
    assert {len(rows) for rows in listed[:-1]} == {2}
    assert (await error_of(cloudwatch("list_metrics", NextToken="nonsense")))[0] == "InvalidNextToken"


async def test_health_tells_events_and_apart_from_them_what_they_affect(
    health: Call, told: Announcements, lab: AwsLab
) -> None:
    told.add("aws", "maintenance", ["dx-1"], in_s=86400, lasts_s=14400)
    told.add("aws", "outage", ["vpn-aws-1"], in_s=0, lasts_s=60)
    told.add("aws", "outage", ["aws"], in_s=0, lasts_s=60)
    told.add("azure", "outage", ["er-primary"], in_s=0, lasts_s=60)
    change, tunnel, public = (await health("describe_events"))["events"]
    assert (change["eventTypeCode"], change["statusCode"]) == ("AWS_DIRECTCONNECT_MAINTENANCE_SCHEDULED", "upcoming")
    assert change["startTime"].astimezone(UTC) == NOW + timedelta(days=1)
    assert (tunnel["service"], tunnel["eventTypeCategory"], tunnel["statusCode"]) == ("VPN", "issue", "open")
    assert public["eventScopeCode"] == "PUBLIC"
    only = await health("describe_events", filter={"services": ["DIRECTCONNECT"], "eventStatusCodes": ["upcoming"]})
    assert [event["arn"] for event in only["events"]] == [change["arn"]]
    lab.habits.page = 2
    asked = {"filter": {"eventArns": [change["arn"], tunnel["arn"], public["arn"]]}}
    found = await pages(health, "describe_affected_entities", "entities", "nextToken", **asked)
    vpn = SIDE.vpn_connection_ids["vpn-aws-1"]
    values = [[entity["entityValue"] for entity in rows] for rows in found]
    assert values == [["dxcon-fg000001", "dxvif-fg000001"], [vpn]]
    lab.habits.support_plan = False
    assert await error_of(health("describe_events")) == ("SubscriptionRequiredException", 400)


async def test_a_tunnel_has_maintenance_waiting_once_it_is_announced(ec2: Call, told: Announcements) -> None:
    asked = {"VpnConnectionId": SIDE.vpn_connection_ids["vpn-aws-1"], "VpnTunnelOutsideIpAddress": "203.0.113.1"}

    async def details() -> dict[str, Any]:
        return (await ec2("get_vpn_tunnel_replacement_status", **asked))["MaintenanceDetails"]

    assert await details() == {"PendingMaintenance": "none"}
    told.add("aws", "maintenance", ["vpn-aws-1"], in_s=3600, lasts_s=60)
    later = NOW + timedelta(hours=1)
    assert await details() == {"PendingMaintenance": "available", "MaintenanceAutoAppliedAfter": later}
    wrong = ec2("get_vpn_tunnel_replacement_status", **{**asked, "VpnTunnelOutsideIpAddress": "192.0.2.1"})
    assert (await error_of(wrong))[0] == "InvalidVpnConnectionID.NotFound"


async def test_a_failover_test_shows_its_vif_testing_while_it_runs(dx: Call, lab: AwsLab) -> None:
    lab.habits.tests = [
        VifTest("dxvif-fg000001", NOW - timedelta(minutes=5), 10),
        VifTest("dxvif-fg000002", NOW - timedelta(minutes=5), 10, "Cancelled"),
    ]
    vifs = (await dx("describe_virtual_interfaces"))["virtualInterfaces"]
    assert [vif["virtualInterfaceState"] for vif in vifs] == ["testing", "available"]
    history = await dx("list_virtual_interface_test_history", virtualInterfaceId="dxvif-fg000001")
    (test,) = history["virtualInterfaceTestHistory"]
    assert (test["status"], test["endTime"].astimezone(UTC)) == ("In progress", NOW + timedelta(minutes=5))


async def test_a_flap_shows_in_the_minimum_of_its_period_and_nowhere_else(cloudwatch: Call, world: World) -> None:
    world.started = NOW - timedelta(minutes=12)
    metric = (await cloudwatch("list_metrics", MetricName="VirtualInterfaceBgpStatus"))["Metrics"][0]
    queries = [
        {"Id": stat.lower(), "MetricStat": {"Metric": metric, "Period": 300, "Stat": stat}}
        for stat in ("Minimum", "Maximum")
    ]
    window = {"StartTime": NOW - timedelta(minutes=20), "EndTime": NOW}
    low, high = (await cloudwatch("get_metric_data", MetricDataQueries=queries, **window))["MetricDataResults"]
    assert (low["Values"], high["Values"]) == ([1.0, 1.0, 0.0, 1.0], [1.0] * 4)
