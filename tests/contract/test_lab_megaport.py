from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from itertools import pairwise

import httpx
import pytest

from lab.announcements import Announcements
from lab.faults import FaultGate
from lab.megaport import MegaportLab
from lab.telemetry import Telemetry, week_before
from network.inventory import Site
from tests.contract.fake_world import NOW, World, reference, with_mcr

SITE = reference()
SITE_WITH_MCR = with_mcr(SITE)


class Clock:
    def __init__(self) -> None:
        self.time = NOW

    def __call__(self) -> datetime:
        return self.time


@pytest.fixture
def world() -> World:
    return World(SITE_WITH_MCR)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def announcements(clock: Clock) -> Announcements:
    return Announcements(SITE, clock)


@pytest.fixture
def lab(world: World, clock: Clock, announcements: Announcements) -> MegaportLab:
    told, telemetry = announcements, Telemetry(SITE)
    return MegaportLab(SITE_WITH_MCR, world, "id-1", "secret-1", telemetry, told, now=clock, token_life_s=600)


@pytest.fixture
async def gate(lab: MegaportLab) -> AsyncIterator[FaultGate]:
    gate = FaultGate("megaport", lab.app, lab.refuse)
    await gate.start()
    yield gate
    await gate.stop()


@pytest.fixture
async def anonymous(gate: FaultGate) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=gate.address, trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture
async def client(anonymous: httpx.AsyncClient) -> httpx.AsyncClient:
    answer = await anonymous.post(
        "/oauth2/token", params={"grant_type": "client_credentials"}, auth=("id-1", "secret-1")
    )
    anonymous.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
    return anonymous


def uid(site: Site, name: str) -> str:
    return next(item.uid for item in (*site.ports, *site.vxcs) if item.name == name)


async def test_the_token_takes_the_grant_in_query_or_body(anonymous: httpx.AsyncClient) -> None:
    in_body = await anonymous.post(
        "/oauth2/token", data={"grant_type": "client_credentials"}, auth=("id-1", "secret-1")
    )
    assert in_body.status_code == 200
    assert in_body.json()["token_type"] == "Bearer"
    assert in_body.json()["expires_in"] == 600
    assert in_body.json()["access_token"].count(".") == 2
    wrong_secret = await anonymous.post("/oauth2/token", data={"grant_type": "client_credentials"}, auth=("id-1", "x"))
    assert (wrong_secret.status_code, wrong_secret.json()) == (401, {"error": "invalid_client"})
    no_grant = await anonymous.post("/oauth2/token", auth=("id-1", "secret-1"))
    assert no_grant.json() == {"error": "unsupported_grant_type"}


async def test_no_bad_and_expired_tokens_are_401_with_a_trace_id(client: httpx.AsyncClient, clock: Clock) -> None:
    assert (await client.get("/v2/products")).status_code == 200
    for token in ("", "Bearer a.b.c"):
        answer = await client.get("/v2/products", headers={"Authorization": token})
        assert answer.status_code == 401
        assert answer.json()["trace_id"] == answer.headers["Trace-Id"]
        assert answer.json()["message"]
    clock.time += timedelta(seconds=600)
    assert (await client.get("/v2/products")).status_code == 401


