"""The Megaport source over the lab's fabric."""

import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from connectors.errors import BadReply, Denied, InterlockError, Throttled, TimedOut, Unreachable
from connectors.megaport import MegaportSource
from connectors.ports import PartlySeen
from lab.faults import FaultGate
from lab.megaport import MegaportLab
from lab.telemetry import Telemetry
from network.observation import FabricPort, FabricVxc, Kind, Load, Observation
from tests.contract.fake_world import World, reference

SITE = reference()


class Fabric:
    """The lab's fabric behind its fault gate, and a source that polls it."""

    def __init__(self) -> None:
        self.world, self.fetched, self.secret = World(SITE), 0, "secret-of-the-fabric"
        self.lab = MegaportLab(SITE, self.world, "interlock", self.secret, Telemetry(SITE))
        self.gate = FaultGate("megaport", self.lab.app, self.lab.refuse)
        self.source: MegaportSource

    async def credentials(self) -> dict[str, str]:
        self.fetched += 1
        return {"client_id": "interlock", "client_secret": self.secret}

    async def start(self) -> None:
        await self.gate.start()
        system = {"address": self.gate.address, "token_address": f"{self.gate.address}/oauth2/token"}
        systems = SITE.systems.model_copy(update={"megaport": SITE.systems.megaport.model_copy(update=system)})
        site = SITE.model_copy(update={"systems": systems})
        self.source = MegaportSource(site, lambda: datetime.now(UTC), self.credentials)

    async def collect(self) -> dict[tuple[Kind, str], Observation]:
        return {item.key: item for item in await self.source.collect()}


@pytest.fixture
async def fabric() -> AsyncIterator[Fabric]:
    made = Fabric()
    await made.start()
    yield made
    await made.source.close()
    await made.gate.stop()


async def test_a_poll_sees_every_port_vxc_and_a_week_of_load(fabric: Fabric) -> None:
    before = datetime.now(UTC)
    seen = await fabric.collect()
    names = {(Kind.PORT, port.name) for port in SITE.ports}
    names |= {(kind, vxc.name) for vxc in SITE.vxcs for kind in (Kind.VXC, Kind.LOAD)}
    assert set(seen) == names
    assert seen[Kind.PORT, "port-a"].fact == FabricPort(up=True, status="LIVE")
    expected = FabricVxc(up=True, shutdown=False, status="LIVE", rate_mbps=1000)
    assert seen[Kind.VXC, "vxc-aws-b"].fact == expected
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
    up = {name for (kind, name), item in seen.items() if kind is not Kind.LOAD and getattr(item.fact, "up", False)}
    assert up == {"port-b", "vxc-azure-b", "vxc-aws-b"}


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


@pytest.mark.parametrize(
    ("fault", "error", "says"),
    [
        ("down", Unreachable, "megaport"),
        ("hang", TimedOut, "no answer within 0.3 s"),
        ("429", Throttled, "HTTP 429"),
        ("500", BadReply, "HTTP 500"),
        ("garbage", BadReply, "not JSON"),
    ],
)
async def test_every_fault_has_its_name(fabric: Fabric, fault: str, error: type[InterlockError], says: str) -> None:
    await fabric.collect()
    fabric.source._api.deadline_s = 0.3
    await fabric.gate.set(fault)
    began = time.monotonic()
    with pytest.raises(error, match=says) as caught:
        await fabric.collect()
    assert time.monotonic() - began < 2
    if isinstance(caught.value, Throttled):
        assert caught.value.retry_after_s == 2
    await fabric.gate.set("none")
    assert (Kind.PORT, "port-a") in await fabric.collect()


async def test_lost_telemetry_leaves_the_ports_readable_and_says_so(fabric: Fabric) -> None:
    lost = SITE.vxcs[0].model_copy(update={"uid": "00000000-0000-4000-8000-000000000000"})
    fabric.source._site = SITE.model_copy(update={"vxcs": (lost, *SITE.vxcs[1:])})
    with pytest.raises(PartlySeen, match="Could not find a service") as caught:
        await fabric.source.collect()
    seen = {item.key: item.fact for item in caught.value.seen}
    assert seen[Kind.PORT, "port-a"] == FabricPort(up=True, status="LIVE")
    assert (Kind.LOAD, "vxc-azure-a") not in seen
    assert (Kind.LOAD, "vxc-aws-a") in seen
