"""The AWS source over the lab's AWS: real boto3, real signatures."""

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.aws import AwsSource
from connectors.errors import BadReply, Denied, InterlockError, Throttled, TimedOut, Unreachable
from connectors.ports import PartlySeen
from connectors.reading import PATIENCE_S, Reading
from lab.announcements import Announcements
from lab.aws import AwsLab
from lab.aws.habits import VifTest
from lab.aws.wire import AwsError
from lab.faults import FaultGate
from lab.telemetry import Telemetry
from network.events import Events
from network.observation import (
    Advertised,
    Attachment,
    Circuit,
    CloudRoutes,
    FailoverTests,
    Kind,
    Load,
    Observation,
    Optics,
    SessionThere,
)
from tests.contract.fake_world import World, reference

SITE = reference()
DX_1, DX_2, VPN_1, VPN_2 = (path.name for path in SITE.paths_of("aws"))
#: Longer than any call: what is tested is what is seen, not how soon.
PATIENT_S = 30.0
#: Longer than any call takes once its client is made, on a busy machine too: only what hangs meets it.
SHORT_S = 4.0
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
        self.told = Announcements(SITE)
        self.lab = AwsLab(SITE, self.world, self._secret_key, Telemetry(SITE), self.told)
        self.habits = self.lab.habits
        self.silent: set[str] = set()
        self.left_waiting = asyncio.Event()
        self.gate = FaultGate("aws", self._serve, self.lab.refuse)
        self.source: AwsSource

    def _secret_key(self, access_key: str) -> str | None:
        return self.keys.get(access_key)

    async def credentials(self) -> Secret:
        self.fetched += 1
        return self.secret

    async def _serve(self, scope: Any, receive: Any, send: Any) -> None:
        """A service whose target is in `silent` never answers."""
        target = dict(scope["headers"]).get(b"x-amz-target", b"").decode().partition(".")[0]
        if target in self.silent:
            self.left_waiting.set()
            await asyncio.Event().wait()
        await self.lab.app(scope, receive, send)

    async def start(self, mode: str = "lab", **aws: object) -> None:
        await self.gate.start()
        system = {"address": self.gate.address}
        systems = SITE.systems.model_copy(update={"aws": SITE.systems.aws.model_copy(update=system)})
        clouds = tuple(
            each.model_copy(update={"aws": each.aws.model_copy(update=aws)}) if each.aws else each
            for each in SITE.clouds
        )
        site = SITE.model_copy(update={"systems": systems, "mode": mode, "clouds": clouds})
        self.source = AwsSource(site, lambda: datetime.now(UTC), self.credentials)
        self.source.deadline_s = self.source._calls._deadline_s = PATIENT_S
        for part in self.source.seldom:
            part.patience_s = PATIENT_S  # on a busy machine a first poll takes its time

    @property
    def events(self) -> Reading:
        _, _, events, _ = self.source.seldom
        return events

    async def collect(self) -> dict[tuple[Kind, str], Observation]:
        return {item.key: item for item in await self.source.collect()}

    async def anew(self) -> dict[tuple[Kind, str], Observation]:
        """A poll that reads everything, after one that has: also what one poll keeps for the next is there."""
        for _ in range(2):
            for part in self.source.seldom:
                part.forget()
            seen = await self.collect()
        return seen

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
    seen = await cloud.anew()  # what CloudWatch counts may come before or after a first poll's sessions
    for kind in (Kind.CIRCUIT, Kind.SESSION_THERE, Kind.ATTACHMENT):
        assert {name: seen[kind, name].fact.up for name in PATHS} == dict.fromkeys(PATHS, True)  # type: ignore[attr-defined] # each of the three kinds of fact has `up`
    accepted = seen[Kind.ACCEPTED, DX_2].fact
    assert isinstance(accepted, Advertised)
    assert {(route.prefix, route.as_path, route.communities) for route in accepted.routes} == {
        (prefix, (65010,) * 3, ("7224:7100",)) for prefix in ("10.10.0.0/16", "10.11.0.0/16", "10.10.255.6/32")
    }
    assert seen[Kind.SESSION_THERE, DX_1].fact == SessionThere(
        up=True, state="up, VIF available", received=3, advertised=2
    )
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
    [
        ("down", Unreachable),
        ("hang", TimedOut),
        ("slow", TimedOut),
        ("429", Throttled),
        ("500", BadReply),
        ("garbage", BadReply),
    ],
)
async def test_every_fault_has_its_name(cloud: Cloud, fault: str, error: type[InterlockError]) -> None:
    await cloud.collect()
    if fault in {"hang", "slow"}:
        cloud.source.deadline_s = 0.3
    await cloud.gate.set(fault)
    with pytest.raises(error, match="aws"):
        await cloud.collect()
    await cloud.gate.set("none")
    cloud.source.deadline_s = PATIENT_S
    assert (Kind.CIRCUIT, DX_1) in await cloud.collect()


