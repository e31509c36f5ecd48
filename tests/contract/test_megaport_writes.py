"""Changing a VXC's rate: what is proof that nothing happened, what is unknown, and how the fabric takes its time."""

import asyncio
from collections.abc import AsyncIterator, Callable
from time import monotonic

import pytest

from connectors.errors import Denied, InterlockError, NotSent, OutcomeUnknown, TooEarly
from connectors.megaport_client import MegaportClient
from connectors.megaport_vxc import VxcDetails, VxcWrites
from tests.contract.megaport_fabric import PATIENT_S, SITE, Fabric

AZURE, AWS = SITE.vxc("vxc-azure-a"), SITE.vxc("vxc-aws-a")
WRITER = {"client_id": "interlock-run", "client_secret": "secret-of-the-run"}


def allowed() -> None:
    """A window that is open."""


class Writing:
    """The lab's fabric, and the run's own client of it."""

    def __init__(self) -> None:
        self.fabric = Fabric(writers={WRITER["client_id"]: WRITER["client_secret"]})
        self.lab, self.gate = self.fabric.lab, self.fabric.gate

    async def start(self) -> None:
        await self.fabric.start()
        self.client = self.client_of(WRITER)
        self.writes = VxcWrites(self.client.asked)

    def client_of(self, credential: dict[str, str]) -> MegaportClient:
        async def credentials() -> dict[str, str]:
            return credential

        site = self.fabric.source._site
        client = MegaportClient(site.systems.megaport, credentials, PATIENT_S)
        client.asked.deadline_s = PATIENT_S
        return client

    async def stop(self) -> None:
        await self.client.close()
        await self.fabric.stop()

    @property
    def ledger(self) -> list[tuple[str, str]]:
        return [(write.what, write.by) for write in self.fabric.ledger.entries]

    async def until(self, condition: Callable[[VxcDetails], bool], what: str) -> VxcDetails:
        end = monotonic() + 30
        while not condition(seen := await self.writes.vxc(AZURE.uid)):
            assert monotonic() < end, f"never happened: {what}"
            await asyncio.sleep(0.02)
        return seen


@pytest.fixture
async def writing() -> AsyncIterator[Writing]:
    made = Writing()
    await made.start()
    yield made
    await made.stop()


def put(mbps: int, vxc: str = AZURE.uid) -> tuple[str, str]:
    return f'PUT /v3/product/vxc/{vxc} {{"rateLimit": {mbps}}}', "interlock-run"


async def test_accepted_then_recorded_then_effective(writing: Writing) -> None:
    rates, began = writing.lab.links.rates, monotonic()
    rates.recorded_s = rates.effective_s = 3600
    await writing.writes.set_rate(AZURE.uid, 1500, allowed)
    at_once = await writing.writes.vxc(AZURE.uid)
    assert (at_once.rate_limit, at_once.effective_mbps) == (1000, 1000)
    rates.recorded_s = 0
    recorded = await writing.writes.vxc(AZURE.uid)
    assert (recorded.rate_limit, recorded.effective_mbps, recorded.provisioning_status) == (1500, 1000, "LIVE")
    rates.effective_s = 0
    assert (await writing.writes.vxc(AZURE.uid)).effective_mbps == 1500
    assert writing.ledger == [put(1500)]
    sent = writing.writes.sent(AZURE.uid)
    assert sent is not None
    assert sent.mbps == 1500
    assert 0 < sent.age_s <= monotonic() - began


async def test_a_second_update_in_the_gap_is_too_early_and_says_when(writing: Writing) -> None:
    writing.lab.links.rates.update_gap_s = 25.0
    began = monotonic()
    await writing.writes.set_rate(AZURE.uid, 1500, allowed)
    with pytest.raises(TooEarly, match="one update per service") as early:
        await writing.writes.set_rate(AZURE.uid, 1000, allowed)
    assert 25 - (monotonic() - began) <= (early.value.wait_s or 0) <= 25
    sent = writing.writes.sent(AZURE.uid)
    assert sent is not None
    assert sent.mbps == 1500, "what was not taken does not count as sent"
    assert writing.ledger == [put(1500)]


