"""What a call meets before it meets a table: faults, headers, Basic authentication, error envelope."""

import asyncio
import base64
import binascii
import json
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from lab.servicenow.rules import RefusedError
from lab.servicenow.words import UnknownNameError

# Faults that know this API: for writes alone, or after they took effect. Those of any server (connection
# refused, slow) belong to the gate in front of it.
FAULTS = ("hang", "hang-after", "403", "429", "500", "error-200", "garbage")
Endpoint = Callable[[Request], Awaitable[Response]]


def failure(code: int, message: str, detail: str | None = None, **headers: str) -> JSONResponse:
    body = {"error": {"message": message, "detail": detail}, "status": "failure"}
    return JSONResponse(body, code, {name.replace("_", "-"): value for name, value in headers.items()})


def not_found() -> JSONResponse:
    return failure(404, "No Record found", "Record doesn't exist or ACL restricts the record retrieval")


class CallError(Exception):
    """A call that ends in an error answer."""

    def __init__(self, answer: Response) -> None:
        super().__init__(answer.status_code)
        self.answer = answer


def base_url(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"


async def body_of(request: Request) -> dict[str, Any]:
    """The JSON object of a write. Raises CallError 400 or 415."""
    kind = request.headers.get("content-type", "")
    if not kind:
        raise CallError(failure(400, "Bad Request", "Content-Type header is missing"))
    if "json" not in kind:
        raise CallError(failure(415, "Unsupported Media Type", f"Content-Type {kind} is not supported"))
    try:
        body = json.loads(await request.body() or b"{}")
    except ValueError as error:
        raise CallError(failure(400, "Exception while reading request", str(error))) from error
    if not isinstance(body, dict):
        raise CallError(failure(400, "Exception while reading request", "The payload is not an object"))
    return body


def guarded(endpoint: Endpoint) -> Endpoint:
    """Turn the named refusals of a handler into their answers."""

    async def call(request: Request) -> Response:
        try:
            return await endpoint(request)
        except CallError as error:
            return error.answer
        except RefusedError as error:
            return failure(403, "Operation Failed", str(error))

    return call


class Gate:
    """ASGI middleware: the fault that is switched on, then the Accept header, then Basic authentication."""

    def __init__(self, app: ASGIApp, user: str, password: str) -> None:
        self._app = app
        self._pair = f"{user}:{password}".encode()
        self._fault: str | None = None
        self._writes_only = False
        self._healed = asyncio.Event()

    def set_fault(self, fault: str | None, *, writes_only: bool) -> None:
        """Switch a fault on, or off with None. Calls that hang then end with a 503."""
        if fault is not None and fault not in FAULTS:
            raise UnknownNameError("fault", fault, FAULTS)
        self._fault, self._writes_only = fault, writes_only
        self._healed.set()
        self._healed = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        fault = None if self._writes_only and scope["method"] == "GET" else self._fault
        if fault in {"hang", "hang-after"}:
            await self._hang(scope, receive, send, takes_effect=fault == "hang-after")
            return
        answer = _faulty(fault, scope["method"]) or self._refused(Headers(scope=scope))
        await (answer or self._app)(scope, receive, send)

    async def _hang(self, scope: Scope, receive: Receive, send: Send, *, takes_effect: bool) -> None:
        """Accept and stay silent, until the client has gone or the fault is over."""

        async def swallow(_: Message) -> None:
            return

        healed = asyncio.ensure_future(self._healed.wait())
        if takes_effect and self._refused(Headers(scope=scope)) is None:
            await self._app(scope, receive, swallow)
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait((gone, healed), return_when=asyncio.FIRST_COMPLETED)
            if not gone.done():
                await failure(503, "Service Unavailable", "")(scope, receive, send)
        finally:
            gone.cancel()
            healed.cancel()

    def _refused(self, headers: Headers) -> Response | None:
        accept = headers.get("accept", "")
        if not accept:
            return failure(400, "Bad Request", "Accept header is missing")
        if "json" not in accept and "*/*" not in accept:
            return failure(406, "Not Acceptable", f"{accept} is not supported")
        if not self._knows(headers.get("authorization", "")):
            return failure(
                401,
                "User Not Authenticated",
                "Required to provide Auth information",
                WWW_Authenticate='BASIC realm="Service-now"',
            )
        return None

    def _knows(self, authorization: str) -> bool:
        scheme, _, token = authorization.partition(" ")
        try:
            pair = base64.b64decode(token, validate=True)
        except binascii.Error:
            return False
        return scheme.lower() == "basic" and secrets.compare_digest(pair, self._pair)


def _faulty(fault: str | None, method: str) -> Response | None:
    match fault:
        case "403" if method != "GET":
            rule = "Change freeze"
            stack = f"was aborted by Business Rule '{rule}^{'0' * 32}'. Business Rule Stack:{rule}"
            return failure(403, "Operation Failed", f"Operation against file 'change_request' {stack}")
        case "429":
            detail = "Rate limit of 100 requests per hour for Table API exceeded"
            headers = {
                "Retry_After": "30",
                "X_RateLimit_Limit": "100",
                "X_RateLimit_Reset": str(int(time.time()) + 30),
                "X_RateLimit_Rule": "1" * 32,
            }
            return failure(429, "Rate limit exceeded", detail, **headers)
        case "500":
            return failure(500, "Internal Server Error", "java.lang.NullPointerException")
        case "error-200":
            error = {"message": "Transaction cancelled: maximum execution time exceeded", "detail": None}
            return JSONResponse({"error": error, "status": "failure", "result": []})
        case "garbage":
            return HTMLResponse("<html><title>Log in</title><body>Your instance is asleep</body></html>")
        case _:
            return None


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
