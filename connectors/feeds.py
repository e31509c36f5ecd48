"""The business feeds: one TCP or HTTP look at each at its cadence, as a plant's client would make it, and its account.

What a look counts as: good when it was answered (HTTP: with a 2xx) within `slow_ms`; bad when it was refused, cut,
answered otherwise, slow or not at all. A look that this very host could not make (no descriptor or buffer left, its
own firewall or interface, no resolver) counts as neither: it says nothing of the feed, so it takes nothing from the
budget and shows as the source's error, while the last result grows stale. An unreachable network is a bad look: a
plant's client would have met the same.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from connectors.errors import InterlockError, Unreachable
from connectors.feed_account import AccountUnreadable, FeedAccount
from connectors.parts import settle
from connectors.ports import Clock, PartlySeen
from network.inventory import Site
from network.measured import FeedResult
from network.observation import Kind, Observation
from network.surroundings import Feed

if TYPE_CHECKING:
    import httpx

SAVE_S = 10.0
LONGEST_S = 60.0  # the library's own deadline; the feed's is around it
#: This host's own trouble, by errno and by the resolver's codes.
OURS = frozenset(
    {
        errno.EMFILE,
        errno.ENFILE,
        errno.ENOBUFS,
        errno.ENOMEM,
        errno.EPERM,
        errno.EACCES,
        errno.EADDRNOTAVAIL,
        errno.ENETDOWN,
    }
)


class FeedSource:
    """Looks at every feed that is due. `close` saves the account."""

    name = "feeds"
    kind = "feeds"

    def __init__(self, site: Site, account: FeedAccount, clock: Clock = lambda: datetime.now(UTC)) -> None:
        self._feeds, self._account, self._clock = site.feeds, account, clock
        self.cadence_s = min((feed.cadence_s for feed in site.feeds), default=5.0)
        self.deadline_s = max((feed.timeout_s for feed in site.feeds), default=3.0) + 2.0
        self._due = {feed.name: 0.0 for feed in site.feeds}
        self._window = timedelta(seconds=max((feed.window_s for feed in site.feeds), default=0.0))
        self._loaded = False
        self._saved_at = time.monotonic()

    async def collect(self) -> Sequence[Observation]:
        """Raises Unreachable when this host could not look at any, PartlySeen when at some or without an account."""
        unread = await self._load()
        now = time.monotonic()
        due = [feed for feed in self._feeds if now >= self._due[feed.name]]
        for feed in due:
            self._due[feed.name] = now + feed.cadence_s * 0.9  # a little early is better than a whole poll late
        seen = await settle(self._look(feed) for feed in due)
        if now - self._saved_at >= SAVE_S and unread is None:
            self._saved_at = now
            await asyncio.to_thread(self._account.save, self._clock() - self._window)
        if unread is not None:
            raise PartlySeen(seen, [unread])
        return seen

    async def close(self) -> None:
        if self._loaded:
            await asyncio.to_thread(self._account.save, self._clock() - self._window)

    async def _load(self) -> AccountUnreadable | None:
        if not self._loaded:
            try:
                await asyncio.to_thread(self._account.load)
            except AccountUnreadable as error:
                return error
            self._loaded = True
        return None

    async def _look(self, feed: Feed) -> list[Observation]:
        asked_at = self._clock()
        why, took_ms = await _asked(feed)
        if not why and took_ms > feed.slow_ms:
            why = f"answered after {took_ms:.0f} ms, more than {feed.slow_ms:g}"
        self._account.look(feed.name, asked_at, ok=not why)
        good, total = self._account.count(feed.name, asked_at - timedelta(seconds=feed.window_s))
        hour_good, hour_total = self._account.count(feed.name, asked_at - timedelta(hours=1))
        fact = FeedResult(not why, None if why else took_ms, why, good, total, hour_good, hour_total)
        fresh_s = 2 * feed.cadence_s + feed.timeout_s + 1
        return [
            Observation(Kind.FEED, feed.name, fact, self.name, asked_at, fresh_s, f"{feed.kind} {feed.address}", why)
        ]


async def _asked(feed: Feed) -> tuple[str, float]:
    """Why the look was bad, empty when it was answered, and its milliseconds. Raises Unreachable when none was made."""
    began = time.monotonic()
    try:
        ask = await _prepared(feed)
        began = time.monotonic()  # what this process must load first is no part of the feed's answer
        async with asyncio.timeout(feed.timeout_s):
            why = await ask()
    except TimeoutError:
        why = f"no answer within {feed.timeout_s:g} s"
    except OSError as error:
        if _ours(error):
            raise _not_looked(feed, error) from error
        why = f"no connection ({os.strerror(error.errno) if error.errno else error})"
    return why, 1000 * (time.monotonic() - began)


async def _prepared(feed: Feed) -> Callable[[], Awaitable[str]]:
    """The look itself, with everything at hand that it needs."""
    if feed.kind == "tcp":
        return partial(_tcp, feed.address)
    return partial(_http, feed.address, await _tls(feed.address))


async def _tcp(address: str) -> str:
    host, _, port = address.rpartition(":")
    _, writer = await asyncio.open_connection(host.strip("[]"), int(port))
    writer.close()
    return ""


async def _http(address: str, tls: ssl.SSLContext) -> str:
    """A connection of its own for each look: one that is kept would prove that it once could be made."""
    import httpx

    try:
        async with (
            httpx.AsyncClient(verify=tls, trust_env=False, timeout=LONGEST_S) as client,
            client.stream("GET", address) as reply,
        ):
            return "" if reply.is_success else f"answered {reply.status_code}"
    except httpx.TransportError as error:
        cause = next((cause for cause in _causes(error) if cause.errno is not None), None)
        if cause is not None:
            raise cause from error
        return f"no connection ({str(error) or type(error).__name__})"


async def _tls(address: str) -> ssl.SSLContext:
    import httpx

    if urlsplit(address).scheme == "https":
        return await asyncio.to_thread(httpx.create_ssl_context)
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # not used: reading the CA bundle would cost 20 to 40 ms


def _causes(error: httpx.TransportError) -> Iterator[OSError]:
    """What the system said, below the library's own words."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError):
            yield cause
        cause = cause.__cause__ or cause.__context__


def _ours(error: OSError) -> bool:
    if isinstance(error, socket.gaierror):
        return True  # the name was not resolved: the feed was never asked
    return error.errno in OURS


def _not_looked(feed: Feed, error: OSError) -> InterlockError:
    return Unreachable(
        f"this host could not look at {feed.name} ({error.strerror or error})",
        where="feeds",
        do_next="Mend this host; the look counts neither as good nor as bad.",
    )
