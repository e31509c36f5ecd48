"""The AWS source over the lab's AWS: real boto3, real signatures."""

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from connectors.aws import AwsSource
from connectors.errors import BadReply, Denied, InterlockError, Throttled, TimedOut, Unreachable
from connectors.ports import PartlySeen
from lab.aws import AwsLab
from lab.faults import FaultGate
from lab.telemetry import Telemetry
from network.observation import (
    Advertised,
    Attachment,
    Circuit,
    CloudRoutes,
    Kind,
    Observation,
    SessionThere,
)
from tests.contract.fake_world import World, reference

SITE = reference()
DX_1, DX_2, VPN_1, VPN_2 = (path.name for path in SITE.paths_of("aws"))
PATHS = {DX_1, DX_2, VPN_1, VPN_2}


@dataclass(frozen=True)
class Secret:
    access_key: str = "ASIAEXAMPLE000000001"
    secret_key: str = "secret-of-aws-0000000000"
    session_token: str = "session-token-of-aws"


class Cloud:
    """The lab's AWS behind its fault gate, and a source that polls it. `keys` are those that it takes."""

    def __init__(self) -> None:
        self.world, self.fetched, self.secret = World(SITE), 0, Secret()
        self.keys = {self.secret.access_key: self.secret.secret_key}
        self.lab = AwsLab(SITE, self.world, self._secret_key, Telemetry(SITE))
        self.gate = FaultGate("aws", self.lab.app, self.lab.refuse)
        self.source: AwsSource

    def _secret_key(self, access_key: str) -> str | None:
        return self.keys.get(access_key)

    async def credentials(self) -> Secret:
        self.fetched += 1
        return self.secret

    async def start(self) -> None:
        await self.gate.start()
        system = {"address": self.gate.address}
        systems = SITE.systems.model_copy(update={"aws": SITE.systems.aws.model_copy(update=system)})
        site = SITE.model_copy(update={"systems": systems})
        self.source = AwsSource(site, lambda: datetime.now(UTC), self.credentials)

    async def collect(self) -> dict[tuple[Kind, str], Observation]:
        return {item.key: item for item in await self.source.collect()}

    async def way_back(self) -> tuple[tuple[str, ...], str]:
        fact = (await self.collect())[Kind.CLOUD_ROUTES, "aws"].fact
        assert isinstance(fact, CloudRoutes)
        return next(route.via for route in fact.routes if route.prefix == "10.10.0.0/16"), fact.basis


@pytest.fixture
async def cloud() -> AsyncIterator[Cloud]:
    made = Cloud()
    await made.start()
    yield made
    await made.source.close()
    await made.gate.stop()


async def test_a_poll_sees_every_layer_of_every_path(cloud: Cloud) -> None:
    seen = await cloud.collect()
    for kind in (Kind.CIRCUIT, Kind.SESSION_THERE, Kind.ATTACHMENT):
        assert {name: seen[kind, name].fact.up for name in PATHS} == dict.fromkeys(PATHS, True)  # type: ignore[attr-defined] # each of the three kinds of fact has `up`
    accepted = seen[Kind.ACCEPTED, DX_2].fact
    assert isinstance(accepted, Advertised)
    assert {(route.prefix, route.as_path, route.communities) for route in accepted.routes} == {
        (prefix, (65010,) * 3, ("7224:7100",)) for prefix in ("10.10.0.0/16", "10.11.0.0/16", "10.10.255.6/32")
    }
    assert seen[Kind.SESSION_THERE, DX_1].fact == SessionThere(up=True, state="up, VIF available", received=3)
    assert seen[Kind.SESSION_THERE, VPN_1].fact == SessionThere(up=True, state="UP 3 BGP ROUTES", received=3)
    circuit = seen[Kind.CIRCUIT, DX_1]
    assert (circuit.source, circuit.evidence, circuit.fresh_s) == ("aws", "DescribeConnections", 11.0)
    assert cloud.fetched == 1


async def test_no_secret_that_aws_shows_is_kept(cloud: Cloud) -> None:
    kept = " ".join(item.raw for item in (await cloud.collect()).values())
    assert cloud.lab.secrets
    assert not [secret for secret in cloud.lab.secrets if secret in kept]


