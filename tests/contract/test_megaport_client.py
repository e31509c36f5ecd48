"""The fabric's refusals over a real server: which of them mean wait, which mean wrong."""

from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.errors import BadReply, Denied, InterlockError, NotFound, Throttled, Unreachable
from connectors.http import Bearer, Token
from connectors.megaport_budget import Budget
from connectors.megaport_client import BadRequest, Lane
from lab.serve import Served


class Server:
    def __init__(self) -> None:
        self.reply, self.budget = Response(), Budget()
        self.served = Served("fabric", Starlette(routes=[Route("/thing", self._answer)]))

    async def _answer(self, _: Request) -> Response:
        return self.reply

    def lane(self) -> Lane:
        async def token() -> Token:
            return Token("token", float("inf"))

        return Lane(self.served.address, 30.0, Bearer(token), self.budget, keep=0)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    await made.served.start()
    yield made
    await made.served.stop()


@pytest.mark.parametrize(
    ("status", "said", "error"),
    [
        (400, "Rate limit exceeded for this service", Throttled),
        (403, "You have reached the limit of updates", Throttled),
        (400, "Too many requests", Throttled),
        (429, "slow down", Throttled),
        (400, "rateLimit must be a positive number", BadRequest),
        (400, "Could not find a service with UID 1234", NotFound),
        (403, "Only the A end owner may do that", Denied),
        (404, "Not found", NotFound),
        (500, "Internal server error", BadReply),
        (503, "Maintenance", Unreachable),
    ],
)
async def test_a_refusal_has_the_name_of_what_it_means_and_its_trace(
    server: Server, status: int, said: str, error: type[InterlockError]
) -> None:
    body = {"message": said, "data": None, "trace_id": "0af7651916cd43dd"}
    server.reply = JSONResponse(body, status, {"Retry-After": "40"})
    lane = server.lane()
    with pytest.raises(InterlockError, match=said) as caught:
        await lane.get("/thing")
    assert type(caught.value) is error
    assert "(trace 0af7651916cd43dd)" in str(caught.value)
    if isinstance(caught.value, Throttled):
        assert caught.value.retry_after_s == 30
        with pytest.raises(Throttled, match=rf"nothing was sent: .* s more with HTTP {status} {said}"):
            await lane.get("/thing")
    assert server.budget.limit - server.budget.left(0.0) == 1
    await lane.close()


@pytest.mark.parametrize("body", ["{}", '{"data": null}', "[]", '"text"', '{"message": "cut', "<html>", ""])
async def test_what_has_no_data_is_a_bad_reply_never_an_empty_one(server: Server, body: str) -> None:
    server.reply = Response(body, media_type="application/json")
    lane = server.lane()
    with pytest.raises(BadReply):
        await lane.data("/thing")
    await lane.close()


async def test_every_repeat_counts(server: Server) -> None:
    server.reply = JSONResponse({}, 503)
    lane = server.lane()
    with pytest.raises(Unreachable):
        await lane.get("/thing")
    assert server.budget.limit - server.budget.left(0.0) == 3
    await lane.close()