async def test_a_part_that_cannot_be_read_leaves_the_rest_readable(cloud: Cloud) -> None:
    cloud.source._side = cloud.source._side.model_copy(update={"tgw_route_table": "tgw-rtb-0000"})
    with pytest.raises(PartlySeen, match="tgw-rtb-0000") as caught:
        await cloud.source.collect()
    seen = {item.key for item in caught.value.seen}
    assert {(Kind.SESSION_THERE, DX_1), (Kind.CIRCUIT, VPN_2)} <= seen
    assert (Kind.CLOUD_ROUTES, "aws") not in seen


OPERATIONS = {
    "DescribeConnections": (Kind.CIRCUIT, DX_1),
    "DescribeVirtualInterfaces": (Kind.SESSION_THERE, DX_1),
    "ListVirtualInterfaceRoutes": (Kind.ACCEPTED, DX_1),
    "DescribeVpnConnections": (Kind.CIRCUIT, VPN_1),
    "DescribeTransitGatewayAttachments": (Kind.ATTACHMENT, VPN_1),
    "GetTransitGatewayRouteTablePropagations": (Kind.ATTACHMENT, VPN_1),
    "GetTransitGatewayRouteTableAssociations": (Kind.ATTACHMENT, VPN_1),
    "DescribeTransitGateways": (Kind.ATTACHMENT, VPN_1),
    "DescribeDirectConnectGateways": (Kind.ATTACHMENT, DX_1),
    "DescribeDirectConnectGatewayAssociations": (Kind.ATTACHMENT, DX_1),
    "DescribeDirectConnectGatewayAttachments": (Kind.ATTACHMENT, DX_1),
    "SearchTransitGatewayRoutes": (Kind.CLOUD_ROUTES, "aws"),
    "ListVirtualInterfaceTestHistory": (Kind.FAILOVER_TESTS, "aws"),
    "ListMetrics": (Kind.OPTICS, "dx-1"),
    "GetMetricData": (Kind.LOAD, "vpn-aws-1"),
    "GetVpnTunnelReplacementStatus": (Kind.EVENTS, "aws"),
    "DescribeEvents": (Kind.EVENTS, "aws"),
    "DescribeAffectedEntities": (Kind.EVENTS, "aws"),
}


async def test_a_poll_asks_every_operation_and_each_has_its_fact(cloud: Cloud) -> None:
    cloud.told.add("aws", "maintenance", ["dx-1"], in_s=3600, lasts_s=3600)
    seen = await cloud.collect()
    assert set(OPERATIONS) == set(cloud.habits.asked)
    assert set(OPERATIONS.values()) <= set(seen)


async def test_an_operation_that_is_refused_is_named_and_leaves_the_rest(cloud: Cloud) -> None:
    cloud.told.add("aws", "maintenance", ["dx-1"], in_s=3600, lasts_s=3600)
    for operation, key in OPERATIONS.items():
        cloud.habits.refused = {operation: AwsError("AccessDeniedException", "not authorized", 400)}
        caught = await partly(cloud)
        assert {type(error) for error in caught.errors} == {Denied}, operation
        seen = {item.key for item in caught.seen}
        assert key not in seen, operation
        assert seen & {(Kind.CIRCUIT, DX_1), (Kind.CIRCUIT, VPN_1)}, operation
        assert ((Kind.SESSION_THERE, DX_1) in seen) == (operation != "DescribeVirtualInterfaces"), operation


async def test_a_throttled_operation_slows_the_source_and_the_rest_is_seen(cloud: Cloud) -> None:
    cloud.habits.refused = {"DescribeVpnConnections": AwsError("RequestLimitExceeded", "Request limit exceeded.", 503)}
    caught = await partly(cloud)
    assert [type(error) for error in caught.errors] == [Throttled]
    cloud.habits.refused = {"ListMetrics": AwsError("ThrottlingException", "Rate exceeded", 400)}
    caught = await partly(cloud)
    assert [type(error) for error in caught.errors] == [Throttled]
    cloud.habits.refused = {}
    assert {(Kind.CIRCUIT, VPN_1), (Kind.OPTICS, "dx-1")} <= set(await cloud.collect())


