"""The Azure source over the lab's Azure."""

import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors import azure_lro
from connectors.azure import AzureSource
from connectors.azure_lro import ForeignPollAddress
from connectors.errors import BadReply, Denied, InterlockError, Throttled, TimedOut, Unreachable
from connectors.http import Bearer, JsonApi, Token
from connectors.ports import PartlySeen
from lab.azure import AzureLab
from lab.faults import FaultGate
from lab.serve import Served
from lab.telemetry import Telemetry
from network.observation import (
    Advertised,
    Attachment,
    Circuit,
    CloudRoutes,
    HubPreference,
    Kind,
    Observation,
    SessionThere,
)
from tests.contract.fake_world import World, reference

SITE = reference()
PRIMARY, SECONDARY = "azure/er-primary", "azure/er-secondary"
PATHS = {path.name for path in SITE.paths_of("azure")}


@dataclass(frozen=True)
class Secret:
    client_id: str = "app-1"
    client_secret: str = "secret-of-azure"


class Cloud:
    """The lab's Azure behind its fault gate, and a source that polls it."""

    def __init__(self, *, gateway_hops: bool) -> None:
        self.world, self.fetched, self.secret = World(SITE), 0, Secret()
        self.lab = AzureLab(SITE, self.world, self._valid, Telemetry(SITE), gateway_hops=gateway_hops)
        self.gate = FaultGate("azure", self.lab.app, self.lab.refuse)
        self.source: AzureSource

    def _valid(self, client_id: str, client_secret: str) -> bool:
        return (client_id, client_secret) == ("app-1", "secret-of-azure")

    async def credentials(self) -> Secret:
        self.fetched += 1
        return self.secret

    async def start(self) -> None:
        await self.gate.start()
        system = {"address": self.gate.address, "token_address": self.gate.address}
        systems = SITE.systems.model_copy(update={"azure": SITE.systems.azure.model_copy(update=system)})
        site = SITE.model_copy(update={"systems": systems})
        self.source = AzureSource(site, lambda: datetime.now(UTC), self.credentials)

    async def collect(self) -> dict[tuple[Kind, str], Observation]:
        self.source.forget()
        return {item.key: item for item in await self.source.collect()}

    async def way_back(self) -> tuple[str, ...]:
        fact = (await self.collect())[Kind.CLOUD_ROUTES, "azure"].fact
        assert isinstance(fact, CloudRoutes)
        assert fact.basis == "table"
        return next(route.via for route in fact.routes if route.prefix == "10.10.0.0/16")


@pytest.fixture
def gateway_hops() -> bool:
    return False


@pytest.fixture
async def cloud(gateway_hops: bool) -> AsyncIterator[Cloud]:
    made = Cloud(gateway_hops=gateway_hops)
    await made.start()
    yield made
    await made.source.close()
    await made.gate.stop()


async def test_a_cold_poll_sees_every_layer_of_every_path_within_a_second(cloud: Cloud) -> None:
    began = time.monotonic()
    seen = await cloud.collect()
    assert time.monotonic() - began < 1
    for kind in (Kind.CIRCUIT, Kind.SESSION_THERE, Kind.ATTACHMENT):
        assert {name: seen[kind, name].fact.up for name in PATHS} == dict.fromkeys(PATHS, True)  # type: ignore[attr-defined] # each of the three kinds of fact has `up`
    assert seen[Kind.HUB_PREFERENCE, "azure"].fact == HubPreference("ExpressRoute")
    accepted = seen[Kind.ACCEPTED, SECONDARY].fact
    assert isinstance(accepted, Advertised)
    assert {route.prefix: route.as_path for route in accepted.routes} == {
        "10.10.0.0/16": (65010, 65010, 65010),
        "10.11.0.0/16": (65010, 65010, 65010),
        "10.10.255.2/32": (65010, 65010, 65010),
    }
    session = seen[Kind.SESSION_THERE, PRIMARY]
    assert isinstance(session.fact, SessionThere)
    assert (session.fact.state, session.fact.received) == ("Established", 3)
    assert session.evidence.endswith("/peerings/AzurePrivatePeering/routeTablesSummary/primary")
    assert (session.source, session.fresh_s) == ("azure", 11.0)


