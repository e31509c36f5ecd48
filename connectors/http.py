"""JSON over HTTP, once: deadline, errors by name, JSON check, GET repeated at most twice, bearer tokens."""

from __future__ import annotations

import asyncio
import functools
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import httpx

from connectors.errors import BadReply, Denied, InterlockError, NotFound, Throttled, TimedOut, Unreachable

GET_REPEATS = 2
SENT_ONCE = frozenset({"PUT", "PATCH", "DELETE"})  # a write whose moment may have passed is never sent again by itself
REPEATABLE = frozenset({429, 502, 503, 504})
CUT = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError)
FIRST_PAUSE_S = 0.2
PATIENCE_S = 1.0  # a longer Retry-After is told to the caller at once: Throttled
CHECK_LINK = "Check that this machine reaches it: `interlock doctor`."


def loopback(url: str) -> bool:
    """True for an address of this machine: no proxy, and plain HTTP is allowed there."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@functools.cache
def _tls() -> ssl.SSLContext:
    return httpx.create_ssl_context()  # reading the CA bundle costs 20 to 40 ms: once is enough


def retry_after_s(reply: httpx.Response) -> float | None:
    """Retry-After in seconds, from its number or its HTTP date; None when absent or unreadable."""
    value = reply.headers.get("Retry-After", "").strip()
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(value) - datetime.now(UTC)).total_seconds())
    except (ValueError, TypeError):
        return None


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token and the loop time, in seconds, until which it is used."""

    value: str
    until: float


class Bearer:
    """Keeps one token; asks `fetch` for the next when it is old or was refused."""

    def __init__(self, fetch: Callable[[], Awaitable[Token]]) -> None:
        self._fetch, self._token, self._lock = fetch, Token("", 0.0), asyncio.Lock()

    async def token(self, refused: str = "") -> str:
        async with self._lock:  # calls that run together share one fetch
            old = self._token.until <= asyncio.get_running_loop().time()
            if old or self._token.value == refused:
                self._token = await self._fetch()
            return self._token.value


