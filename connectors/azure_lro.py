"""Azure's long-running operations: start, poll until done, fetch the final body.

The addresses to poll come from the service, so each is checked before it is given our token.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urljoin, urlsplit

import httpx

from connectors.errors import BadReply, InterlockError, NotFound, Throttled, TimedOut
from connectors.http import JsonApi, loopback, retry_after_s
from connectors.reply import CHECK_VERSION, excerpt

FIRST_PAUSE_S = 0.05  # the tables are often ready at once; doubles up to LONGEST_PAUSE_S
LONGEST_PAUSE_S = 2.0
UNKNOWN_FOR_S = 3.0  # an operation that was just accepted may not be known everywhere yet


class ForeignPollAddress(InterlockError):
    """The service named a poll address of another origin: our token does not go there."""


def poll_address(named: str, base: str) -> str:
    """`named` as an absolute URL of the origin of `base`; raises ForeignPollAddress."""
    try:
        url = urljoin(base, named)
        safe = urlsplit(url).scheme == "https" or loopback(url)
        ours = safe and _origin(url) == _origin(base)
    except ValueError:  # not a URL at all
        url, ours = "", False
    if ours:
        return url
    raise ForeignPollAddress(
        f"poll address on {urlsplit(url).scheme}://{urlsplit(url).hostname} is not of this service",
        where=f"azure {urlsplit(base).hostname}",
        do_next="The token was not sent. Check systems.azure.address and who answers there.",
    )


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


async def run(
    api: JsonApi,
    path: str,
    params: Mapping[str, str],
    body: Any = None,
    deadline_s: float | None = None,
    unknown_for_s: float = UNKNOWN_FOR_S,
) -> Any:
    """POST `path`, wait for the operation, return its final JSON.

    A poll that does not find it is no answer for `unknown_for_s` seconds.
    Raises TimedOut after `deadline_s` seconds (default: the API's own), BadReply when the operation failed,
    ForeignPollAddress, and what JsonApi raises.
    """
    limit = deadline_s or api.deadline_s
    try:
        async with asyncio.timeout(limit):
            started = await api.send("POST", path, params=params, json=body)
            if started.status_code != httpx.codes.ACCEPTED:
                return api.json(started) if started.content else {}
            return await _Operation(api, asyncio.get_running_loop().time() + limit, unknown_for_s).result(started)
    except TimeoutError as error:
        raise TimedOut(
            f"the operation did not end within {limit:g} s",
            where=api.where(path),
            do_next="It may still be running there; it changes nothing and is asked again.",
        ) from error


class _Operation:
    """An accepted operation, to be done by the loop time `ends`."""

    def __init__(self, api: JsonApi, ends: float, unknown_for_s: float) -> None:
        self._api, self._ends, self._unknown_for_s = api, ends, unknown_for_s

    async def result(self, started: httpx.Response) -> Any:
        """Its final JSON. The status says when it is done, the location what came of it; either may be missing."""
        operation, final = started.headers.get("Azure-AsyncOperation"), started.headers.get("Location")
        where = self._api.where(str(started.url))
        if operation is None and final is None:
            raise BadReply("HTTP 202 without an address to poll", where=where, do_next=CHECK_VERSION)
        pause = retry_after_s(started)
        if operation is not None:
            done = await self._done(poll_address(operation, self._api.base), pause)
            if final is None:
                return _output(done, where)
        return await self._final(poll_address(final or "", self._api.base), pause, wait=operation is None)

    async def _done(self, url: str, pause: float | None) -> Mapping[str, Any]:
        async for reply in self._replies(url, pause, wait=True):
            body = self._api.json(reply)
            status = _status(body, self._api.where(url))
            if status.lower() == "succeeded":
                return dict(body)
            if status.lower() in {"failed", "canceled"}:
                raise BadReply(
                    f"the operation ended {status}",
                    where=self._api.where(url),
                    do_next="It is asked again; see the resource's activity log.",
                    evidence=excerpt(body.get("error")),
                )
        raise AssertionError("polling ends by a result or by the deadline")

    async def _final(self, url: str, pause: float | None, *, wait: bool) -> Any:
        async for reply in self._replies(url, pause, wait=wait):
            if reply.status_code != httpx.codes.ACCEPTED:
                return self._api.json(reply) if reply.content else {}
        raise AssertionError("polling ends by a result or by the deadline")

    async def _replies(self, url: str, pause: float | None, *, wait: bool) -> AsyncIterator[httpx.Response]:
        """GET `url` again and again; never sooner than Retry-After, nor faster than a doubling pause."""
        loop, doubling = asyncio.get_running_loop(), FIRST_PAUSE_S
        unknown_until: float | None = None  # counted from the first poll that does not find it, however late that comes
        while True:
            if wait:
                await asyncio.sleep(max(doubling, pause or 0.0))
                doubling = min(LONGEST_PAUSE_S, doubling * 2)
            wait, pause = True, None
            try:
                reply = await self._api.send("GET", url)
            except NotFound:
                unknown_until = unknown_until or loop.time() + self._unknown_for_s
                if loop.time() >= unknown_until:
                    raise
            except Throttled as error:
                pause = error.retry_after_s
                if loop.time() + (pause or 0.0) >= self._ends:
                    raise
            else:
                pause = retry_after_s(reply)
                yield reply


def _status(body: Any, where: str) -> str:
    status = body.get("status") if isinstance(body, dict) else None
    if isinstance(status, str):
        return status
    raise BadReply("an operation without a status", where=where, do_next=CHECK_VERSION, evidence=excerpt(body))


def _output(body: Mapping[str, Any], where: str) -> Any:
    properties = body.get("properties")
    if isinstance(properties, dict) and "output" in properties:
        return properties["output"]
    raise BadReply("a finished operation without a result", where=where, do_next=CHECK_VERSION, evidence=excerpt(body))