@pytest.mark.parametrize(
    ("uid", "mbps", "said"),
    [
        (AZURE.uid, 0, "0 Mbps is no rate"),
        (AZURE.uid, 2001, "above its maximum rate, 2000"),
        (AWS.uid, 500, "hosted connection cannot be changed"),
        ("00000000-0000-4000-8000-000000000000", 500, "Could not find a service"),
    ],
)
async def test_a_clear_no_is_proof_that_nothing_changed(writing: Writing, uid: str, mbps: int, said: str) -> None:
    with pytest.raises(NotSent, match=said):
        await writing.writes.set_rate(uid, mbps, allowed)
    assert writing.ledger == []
    assert writing.writes.sent(uid) is None


@pytest.mark.parametrize("thing", ["vxc-azure-a", "port-a"])
async def test_a_locked_vxc_or_port_is_not_changed(writing: Writing, thing: str) -> None:
    writing.lab.overrides[thing] = {"locked": True}
    with pytest.raises(NotSent, match=f"{thing} is locked"):
        await writing.writes.set_rate(AZURE.uid, 1500, allowed)
    assert writing.ledger == []


async def test_the_reading_credential_may_change_nothing(writing: Writing) -> None:
    reader = writing.client_of({"client_id": "interlock", "client_secret": writing.fabric.secret})
    with pytest.raises(NotSent, match="Access denied") as refused:
        await VxcWrites(reader.asked).set_rate(AZURE.uid, 1500, allowed)
    assert isinstance(refused.value.__cause__, Denied)
    await reader.close()
    assert writing.ledger == []


@pytest.mark.parametrize(
    ("fault", "error", "written"),
    [
        ("down", NotSent, False),
        ("429", TooEarly, False),
        ("500", OutcomeUnknown, False),
        ("garbage", OutcomeUnknown, False),
        ("hang", OutcomeUnknown, False),
        ("slow", OutcomeUnknown, True),
        ("lost-answer", OutcomeUnknown, True),
    ],
)
async def test_only_a_proof_is_not_sent_every_other_fault_is_unknown(
    writing: Writing, fault: str, error: type[InterlockError], written: bool
) -> None:
    await writing.writes.vxc(AZURE.uid)  # the token is at hand
    if fault in {"hang", "slow"}:
        writing.client.asked.deadline_s = 0.5
    await writing.gate.set(fault)
    with pytest.raises(InterlockError) as caught:
        await writing.writes.set_rate(AZURE.uid, 1500, allowed)
    assert type(caught.value) is error
    await writing.gate.set("none")
    assert (writing.writes.sent(AZURE.uid) is None) == (error is not OutcomeUnknown)
    if written:
        writing.client.asked.deadline_s = PATIENT_S
        await writing.until(lambda seen: seen.rate_limit == 1500, "the change whose answer was lost is recorded")
    assert writing.ledger == ([put(1500)] if written else [])


async def test_without_a_token_nothing_is_sent(writing: Writing) -> None:
    await writing.gate.set("500")
    with pytest.raises(NotSent, match="no token"):
        await writing.writes.set_rate(AZURE.uid, 1500, allowed)
    assert writing.fabric.wire.asked == []


async def test_the_moment_is_asked_for_directly_before_the_send_and_a_refused_token_is_not_tried_again(
    writing: Writing,
) -> None:
    class Passed(Exception):
        pass

    def closed() -> None:
        assert writing.fabric.wire.asked == ["/oauth2/token"]
        raise Passed

    with pytest.raises(Passed):
        await writing.writes.set_rate(AZURE.uid, 1500, closed)
    writing.lab.bearers.revoke_all()
    asked: list[int] = []
    with pytest.raises(NotSent, match="401"):
        await writing.writes.set_rate(AZURE.uid, 1500, lambda: asked.append(1))
    assert (asked, writing.fabric.wire.asked[1:]) == ([1], [f"/v3/product/vxc/{AZURE.uid}"])
    assert writing.ledger == []


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"rateLimit": "1500"}', '{"rateLimit": true}', '{"shutdown": true}'])
async def test_the_lab_takes_one_field_and_a_number(writing: Writing, body: str) -> None:
    with pytest.raises(InterlockError, match="Validation failed"):
        await writing.client.asked.send("PUT", f"/v3/product/vxc/{AZURE.uid}", content=body)
    assert writing.ledger == []