async def test_the_way_back_is_inferred_between_two_legs_and_read_from_the_table_else(cloud: Cloud) -> None:
    assert await cloud.way_back() == ((DX_1,), "inferred")
    cloud.world.down = {"dx-1"}
    assert await cloud.way_back() == ((DX_2,), "table")
    cloud.world.down = {"port-a", "port-b", "dx-1", "dx-2", "vxc-aws-a", "vxc-aws-b"}
    cloud.world.chosen_by_cloud["aws"] = {"10.10.0.0/16": (VPN_1, VPN_2)}
    assert await cloud.way_back() == ((VPN_1, VPN_2), "table")
    cloud.world.chosen_by_cloud["aws"] = {}
    assert await cloud.way_back() == ((), "table")


async def test_a_dead_connection_and_a_dead_session_on_a_live_one(cloud: Cloud) -> None:
    cloud.world.down = {"dx-1", "bgp aws/dx-2"}
    seen = await cloud.collect()
    assert seen[Kind.CIRCUIT, DX_1].fact == Circuit(up=False, state="connection down")
    assert seen[Kind.CIRCUIT, DX_2].fact == Circuit(up=True, state="connection available")
    down = SessionThere(up=False, state="down, VIF down", received=0)
    assert [seen[Kind.SESSION_THERE, name].fact for name in (DX_1, DX_2)] == [down, down]
    assert seen[Kind.ATTACHMENT, DX_1].fact == Attachment(up=True, state="available, associated, propagated")


async def test_a_dead_tunnel_and_a_dead_session_on_a_live_tunnel(cloud: Cloud) -> None:
    cloud.world.down = {"vpn-aws-1", "bgp aws/vpn-2"}
    seen = await cloud.collect()
    assert seen[Kind.CIRCUIT, VPN_1].fact == Circuit(up=False, state="DOWN IPSEC IS DOWN")
    assert seen[Kind.CIRCUIT, VPN_2].fact == Circuit(up=True, state="DOWN IPSEC IS UP")
    for name in (VPN_1, VPN_2):
        fact = seen[Kind.SESSION_THERE, name].fact
        assert isinstance(fact, SessionThere)
        assert (fact.up, fact.received) == (False, 0)


async def test_an_ended_credential_is_replaced_once_for_all_calls(cloud: Cloud) -> None:
    await cloud.collect()
    cloud.secret = Secret(access_key="ASIAEXAMPLE000000002")
    cloud.keys = {cloud.secret.access_key: cloud.secret.secret_key}
    assert await cloud.collect()
    assert cloud.fetched == 2


async def test_a_credential_that_is_refused_again_is_denied_and_not_told(cloud: Cloud) -> None:
    cloud.keys = {}
    with pytest.raises(Denied, match="fresh credential was refused too") as caught:
        await cloud.collect()
    assert cloud.secret.secret_key not in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "error"),
    [("down", Unreachable), ("hang", TimedOut), ("429", Throttled), ("500", BadReply), ("garbage", BadReply)],
)
async def test_every_fault_has_its_name(cloud: Cloud, fault: str, error: type[InterlockError]) -> None:
    await cloud.collect()
    if fault == "hang":
        cloud.source.deadline_s = 0.3
    await cloud.gate.set(fault)
    with pytest.raises(error, match="aws"):
        await cloud.collect()
    await cloud.gate.set("none")
    cloud.source.deadline_s = 5.0
    assert (Kind.CIRCUIT, DX_1) in await cloud.collect()


async def test_a_part_that_cannot_be_read_leaves_the_rest_readable(cloud: Cloud) -> None:
    cloud.source._side = cloud.source._side.model_copy(update={"tgw_route_table": "tgw-rtb-0000"})
    with pytest.raises(PartlySeen, match="tgw-rtb-0000") as caught:
        await cloud.source.collect()
    seen = {item.key for item in caught.value.seen}
    assert {(Kind.SESSION_THERE, DX_1), (Kind.CIRCUIT, VPN_2)} <= seen
    assert (Kind.CLOUD_ROUTES, "aws") not in seen


async def test_the_ambient_environment_of_aws_tools_is_shut_out(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "AWS_PROFILE": "no-such-profile",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ENDPOINT_URL_EC2": "http://127.0.0.1:1",
        "AWS_ACCESS_KEY_ID": "AKIAAMBIENT000000000",
        "AWS_SECRET_ACCESS_KEY": "ambient",
        "AWS_DEFAULT_REGION": "us-west-1",
        "HTTP_PROXY": "http://127.0.0.1:1",
    }.items():
        monkeypatch.setenv(name, value)
    assert (Kind.CIRCUIT, VPN_1) in await cloud.collect()


def test_boto3_is_not_imported_before_the_first_call() -> None:
    code = "import sys, connectors.aws; print(sorted({'boto3', 'botocore'} & set(sys.modules)))"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ}, timeout=30
    )
    assert ran.stdout.strip() == "[]"
