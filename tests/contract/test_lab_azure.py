import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from lab.announcements import Announcements
from lab.azure import AzureLab
from lab.azure.circuit import up_down
from lab.azure.ids import Arm
from lab.azure.metrics import Metrics
from lab.azure.operations import TAKES_S
from lab.faults import FaultGate
from lab.telemetry import Telemetry
from tests.contract.azure_cloud import with_azure
from tests.contract.fake_world import NOW, World, reference

SITE = reference()
SIDE = SITE.cloud("azure").azure
assert SIDE is not None
TENANT = SIDE.tenant
NETWORK = f"/subscriptions/{SIDE.subscription}/resourceGroups/rg-hybrid/providers/Microsoft.Network"
CIRCUIT = f"{NETWORK}/expressRouteCircuits/er-circuit"
PEERING = f"{CIRCUIT}/peerings/AzurePrivatePeering"
HUB = f"{NETWORK}/virtualHubs/hub-azure"
ER_GATEWAY = f"{NETWORK}/expressRouteGateways/ergw-azure"
VPN_GATEWAY = f"{NETWORK}/vpnGateways/vpngw-azure"
METRICS = "/providers/Microsoft.Insights/metrics"
FORM = {
    "grant_type": "client_credentials",
    "client_id": "app-1",
    "client_secret": "secret-1",
    "scope": "https://management.azure.com/.default",
}


class Clock:
    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> datetime:
        return self.time


def valid(client_id: str, client_secret: str) -> bool:
    return (client_id, client_secret) == ("app-1", "secret-1")


@pytest.fixture
def world() -> World:
    return World(SITE)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lab(world: World, clock: Clock) -> AzureLab:
    return AzureLab(SITE, world, valid, Telemetry(SITE), now=clock, token_life_s=600)


@pytest.fixture
async def gate(lab: AzureLab) -> AsyncIterator[FaultGate]:
    gate = FaultGate("azure", lab.app, lab.refuse)
    await gate.start()
    yield gate
    await gate.stop()


@pytest.fixture
async def anonymous(gate: FaultGate) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(
        base_url=gate.address, params={"api-version": "2025-05-01"}, trust_env=False, timeout=30
    ) as client:
        yield client


@pytest.fixture
async def client(anonymous: httpx.AsyncClient) -> httpx.AsyncClient:
    answer = await anonymous.post(f"/{TENANT}/oauth2/v2.0/token", data=FORM)
    anonymous.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return anonymous


