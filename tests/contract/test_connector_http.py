"""The shared HTTP piece over a real server: what is repeated, what is not, and what every failure is called."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from connectors.errors import BadReply, Denied, InterlockError, NotFound, Throttled, TimedOut, Unreachable
from connectors.http import JsonApi, loopback
from lab.serve import Served


class Server:
    """Answers with the test's replies, one after the other."""

    def __init__(self) -> None:
        self.replies: list[Response] = []
        self.asked: list[str] = []
        self.served = Served("http", Starlette(routes=[Route("/thing", self._answer, methods=["GET", "POST"])]))
        self.api: JsonApi

    async def _answer(self, request: Request) -> Response:
        self.asked.append(request.method)
        return self.replies.pop(0)


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    made = Server()
    await made.served.start()
    made.api = JsonApi("thing", made.served.address, 30.0)
    yield made
    await made.api.close()
    await made.served.stop()


def busy(status: int = 503, after: str = "0") -> Response:
    return Response(status_code=status, headers={"Retry-After": after})


async def test_a_get_is_repeated_twice_and_no_more(server: Server) -> None:
    server.replies = [busy(), busy(429), JSONResponse({"ok": 1})]
    assert await server.api.get("/thing") == {"ok": 1}
    server.replies = [busy(), busy(), busy(), JSONResponse({"ok": 1})]
    with pytest.raises(Unreachable, match="HTTP 503"):
        await server.api.get("/thing")
    assert server.asked == ["GET"] * 6


async def test_a_short_retry_after_is_waited_for(server: Server) -> None:
    server.replies = [busy(429, "0.2"), JSONResponse({})]
    began = time.monotonic()
    await server.api.get("/thing")
    assert time.monotonic() - began >= 0.2


async def test_a_long_retry_after_is_told_at_once(server: Server) -> None:
    server.replies = [busy(429, "30")]
    with pytest.raises(Throttled) as caught:
        await server.api.get("/thing")
    assert caught.value.retry_after_s == 30


async def test_a_post_is_never_repeated(server: Server) -> None:
    server.replies = [busy(), JSONResponse({})]
    with pytest.raises(Unreachable):
        await server.api.send("POST", "/thing")
    assert server.asked == ["POST"]


class Closing:
    """Answers once on each connection, and closes it without a word when it is asked again."""

    def __init__(self) -> None:
        self.asked: list[bytes] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):  # the client closed it first
            for answer in (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b""):
                self.asked.append((await reader.readuntil(b"\r\n\r\n")).partition(b" ")[0])
                writer.write(answer)
                await writer.drain()
        writer.close()


async def test_a_kept_connection_that_closes_under_a_question_is_replaced_for_a_get_and_never_for_a_write() -> None:
    closing = Closing()
    async with await asyncio.start_server(closing, "127.0.0.1", 0) as server:
        api = JsonApi("thing", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", 30.0)
        assert await api.get("/thing") == {}
        assert await api.get("/thing") == {}
        assert closing.asked == [b"GET", b"GET", b"GET"]
        with pytest.raises(Unreachable):
            await api.send("PUT", "/thing")
        assert closing.asked == [b"GET", b"GET", b"GET", b"PUT"]
        await api.close()


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, Denied), (403, Denied), (404, NotFound), (302, BadReply), (400, BadReply), (500, BadReply)],
)
async def test_a_status_has_its_error_with_the_systems_own_words(
    server: Server, status: int, error: type[InterlockError]
) -> None:
    server.replies = [JSONResponse({"error": {"code": "TheCode", "message": "the words"}}, status)]
    with pytest.raises(error, match=f"HTTP {status} TheCode: the words") as caught:
        await server.api.get("/thing", params={"key": "in-the-query"})
    assert caught.value.where == "thing /thing"


async def test_what_is_not_json_is_shown(server: Server) -> None:
    server.replies = [Response("<html>Please log in</html>", media_type="text/html")]
    with pytest.raises(BadReply, match="Please log in"):
        await server.api.get("/thing")


async def test_nobody_there_and_silence(server: Server) -> None:
    await server.served.stop(keep_port=True)
    with pytest.raises(Unreachable):
        await server.api.get("/thing")


async def test_a_call_ends_at_its_deadline(server: Server) -> None:
    server.api.deadline_s = 0.0
    with pytest.raises(TimedOut, match="no answer within 0 s"):
        await server.api.get("/thing")


def test_plain_http_is_for_loopback_alone() -> None:
    assert loopback("http://127.0.0.1:8201")
    assert loopback("http://[::1]/")
    assert not loopback("http://127.0.0.1.example.com")
    with pytest.raises(ValueError, match="must be https"):
        JsonApi("megaport", "http://api.megaport.com", 1)