async def partly(cloud: Cloud) -> PartlySeen:
    """The failure of a poll that reads everything."""
    for part in cloud.source.seldom:
        part.forget()
    with pytest.raises(PartlySeen) as caught:
        await cloud.source.collect()
    return caught.value


ODD: list[tuple[str, dict[str, Any]]] = [
    ("DescribeConnections", {"connections": "none"}),
    ("DescribeConnections", {}),
    ("DescribeVirtualInterfaces", {"virtualInterfaces": [{"virtualInterfaceId": "dxvif-fg000001"}]}),
    ("ListVirtualInterfaceRoutes", {"routes": [{"cidr": "somewhere"}]}),
    ("ListVirtualInterfaceTestHistory", {"virtualInterfaceTestHistory": [{"startTime": "yesterday"}]}),
    ("GetMetricData", {"MetricDataResults": [{"Id": "q0", "Timestamps": ["x"], "Values": ["y"]}]}),
    ("DescribeEvents", {"events": [{"arn": None}]}),
    ("SearchTransitGatewayRoutes", {"routeSet": [{"destinationCidrBlock": "10.10.0.0/99"}]}),
    ("GetVpnTunnelReplacementStatus", {"vpnConnectionId": "vpn-1"}),
]


async def test_an_answer_of_another_shape_is_a_bad_reply_and_never_nothing(cloud: Cloud) -> None:
    for operation, answer in ODD:
        cloud.habits.odd = {operation: answer}
        caught = await partly(cloud)
        assert {type(error) for error in caught.errors} == {BadReply}, (operation, answer)
        assert OPERATIONS[operation] not in {item.key for item in caught.seen}, (operation, answer)


async def test_everything_is_read_page_by_page(cloud: Cloud) -> None:
    cloud.told.add("aws", "maintenance", ["dx-1", "dx-2"], in_s=3600, lasts_s=3600)
    cloud.told.add("aws", "outage", ["dx-2"], in_s=0, lasts_s=3600)
    days = (datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2))
    cloud.habits.tests = [VifTest("dxvif-fg000001", day, 5, "Completed") for day in days]
    whole = await cloud.anew()
    cloud.habits.page = 1
    before = cloud.habits.asked["DescribeAffectedEntities"]
    paged = await cloud.anew()
    assert {key: item.fact for key, item in paged.items()} == {key: item.fact for key, item in whole.items()}
    assert cloud.habits.asked["DescribeAffectedEntities"] - before == 2 * 6, "six ids, on a page each"


async def test_light_encryption_and_load_are_seen(cloud: Cloud) -> None:
    cloud.habits.encrypted = {"dx-1": True, "dx-2": False}
    cloud.world.down = {"dx-2"}
    seen = await cloud.collect()
    assert seen[Kind.OPTICS, "dx-1"].fact == Optics(rx_dbm=-3.5, tx_dbm=-2.8, macsec=True)
    assert seen[Kind.OPTICS, "dx-2"].fact == Optics(rx_dbm=-40.0, tx_dbm=-40.0, macsec=False)
    circuit = seen[Kind.CIRCUIT, DX_2].fact
    assert circuit == Circuit(up=False, state="connection down, MACsec down (should_encrypt)", degraded=True)
    load = seen[Kind.LOAD, "vpn-aws-1"].fact
    assert isinstance(load, Load)
    assert (round(load.p95_mbps), load.days) == (3, 7.0)


async def test_a_flap_between_two_polls_is_seen_in_the_minimum(cloud: Cloud) -> None:
    assert (await cloud.collect())[Kind.SESSION_THERE, DX_1].fact.down_at is None  # type: ignore[attr-defined]
    flapped = datetime.now(UTC) - timedelta(minutes=6)
    cloud.world.started = flapped
    fact = (await cloud.anew())[Kind.SESSION_THERE, DX_1].fact
    assert isinstance(fact, SessionThere)
    assert fact.up
    assert fact.down_at is not None
    assert flapped - timedelta(minutes=5) < fact.down_at <= flapped
    assert fact.advertised == 2


async def test_a_count_that_cannot_be_read_is_taken_from_the_metrics_with_its_time(cloud: Cloud) -> None:
    await cloud.collect()
    gone = AwsError("DirectConnectClientException", "Virtual Interface dxvif-fg000001 could not be found.")
    cloud.habits.refused["ListVirtualInterfaceRoutes"] = gone  # two views of one moment may disagree
    with pytest.raises(PartlySeen, match="could not be found") as caught:
        await cloud.source.collect()
    (fact,) = [item.fact for item in caught.value.seen if item.key == (Kind.SESSION_THERE, DX_1)]
    assert isinstance(fact, SessionThere)
    assert (fact.up, fact.received) == (True, 3)
    assert "prefixes as of" in fact.state


