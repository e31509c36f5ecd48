"""One BMP connection: bytes come in, batches of messages go out, and every way that it can end has a name."""

from __future__ import annotations

import asyncio
import socket

from connectors.errors import InterlockError, TimedOut
from connectors.routers.bmp_bytes import BmpMalformed
from connectors.routers.bmp_decode import Decoder
from connectors.routers.bmp_message import Initiation, Message, Termination
from connectors.routers.bmp_words import end_words

CHUNK = 16_384  # bytes decoded in one go: a few milliseconds of the event loop
INITIATION_S = 10.0
#: A router that has vanished is noticed by TCP within about KEEP_IDLE_S + KEEP_COUNT * KEEP_EVERY_S; silence is normal.
KEEP_IDLE_S, KEEP_EVERY_S, KEEP_COUNT = 5, 2, 3


class BmpEnded(InterlockError):
    """The stream is over: closed, cut, or ended by the router with its reason."""


class Incoming:
    """A connection that a router sends on; nothing is ever sent back. `where` is said in errors."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, where: str) -> None:
        self._reader, self._writer, self._where = reader, writer, where
        self._decoder = Decoder()
        self._error: InterlockError | None = None
        keep_alive(writer.get_extra_info("socket"))

    @property
    def address(self) -> str:
        """Who sends, as an address; empty when it is gone already."""
        name = self._writer.get_extra_info("peername")
        return str(name[0]) if name else ""

    async def first(self) -> tuple[Initiation, list[Message]]:
        """Who the router says it is, and what came with it. Raises TimedOut, BmpMalformed, BmpEnded."""
        try:
            async with asyncio.timeout(INITIATION_S):
                messages = await self.batch()
        except TimeoutError:
            words = f"no BMP Initiation within {INITIATION_S:g} s"
            raise TimedOut(words, where=self._where, do_next="Check that it is a BMP speaker.") from None
        if not isinstance(messages[0], Initiation):
            raise BmpMalformed("the first message is no Initiation", repr(messages[0]).encode())
        return messages[0], messages[1:]

    async def batch(self) -> list[Message]:
        """The next messages, at least one. Raises BmpMalformed, and BmpEnded when there will be no more."""
        found: list[Message] = []
        while not found:
            if self._error is not None:
                raise self._error
            found = self._decoded(await self._read())
        return found

    def close(self) -> None:
        self._writer.close()

    def _decoded(self, chunk: bytes) -> list[Message]:
        """What the chunk completes; the end that stands behind it is kept for the next turn."""
        found: list[Message] = []
        try:
            for message in self._decoder.feed(chunk):
                if isinstance(message, Termination):
                    self._error = BmpEnded(end_words(message), where=self._where, do_next="It is connected again.")
                    break
                found.append(message)
        except BmpMalformed as error:
            self._error = error
        return found

    async def _read(self) -> bytes:
        await asyncio.sleep(0)  # a router that never pauses must not hold up everything else
        try:
            chunk = await self._reader.read(CHUNK)
        except OSError as error:
            raise BmpEnded(f"the connection broke ({error})", where=self._where, do_next="It is made anew.") from error
        if not chunk:
            raise BmpEnded("the router closed the connection", where=self._where, do_next="It is connected again.")
        return chunk


def keep_alive(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", KEEP_IDLE_S), ("TCP_KEEPINTVL", KEEP_EVERY_S), ("TCP_KEEPCNT", KEEP_COUNT)):
        if hasattr(socket, option):  # not on every system
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
