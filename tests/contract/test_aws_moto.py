"""The connector's EC2 and CloudWatch calls against moto's server, which is not ours: the same facts as from our lab.

What moto 5.2.5 lacks or does otherwise (measured; a later one may differ):
- every Direct Connect call but connections, and all of Health: HTTP 500 with an HTML page, which is a BadReply here;
- GetVpnTunnelReplacementStatus: the same page in place of XML;
- DescribeVpnConnections has no VgwTelemetry: a tunnel of which nothing is known;
- SearchTransitGatewayRoutes leaves an active route's attachments out (a BadReply here: no way is not the same as a way
  that is not named), fails with HTTP 500 when MaxResults is given, and answers an unknown table with no routes;
- there is no attachment of a Direct Connect gateway, so those paths are compared by nothing.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from connectors.aws import AwsSource
from connectors.aws_transit import AttachmentReplies, parse_attachments
from connectors.errors import BadReply, InterlockError, NotFound
from lab.aws import AwsLab
from lab.faults import FaultGate
from lab.telemetry import Telemetry
from network.inventory import AwsSide, Site
from network.observation import Attachment, Circuit, CloudRoutes, Kind, Observation, Optics, SessionThere
from tests.contract.fake_world import World, reference

REGION = "eu-central-1"
STARTS_WITHIN_S = 60.0
VPN = ("aws/vpn-1", "aws/vpn-2")
LIGHT = {"Rx": -3.5, "Tx": -2.8}  # what the lab's worst lane shows


@dataclass(frozen=True)
class Secret:
    access_key: str = "ASIAMOTO000000000001"
    secret_key: str = "moto-secret-000000000"
    session_token: str = "moto-token-0000000000"


@pytest.fixture(scope="module")
def moto(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A moto server in a process of its own: imported, it would change botocore for every other test.

    It takes a free port itself and says which: one that is looked for first may be another's by then.
    """
    log = tmp_path_factory.mktemp("moto") / "log"
    command = [str(Path(sys.executable).with_name("moto_server")), "-H", "127.0.0.1", "-p", "0"]
    with log.open("wb") as said, subprocess.Popen(command, stdout=said, stderr=said) as server:
        yield address(log, server)
        server.kill()  # it would wait for the connections that clients keep