async def test_a_running_failover_test_holds_the_session_neither_up_nor_down(cloud: Cloud) -> None:
    begun = datetime.now(UTC) - timedelta(minutes=1)
    cloud.habits.tests = [VifTest("dxvif-fg000001", begun, 10, "IN_PROGRESS")]
    cloud.world.down = {"bgp aws/dx-1"}
    seen = await cloud.collect()
    assert seen[Kind.SESSION_THERE, DX_1].fact == SessionThere(False, "down, VIF testing", received=0, known=False)
    tests = seen[Kind.FAILOVER_TESTS, "aws"].fact
    assert isinstance(tests, FailoverTests)
    assert [(test.path, test.running) for test in tests.tests] == [(DX_1, True)]
    assert tests.tests[0].ends == begun + timedelta(minutes=10)


async def test_a_blackhole_of_the_transit_gateway_is_a_hole_in_the_way_back(cloud: Cloud) -> None:
    cloud.habits.blackholes = ["10.10.9.0/24"]
    fact = (await cloud.collect())[Kind.CLOUD_ROUTES, "aws"].fact
    assert isinstance(fact, CloudRoutes)
    assert {route.prefix: route.via for route in fact.routes}["10.10.9.0/24"] == ()


async def events_of(cloud: Cloud) -> dict[tuple[str, ...], tuple[str, str, bool]]:
    fact = (await cloud.collect())[Kind.EVENTS, "aws"].fact
    assert isinstance(fact, Events)
    return {event.touches: (event.kind, event.state, event.emergency) for event in fact.events}


async def test_what_aws_announces_is_an_event_of_the_sites_own_things(cloud: Cloud) -> None:
    assert await events_of(cloud) == {}
    cloud.source.forget()
    cloud.told.add("aws", "maintenance", ["dx-1"], in_s=3600, lasts_s=14400)
    cloud.told.add("aws", "maintenance", ["vpn-aws-1"], in_s=0, lasts_s=600, emergency=True)
    cloud.told.add("aws", "outage", ["aws"], in_s=0, lasts_s=600)
    cloud.told.add("megaport", "outage", ["dx-2"], in_s=0, lasts_s=600)
    assert await events_of(cloud) == {
        ("dx-1",): ("maintenance", "announced", False),
        ("vpn-aws-1",): ("maintenance", "running", True),
        ("aws",): ("outage", "running", False),
    }
    cloud.source.forget()
    cloud.told.end(1)
    assert ("dx-1",) not in await events_of(cloud)


async def test_an_account_without_health_is_told_once_and_still_sees_waiting_tunnel_maintenance(cloud: Cloud) -> None:
    cloud.habits.support_plan = False
    cloud.told.add("aws", "maintenance", ["vpn-aws-2"], in_s=3600, lasts_s=3600)
    with pytest.raises(PartlySeen, match="SubscriptionRequiredException") as caught:
        await cloud.source.collect()
    assert "health: false" in str(caught.value)
    assert (Kind.EVENTS, "aws") in {item.key for item in caught.value.seen}
    for _ in range(2):
        cloud.source.forget()
        assert await events_of(cloud) == {("vpn-aws-2",): ("maintenance", "announced", False)}
    assert cloud.habits.asked["DescribeEvents"] == 1


async def test_a_site_that_says_so_never_asks_health() -> None:
    cloud = Cloud()
    await cloud.start(health=False)
    cloud.habits.support_plan = False
    assert await events_of(cloud) == {}
    assert cloud.habits.asked["DescribeEvents"] == 0
    await cloud.source.close()
    await cloud.gate.stop()


async def test_outside_a_lab_slow_things_are_asked_seldom_and_at_once_when_something_changed() -> None:
    cloud = Cloud()
    await cloud.start(mode="live")
    for _ in range(3):
        await cloud.collect()
    assert (cloud.habits.asked["DescribeConnections"], cloud.habits.asked["ListMetrics"]) == (3, 1)
    cloud.source.forget()
    assert (Kind.OPTICS, "dx-1") in await cloud.collect()
    assert cloud.habits.asked["ListMetrics"] == 2
    await cloud.source.close()
    await cloud.gate.stop()


