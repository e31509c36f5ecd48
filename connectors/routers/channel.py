"""The ways a command reaches a router on an open connection: the line protocol, or one exec per command.

A third, the interactive shell, is in shell.py. Line protocol: a request is one LF-terminated UTF-8 line; the reply is
`STATUS LENGTH` LF and exactly LENGTH bytes. STATUS: 0 ok, 1 the router refused the command, 77 the guard refused it.
A line feed inside a command would be a second command to vtysh, past any allow-list: it is refused here, before
anything is sent.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from connectors.errors import (
    BadReply,
    Denied,
    InterlockError,
    NotSent,
    OutcomeUnknown,
    TimedOut,
    Unreachable,
)

REQUEST_LIMIT = 16 * 1024  # bytes of one request, its line feed included
REPLY_LIMIT = 64 * 1024 * 1024  # a 40-peer table is 1 MB; more than this is a broken header
HEADER_LIMIT = 32
CHUNK = 256 * 1024
EXEC_CHANNELS = 8  # OpenSSH allows 10 sessions on one connection

REFUSED = 77
_HEADER = re.compile(rb"(\d{1,3}) (\d{1,9})\n")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")  # surrogates: no UTF-8 carries them


class InjectionRefused(NotSent):
    """A command with a line feed or another control character: one request must be one command."""


class ShowsOnly(NotSent):
    """The exec and shell channels carry shows only: configuration needs the line protocol's guarded groups."""


class CommandFailed(InterlockError):
    """The router answered and refused the command. In a configuration group the lines before it stay applied."""

    def __init__(self, command: str, text: str, *, where: str) -> None:
        self.command, self.text = command, text
        said = text.strip()[:200] or "an error without words"
        super().__init__(
            f"{said!r} to `{command}`",
            where=where,
            do_next="Run the command on the router by hand; after a configuration group read the lines back first.",
        )


@dataclass(frozen=True, slots=True)
class Reply:
    """What the router said to one request."""

    status: int
    text: str


class Reader(Protocol):
    async def read(self, n: int) -> bytes: ...


class Writer(Protocol):
    def write(self, data: bytes) -> None: ...
    def close(self) -> None: ...


class Channel(Protocol):
    """Carries requests in order. After a failure it is broken for good: a late reply is never another's answer."""

    @property
    def broken(self) -> bool: ...

    async def ask(self, requests: Sequence[str], deadline_s: float, *, changes: bool = False) -> list[Reply]: ...


def checked(command: str) -> str:
    """The command itself. Raises InjectionRefused for control characters and surrogates, before anything is sent."""
    found = _CONTROL.search(command)
    if found or not command.strip():
        what = f"the control character {found[0]!r} in" if found else "no printable text in"
        raise InjectionRefused(
            f"{what} the command {command!r}",
            where="router command",
            do_next="Nothing was sent. Remove it from the parameter that the command is built from.",
        )
    return command


def group(lines: Sequence[str]) -> str:
    """A configuration group as one request: `configure terminal` and its lines, tabs between them."""
    return "\t".join(("configure terminal", *(checked(line.strip()) for line in lines)))


def judged(reply: Reply, request: str, where: str) -> Reply:
    """The reply if it is one of success. Raises Denied (77) or CommandFailed (any other status)."""
    command = request.replace("\t", " / ")
    if reply.status == REFUSED:
        raise Denied(
            f"`{command}` is not allowed for this account: {reply.text.strip()[:200]}",
            where=where,
            do_next="Nothing was done. The allow-list on the router decides; use the role that the step needs.",
        )
    if reply.status != 0 or reply.text.startswith("% "):
        raise CommandFailed(command, reply.text, where=where)
    return reply


class Serial:
    """A channel of one stream in and one out. `ask` is exclusive: batches never interleave."""

    def __init__(self, reader: Reader, writer: Writer, where: str) -> None:
        self._reader, self._writer, self._where = reader, writer, where
        self._turn = asyncio.Lock()
        self._broken = False
        self._seen = bytearray()

    @property
    def broken(self) -> bool:
        return self._broken

    async def ask(self, requests: Sequence[str], deadline_s: float, *, changes: bool = False) -> list[Reply]:
        """The replies in the order of the requests, all within `deadline_s` seconds.

        Raises Unreachable, TimedOut or BadReply for reading; for `changes`, NotSent while nothing was sent and
        OutcomeUnknown after. A failure or a cancellation closes the channel.
        """
        sent = False
        try:
            async with asyncio.timeout(deadline_s), self._turn:
                if self._broken:
                    raise ConnectionError("the channel is closed")
                sent = True
                return await self._exchange(requests)
        except (OSError, BadReply) as error:
            raise self._failure(error, deadline_s, changes=changes, sent=sent) from error

    async def _exchange(self, requests: Sequence[str]) -> list[Reply]:
        try:
            return await self._carry(requests)
        except BaseException:
            # Also on cancellation: what was asked and not read would be taken for the next request's answer.
            self.poison()
            raise

    async def _carry(self, requests: Sequence[str]) -> list[Reply]:
        """Send the requests and read their replies."""
        raise NotImplementedError

    async def _more(self) -> None:
        """Wait for more of what the router says."""
        chunk = await self._reader.read(CHUNK)
        if not chunk:
            raise ConnectionError("the router ended it")
        self._seen += chunk

    def _failure(
        self, error: Exception, deadline_s: float, *, changes: bool = False, sent: bool = True
    ) -> InterlockError:
        return _failure(error, self._where, deadline_s, changes=changes, sent=sent)

    def poison(self) -> None:
        """Close for good: a late reply dies with the channel."""
        self._broken = True
        self._writer.close()