async def read(client: httpx.AsyncClient, resource: str, **query: str) -> Any:
    answer = await client.get(resource, params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def run(client: httpx.AsyncClient, action: str, body: object = None) -> Any:
    """A long-running POST as a real client does it: accepted, polled, result by Location."""
    accepted = await client.post(action, json=body)
    assert accepted.status_code == 202, accepted.text
    deadline = time.monotonic() + 30
    while (status := (await client.get(accepted.headers["Azure-AsyncOperation"])).json()["status"]) == "InProgress":
        assert time.monotonic() < deadline, "the operation did not end"
        await asyncio.sleep(0.01)
    assert status == "Succeeded"
    result = await client.get(accepted.headers["Location"])
    assert result.status_code == 200
    return result.json()


async def test_the_login_endpoint_gives_a_bearer_or_an_aadsts_error(anonymous: httpx.AsyncClient) -> None:
    async def login(tenant: str = TENANT, **form: str) -> httpx.Response:
        return await anonymous.post(f"/{tenant}/oauth2/v2.0/token", data=FORM | form)

    good = (await login()).json()
    assert (good["token_type"], good["expires_in"], good["ext_expires_in"]) == ("Bearer", 600, 600)
    assert good["access_token"].count(".") == 2
    bad = await login(client_secret="wrong")
    assert bad.status_code == 401
    assert set(bad.json()) == {
        "error", "error_description", "error_codes", "timestamp", "trace_id", "correlation_id",
    }  # fmt: skip
    assert bad.json()["error_codes"] == [7000215]
    assert bad.json()["error_description"].startswith("AADSTS7000215: ")
    assert (await login(scope="")).json()["error_codes"] == [900144]
    assert (await login(grant_type="password")).json()["error"] == "unsupported_grant_type"
    assert (await login(tenant="00000000-0000-0000-0000-000000000000")).json()["error_codes"] == [90002]


async def test_arm_wants_a_bearer_and_an_api_version(client: httpx.AsyncClient, clock: Clock) -> None:
    async def code(**request: Any) -> tuple[int, str]:
        answer = await client.get(CIRCUIT, **request)
        return answer.status_code, answer.json()["error"]["code"]

    assert await code(headers={"Authorization": ""}) == (401, "AuthenticationFailed")
    assert await code(headers={"Authorization": "Bearer a.b.c"}) == (401, "InvalidAuthenticationToken")
    assert await code(params={"api-version": "new"}) == (400, "InvalidApiVersionParameter")
    bare = httpx.AsyncClient(base_url=client.base_url, headers=client.headers, trust_env=False)
    async with bare:
        answer = await bare.get(CIRCUIT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "MissingApiVersionParameter")
    clock.time += timedelta(seconds=600)
    assert await code() == (401, "ExpiredAuthenticationToken")


@pytest.mark.parametrize(
    ("resource", "code"),
    [
        (f"{NETWORK}/expressRouteCircuits/other", "ResourceNotFound"),
        (CIRCUIT.replace("rg-hybrid", "rg-other"), "ResourceGroupNotFound"),
        (CIRCUIT.replace("66666666", "99999999"), "SubscriptionNotFound"),
        (f"{HUB}{METRICS}", "ResourceNotFound"),
    ],
)
async def test_what_is_not_there_is_404_in_arms_envelope(client: httpx.AsyncClient, resource: str, code: str) -> None:
    answer = await client.get(resource)
    assert answer.status_code == 404
    assert answer.json()["error"]["code"] == code
    assert (await client.post(f"{PEERING}/routeTables/tertiary")).status_code == 404


async def test_the_circuit_with_its_peering_ids_in_any_case(client: httpx.AsyncClient, lab: AzureLab) -> None:
    answer = await client.get(CIRCUIT.upper().replace("/SUBSCRIPTIONS", "/subscriptions"))
    assert answer.headers["x-ms-ratelimit-remaining-subscription-reads"].isdigit()
    assert answer.headers["x-ms-request-id"]
    circuit = answer.json()
    assert circuit["id"] == CIRCUIT
    assert circuit["sku"] == {"name": "Premium_MeteredData", "tier": "Premium", "family": "MeteredData"}
    properties = circuit["properties"]
    assert properties["circuitProvisioningState"] == "Enabled"
    assert properties["serviceProviderProvisioningState"] == "Provisioned"
    assert properties["serviceProviderProperties"]["bandwidthInMbps"] == 2000
    peering = properties["peerings"][0]["properties"]
    assert (peering["azureASN"], peering["peerASN"], peering["state"]) == (12076, 65010, "Enabled")
    assert peering["primaryPeerAddressPrefix"] == "10.255.1.0/30"
    assert peering["secondaryPeerAddressPrefix"] == "10.255.2.0/30"
    assert {properties["serviceKey"], peering["sharedKey"]} <= lab.secrets
    assert (await read(client, f"{NETWORK}/expressRouteCircuits"))["value"][0]["name"] == "er-circuit"
    assert await read(client, PEERING) == properties["peerings"][0]


async def test_stats_grow_with_the_load_and_come_in_both_spellings(
    client: httpx.AsyncClient, clock: Clock, world: World
) -> None:
    assert (await read(client, f"{CIRCUIT}/stats"))["primaryBytesIn"] == 0
    clock.time += timedelta(seconds=8)
    stats = await read(client, f"{CIRCUIT}/stats")
    assert set(stats) == {"primaryBytesIn", "primaryBytesOut", "secondaryBytesIn", "secondaryBytesOut"}
    assert stats["primaryBytesIn"] == int(world.mbps("azure/er-primary")[0] * 1e6)
    peering = await read(client, f"{PEERING}/stats")
    assert peering["primarybytesIn"] == stats["primaryBytesIn"]


async def test_long_operations_are_polled_on_the_same_origin_and_end_soon(world: World, clock: Clock) -> None:
    elapsed_s = 0.0
    async with asked(AzureLab(SITE, world, valid, Telemetry(SITE), now=clock, clock=lambda: elapsed_s)) as client:
        accepted = await client.post(f"{PEERING}/routeTables/primary")
        status, result = (accepted.headers[header] for header in ("Azure-AsyncOperation", "Location"))
        for place in (status, result):
            assert urlsplit(place).netloc == urlsplit(str(client.base_url)).netloc
        early = await client.get(result)
        assert (early.status_code, early.headers["Retry-After"]) == (202, "0")
        assert (await client.get(status)).json()["status"] == "InProgress"
        elapsed_s += TAKES_S
        assert (await client.get(status)).json()["status"] == "Succeeded"
        assert (await client.get(result)).status_code == 200
        unknown = result.replace("operationResults/", "operationResults/0")
        assert (await client.get(unknown)).status_code == 404
        assert (await client.get(result, headers={"Authorization": ""})).status_code == 401


async def test_route_tables_tell_the_links_apart_by_as_path_and_next_hop(
    client: httpx.AsyncClient, world: World
) -> None:
    async def ours(device: str) -> dict[str, tuple[str, str]]:
        table = await run(client, f"{PEERING}/routeTables/{device}")
        rows = [row for row in table["value"] if not row["network"].startswith(("10.50.", "10.51."))]
        assert all(set(row) == {"network", "nextHop", "locPrf", "weight", "path"} for row in table["value"])
        return {row["network"]: (row["path"], row["nextHop"]) for row in rows}

    assert (await ours("primary"))["10.10.0.0/16"] == ("65010", "10.255.1.1")
    assert (await ours("secondary"))["10.10.0.0/16"] == ("65010 65010 65010", "10.255.2.1")
    world.down.add("er-primary")
    assert await ours("primary") == {}


async def test_the_summary_says_prefixes_or_a_state_word(client: httpx.AsyncClient, world: World, clock: Clock) -> None:
    async def row() -> dict[str, Any]:
        table = await run(client, f"{PEERING}/routeTablesSummary/primary")
        return next(row for row in table["value"] if row["neighbor"] == "10.255.1.1")

    assert await row() == {"neighbor": "10.255.1.1", "v": 4, "as": 65010, "upDown": "2d04h", "statePfxRcd": "3"}
    world.down.add("er-primary")
    clock.time += timedelta(seconds=189)
    assert await row() == {"neighbor": "10.255.1.1", "v": 4, "as": 65010, "upDown": "00:03:09", "statePfxRcd": "Idle"}


async def test_arp_is_incomplete_on_our_side_when_layer_2_is_gone(client: httpx.AsyncClient, world: World) -> None:
    async def macs() -> dict[str, str]:
        table = await run(client, f"{PEERING}/arpTables/primary")
        return {row["interface"]: row["macAddress"] for row in table["value"]}

    assert "Incomplete" not in (await macs()).values()
    world.down.add("vxc-azure-a")
    assert (await macs())["On-Prem"] == "Incomplete"


async def test_effective_routes_name_the_winning_attachment_never_the_link(
    client: httpx.AsyncClient, world: World, clock: Clock
) -> None:
    body = {"resourceId": f"{HUB}/hubRouteTables/defaultRouteTable", "virtualWanResourceType": "RouteTable"}

    async def route(of: httpx.AsyncClient = client) -> dict[str, Any]:
        table = await run(of, f"{HUB}/effectiveRoutes", body)
        return next(entry for entry in table["value"] if entry["addressPrefixes"] == ["10.10.0.0/16"])

    assert await route() == {
        "addressPrefixes": ["10.10.0.0/16"],
        "asPath": "12076-65010",
        "nextHopType": "ExpressRouteGateway",
        "nextHops": [f"{ER_GATEWAY}/expressRouteConnections/er-conn"],
        "routeOrigin": ER_GATEWAY,
    }
    world.down.add("er-primary")
    assert (await route())["asPath"] == "12076-65010-65010-65010"
    world.chosen_by_cloud["azure"] = {"10.10.0.0/16": ("azure/vpn-1", "azure/vpn-2")}
    over_vpn = await route()
    links = f"{VPN_GATEWAY}/vpnConnections/on-prem/vpnLinkConnections"
    assert over_vpn["nextHopType"] == "VPN_S2S_Gateway"
    assert over_vpn["nextHops"] == [f"{links}/vpn-azure-1", f"{links}/vpn-azure-2"]
    assert (over_vpn["asPath"], over_vpn["routeOrigin"]) == ("65010", VPN_GATEWAY)
    bare = AzureLab(SITE, world, valid, Telemetry(SITE), now=clock, gateway_hops=True)
    transport = httpx.ASGITransport(bare.app)
    query = {"api-version": "2025-05-01"}
    async with httpx.AsyncClient(transport=transport, base_url="http://azure", params=query) as other:
        token = (await other.post(f"/{TENANT}/oauth2/v2.0/token", data=FORM)).json()["access_token"]
        other.headers["Authorization"] = f"Bearer {token}"
        assert (await route(other))["nextHops"] == [VPN_GATEWAY]


async def test_gateways_connections_and_the_hubs_preference(
    client: httpx.AsyncClient, world: World, lab: AzureLab
) -> None:
    assert (await read(client, HUB))["properties"]["hubRoutingPreference"] == "ExpressRoute"
    gateway = (await read(client, ER_GATEWAY))["properties"]
    (connection,) = gateway["expressRouteConnections"]
    assert connection["properties"]["expressRouteCircuitPeering"]["id"] == PEERING
    assert "connectionStatus" not in connection["properties"]
    assert await read(client, connection["id"]) == connection
    vpn = (await read(client, VPN_GATEWAY))["properties"]
    assert vpn["bgpSettings"]["asn"] == 65515
    addresses = [entry["tunnelIpAddresses"] for entry in vpn["bgpSettings"]["bgpPeeringAddresses"]]
    assert addresses == [["198.51.100.1"], ["198.51.100.2"]]
    world.down.add("vpn-azure-2")
    (connection,) = (await read(client, f"{VPN_GATEWAY}/vpnConnections"))["value"]
    links = connection["properties"]["vpnLinkConnections"]
    assert {link["name"]: link["properties"]["connectionStatus"] for link in links} == {
        "vpn-azure-1": "Connected",
        "vpn-azure-2": "NotConnected",
    }
    assert connection["properties"]["connectionStatus"] == "Connected"
    assert links[0]["type"].endswith("/VpnSiteLinkConnections")
    assert links[0]["properties"]["sharedKey"] in lab.secrets
    world.down.add("vpn-azure-1")
    assert (await read(client, connection["id"]))["properties"]["connectionStatus"] == "NotConnected"


async def test_circuit_metrics_split_by_dimension_or_sum_over_both_devices(
    client: httpx.AsyncClient, world: World
) -> None:
    span = f"{NOW - timedelta(minutes=10):%Y-%m-%dT%H:%M:%SZ}/{NOW:%Y-%m-%dT%H:%M:%SZ}"
    both = await read(
        client, CIRCUIT + METRICS, timespan=span, interval="PT1M",
        metricnames="BitsInPerSecond,BgpAvailability", aggregation="Total,Average,Count",
    )  # fmt: skip
    bits, bgp = both["value"]
    assert (bits["name"]["value"], bits["unit"], bgp["unit"]) == ("BitsInPerSecond", "BitsPerSecond", "Percent")
    (series,) = bits["timeseries"]
    assert len(series["data"]) == 10
    newest = series["data"][-1]
    assert newest["timeStamp"] == "2026-01-07T11:59:00Z"
    assert newest["total"] == pytest.approx(415e6)
    assert (newest["average"], newest["count"]) == (pytest.approx(207.5e6), 2)
    world.down.add("er-primary")
    split = await read(
        client, CIRCUIT + METRICS, timespan=span, metricnames="BgpAvailability",
        **{"$filter": "Peer eq 'Primary' or Peer eq 'secondary'"},
    )  # fmt: skip
    now = {
        (entry["metadatavalues"][0]["name"]["value"], entry["metadatavalues"][0]["value"]): entry["data"][-1]["average"]
        for entry in split["value"][0]["timeseries"]
    }
    assert now == {("peer", "Primary"): 0.0, ("peer", "Secondary"): 100.0}
    assert split["value"][0]["timeseries"][0]["data"][0]["average"] == 100.0


async def test_the_newest_point_is_live_although_the_question_ended_a_moment_ago(
    client: httpx.AsyncClient, world: World, clock: Clock
) -> None:
    clock.time += timedelta(milliseconds=700)
    world.down.add("bgp azure/vpn-1")
    span = f"{NOW - timedelta(minutes=5):%Y-%m-%dT%H:%M:%SZ}/{NOW:%Y-%m-%dT%H:%M:%SZ}"
    query = {"metricnames": "BgpPeerStatus", "timespan": span, "$filter": "BgpPeerAddress eq '10.255.5.1'"}
    (metric,) = (await read(client, VPN_GATEWAY + METRICS, **query))["value"]
    assert [point["average"] for point in metric["timeseries"][0]["data"]] == [1.0, 1.0, 1.0, 1.0, 0.0]


def test_the_newest_point_is_live_however_long_its_answer_takes(world: World, clock: Clock) -> None:
    def later() -> datetime:
        clock.time += timedelta(seconds=2)
        return clock.time

    metrics = Metrics(Arm(SITE), world, Telemetry(SITE), later)
    (bits,) = metrics.answer(CIRCUIT, {"metricnames": "BitsInPerSecond", "aggregation": "total"})["value"]
    assert bits["timeseries"][0]["data"][-1]["total"] == pytest.approx(415e6)


async def test_vpn_gateway_metrics_and_refused_queries(client: httpx.AsyncClient, world: World) -> None:
    world.down.add("bgp azure/vpn-2")
    answer = await read(
        client, VPN_GATEWAY + METRICS, metricnames="BgpPeerStatus,BgpRoutesLearned", interval="PT5M",
        **{"$filter": "BgpPeerAddress eq '*'"},
    )  # fmt: skip
    status, learned = (
        {series["metadatavalues"][0]["value"]: series["data"][-1] for series in metric["timeseries"]}
        for metric in answer["value"]
    )
    assert {peer: point["average"] for peer, point in status.items()} == {"10.255.5.1": 1.0, "10.255.6.1": 0.0}
    assert {peer: point["total"] for peer, point in learned.items()} == {"10.255.5.1": 3.0, "10.255.6.1": 0.0}
    for query in ({"metricnames": "Mood"}, {"metricnames": "BgpPeerStatus", "interval": "PT7M"}):
        refused = await client.get(VPN_GATEWAY + METRICS, params=query)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "BadRequest")