async def test_no_secret_that_azure_shows_is_kept(cloud: Cloud) -> None:
    kept = " ".join(item.raw for item in (await cloud.collect()).values())
    assert cloud.lab.secrets
    assert not [secret for secret in cloud.lab.secrets if secret in kept]


async def test_a_dead_link_shows_in_its_circuit_and_session_and_moves_the_way_back(cloud: Cloud) -> None:
    assert await cloud.way_back() == (PRIMARY,)
    cloud.world.down = {"er-primary"}
    seen = await cloud.collect()
    circuit, session = seen[Kind.CIRCUIT, PRIMARY].fact, seen[Kind.SESSION_THERE, PRIMARY].fact
    assert isinstance(circuit, Circuit)
    assert isinstance(session, SessionThere)
    assert (circuit.up, circuit.state.rpartition(", ")[2]) == (False, "layer 2 incomplete")
    assert (session.up, session.state) == (False, "Idle")
    assert seen[Kind.CIRCUIT, SECONDARY].fact.up  # type: ignore[attr-defined] # a Circuit
    assert seen[Kind.ACCEPTED, PRIMARY].fact == Advertised(())
    assert await cloud.way_back() == (SECONDARY,)


async def test_a_dead_tunnel_and_a_dead_session_on_a_live_tunnel(cloud: Cloud) -> None:
    cloud.world.down = {"vpn-azure-1", "bgp azure/vpn-2"}
    seen = await cloud.collect()
    assert seen[Kind.CIRCUIT, "azure/vpn-1"].fact == Circuit(up=False, state="NotConnected")
    assert seen[Kind.ATTACHMENT, "azure/vpn-1"].fact == Attachment(up=True, state="Succeeded")
    assert seen[Kind.CIRCUIT, "azure/vpn-2"].fact == Circuit(up=True, state="Connected")
    for name in ("azure/vpn-1", "azure/vpn-2"):
        assert seen[Kind.SESSION_THERE, name].fact == SessionThere(up=False, state="down", received=0)


@pytest.mark.parametrize("gateway_hops", [False, True], ids=["hops name connections", "hops name gateways"])
async def test_over_vpn_the_way_back_is_by_the_tunnels(cloud: Cloud) -> None:
    cloud.world.down = {"vxc-azure-a", "vxc-azure-b", "vpn-azure-1"}
    assert await cloud.way_back() == ("azure/vpn-2",)


async def test_a_drain_by_microsoft_is_seen_although_the_legs_own_table_is_shorter(cloud: Cloud) -> None:
    cloud.world.chosen_by_cloud["azure"] = {"10.10.0.0/16": (SECONDARY,)}
    assert await cloud.way_back() == (SECONDARY,)


async def test_the_tables_are_kept_between_polls_and_read_anew_when_something_changed(cloud: Cloud) -> None:
    first = {item.key: item for item in await cloud.source.collect()}
    again = {item.key: item for item in await cloud.source.collect()}
    assert again[Kind.CLOUD_ROUTES, "azure"] is first[Kind.CLOUD_ROUTES, "azure"]
    assert again[Kind.CIRCUIT, PRIMARY].at > first[Kind.CIRCUIT, PRIMARY].at
    assert (await cloud.collect())[Kind.CLOUD_ROUTES, "azure"].at > first[Kind.CLOUD_ROUTES, "azure"].at


async def test_a_revoked_token_is_replaced_once_for_all_calls(cloud: Cloud) -> None:
    await cloud.collect()
    cloud.lab.bearers.revoke_all()
    assert await cloud.collect()
    assert cloud.fetched == 2


async def test_a_wrong_secret_is_denied_and_not_told(cloud: Cloud) -> None:
    cloud.secret = Secret(client_secret="wrong-secret-value")
    with pytest.raises(Denied, match="invalid_client") as caught:
        await cloud.collect()
    assert "wrong-secret-value" not in str(caught.value)