class LineChannel(Serial):
    """One `line` process on a router; a batch is pipelined."""

    async def ask(self, requests: Sequence[str], deadline_s: float, *, changes: bool = False) -> list[Reply]:
        """As every serial channel; NotSent also for a request longer than the protocol carries."""
        for request in requests:
            _fits(request)
        return await super().ask(requests, deadline_s, changes=changes)

    async def _carry(self, requests: Sequence[str]) -> list[Reply]:
        self._writer.write(b"".join(request.encode() + b"\n" for request in requests))
        return [await self._reply() for _ in requests]

    async def _reply(self) -> Reply:
        while (end := self._seen.find(b"\n", 0, HEADER_LIMIT)) < 0 and len(self._seen) < HEADER_LIMIT:
            await self._more()
        found = _HEADER.match(self._seen)
        if end < 0 or found is None or int(found[2]) > REPLY_LIMIT:
            raise BadReply(
                "no line protocol header",
                where=self._where,
                do_next="Check that the router runs the line protocol (`channel:` in the site file).",
                evidence=self._seen[:200].decode("utf-8", "backslashreplace"),
            )
        start, stop = end + 1, end + 1 + int(found[2])
        status = int(found[1])
        while len(self._seen) < stop:
            await self._more()
        text = self._seen[start:stop].decode("utf-8", "backslashreplace")
        del self._seen[:stop]
        return Reply(status, text)


class ExecChannel:
    """One exec per command, at most 8 at a time. Shows only."""

    def __init__(self, run: Callable[[str], Awaitable[Reply]], where: str) -> None:
        self._run, self._where = run, where
        self._slots = asyncio.Semaphore(EXEC_CHANNELS)
        self._broken = False

    @property
    def broken(self) -> bool:
        return self._broken

    async def ask(self, requests: Sequence[str], deadline_s: float, *, changes: bool = False) -> list[Reply]:
        """The replies in the order of the requests. Raises ShowsOnly, Unreachable, TimedOut."""
        if changes:
            raise ShowsOnly(
                "this router's channel is `exec`, which carries shows only",
                where=self._where,
                do_next="Nothing was sent. Set `channel: line` for the router and install its line protocol guard.",
            )
        for request in requests:
            checked(request)
        try:
            async with asyncio.timeout(deadline_s):
                return list(await asyncio.gather(*(self._one(request) for request in requests)))
        except OSError as error:
            self._broken = True
            raise _failure(error, self._where, deadline_s, changes=False, sent=True) from error

    async def _one(self, request: str) -> Reply:
        async with self._slots:
            return await self._run(request)


def _fits(request: str) -> None:
    for part in request.split("\t"):
        checked(part)
    length = len(request.encode()) + 1
    if length > REQUEST_LIMIT:
        raise NotSent(
            f"a request of {length} bytes; the line protocol carries {REQUEST_LIMIT}",
            where="router command",
            do_next="Nothing was sent. Split the configuration group.",
        )


def _failure(error: Exception, where: str, deadline_s: float, *, changes: bool, sent: bool) -> InterlockError:
    """The named error for a failed exchange: reading may be repeated, a change only when nothing was sent."""
    late = isinstance(error, TimeoutError)
    what = f"no answer within {deadline_s:g} s" if late else f"the connection broke ({str(error) or 'closed'})"
    if changes and sent:
        return OutcomeUnknown(
            f"{what} after a change was sent",
            where=where,
            do_next="It may or may not be applied: read the configuration lines back before anything else.",
        )
    if changes:
        return NotSent(what, where=where, do_next="Nothing was sent: repeating is safe.")
    if isinstance(error, BadReply):
        return error
    do_next = "It reconnects by itself; if it stays so, check the router's SSH and the way to it."
    return (TimedOut if late else Unreachable)(what, where=where, do_next=do_next)
