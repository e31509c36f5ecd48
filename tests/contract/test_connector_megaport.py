"""The Megaport source over the lab's fabric: what a poll sees, what goes wrong, what it costs."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from connectors.errors import BadReply, Denied, InterlockError, Throttled, TimedOut, Unreachable
from connectors.megaport import LAB_EVENTS_EVERY_S, MegaportSource
from connectors.megaport_budget import RESERVE
from connectors.ports import PartlySeen
from network.events import Events
from network.observation import FabricPort, FabricVxc, Kind, Load, Optics
from tests.contract.megaport_fabric import PATIENT_S, SITE, Fabric


@pytest.fixture
async def fabric() -> AsyncIterator[Fabric]:
    made = Fabric()
    await made.start()
    yield made
    await made.stop()


async def test_a_poll_sees_every_port_vxc_and_a_week_of_load(fabric: Fabric) -> None:
    before = datetime.now(UTC)
    seen = await fabric.collect()
    names = {(Kind.PORT, port.name) for port in (*SITE.ports, *SITE.mcrs)}
    names |= {(Kind.OPTICS, f"{port.router} {port.interface}") for port in SITE.ports}
    names |= {(Kind.EVENTS, "megaport")}
    names |= {(kind, vxc.name) for vxc in SITE.vxcs for kind in (Kind.VXC, Kind.LOAD)}
    assert set(seen) == names
    assert seen[Kind.PORT, "port-a"].fact == FabricPort(up=True, status="LIVE")
    expected = FabricVxc(up=True, shutdown=False, status="LIVE", rate_mbps=1000, max_mbps=1000)
    assert seen[Kind.VXC, "vxc-aws-b"].fact == expected
    assert getattr(seen[Kind.VXC, "vxc-azure-a"].fact, "max_mbps", None) == 2000  # the circuit's
    load = seen[Kind.LOAD, "vxc-azure-a"].fact
    assert isinstance(load, Load)
    assert load.p95_mbps == pytest.approx(412, rel=0.1)  # the active leg: Azure's demand
    assert load.days == pytest.approx(7, abs=0.02)
    port = seen[Kind.PORT, "port-a"]
    assert (port.source, port.evidence, port.fresh_s) == ("megaport", "GET /v2/products", 11.0)
    assert before <= port.at <= datetime.now(UTC)


async def test_a_dead_port_takes_its_vxcs_with_it(fabric: Fabric) -> None:
    fabric.world.down = {"port-a"}
    seen = await fabric.collect()
    up = {name for (kind, name), item in seen.items() if getattr(item.fact, "up", False)}
    assert up == {"port-b", "vxc-azure-b", "vxc-aws-b", "mcr-1"}


async def test_a_fresh_reply_may_tell_an_old_truth(fabric: Fabric) -> None:
    fabric.lab.links.every_s = 300
    await fabric.collect()
    fabric.world.down = {"port-a"}
    seen = (await fabric.collect())[Kind.PORT, "port-a"]
    assert seen.fact == FabricPort(up=True, status="LIVE")  # which is why the routers' own word counts beside it
    fabric.lab.links.every_s = 0
    assert not (await fabric.collect())[Kind.VXC, "vxc-aws-a"].fact.up


async def test_no_secret_that_the_fabric_shows_is_kept(fabric: Fabric) -> None:
    kept = " ".join(item.raw for item in (await fabric.collect()).values())
    assert fabric.lab.secrets
    assert not [secret for secret in fabric.lab.secrets if secret in kept]


async def test_telemetry_is_kept_between_polls(fabric: Fabric) -> None:
    first = await fabric.collect()
    again = await fabric.collect()
    assert again[Kind.LOAD, "vxc-aws-a"] is first[Kind.LOAD, "vxc-aws-a"]
    assert again[Kind.VXC, "vxc-aws-a"].at > first[Kind.VXC, "vxc-aws-a"].at


async def test_a_revoked_token_is_replaced_once_for_all_calls(fabric: Fabric) -> None:
    await fabric.collect()
    assert fabric.fetched == 1
    fabric.lab.bearers.revoke_all()
    assert await fabric.collect()
    assert fabric.fetched == 2


async def test_a_wrong_secret_is_denied_and_not_told(fabric: Fabric) -> None:
    fabric.secret = "wrong-secret-value"
    with pytest.raises(Denied) as caught:
        await fabric.collect()
    assert "wrong-secret-value" not in str(caught.value)


FAULTS: list[tuple[str, type[InterlockError], str]] = [
    ("down", Unreachable, "megaport"),
    ("hang", TimedOut, "no answer within 0.3 s"),
    ("slow", TimedOut, "no answer within 0.3 s"),
    ("429", Throttled, "HTTP 429"),
    ("500", BadReply, "HTTP 500"),
    ("garbage", BadReply, "not JSON"),
]


@pytest.mark.parametrize(("fault", "error", "says"), FAULTS)
async def test_every_fault_has_its_name_in_a_poll_and_in_every_question(
    fabric: Fabric, fault: str, error: type[InterlockError], says: str
) -> None:
    await fabric.collect()
    fabric.deadline(0.3 if error is TimedOut else PATIENT_S)
    await fabric.gate.set(fault)
    poll, *asked = await asyncio.gather(
        fabric.collect(), *(ask() for ask in fabric.questions().values()), return_exceptions=True
    )
    assert isinstance(poll, error)
    assert says in str(poll)
    named = dict(zip(fabric.questions(), asked, strict=True))
    assert {name: type(found) for name, found in named.items()} == dict.fromkeys(named, error)
    assert [name for name, found in named.items() if says not in str(found)] == []
    assert all("secret-of-the-fabric" not in str(found) for found in asked)


async def test_an_answer_that_breaks_off_is_a_bad_reply_in_a_poll_and_in_every_question(fabric: Fabric) -> None:
    await fabric.collect()
    fabric.wire.cutting = True
    poll, *asked = await asyncio.gather(
        fabric.collect(), *(ask() for ask in fabric.questions().values()), return_exceptions=True
    )
    named = dict(zip(fabric.questions(), asked, strict=True))
    assert isinstance(poll, BadReply)
    wrong = {name: found for name, found in named.items() if not isinstance(found, InterlockError)}
    assert wrong == {}
    refused = {"sessions", "azure key"}  # 404 to both: refused by its status, whatever is left of the body
    assert {name for name, found in named.items() if not isinstance(found, BadReply)} == refused


async def test_a_fault_that_is_over_leaves_nothing_behind(fabric: Fabric) -> None:
    await fabric.collect()
    fabric.deadline(0.3)
    for fault in ("down", "hang", "500"):
        await fabric.gate.set(fault)
        with pytest.raises(InterlockError):
            await fabric.collect()
    await fabric.gate.set("none")
    fabric.deadline(PATIENT_S)
    try:
        seen = await fabric.collect()
    except PartlySeen:  # a connection that was cut half-way may cost one call its deadline, and never the next poll
        seen = await fabric.collect()
    assert (Kind.PORT, "port-a") in seen


async def test_a_slow_fabric_is_waited_for() -> None:
    fabric = Fabric(slow_s=0.2)
    await fabric.start()
    await fabric.gate.set("slow")
    assert (Kind.PORT, "port-a") in await fabric.collect()
    await fabric.stop()


async def test_after_the_wait_that_the_fabric_asked_for_it_is_asked_again(fabric: Fabric) -> None:
    await fabric.collect()
    await fabric.gate.set("429")
    began = time.monotonic()
    with pytest.raises(Throttled) as caught:
        await fabric.collect()
    assert caught.value.retry_after_s == 2
    await fabric.gate.set("none")
    asked = len(fabric.wire.asked)
    async with asyncio.timeout(PATIENT_S):
        while True:
            try:
                assert (Kind.PORT, "port-a") in await fabric.collect()
                break
            except Throttled as error:
                assert len(fabric.wire.asked) == asked
                await asyncio.sleep(error.retry_after_s or 0)
    assert time.monotonic() - began >= 2


async def test_a_retry_after_of_minutes_is_cut_to_thirty_seconds_in_which_nothing_is_sent(fabric: Fabric) -> None:
    fabric.lab.limit.limit = 0
    fabric.lab.limit._seen["127.0.0.1"].append(datetime.now(UTC))
    with pytest.raises(Throttled) as caught:
        await fabric.source.client.polled.get("/v2/products")
    assert caught.value.retry_after_s == 30
    asked = len(fabric.wire.asked)
    for ask in (fabric.collect, fabric.source.lookups.locations):
        with pytest.raises(Throttled, match=r"nothing was sent: the fabric asked to wait \d+ s more with HTTP 429"):
            await ask()
    assert len(fabric.wire.asked) == asked


async def test_questions_end_before_the_budget_does_and_polls_go_on(fabric: Fabric) -> None:
    budget, now = fabric.source.client.budget, asyncio.get_running_loop().time()
    await fabric.collect()
    spent = budget.limit - fabric.source.requests_left
    assert spent == len([path for path in fabric.wire.asked if path != "/oauth2/token"])
    while fabric.source.requests_left > RESERVE + 1:
        budget.spend(now)
    assert await fabric.source.lookups.locations()
    with pytest.raises(Throttled, match=f"{RESERVE} of 500 requests are left") as caught:
        await fabric.source.lookups.locations()
    first_leaves_in_s = budget._sent[0] + budget.window_s - asyncio.get_running_loop().time()
    assert first_leaves_in_s <= (caught.value.retry_after_s or 0) <= budget.window_s
    assert (Kind.PORT, "port-a") in await fabric.collect()


async def test_the_poll_slows_down_as_the_budget_runs_low(fabric: Fabric) -> None:
    budget, now = fabric.source.client.budget, asyncio.get_running_loop().time()
    await fabric.collect()
    assert fabric.source.cadence_s == SITE.systems.megaport.cadence_s
    while fabric.source.requests_left > 30:
        budget.spend(now)
    seen = await fabric.collect()
    assert fabric.source.cadence_s == pytest.approx(20, rel=0.1)
    assert seen[Kind.PORT, "port-a"].fresh_s > 2 * fabric.source.cadence_s  # slower, and not stale for it
    while fabric.source.requests_left:
        budget.spend(now)
    with pytest.raises(Throttled, match="0 of 500 requests are left"):
        await fabric.collect()


async def test_a_token_is_renewed_before_its_end(fabric: Fabric) -> None:
    await fabric.collect()
    bearer, now, life_s = fabric.source.client.polled._bearer, asyncio.get_running_loop().time(), 3600
    assert bearer is not None
    assert 0.7 * life_s < bearer._token.until - now <= 0.8 * life_s
    await fabric.source.lookups.locations()
    assert fabric.fetched == 1
    bearer._token = replace(bearer._token, until=now)
    await fabric.source.lookups.locations()
    assert fabric.fetched == 2


def test_plain_http_is_refused_off_this_machine() -> None:
    megaport = SITE.systems.megaport.model_copy(update={"address": "http://api.fabric.example"})
    systems = SITE.systems.model_copy(update={"megaport": megaport})

    async def credentials() -> dict[str, str]:
        return {}

    with pytest.raises(ValueError, match="must be https"):
        MegaportSource(SITE.model_copy(update={"systems": systems}), lambda: datetime.now(UTC), credentials)


async def test_events_name_what_they_touch_and_follow_their_state(fabric: Fabric) -> None:
    told = fabric.announcements
    told.add("megaport", "maintenance", ["port-a", "vxc-aws-b"], in_s=3600, lasts_s=7200, emergency=True)
    told.add("megaport", "maintenance", ["port-b"], in_s=40 * 86400, lasts_s=60)  # beyond the calendar
    told.add("megaport", "maintenance", ["azure"], in_s=60, lasts_s=60)  # nothing of ours
    told.add("megaport", "outage", ["vxc-azure-b"], in_s=-600, lasts_s=3600)
    outage, planned = await _events(fabric)
    assert (planned.kind, planned.state, planned.emergency) == ("maintenance", "announced", True)
    assert planned.touches == ("port-a", "vxc-aws-b")
    assert planned.title == "Software upgrade: Loss of service"
    assert planned.starts.tzinfo is UTC
    assert (outage.kind, outage.state, outage.ends, outage.touches) == ("outage", "running", None, ("vxc-azure-b",))
    told.end(1)
    told.end(4)
    fabric.source._due.clear()
    assert {(event.kind, event.state) for event in await _events(fabric)} == {
        ("maintenance", "cancelled"),
        ("outage", "done"),
    }


async def _events(fabric: Fabric):
    seen = (await fabric.collect())[Kind.EVENTS, "megaport"]
    assert isinstance(seen.fact, Events)
    assert seen.fresh_s > 2 * LAB_EVENTS_EVERY_S
    return seen.fact.events


async def test_light_follows_the_port_and_is_no_fact_where_the_fabric_has_none(fabric: Fabric) -> None:
    fabric.world.down = {"port-a"}
    seen = await fabric.collect()
    a, b = SITE.ports
    assert seen[Kind.OPTICS, f"{a.router} {a.interface}"].fact == Optics(rx_dbm=-40.0, tx_dbm=-2.1)
    assert seen[Kind.OPTICS, f"{b.router} {b.interface}"].fact == Optics(rx_dbm=-3.4, tx_dbm=-2.1)
    fabric.lab.counters.openmetrics = False
    other = fabric.source_of(SITE)
    assert not [item for item in await other.collect() if item.kind is Kind.OPTICS]
    await other.close()


async def test_an_approval_and_a_cancellation_are_waited_for_in_words(fabric: Fabric) -> None:
    asked = {"status": "PENDING", "type": "SPEED_CHANGE", "newSpeed": 2000, "message": None, "uid": "x"}
    fabric.lab.overrides["vxc-azure-a"] = {"vxcApproval": asked}
    fabric.lab.overrides["vxc-aws-a"] = {"provisioningStatus": "CANCELLED"}
    fabric.lab.overrides["port-b"] = {"provisioningStatus": "DEPLOYABLE", "locked": True}
    seen = await fabric.collect()
    approval, cancelled = seen[Kind.VXC, "vxc-azure-a"].fact, seen[Kind.VXC, "vxc-aws-a"].fact
    assert isinstance(approval, FabricVxc)
    assert isinstance(cancelled, FabricVxc)
    assert approval.waiting == "SPEED_CHANGE PENDING to 2000 Mbps"
    assert (cancelled.up, cancelled.waiting) == (True, "cancelled: it stays until its end date")
    port = FabricPort(up=False, status="DEPLOYABLE", locked=True, note="being deployed, normally 1 to 2 minutes")
    assert seen[Kind.PORT, "port-b"].fact == port


async def test_lost_telemetry_leaves_the_ports_readable_and_says_so(fabric: Fabric) -> None:
    lost = SITE.vxcs[0].model_copy(update={"uid": "00000000-0000-4000-8000-000000000000"})
    fabric.source._site = SITE.model_copy(update={"vxcs": (lost, *SITE.vxcs[1:])})
    with pytest.raises(PartlySeen, match="Could not find a service") as caught:
        await fabric.source.collect()
    seen = {item.key: item.fact for item in caught.value.seen}
    assert seen[Kind.PORT, "port-a"] == FabricPort(up=True, status="LIVE")
    assert (Kind.LOAD, "vxc-azure-a") not in seen
    assert (Kind.LOAD, "vxc-aws-a") in seen