class JsonApi:
    """One system's HTTP API below `base`. Every call raises an InterlockError or returns a checked reply.

    `common` is what the paths begin with and errors leave out.
    """

    def __init__(
        self, system: str, base: str, deadline_s: float, bearer: Bearer | None = None, *, common: str = ""
    ) -> None:
        if urlsplit(base).scheme != "https" and not loopback(base):
            raise ValueError(f"systems.{system}: {base!r} must be https; plain http is for loopback alone")
        self.system, self.base, self.deadline_s = system, base.rstrip("/"), deadline_s
        self._bearer, self._common = bearer, common
        self._client: httpx.AsyncClient | None = None

    async def _opened(self) -> httpx.AsyncClient:
        if self._client is None:
            tls = await asyncio.to_thread(_tls)
        if self._client is None:  # still: calls that run together open one client
            self._client = httpx.AsyncClient(
                verify=tls,
                timeout=httpx.Timeout(self.deadline_s, connect=min(3.0, self.deadline_s)),
                trust_env=not loopback(self.base),
                headers={"Accept": "application/json"},
            )
        return self._client

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def login(self) -> None:
        """Fetch the token if the one at hand is old, so that the next call need not."""
        await self._opened()
        if self._bearer is not None:
            await self._bearer.token()

    def where(self, url: str) -> str:
        """The system and the path, without the query: it may hold a secret."""
        return f"{self.system} {urlsplit(url).path.removeprefix(self._common) or '/'}"

    async def get(self, path: str, **options: Any) -> Any:
        """GET and read JSON; throttled and unavailable answers are repeated within the deadline."""
        return self.json(await self.send("GET", path, **options))

    async def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        """A reply with a 2xx status. `path` is below the base, or a whole URL; options are httpx's."""
        url = path if "://" in path else self.base + path
        try:
            async with asyncio.timeout(self.deadline_s):
                return await self._repeat(method, url, options)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise TimedOut(
                f"no answer within {self.deadline_s:g} s", where=self.where(url), do_next=CHECK_LINK
            ) from error
        except (httpx.TransportError, httpx.InvalidURL, httpx.DecodingError) as error:
            text = str(error) or type(error).__name__
            raise Unreachable(text, where=self.where(url), do_next=CHECK_LINK) from error

    async def _repeat(self, method: str, url: str, options: dict[str, Any]) -> httpx.Response:
        for repeat in range(GET_REPEATS + 1):
            reply = await self._authorised(method, url, options)
            pause = retry_after_s(reply)
            pause = FIRST_PAUSE_S * 2**repeat if pause is None else pause
            if method != "GET" or reply.status_code not in REPEATABLE:
                break
            if repeat == GET_REPEATS or pause > PATIENCE_S:
                break
            await asyncio.sleep(pause)
        return self._checked(reply)

    async def _authorised(self, method: str, url: str, options: dict[str, Any]) -> httpx.Response:
        client = await self._opened()
        if self._bearer is None:
            return await _asked(client, method, url, options)
        token = await self._bearer.token()
        reply = await _asked(client, method, url, _bearing(token, options))
        if reply.status_code == httpx.codes.UNAUTHORIZED and method not in SENT_ONCE:
            token = await self._bearer.token(refused=token)
            reply = await _asked(client, method, url, _bearing(token, options))
        return reply

    def _checked(self, reply: httpx.Response) -> httpx.Response:
        if reply.is_success:
            return reply
        raise self._error(reply)

    def _error(self, reply: httpx.Response) -> InterlockError:
        where, status = self.where(str(reply.url)), reply.status_code
        said = f"HTTP {status} {_message(reply)}".strip()
        if status in {401, 403}:
            return Denied(said, where=where, do_next="Check the credential's role and rights.")
        if status == 404:
            return NotFound(said, where=where, do_next="Check the name or uid in the site file.")
        if status == 429:
            wait = retry_after_s(reply)
            return Throttled(said, where=where, do_next="It is asked less often.", retry_after_s=wait)
        if status in {502, 503, 504}:
            return Unreachable(said, where=where, do_next="Its front answers, the service does not: wait.")
        return BadReply(said, where=where, do_next="See the system's own status page.", evidence=reply.text)

    def json(self, reply: httpx.Response) -> Any:
        """The body as JSON; raises BadReply when it is not."""
        try:
            return reply.json()
        except (ValueError, RecursionError):
            raise BadReply(
                f"HTTP {reply.status_code} is not JSON",
                where=self.where(str(reply.url)),
                do_next="A proxy or login page may stand in between: open the address in a browser.",
                evidence=reply.text,
            ) from None


async def _asked(client: httpx.AsyncClient, method: str, url: str, options: dict[str, Any]) -> httpx.Response:
    """A kept connection may be closed at the moment at which it is asked over: a GET is then asked over another."""
    try:
        return await client.request(method, url, **options)
    except CUT:
        if method != "GET":
            raise
        return await client.request(method, url, **options)


def _bearing(token: str, options: dict[str, Any]) -> dict[str, Any]:
    return {**options, "headers": {**options.get("headers", {}), "Authorization": f"Bearer {token}"}}


def _message(reply: httpx.Response) -> str:
    """The error text of the envelopes seen: Azure's error{code, message}, Megaport's message and data."""
    try:
        body = reply.json()
    except (ValueError, RecursionError):
        return reply.reason_phrase
    if not isinstance(body, dict):
        return reply.reason_phrase
    error = body.get("error")
    parts = [error.get("code"), error.get("message")] if isinstance(error, dict) else [error]
    said = ": ".join(part for part in (*parts, body.get("message"), body.get("data")) if isinstance(part, str))
    trace = body.get("trace_id")  # what the fabric's support asks for
    said = said[:200] + (f" (trace {trace})" if isinstance(trace, str) else "")
    return said or reply.reason_phrase