async def test_one_metrics_call_may_be_told_to_pass_over_what_not_every_metric_has(client: httpx.AsyncClient) -> None:
    query = {"metricnames": "BgpAvailability,BitsInPerSecond,QosDropBitsInPerSecond", "$filter": "Peer eq '*'"}
    for more in ({}, {"ValidateDimensions": "false"}, {"AutoAdjustTimegrain": "true"}):
        refused = await client.get(CIRCUIT + METRICS, params=query | more)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "BadRequest")
    lenient = {"ValidateDimensions": "false", "AutoAdjustTimegrain": "true"}
    bgp, bits, drops = (await read(client, CIRCUIT + METRICS, **query, **lenient))["value"]
    assert [len(metric["timeseries"]) for metric in (bgp, bits, drops)] == [2, 1, 1]
    assert bits["timeseries"][0]["metadatavalues"] == []
    assert {tuple(point) for point in drops["timeseries"][0]["data"]} == {("timeStamp",)}, "points without a value"


async def test_bytes_of_five_minutes_are_five_times_those_of_one(client: httpx.AsyncClient, world: World) -> None:
    query = {"metricnames": "TunnelIngressBytes", "aggregation": "total", "$filter": "ConnectionName eq 'vpn-azure-1'"}
    for interval, minutes in (("PT1M", 1), ("PT5M", 5)):
        (metric,) = (await read(client, VPN_GATEWAY + METRICS, **query, interval=interval))["value"]
        newest = metric["timeseries"][0]["data"][-1]["total"]
        assert newest == pytest.approx(world.mbps("azure/vpn-1")[0] * 1e6 / 8 * 60 * minutes)