async def test_a_service_that_hangs_holds_up_neither_the_poll_nor_the_others(cloud: Cloud) -> None:
    await cloud.collect()
    cloud.silent = {"AWSHealth_20160804"}
    cloud.source.forget()
    for part in cloud.source.seldom:
        part.patience_s = PATIENCE_S
    cloud.source._calls._deadline_s = SHORT_S
    seen = await cloud.collect()
    assert cloud.events.going_on, "the poll did not wait for the hanging call"
    assert {(Kind.CIRCUIT, DX_1), (Kind.CLOUD_ROUTES, "aws")} <= set(seen)
    assert (Kind.EVENTS, "aws") not in seen
    await asyncio.wait_for(cloud.left_waiting.wait(), PATIENT_S)
    cloud.source._calls._deadline_s = cloud.events.patience_s = PATIENT_S
    with pytest.raises(PartlySeen, match="describe_events: no answer within") as caught:
        await cloud.source.collect()
    assert (Kind.CIRCUIT, DX_1) in {item.key for item in caught.value.seen}


HOSTILE = {
    "AWS_PROFILE": "no-such-profile",
    "AWS_DEFAULT_PROFILE": "no-such-profile",
    "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
    "AWS_ENDPOINT_URL_EC2": "http://127.0.0.1:1",
    "AWS_ENDPOINT_URL_DIRECT_CONNECT": "http://127.0.0.1:1",
    "AWS_ENDPOINT_URL_CLOUDWATCH": "http://127.0.0.1:1",
    "AWS_ENDPOINT_URL_HEALTH": "http://127.0.0.1:1",
    "AWS_ACCESS_KEY_ID": "AKIAAMBIENT000000000",
    "AWS_SECRET_ACCESS_KEY": "ambient",
    "AWS_SESSION_TOKEN": "ambient",
    "AWS_DEFAULT_REGION": "us-west-1",
    "AWS_REGION": "us-west-1",
    "AWS_CA_BUNDLE": "/no/such/bundle",
    "AWS_USE_FIPS_ENDPOINT": "true",
    "AWS_USE_DUALSTACK_ENDPOINT": "true",
    "AWS_MAX_ATTEMPTS": "0",
    "AWS_RETRY_MODE": "no-such-mode",
    "AWS_DATA_PATH": "/no/such/models",
    "HTTP_PROXY": "http://127.0.0.1:1",
    "http_proxy": "http://127.0.0.1:1",
}


async def test_the_ambient_environment_of_aws_tools_is_shut_out(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\nregion = us-west-1\nendpoint_url = http://127.0.0.1:1\nretry_mode = no-such-mode\n")
    credentials = tmp_path / "credentials"
    credentials.write_text("[default]\naws_access_key_id = AKIAAMBIENT000000000\naws_secret_access_key = ambient\n")
    files = {"AWS_CONFIG_FILE": str(config), "AWS_SHARED_CREDENTIALS_FILE": str(credentials)}
    for name, value in {**HOSTILE, **files}.items():
        monkeypatch.setenv(name, value)
    seen = await cloud.collect()
    assert {(Kind.CIRCUIT, VPN_1), (Kind.OPTICS, "dx-1"), (Kind.EVENTS, "aws")} <= set(seen)


async def test_broken_files_of_aws_tools_are_never_read(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / ".aws").mkdir()
    for name in ("config", "credentials"):
        (tmp_path / ".aws" / name).write_text("[[[ not a file of AWS")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert (Kind.CIRCUIT, VPN_1) in await cloud.collect()


def test_boto3_is_not_imported_before_the_first_call() -> None:
    code = "import sys, connectors.aws; print(sorted({'boto3', 'botocore'} & set(sys.modules)))"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env={**os.environ}, timeout=30
    )
    assert ran.stdout.strip() == "[]"


async def test_a_list_that_lags_proves_nothing_gone_while_the_vifs_routes_are_told(cloud: Cloud) -> None:
    cloud.habits.unlisted = {"dxvif-fg000002"}
    seen = await cloud.collect()
    assert seen[Kind.SESSION_THERE, DX_2].fact == SessionThere(up=False, state="VIF not listed", known=False)
    gone = AwsError("DirectConnectClientException", "Virtual Interface dxvif-fg000002 could not be found.")
    cloud.habits.refused["ListVirtualInterfaceRoutes"] = gone
    caught = await partly(cloud)
    (fact,) = [item.fact for item in caught.seen if item.key == (Kind.SESSION_THERE, DX_2)]
    assert fact == SessionThere(up=False, state="VIF absent")