async def test_products_are_ports_with_their_vxcs(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v2/products")
    assert answer.headers["content-type"] == "application/json;charset=UTF-8"
    body = answer.json()
    assert set(body) == {"message", "terms", "data"}
    assert [port["productName"] for port in body["data"]] == ["port-a", "port-b", "mcr-1"]
    assert [port["productType"] for port in body["data"]] == ["MEGAPORT", "MEGAPORT", "MCR2"]
    vxcs = body["data"][0]["associatedVxcs"]
    assert [vxc["productName"] for vxc in vxcs] == ["vxc-azure-a", "vxc-aws-a"]
    assert [vxc["productUid"] for vxc in vxcs] == [uid(SITE, "vxc-azure-a"), uid(SITE, "vxc-aws-a")]
    assert vxcs[0]["rateLimit"] == vxcs[0]["resources"]["vll"]["rate_limit_mbps"] == 1000
    assert [vxc["maximumRate"] for vxc in vxcs] == [2000, 1000]
    assert (await client.get("/v2/products", params={"provisioningStatus": "FAILED"})).json()["data"] == []


async def test_csp_connection_is_an_object_for_one_cloud_and_a_list_for_the_other(
    client: httpx.AsyncClient, lab: MegaportLab
) -> None:
    azure, aws = (await client.get("/v2/products")).json()["data"][0]["associatedVxcs"]
    assert azure["resources"]["csp_connection"]["connectType"] == "AZURE"
    assert [entry["connectType"] for entry in aws["resources"]["csp_connection"]] == ["AWSHC"]
    assert aws["resources"]["csp_connection"][0]["connectionId"] == "dxcon-fg000001"
    shown = azure["resources"]["csp_connection"]
    assert {shown["service_key"], shown["peers"][0]["shared_key"]} <= lab.secrets


async def test_up_follows_the_world_at_once(client: httpx.AsyncClient, world: World) -> None:
    async def vxc_ups() -> tuple[object, object]:
        vxc = (await client.get(f"/v2/product/{uid(SITE, 'vxc-azure-a')}")).json()["data"]
        return vxc["up"], vxc["resources"]["vll"]["up"]

    assert await vxc_ups() == (True, 1)
    world.down.add("port-a")
    assert await vxc_ups() == (False, 0)
    port = (await client.get(f"/v2/product/{uid(SITE, 'port-a')}")).json()["data"]
    assert port["resources"]["interface"]["up"] == 0
    assert port["provisioningStatus"] == "LIVE"


async def test_an_unknown_product_is_404_in_the_fabrics_words(client: httpx.AsyncClient) -> None:
    answer = await client.get("/v2/product/00000000-dead-4000-8000-000000000000")
    assert answer.status_code == 404
    assert answer.json()["message"].startswith("Could not find a service with UID 00000000-dead")
    assert (await client.get("/v9/nothing")).status_code == 404


async def test_telemetry_is_seven_days_not_enveloped_and_ends_with_now(client: httpx.AsyncClient, world: World) -> None:
    address = f"/v2/product/vxc/{uid(SITE, 'vxc-azure-a')}/telemetry"
    body = (await client.get(address, params={"type": "BITS", "days": 7})).json()
    assert set(body) == {"serviceUid", "type", "timeFrame", "data"}
    assert [(series["type"], series["subtype"], series["unit"]["name"]) for series in body["data"]] == [
        ("BITS", "In", "Mbps"),
        ("BITS", "Out", "Mbps"),
    ]
    samples = body["data"][0]["samples"]
    assert len(samples) == 7 * 288
    assert samples[-1][1] == world.mbps("azure/er-primary")[0]
    stamps = [stamp for stamp, _ in samples]
    assert {after - before for before, after in pairwise(stamps)} == {300_000}
    both = (await client.get(address, params={"type": ["BITS", "PACKETS"]})).json()
    assert [series["type"] for series in both["data"]] == ["BITS", "BITS", "PACKETS", "PACKETS"]


async def test_telemetry_by_from_and_to_and_what_it_refuses(client: httpx.AsyncClient) -> None:
    address = f"/v2/product/megaport/{uid(SITE, 'port-a')}/telemetry"
    start = int((NOW - timedelta(hours=2)).timestamp() * 1000)
    body = (await client.get(address, params={"from": start, "to": start + 3_600_000})).json()
    assert body["timeFrame"] == {"from": start, "to": start + 3_600_000}
    assert len(body["data"][0]["samples"]) == 12
    assert (await client.get(address, params={"days": "many"})).status_code == 400
    assert (await client.get(address, params={"type": "MOOD"})).status_code == 400
    assert (await client.get("/v2/product/vxc/no-such/telemetry")).status_code == 404


async def test_events_follow_the_announcements_by_state_and_show_short_ids(
    client: httpx.AsyncClient, announcements: Announcements, clock: Clock
) -> None:
    async def states(kind: str, state: str = "") -> list[str]:
        answer = await client.get(f"/ens/v1/status/{kind}", params={"state": state} if state else {})
        return [event["state"] for event in answer.json()["data"]]

    assert await states("maintenance") == await states("outage") == []
    planned = announcements.add("megaport", "maintenance", ["port-b"], in_s=60, lasts_s=120, emergency=True)
    announcements.add("aws", "maintenance", ["dx-1"], in_s=60, lasts_s=120)
    outage = announcements.add("megaport", "outage", ["vxc-aws-a"], in_s=0, lasts_s=600)
    (event,) = (await client.get("/ens/v1/status/maintenance", params={"state": "Scheduled"})).json()["data"]
    assert event["services"] == [uid(SITE, "port-b")[:8]]
    assert (event["startTime"], event["eventType"]) == ("2026-01-07T12:01:00.000Z", "Emergency")
    (event,) = (await client.get("/ens/v1/status/outage", params={"state": "Ongoing"})).json()["data"]
    assert "endTime" not in event
    clock.time += timedelta(seconds=61)
    assert await states("maintenance", "Running") == ["Running"]
    announcements.end(outage.number)
    assert await states("outage", "Resolved") == ["Resolved"]
    announcements.end(planned.number)
    assert await states("maintenance", "Scheduled") == []
    assert await states("maintenance") == ["Completed"]


async def test_more_than_the_limit_is_429_until_the_window_has_moved_on(
    client: httpx.AsyncClient, lab: MegaportLab, clock: Clock
) -> None:
    lab.limit.limit = 3
    codes = [(await client.get("/v2/products/telemetry")).status_code for _ in range(4)]
    assert codes == [200, 200, 200, 429]
    assert (await client.get("/v2/products/telemetry")).headers["Retry-After"] == "300"
    clock.time += timedelta(seconds=301)
    assert (await client.get("/v2/products/telemetry")).status_code == 200


async def test_an_operation_of_the_looking_glass_is_ready_after_its_polls_and_lists_what_the_far_ends_announce(
    client: httpx.AsyncClient, lab: MegaportLab
) -> None:
    base = f"/v2/product/mcr2/{SITE_WITH_MCR.mcrs[0].uid}/diagnostics/routes"
    operation = (await client.get(f"{base}/bgp", params={"async": "true"})).json()["data"]
    asked = {"operationId": operation}
    waiting, done = [await client.get(f"{base}/operation", params=asked) for _ in range(2)]
    assert (waiting.status_code, "data" in waiting.json()) == (202, False)
    assert done.status_code == 200
    row = done.json()["data"][0]
    assert (row["prefix"], row["asPath"], row["nextHop"]["vxc"]["name"]) == ("10.50.0.0/16", "12076", "vxc-azure-a")
    assert (await client.get(f"{base}/operation", params={"operationId": "gone"})).status_code == 404
    lab.glass.contract = "none"
    assert (await client.get(f"{base}/bgp")).status_code == 404


async def test_the_price_book_wants_a_rate_and_two_places(client: httpx.AsyncClient) -> None:
    asked = {"productType": "VXC", "aLocationId": 1, "bLocationId": 2, "speed": 1000, "term": 12}
    answer = (await client.post("/v4/pricebook/product", json=asked)).json()["data"]
    assert (answer["currency"], answer["monthlyRate"], answer["monthlyRackRate"]) == ("EUR", 378.0, 420.0)
    refused = await client.post("/v4/pricebook/product", json={**asked, "speed": 0})
    assert (refused.status_code, refused.json()["message"]) == (400, "speed is required")


async def test_the_faults_speak_the_fabrics_envelope(gate: FaultGate, client: httpx.AsyncClient) -> None:
    await gate.set("429")
    answer = await client.get("/v2/products")
    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "2")
    assert answer.json()["trace_id"]


