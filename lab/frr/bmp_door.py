"""BMP out of a namespace: a listener on 127.0.0.1, and for each station a connection made inside and spliced to it.

A socket belongs to the namespace in which it was made, whoever uses it afterwards. So one thread of its own lives
inside and only connects; the bytes are carried by the event loop, and nothing enters the root namespace.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import socket
from concurrent.futures import BrokenExecutor, ThreadPoolExecutor
from pathlib import Path

from lab.ports import Port

CLONE_NEWNET = 0x40000000
NAMESPACES = Path("/run/netns")
CONNECT_S = 3.0
CHUNK = 65536


class BmpDoor:
    """The way to one edge's BMP listener; its port stays the same while it is shut and opened."""

    def __init__(self, namespace: str, address: str, port: int) -> None:
        self._namespace, self._inside = namespace, (address, port)
        self._port = Port()
        self._server: asyncio.Server | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._splices: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        return self._port.number

    async def open(self) -> None:
        """Listen (again). The port is chosen at the first time."""
        if self._server is None:
            self._thread = ThreadPoolExecutor(1, initializer=_enter, initargs=(self._namespace,))
            self._server = await asyncio.start_server(self._station, sock=self._port.taken())

    async def shut(self, *, keep_port: bool = False) -> None:
        """Refuse: stop listening, end every connection, leave the namespace. `keep_port`: it will be opened again."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self._port.shut(keep=keep_port)
        if server is None or self._thread is None:
            return
        splices = list(self._splices)
        for splice in splices:
            splice.cancel()
        await asyncio.gather(*splices, return_exceptions=True)
        await server.wait_closed()
        await asyncio.to_thread(self._thread.shutdown)

    def _station(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        splice = asyncio.create_task(self._splice(reader, writer))
        self._splices.add(splice)
        splice.add_done_callback(self._splices.discard)

    async def _splice(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry bytes both ways until one end is gone: then the other goes too."""
        with contextlib.closing(writer), contextlib.suppress(OSError, BrokenExecutor):
            loop = asyncio.get_running_loop()
            inside = await loop.run_in_executor(self._thread, _connect, self._inside)
            theirs, ours = await asyncio.open_connection(sock=inside)
            with contextlib.closing(ours):
                ways = [asyncio.create_task(_carry(*way)) for way in ((theirs, writer), (reader, ours))]
                try:
                    await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
                finally:
                    for way in ways:
                        way.cancel()
                    await asyncio.gather(*ways, return_exceptions=True)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(CHUNK):
        writer.write(chunk)
        await writer.drain()


def _enter(namespace: str) -> None:
    """Move this thread, and no other, into the namespace; os.setns came with Python 3.12 only."""
    libc = ctypes.CDLL(None, use_errno=True)
    place = os.open(NAMESPACES / namespace, os.O_RDONLY)
    try:
        if libc.setns(place, CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), f"cannot enter the namespace {namespace}")
    finally:
        os.close(place)


def _connect(address: tuple[str, int]) -> socket.socket:
    connection = socket.create_connection(address, timeout=CONNECT_S)
    connection.setblocking(False)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection
