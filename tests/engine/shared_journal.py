"""What a journal shared by several hosts is tested with: a console elsewhere, and a line that can be cut."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Self

import psycopg

from runbooks.journal import Identity
from tests.engine.little_device import here


def elsewhere(user: str = "bob") -> Identity:
    """A console on another machine, of which nothing can be proven from here."""
    return replace(here(user), host="another-host", boot_id="another-boot")


def end_leases(url: str) -> None:
    """Every driver has been silent for as long as its lease was."""
    with psycopg.connect(url, autocommit=True) as server:
        server.execute("UPDATE run SET lease_until = clock_timestamp()")


class Wire:
    """A line to the server that can be cut: at once, or as soon as a commit has been sent through it."""

    def __init__(self, port: int) -> None:
        self._server_port, self.port = port, 0
        self.cut_after_commit, self.swallow_commits, self.commits = False, False, 0
        self._open: list[asyncio.StreamWriter] = []
        self._cut = False

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """From now on nothing goes through, and nobody is let in."""
        self._cut = True
        for writer in self._open:
            writer.transport.abort()

    def mend(self) -> None:
        self._cut = False

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._cut:
            writer.transport.abort()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._server_port)
        self._open += [writer, far_writer]
        if self._cut:  # while the far end was being reached
            self.cut()
            return
        back = asyncio.create_task(self._pump(far_reader, writer))
        while data := await reader.read(65536):
            committing = b"COMMIT" in data
            self.commits += committing
            if committing and self.cut_after_commit:
                self.cut_after_commit = False
                back.cancel()
                far_writer.write(data)
                await far_reader.read(1)  # the server has answered, so it is written; nobody hears it
                writer.transport.abort()
                return
            if not (committing and self.swallow_commits):
                far_writer.write(data)
        back.cancel()
        far_writer.close()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            writer.write(data)
