"""Asking a daemon over its own socket: 0.3 ms instead of the 25 ms that starting vtysh takes."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

DEADLINE_S = 10.0  # for one that hangs: one that is gone says so at once
#: A reply ends with three NULs and one byte of status.
END = b"\0\0\0"


class Vty:
    """One persistent connection to a daemon's vty socket; reopened when it breaks. Commands are serialised."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._lock = asyncio.Lock()
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def text(self, command: str) -> str:
        """The daemon's answer. Raises OSError when it is not there, TimeoutError after 10 s."""
        async with self._lock:
            try:
                async with asyncio.timeout(DEADLINE_S):
                    return await self._ask(command)
            except BaseException:
                self.close()  # an answer that still comes must not be taken for the next one's
                raise

    async def json(self, command: str) -> Any:
        """The answer as a document. Raises ValueError as well when it is not JSON."""
        return json.loads(await self.text(command))

    def close(self) -> None:
        if self._streams:
            self._streams[1].close()
        self._streams = None

    async def _ask(self, command: str) -> str:
        if self._streams is None:
            self._streams = await asyncio.open_unix_connection(str(self._socket))
            await self._exchange("enable")
        return await self._exchange(command)

    async def _exchange(self, command: str) -> str:
        assert self._streams is not None
        reader, writer = self._streams
        writer.write(command.encode() + b"\0")
        await writer.drain()
        reply = bytearray()
        while reply[-4:-1] != END:
            chunk = await reader.read(65536)
            if not chunk:
                raise ConnectionResetError(f"{self._socket} closed while answering {command!r}")
            reply += chunk
        return reply[:-4].decode(errors="replace")