async def test_an_action_knows_the_api_version_that_it_came_with(client: httpx.AsyncClient) -> None:
    for action in (f"{CIRCUIT}/getCircuitLinkFailoverAllTestsDetails", f"{ER_GATEWAY}/getFailoverAllTestsDetails"):
        refused = await client.post(action)
        assert (refused.status_code, refused.json()["error"]["code"]) == (400, "InvalidResourceType")
        taken = await client.post(action, params={"api-version": "2025-07-01"})
        assert taken.status_code == 202


@asynccontextmanager
async def asked(lab: AzureLab) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a token of a lab that is not served."""
    transport, query = httpx.ASGITransport(lab.app), {"api-version": "2025-05-01"}
    async with httpx.AsyncClient(transport=transport, base_url="http://azure", params=query) as client:
        token = (await client.post(f"/{TENANT}/oauth2/v2.0/token", data=FORM)).json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        yield client


async def test_service_health_goes_by_the_last_update_in_pages_and_names_resources(world: World, clock: Clock) -> None:
    told = Announcements(SITE, clock)
    told.add("azure", "maintenance", ["er-primary", "vpn-azure-1", "port-a"], in_s=20 * 86400, lasts_s=3600)
    clock.time += timedelta(days=5)
    for _ in range(10):
        told.add("azure", "outage", ["azure"], in_s=0, lasts_s=60)
    place = f"/subscriptions/{SIDE.subscription}/providers/Microsoft.ResourceHealth/events"
    async with asked(AzureLab(SITE, world, valid, Telemetry(SITE), told, now=clock)) as client:
        recent = await read(client, place)
        assert len(recent["value"]) == 10, "three days, when no time is asked for"
        assert "nextLink" not in recent
        first = await read(client, place, queryStartTime="1/1/2026")
        assert len(first["value"]) == 10
        event = first["value"][0]
        title = "Planned maintenance &ndash; ExpressRoute &amp; VPN: <b>primary connection, vpn-azure-1, port-a</b>"
        assert event["properties"]["title"] == title
        link = httpx.URL(first["nextLink"])  # its own query, for the client's would replace it
        (last,) = (await read(client, link.path, **dict(link.params)))["value"]
        assert last["properties"]["impactMitigationTime"] is None
        rows = (await read(client, f"{place}/{event['name']}/impactedResources"))["value"]
        targets = [row["properties"]["targetResourceId"] for row in rows]
        assert targets == [CIRCUIT, f"{VPN_GATEWAY}/vpnConnections/on-prem/vpnLinkConnections/vpn-azure-1"]
        assert rows[0]["properties"]["targetResourceType"] == "Microsoft.Network/expressRouteCircuits"
        for path, status in ((f"{place}/other/impactedResources", 404), (f"{place}/{event['name']}/updates", 404)):
            assert (await client.get(path)).status_code == status
        assert (await client.get(place, params={"queryStartTime": "yesterday"})).status_code == 400


async def test_classic_gateways_answer_by_instance_with_their_sibling_as_a_neighbour(
    world: World, clock: Clock
) -> None:
    site = with_azure(gateways="classic")
    er, vpn = f"{NETWORK}/virtualNetworkGateways/ergw-azure", f"{NETWORK}/virtualNetworkGateways/vpngw-azure"
    async with asked(AzureLab(site, world, valid, Telemetry(site), now=clock)) as client:
        assert (await client.get(HUB)).status_code == 404
        connections = {row["name"]: row for row in (await read(client, f"{NETWORK}/connections"))["value"]}
        assert connections["er-conn"]["properties"]["connectionStatus"] is None
        assert connections["vpn-azure-1"] == await read(client, f"{NETWORK}/connections/vpn-azure-1")
        world.down = {"bgp azure/vpn-2"}
        peers = (await run(client, f"{vpn}/getBgpPeerStatus"))["value"]
        states = {(row["localAddress"], row["neighbor"]): (row["asn"], row["state"]) for row in peers}
        assert states == {
            ("10.50.254.12", "10.50.254.13"): (65515, "Connected"),
            ("10.50.254.13", "10.50.254.12"): (65515, "Connected"),
            ("10.50.254.12", "10.255.5.1"): (65010, "Connected"),
            ("10.50.254.13", "10.255.6.1"): (65010, "Idle"),
        }
        assert {row["connectedDuration"] for row in peers if row["asn"] == 65010} == {"2.04:00:00.0000000", None}
        learned = (await run(client, f"{vpn}/getLearnedRoutes"))["value"]
        assert {(row["localAddress"], row["origin"]) for row in learned if row["network"] == "10.10.0.0/16"} == {
            ("10.50.254.12", "EBgp"),
            ("10.50.254.13", "IBgp"),
        }
        world.drained = {"azure/er-primary"}
        longest = max((await run(client, f"{er}/getLearnedRoutes"))["value"], key=lambda row: len(row["asPath"]))
        assert longest["asPath"] == "-".join(["12076"] * 9 + ["65010"])
        assert (await client.post(f"{vpn}/getAdvertisedRoutes")).json()["error"]["code"] == "MissingParameter"
        sent = await client.post(f"{vpn}/getAdvertisedRoutes", params={"peer": "10.255.5.1"})
        assert sent.status_code == 202


async def test_an_operation_may_be_unknown_for_a_moment(world: World, clock: Clock) -> None:
    async with asked(AzureLab(SITE, world, valid, Telemetry(SITE), now=clock, eventual=True)) as client:
        accepted = await client.post(f"{PEERING}/arpTables/primary")
        polls = [await client.get(accepted.headers["Azure-AsyncOperation"]) for _ in range(2)]
        assert [poll.status_code for poll in polls] == [404, 200]


async def test_the_faults_speak_arms_envelope(gate: FaultGate, client: httpx.AsyncClient) -> None:
    await gate.set("429")
    answer = await client.get(CIRCUIT)
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
    assert answer.json()["error"]["code"] == "TooManyRequests"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "00:00:00"), (3661, "01:01:01"), (86400 + 14 * 3600, "1d14h"), (60 * 86400, "8w4d")],
)
def test_up_down_as_the_tables_print_it(seconds: int, text: str) -> None:
    assert up_down(seconds) == text
