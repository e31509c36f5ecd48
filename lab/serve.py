"""Serving an ASGI app on loopback inside the running event loop, quietly, on a port that stays the same."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Any

import uvicorn

#: Longer than a client keeps an idle connection, and than any poll's cadence: at the same age one side would close what
#: the other asks over.
KEEP_ALIVE_S = 75
DATE_S = 1.0  # how old the Date of an answer may be
ENDING_S = 0.2


class QuietServer(uvicorn.Server):
    """uvicorn without its signal handlers (the lab's supervisor owns them), which is `ready` and leaves at once.

    uvicorn itself looks ten times a second whether it is to leave, and then sleeps for a tenth of one.
    """

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready, self._leaving = asyncio.Event(), asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        while not await self.on_tick(0):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(DATE_S):
                    await self._leaving.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        if not self.force_exit:
            await super().shutdown(sockets)
            return
        for server in self.servers:
            server.close()
        for each in sockets or []:
            each.close()
        if self.server_state.tasks:  # their connections are reset, which they may have to be told yet
            await asyncio.wait(self.server_state.tasks, timeout=ENDING_S)

    def leave(self, *, at_once: bool = False) -> None:
        """End; `at_once` when no answer is waited for, as whoever says so has reset the connections."""
        self.should_exit, self.force_exit = True, at_once
        self._leaving.set()


def quiet_server(app: Any) -> QuietServer:
    """A server that writes no log; the caller gives it its sockets."""
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        http="h11",  # the LIST verb is unknown to the faster parser
        access_log=False,
        log_config=None,
        log_level="error",
        timeout_keep_alive=KEEP_ALIVE_S,
    )
    return QuietServer(config)


class Served:
    """An ASGI app served at `address`. The first `start` takes a free port; later ones take the same one again."""

    def __init__(self, name: str, app: Any, host: str = "127.0.0.1") -> None:
        self.name = name
        self._app = app
        self._host = host
        self._port = 0
        self._keeper: socket.socket | None = None
        self._server: QuietServer | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def address(self) -> str:
        """http://host:port; known once started."""
        return f"http://{self._host}:{self._port}"

    async def start(self) -> None:
        """Listen and return when connections are accepted. Does nothing when already started."""
        if self._server is not None:
            return
        listener = self._bind()
        self._release_port()
        self._server = quiet_server(self._app)
        self._task = asyncio.create_task(self._server.serve([listener]), name=f"serve {self.name}")
        await self._server.ready.wait()

    async def stop(self, *, keep_port: bool = False) -> None:
        """Refuse new connections and reset the open ones at once.

        `keep_port` holds the port (bound, not listening: connections are refused), so that no other process
        can take it before the next `start`.
        """
        server, task = self._server, self._task
        self._server = self._task = None
        if keep_port and server is not None:
            self._keeper = self._bind()
        if not keep_port:
            self._release_port()
        if server is not None and task is not None:
            for listener in server.servers:
                listener.close()
            _reset(server)
            server.leave(at_once=True)
            await task

    def drop(self) -> None:
        """Reset every open connection; new ones are still accepted."""
        if self._server is not None:
            _reset(self._server)

    def _bind(self) -> socket.socket:
        bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # The keeper and the listener share the port for a moment on each change of hands.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        bound.bind((self._host, self._port))
        self._port = bound.getsockname()[1]
        return bound

    def _release_port(self) -> None:
        if self._keeper is not None:
            self._keeper.close()
            self._keeper = None


@contextlib.asynccontextmanager
async def on_loopback(app: Any) -> AsyncIterator[str]:
    """Serve an app in the running loop: yields its address; it ends with the block."""
    served = Served("on loopback", app)
    await served.start()
    try:
        yield served.address
    finally:
        await served.stop()


def _reset(server: uvicorn.Server) -> None:
    for connection in list(server.server_state.connections):
        if connection.transport is not None:
            connection.transport.abort()
