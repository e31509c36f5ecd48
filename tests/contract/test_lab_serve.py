import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lab.faults import FaultError, FaultGate
from lab.serve import Served, quiet_server


def refuse(request: Request, status: int) -> Response:
    return JSONResponse({"refused": status}, status)


class Counted:
    def __init__(self) -> None:
        self.writes = 0
        self.app = Starlette(routes=[Route("/", self.answer, methods=["GET", "POST", "PUT"])])

    async def answer(self, request: Request) -> Response:
        body = await request.body()
        self.writes += bool(body)
        return JSONResponse({"ok": True, "writes": self.writes})


class Watched(FaultGate):
    """Counts the requests that have come to it."""

    came = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.came += 1
        await super().__call__(scope, receive, send)

    async def meet(self, coming: int) -> None:
        await until(lambda: self.came >= coming, f"{coming} requests have come")


#: Long for everything but an answer: a fault is met by waiting for one.
IMPATIENT = httpx.Timeout(30, read=0.2)


@pytest.fixture
async def counted() -> Counted:
    return Counted()


@pytest.fixture
async def gate(counted: Counted) -> AsyncIterator[Watched]:
    gate = Watched("thing", counted.app, refuse, slow_s=0.3)
    await gate.start()
    yield gate
    await gate.stop()


@pytest.fixture
async def client(gate: FaultGate) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=gate.address, timeout=30, trust_env=False) as client:
        yield client


async def until(condition: Callable[[], bool], what: str, seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        await asyncio.sleep(0.01)


@pytest.mark.alone
async def test_a_stopped_server_refuses_and_starts_again_on_its_port(counted: Counted) -> None:
    served = Served("thing", counted.app)
    await served.start()
    address = served.address
    await served.start()
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        assert (await client.get(address)).json()["ok"]
        await served.stop()
        with pytest.raises(httpx.ConnectError):
            await client.get(address)
        await served.start()
        assert served.address == address
        assert (await client.get(address)).json()["ok"]
    started = time.monotonic()
    await served.stop()
    assert time.monotonic() - started < 1


def test_an_idle_connection_is_kept_for_longer_than_its_client_keeps_it(counted: Counted) -> None:
    expiry_s = httpx.Limits().keepalive_expiry
    assert expiry_s is not None
    assert quiet_server(counted.app).config.timeout_keep_alive > 2 * expiry_s


async def test_down_refuses_kept_alive_connections_too_and_holds_the_port(
    gate: FaultGate, client: httpx.AsyncClient
) -> None:
    assert (await client.get("/")).status_code == 200
    await gate.set("down")
    with pytest.raises(httpx.TransportError):
        await client.get("/")
    with pytest.raises(httpx.ConnectError):
        await client.get("/")
    port = int(gate.address.rpartition(":")[2])
    with socket.socket() as thief, pytest.raises(OSError, match="in use"):
        thief.bind(("127.0.0.1", port))
    await gate.set("down")
    await gate.set("none")
    assert (await client.get("/")).status_code == 200


async def test_hang_is_silent_and_a_request_that_hung_is_never_carried_out(
    gate: Watched, client: httpx.AsyncClient, counted: Counted
) -> None:
    assert (await client.get("/")).status_code == 200
    await gate.set("hang")
    with pytest.raises(httpx.ReadTimeout):
        await client.post("/", content=b"write", timeout=IMPATIENT)
    waiting = asyncio.create_task(client.post("/", content=b"write"))
    await gate.meet(3)
    assert not waiting.done()
    await gate.set("none")
    with pytest.raises(httpx.TransportError):
        await waiting
    assert (await client.get("/")).json() == {"ok": True, "writes": 0}


@pytest.mark.alone
async def test_stopping_while_a_request_hangs_is_quick_and_quiet(
    counted: Counted, caplog: pytest.LogCaptureFixture
) -> None:
    gate = Watched("thing", counted.app, refuse)
    await gate.start()
    await gate.set("hang")
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        waiting = asyncio.create_task(client.get(gate.address))
        await gate.meet(1)
        started = time.monotonic()
        await gate.stop()
        assert time.monotonic() - started < 1
        with pytest.raises(httpx.TransportError):
            await waiting
    assert caplog.records == []


async def test_slow_answers_late_and_a_write_lands_although_its_caller_left(
    gate: FaultGate, client: httpx.AsyncClient, counted: Counted
) -> None:
    await gate.set("slow")
    started = time.monotonic()
    assert (await client.get("/")).status_code == 200
    assert time.monotonic() - started >= 0.3
    with pytest.raises(httpx.ReadTimeout):
        await client.post("/", content=b"write", timeout=IMPATIENT)
    await until(lambda: counted.writes == 1, "the write landed after its caller gave up")


async def test_ending_slow_answers_at_once(counted: Counted) -> None:
    gate = Watched("thing", counted.app, refuse, slow_s=60)
    await gate.start()
    await gate.set("slow")
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        waiting = asyncio.create_task(client.get(gate.address))
        await gate.meet(1)
        assert not waiting.done()
        await gate.set("none")
        assert (await waiting).status_code == 200
    await gate.stop()


@pytest.mark.parametrize("status", [429, 500])
async def test_refusals_use_the_systems_own_envelope(gate: FaultGate, client: httpx.AsyncClient, status: int) -> None:
    assert (await client.get("/")).status_code == 200
    await gate.set(str(status))
    answer = await client.get("/")
    assert (answer.status_code, answer.json()) == (status, {"refused": status})
    assert answer.headers.get("Retry-After") == ("2" if status == 429 else None)
    await gate.set("none")
    assert (await client.get("/")).status_code == 200


async def test_a_storm_begins_with_the_first_write_which_is_taken(
    gate: FaultGate, client: httpx.AsyncClient, counted: Counted
) -> None:
    await gate.set("storm")
    assert (await client.get("/")).status_code == 200
    assert (await client.put("/", content=b"write")).json() == {"ok": True, "writes": 1}
    assert (await client.get("/")).status_code == 429
    assert (await client.put("/", content=b"write")).status_code == 429
    assert counted.writes == 1
    await gate.set("none")
    assert (await client.get("/")).status_code == 200


async def test_garbage_is_html_with_status_200(gate: FaultGate, client: httpx.AsyncClient) -> None:
    await gate.set("garbage")
    answer = await client.get("/")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    with pytest.raises(json.JSONDecodeError):
        answer.json()


async def test_sealed_calls_back_on_the_way_in_and_out_and_only_where_there_is_a_seal(
    counted: Counted, gate: FaultGate
) -> None:
    with pytest.raises(FaultError, match="thing cannot have the fault 'sealed'"):
        await gate.set("sealed")
    seen: list[bool] = []

    async def seal(sealed: bool) -> None:
        seen.append(sealed)

    vault = FaultGate("vault", counted.app, refuse, seal=seal)
    await vault.start()
    for fault in ("500", "sealed", "sealed", "none"):
        await vault.set(fault)
    await vault.stop()
    assert seen == [True, False]


async def test_an_unknown_fault_names_the_nearest(gate: FaultGate) -> None:
    with pytest.raises(FaultError, match="did you mean 'garbage'"):
        await gate.set("garbag")
    assert gate.fault == "none"