def address(log: Path, server: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < deadline:
        running = server.poll() is None
        if found := re.search(r"Running on (http://127\.0\.0\.1:\d+)", log.read_text(errors="replace")):
            return found[1]
        if not running:
            break
        time.sleep(0.05)
    server.kill()
    raise AssertionError(f"moto does not run after {STARTS_WITHIN_S:g} s: {log.read_text(errors='replace')[-600:]}")


def client(moto: str, service: str) -> Any:
    keys = Secret()
    return boto3.client(
        service, region_name=REGION, endpoint_url=moto, aws_access_key_id=keys.access_key,
        aws_secret_access_key=keys.secret_key, config=Config(proxies={}),
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(moto: str) -> Site:
    """The reference site with the ids that moto gave to its transit gateway, route table and VPN connections."""
    ec2 = client(moto, "ec2")
    gateway = ec2.create_transit_gateway(Options={"AmazonSideAsn": 64513})["TransitGateway"]
    tgw, table = gateway["TransitGatewayId"], gateway["Options"]["AssociationDefaultRouteTableId"]
    ids = {}
    for number, tunnel in enumerate(("vpn-aws-1", "vpn-aws-2"), 1):
        ours = ec2.create_customer_gateway(Type="ipsec.1", PublicIp=f"192.0.2.{number}", BgpAsn=65010)
        customer = ours["CustomerGateway"]["CustomerGatewayId"]
        made = ec2.create_vpn_connection(Type="ipsec.1", CustomerGatewayId=customer, TransitGatewayId=tgw)
        ids[tunnel] = made["VpnConnection"]["VpnConnectionId"]
    rows = ec2.describe_transit_gateway_attachments()["TransitGatewayAttachments"]
    for row in rows:
        one = {"TransitGatewayRouteTableId": table, "TransitGatewayAttachmentId": row["TransitGatewayAttachmentId"]}
        ec2.associate_transit_gateway_route_table(**one)
        ec2.enable_transit_gateway_route_table_propagation(**one)
    return changed(reference(), tgw_id=tgw, tgw_route_table=table, vpn_connection_ids=ids)


def changed(site: Site, address: str | None = None, **aws: object) -> Site:
    clouds = [c.model_copy(update={"aws": c.aws.model_copy(update=aws)}) if c.aws else c for c in site.clouds]
    system = site.systems.aws.model_copy(update={"address": address} if address else {})
    systems = site.systems.model_copy(update={"aws": system})
    return site.model_copy(update={"clouds": tuple(clouds), "systems": systems})


def side(site: Site) -> AwsSide:
    found = site.cloud("aws").aws
    assert found is not None
    return found


async def credentials() -> Secret:
    return Secret()


def source_of(site: Site, address: str) -> AwsSource:
    source = AwsSource(changed(site, address), lambda: datetime.now(UTC), credentials)
    source._calls._deadline_s = 30.0  # what is compared is what is said, not how soon
    return source


@pytest.fixture
async def theirs(site: Site, moto: str) -> AsyncIterator[AwsSource]:
    source = source_of(site, moto)
    yield source
    await source.close()


@pytest.fixture
def lab(site: Site) -> AwsLab:
    return AwsLab(site, World(site), {Secret().access_key: Secret().secret_key}.get, Telemetry(site))


@pytest.fixture
async def ours(site: Site, lab: AwsLab) -> AsyncIterator[AwsSource]:
    gate = FaultGate("aws", lab.app, lab.refuse)
    await gate.start()
    source = source_of(site, gate.address)
    yield source
    await source.close()
    await gate.stop()


async def ready(value: list[Observation]) -> list[Observation]:
    return value


async def attachments(tgw: AwsSource, direct: AwsSource, site: Site) -> dict[str, Attachment]:
    """The transit gateway's part from one, Direct Connect's from our lab: moto has none."""
    replies = await asyncio.gather(*tgw._tgw_questions(), *direct._dx_questions())
    found = parse_attachments(AttachmentReplies(*replies), None, site, site.cloud("aws"))
    return {each.name: each.fact for each in found if each.name in VPN}


async def test_attachments_associations_and_propagations_are_the_same_facts(
    theirs: AwsSource, ours: AwsSource, site: Site, moto: str
) -> None:
    wanted = dict.fromkeys(VPN, Attachment(up=True, state="available, associated, propagated"))
    assert await attachments(ours, ours, site) == await attachments(theirs, ours, site) == wanted
    ec2, table = client(moto, "ec2"), side(site).tgw_route_table
    rows = ec2.describe_transit_gateway_attachments()["TransitGatewayAttachments"]
    (first,) = [r for r in rows if r["ResourceId"] == side(site).vpn_connection_ids["vpn-aws-1"]]
    one = {"TransitGatewayRouteTableId": table, "TransitGatewayAttachmentId": first["TransitGatewayAttachmentId"]}
    ec2.disable_transit_gateway_route_table_propagation(**one)
    broken = await attachments(theirs, ours, site)
    ec2.enable_transit_gateway_route_table_propagation(**one)
    assert broken["aws/vpn-1"] == Attachment(up=False, state=f"propagation to {table} absent", degraded=True)
    assert broken["aws/vpn-2"] == wanted["aws/vpn-2"]


async def routes(source: AwsSource) -> CloudRoutes:
    (seen,) = await source._routes(ready([]), ready([]))
    assert isinstance(seen.fact, CloudRoutes)
    return seen.fact


async def test_the_route_search_finds_the_same_holes(
    theirs: AwsSource, ours: AwsSource, lab: AwsLab, site: Site, moto: str
) -> None:
    ec2, table = client(moto, "ec2"), side(site).tgw_route_table
    world = lab._ec2._facts
    assert isinstance(world, World)
    world.chosen_by_cloud["aws"] = {}
    assert await routes(theirs) == await routes(ours)
    for prefix in ("10.10.9.0/24", "10.99.0.0/16"):
        ec2.create_transit_gateway_route(DestinationCidrBlock=prefix, TransitGatewayRouteTableId=table, Blackhole=True)
        lab.habits.blackholes.append(prefix)
    found = await routes(theirs)
    assert found == await routes(ours)
    assert {route.prefix: route.via for route in found.routes} == {
        "10.10.0.0/16": (), "10.11.0.0/16": (), "10.10.9.0/24": (),
    }  # fmt: skip
    attachment = ec2.describe_transit_gateway_attachments()["TransitGatewayAttachments"][0]
    ec2.create_transit_gateway_route(
        DestinationCidrBlock="10.10.0.0/16",
        TransitGatewayRouteTableId=table,
        TransitGatewayAttachmentId=attachment["TransitGatewayAttachmentId"],
    )
    with pytest.raises(BadReply, match="without an attachment"):
        await routes(theirs)
    for prefix in ("10.10.9.0/24", "10.99.0.0/16", "10.10.0.0/16"):
        ec2.delete_transit_gateway_route(TransitGatewayRouteTableId=table, DestinationCidrBlock=prefix)


async def test_a_vpn_connection_without_telemetry_is_the_same_unknown(
    theirs: AwsSource, ours: AwsSource, lab: AwsLab, site: Site
) -> None:
    rows = [{"vpnConnectionId": vpn, "state": "available"} for vpn in side(site).vpn_connection_ids.values()]
    lab.habits.odd["DescribeVpnConnections"] = {"vpnConnectionSet": rows}
    seen = {item.key: item for item in await theirs._vpn()}
    assert {key: item.fact for key, item in seen.items()} == {item.key: item.fact for item in await ours._vpn()}
    unknown = Circuit(up=False, state="no telemetry", known=False)
    assert seen[Kind.CIRCUIT, VPN[0]].fact == unknown
    assert seen[Kind.SESSION_THERE, VPN[0]].fact == SessionThere(up=False, state="no telemetry", known=False)
    assert "pre_shared_key" not in " ".join(item.raw for item in seen.values())


async def test_an_id_that_does_not_exist_is_not_found_at_both(theirs: AwsSource, ours: AwsSource) -> None:
    for source in (theirs, ours):
        with pytest.raises(NotFound, match=r"InvalidVpnConnectionID\.NotFound"):
            await source._calls.rows("ec2", "describe_vpn_connections", "VpnConnections", VpnConnectionIds=["vpn-0"])


async def test_metrics_are_listed_asked_and_read_the_same(theirs: AwsSource, ours: AwsSource, moto: str) -> None:
    points = [
        {
            "MetricName": f"ConnectionLightLevel{way}",
            "Dimensions": [{"Name": "ConnectionId", "Value": f"dxcon-fg00000{number}"},
                           {"Name": "OpticalLaneNumber", "Value": str(lane)}],
            "Timestamp": datetime.now(UTC) - timedelta(minutes=age),
            "Value": dbm + (4 - lane) / 10,
        }
        for way, dbm in LIGHT.items() for number in (1, 2) for lane in (1, 2, 3, 4) for age in (6, 11)
    ]  # fmt: skip
    client(moto, "cloudwatch").put_metric_data(Namespace="AWS/DX", MetricData=points)
    seen = {item.key: item.fact for item in await theirs._metrics()}
    assert seen == {item.key: item.fact for item in await ours._metrics()}
    assert seen[Kind.OPTICS, "dx-1"] == Optics(rx_dbm=LIGHT["Rx"], tx_dbm=LIGHT["Tx"])


async def test_what_moto_lacks_is_a_bad_reply_and_never_nothing(theirs: AwsSource, site: Site) -> None:
    rows = theirs._calls.rows
    tunnel = {
        "VpnConnectionId": side(site).vpn_connection_ids["vpn-aws-1"],
        "VpnTunnelOutsideIpAddress": "203.0.113.1",
    }
    lacking = [
        rows("ec2", "get_vpn_tunnel_replacement_status", "", **tunnel),
        rows("directconnect", "describe_virtual_interfaces", "virtualInterfaces"),
        rows("directconnect", "list_virtual_interface_test_history", "virtualInterfaceTestHistory"),
        rows("directconnect", "describe_direct_connect_gateways", "directConnectGateways"),
        rows("health", "describe_events", "events"),
    ]
    answers = await asyncio.gather(*lacking, return_exceptions=True)
    assert [type(answer) for answer in answers] == [BadReply] * len(lacking)
    assert all(isinstance(answer, InterlockError) and answer.do_next for answer in answers)