def test_telemetry_is_the_same_on_every_run_and_of_a_realistic_size() -> None:
    one, other = Telemetry(SITE), Telemetry(reference())
    week = {
        path.name: [value for _, value in one.series(path.name, "in", week_before(NOW), NOW)] for path in SITE.paths
    }
    assert week["azure/er-primary"] == [v for _, v in other.series("azure/er-primary", "in", week_before(NOW), NOW)]
    assert one.at("aws/dx-1", "out", NOW) == dict(one.series("aws/dx-1", "out", NOW, NOW + timedelta(hours=1)))[NOW]
    p95 = {path: sorted(values)[int(len(values) * 0.95)] for path, values in week.items()}
    assert p95["azure/er-primary"] == pytest.approx(412, rel=0.05)
    assert p95["aws/dx-1"] == pytest.approx(255, rel=0.05)
    assert all(p95[path] < 5 for path in p95 if path not in {"azure/er-primary", "aws/dx-1"})
    assert p95["azure/er-primary"] + p95["azure/er-secondary"] + p95["aws/dx-1"] + p95["aws/dx-2"] < 800
    night = one.at("azure/er-primary", "in", NOW.replace(hour=2))
    assert night < 0.7 * one.at("azure/er-primary", "in", NOW.replace(hour=13))
