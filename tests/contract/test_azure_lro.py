"""Azure's long-running operations: whatever form their answers take, and never a token for another origin."""

import time
from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors import azure_lro
from connectors.azure_lro import ForeignPollAddress
from connectors.errors import BadReply, NotFound, Throttled
from connectors.http import Bearer, JsonApi, Token
from lab.serve import Served


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

    async def run(self, unknown_for_s: float = azure_lro.UNKNOWN_FOR_S) -> object:
        async def fetch() -> Token:
            return Token("token-of-the-test", float("inf"))

        api = JsonApi("azure", self.served.address, 30.0, Bearer(fetch))
        try:
            return await azure_lro.run(api, "/start", {}, unknown_for_s=unknown_for_s)
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


async def test_an_operation_that_is_not_known_everywhere_yet_is_asked_again(operation: Operation) -> None:
    operation.started = accepted(Azure_AsyncOperation="/poll", Location="/poll")
    unknown = JSONResponse({"error": {"code": "NotFound"}}, 404)
    operation.polls = [unknown, unknown, JSONResponse({"status": "Succeeded"}), unknown, JSONResponse({"value": [3]})]
    assert await operation.run() == {"value": [3]}


async def test_an_operation_that_stays_unknown_is_not_found(operation: Operation) -> None:
    operation.started = accepted(Location="/poll")
    operation.polls = [JSONResponse({"error": {"code": "NotFound"}}, 404)] * 99
    with pytest.raises(NotFound):
        await operation.run(unknown_for_s=0.2)
    assert len(operation.polls) < 98, "it is asked again before that is believed"


async def test_an_operation_is_not_given_up_after_one_poll_however_late_that_was(operation: Operation) -> None:
    operation.started = accepted(Location="/poll", Retry_After="0.3")
    operation.polls = [JSONResponse({"error": {"code": "NotFound"}}, 404), JSONResponse({"value": [5]})]
    assert await operation.run(unknown_for_s=0.2) == {"value": [5]}


async def test_a_throttled_poll_goes_on_within_the_deadline_and_is_told_beyond_it(operation: Operation) -> None:
    operation.started = accepted(Location="/poll")
    busy = JSONResponse({"error": {"code": "TooManyRequests"}}, 429, {"Retry-After": "1.1"})
    operation.polls = [busy, JSONResponse({"value": [4]})]
    began = time.monotonic()
    assert await operation.run() == {"value": [4]}
    assert time.monotonic() - began >= 1.1
    operation.polls = [JSONResponse({}, 429, {"Retry-After": "60"})]
    with pytest.raises(Throttled):
        await operation.run()


async def test_no_poll_comes_sooner_than_retry_after(operation: Operation) -> None:
    operation.started = accepted(Azure_AsyncOperation="/poll", Location="/poll", Retry_After="0.2")
    operation.polls = [JSONResponse({"status": "Succeeded"}), Response(status_code=200)]
    began = time.monotonic()
    assert await operation.run() == {}
    assert time.monotonic() - began >= 0.2
