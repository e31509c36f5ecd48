"""The circuit raised for real: the connector against the lab's Azure, and the fabric that learns of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from connectors.azure_bandwidth import SUCCEEDED, ArmWriter, CircuitWrites
from connectors.azure_circuit_parse import Signs, parse_circuit
from connectors.azure_login import Login
from connectors.azure_site import azure_of, network_of
from connectors.errors import NotSent, OutcomeUnknown
from connectors.http import Bearer
from lab.azure import AzureLab
from lab.azure.app import utc_now
from lab.circuit_bandwidth import CircuitBandwidth
from lab.faults import FaultGate
from lab.ledger import Ledger
from lab.megaport.products import vxc_object
from lab.megaport.sampled import Sampled
from lab.telemetry import Telemetry
from tests.contract.azure_cloud import Secret
from tests.contract.fake_world import World, reference

SITE = reference()
_, SIDE = azure_of(SITE)


@dataclass
class Stage:
    """The lab's Azure with a clock that a test moves, and the connector under one client id."""

    role: str = "operator"
    now_s: float = 0.0
    sends: int = 0

    async def start(self) -> None:
        self.bandwidth, self.ledger, world = CircuitBandwidth(SITE, lambda: self.now_s), Ledger(), World(SITE)
        self.now_s += 1
        self.lab = AzureLab(
            SITE,
            world,
            lambda *_pair: True,
            Telemetry(SITE),
            bandwidth=self.bandwidth,
            role_of=lambda _client_id: self.role,
            ledger=self.ledger,
        )
        self.fabric = Sampled(world, utc_now, self.bandwidth)
        self.gate = FaultGate("azure", self.lab.app, self.lab.refuse)
        await self.gate.start()

        async def secret() -> Secret:
            return Secret()

        self._login = Login(SIDE.tenant, self.gate.address, 30.0, secret)
        self._api = ArmWriter("azure", self.gate.address, 30.0, Bearer(self._login.token), common=network_of(SIDE))
        self.writes = CircuitWrites(self._api, SIDE)

    async def stop(self) -> None:
        await self._login.close()
        await self._api.close()
        await self.gate.stop()

    async def raise_to(self, mbps: int) -> None:
        await self.writes.set_bandwidth(await self.writes.circuit(), mbps, self.allowed)

    def allowed(self) -> None:
        self.sends += 1

    @property
    def taken(self) -> list[str]:
        return [f"{write.what.split()[-1]} by {write.by}" for write in self.ledger.entries]


@pytest.fixture
async def stage() -> AsyncIterator[Stage]:
    stage = Stage()
    await stage.start()
    yield stage
    await stage.stop()


async def test_accepted_is_not_recorded_and_then_both_systems_know_it(stage: Stage) -> None:
    await stage.raise_to(5000)
    seen = await stage.writes.circuit()
    assert (seen.bandwidth_mbps, seen.provisioning_state) == (2000, "Updating")
    stage.now_s += 1
    seen = await stage.writes.circuit()
    assert (seen.bandwidth_mbps, seen.provisioning_state) == (5000, SUCCEEDED)
    assert (stage.taken, stage.sends) == (["5000} by azure/creds/operator"], 1)
    assert vxc_object(stage.fabric, SITE.vxc("vxc-azure-a"))["maximumRate"] == 5000


async def test_nothing_but_the_bandwidth_is_changed_and_no_key_is_shown(stage: Stage) -> None:
    before = await stage.writes.circuit()
    await stage.raise_to(5000)
    stage.now_s += 1
    after = await stage.writes.circuit()
    assert {key for key in before.whole if before.whole[key] != after.whole[key]} == {"properties", "etag"}
    changed = {key for key, old in before.whole["properties"].items() if after.whole["properties"][key] != old}
    assert changed == {"serviceProviderProperties"}
    assert stage.lab.secrets, "there are keys in what is sent back"
    assert not [secret for secret in stage.lab.secrets if secret in repr(after)]


@pytest.mark.parametrize(
    ("mbps", "role", "said"),
    [
        (5000, "reader", "HTTP 403 AuthorizationFailed"),
        (1000, "operator", "HTTP 400 ExpressRouteCircuitBandwidthCannotBeReduced"),
        (2500, "operator", "HTTP 400 ExpressRouteCircuitBandwidthNotSupported"),
    ],
)
async def test_a_refusal_is_a_proof_that_nothing_changed(stage: Stage, mbps: int, role: str, said: str) -> None:
    stage.role = role
    with pytest.raises(NotSent, match=said):
        await stage.raise_to(mbps)
    assert (stage.taken, stage.bandwidth.mbps) == ([], 2000)


async def test_somebody_elses_change_in_between_is_a_clear_no(stage: Stage) -> None:
    seen = await stage.writes.circuit()
    await stage.raise_to(5000)
    stage.now_s += 1
    with pytest.raises(NotSent, match="HTTP 412 PreconditionFailed"):
        await stage.writes.set_bandwidth(seen, 10000, stage.allowed)
    assert stage.bandwidth.mbps == 5000


@pytest.mark.parametrize(("fault", "raised"), [("down", NotSent), ("429", NotSent), ("500", OutcomeUnknown)])
async def test_a_fault_is_told_for_what_it_is(stage: Stage, fault: str, raised: type[Exception]) -> None:
    seen = await stage.writes.circuit()
    await stage.gate.set(fault)
    with pytest.raises(raised):
        await stage.writes.set_bandwidth(seen, 5000, stage.allowed)
    assert stage.taken == []


async def test_a_lost_answer_is_unknown_and_was_carried_out(stage: Stage) -> None:
    seen = await stage.writes.circuit()
    await stage.gate.set("lost-answer")
    with pytest.raises(OutcomeUnknown):
        await stage.writes.set_bandwidth(seen, 5000, stage.allowed)
    stage.now_s += 1
    assert stage.bandwidth.mbps == 5000


async def test_the_status_tells_the_bandwidth_of_every_leg(stage: Stage) -> None:
    cloud, _ = azure_of(SITE)
    found = parse_circuit((await stage.writes.circuit()).whole, SITE, cloud, Signs())
    assert [each.fact.bandwidth_mbps for each in found] == [2000, 2000]