@pytest.mark.parametrize(
    ("fault", "error"),
    [("down", Unreachable), ("hang", TimedOut), ("429", Throttled), ("500", BadReply), ("garbage", BadReply)],
)
async def test_every_fault_has_its_name(cloud: Cloud, fault: str, error: type[InterlockError]) -> None:
    await cloud.collect()
    cloud.source._api.deadline_s = 0.3
    await cloud.gate.set(fault)
    with pytest.raises(error, match="azure"):
        await cloud.collect()
    await cloud.gate.set("none")
    assert (Kind.CIRCUIT, PRIMARY) in await cloud.collect()


async def test_a_part_that_may_not_be_read_leaves_the_rest_readable(cloud: Cloud) -> None:
    cloud.source._side = cloud.source._side.model_copy(update={"hub": "another-hub"})
    with pytest.raises(PartlySeen, match="HTTP 404") as caught:
        await cloud.collect()
    seen = {item.key for item in caught.value.seen}
    assert (Kind.SESSION_THERE, PRIMARY) in seen
    assert (Kind.CLOUD_ROUTES, "azure") not in seen


class Operation:
    """A server whose one long-running operation answers as the test says."""

    def __init__(self) -> None:
        self.started: Response = Response(status_code=202)
        self.polls: list[Response] = []
        self.tokens: list[str] = []
        routes = [Route("/start", self._start, methods=["POST"]), Route("/poll", self._poll)]
        self.served = Served("lro", Starlette(routes=routes))

    async def _start(self, request: Request) -> Response:  # noqa: ARG002 -- starlette calls it so
        return self.started

    async def _poll(self, request: Request) -> Response:
        self.tokens.append(request.headers["authorization"])
        return self.polls.pop(0)

    async def run(self) -> object:
        async def fetch() -> Token:
            return Token("token-of-the-test", float("inf"))

        api = JsonApi("azure", self.served.address, 2.0, Bearer(fetch))
        try:
            return await azure_lro.run(api, "/start", {})
        finally:
            await api.close()


@pytest.fixture
async def operation() -> AsyncIterator[Operation]:
    made = Operation()
    await made.served.start()
    yield made
    await made.served.stop()


def accepted(**headers: str) -> Response:
    return Response(status_code=202, headers={name.replace("_", "-"): value for name, value in headers.items()})


async def test_a_result_that_is_there_at_once_is_taken(operation: Operation) -> None:
    operation.started = JSONResponse({"value": [1]})
    assert await operation.run() == {"value": [1]}


async def test_a_location_alone_is_polled_until_it_has_a_body(operation: Operation) -> None:
    operation.started = accepted(Location="/poll")
    operation.polls = [accepted(Retry_After="0.1"), JSONResponse({"value": []})]
    began = time.monotonic()
    assert await operation.run() == {"value": []}
    assert time.monotonic() - began >= 0.1
    assert operation.tokens == ["Bearer token-of-the-test"] * 2


async def test_without_a_location_the_result_is_in_the_operation(operation: Operation) -> None:
    operation.started = accepted(Azure_AsyncOperation=f"{operation.served.address}/poll")
    operation.polls = [
        JSONResponse({"status": "Running"}),
        JSONResponse({"status": "SUCCEEDED", "properties": {"output": {"value": [2]}}}),
    ]
    assert await operation.run() == {"value": [2]}


async def test_a_failed_operation_says_why(operation: Operation) -> None:
    operation.started = accepted(Azure_AsyncOperation="/poll", Location="/poll")
    operation.polls = [JSONResponse({"status": "failed", "error": {"code": "GatewayBusy"}})]
    with pytest.raises(BadReply, match="GatewayBusy"):
        await operation.run()


async def test_a_202_without_an_address_is_a_bad_reply(operation: Operation) -> None:
    with pytest.raises(BadReply, match="without an address"):
        await operation.run()


async def test_a_foreign_poll_address_gets_no_token(operation: Operation) -> None:
    other = Operation()
    await other.served.start()
    operation.started = accepted(Location=f"{other.served.address}/poll")
    with pytest.raises(ForeignPollAddress):
        await operation.run()
    assert other.tokens == []
    await other.served.stop()
