"""A router's SSH end on loopback: host and user certificates, the line protocol, exec, and a host's `python3 -`."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncssh

from connectors.routers.ssh import Login

Answer = tuple[int, str]
USER = "interlock-read"


@dataclass(frozen=True)
class Signed:
    text: str
    expires_at: datetime


@dataclass
class Authority:
    """The CAs of a site: one signs host keys, one signs users."""

    host_ca: asyncssh.SSHKey = field(default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519"))
    user_ca: asyncssh.SSHKey = field(default_factory=lambda: asyncssh.generate_private_key("ssh-ed25519"))
    ttl_s: float = 300
    principals: tuple[str, ...] = (USER,)
    signed: int = 0

    @property
    def host_line(self) -> str:
        return self.host_ca.export_public_key("openssh").decode().strip()

    async def sign(self, public_line: str) -> Signed:
        self.signed += 1
        key = asyncssh.import_public_key(public_line)
        cert = self.user_ca.generate_user_certificate(key, "test", principals=self.principals, valid_before="+1h")
        text = cert.export_certificate("openssh").decode().strip()
        return Signed(text, datetime.now(UTC) + timedelta(seconds=self.ttl_s))

    def login(self, **changed: Any) -> Login:
        wanted: dict[str, Any] = {"username": USER, "host_ca": self.host_line, "sign": self.sign} | changed
        return Login(**wanted)


@dataclass
class LineRouter:
    """What the far end does. `answer` gives status and text, or None to stay silent for good."""

    answer: Callable[[str], Awaitable[Answer | None]]
    authority: Authority = field(default_factory=Authority)
    name: str = "edge-1"
    port: int = 0
    asked: list[str] = field(default_factory=list)
    batches: list[int] = field(default_factory=list)
    open_now: int = 0
    most_open: int = 0
    connections: list[asyncssh.SSHServerConnection] = field(default_factory=list)
    garble: bytes = b""

    async def serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        try:
            if process.command == "line":
                await self._lines(process)
            elif process.command == "python3 -":
                await self._python(process)
            else:
                await self._exec(process)
        except (asyncssh.Error, OSError):
            pass  # the client hung up
        finally:
            self.open_now -= 1

    async def _lines(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        if self.garble:
            process.stdout.write(self.garble)
        while line := await process.stdin.readline():
            request = line.decode().rstrip("\n")
            self.asked.append(request)
            answer = await self.answer(request)
            if answer is not None:
                body = answer[1].encode()
                process.stdout.write(f"{answer[0]} {len(body)}\n".encode() + body)
        process.exit(0)

    async def _exec(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        self.asked.append(process.command or "")
        answer = await self.answer(process.command or "")
        if answer is not None:
            (process.stderr if answer[0] else process.stdout).write(answer[1].encode())
            process.exit(answer[0])

    async def _python(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        script = await process.stdin.read()
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd="/"
        )
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(script)
        child.stdin.close()
        try:
            while line := await child.stdout.readline():
                process.stdout.write(line)
        finally:
            if child.returncode is None:
                child.kill()
            await child.wait()
            process.exit(0)

    def drop(self) -> None:
        """Every connection is cut, without a goodbye."""
        while self.connections:
            self.connections.pop().abort()


@asynccontextmanager
async def jumping(authority: Authority) -> AsyncIterator[int]:
    """A jump host `localhost` on a free port, which forwards TCP for users that the CA signed."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    certificate = authority.host_ca.generate_host_certificate(key, "jump", principals=["localhost"])
    users = f"cert-authority {authority.user_ca.export_public_key('openssh').decode()}"

    class Jump(asyncssh.SSHServer):
        def connection_requested(self, *_: object) -> bool:
            return True

    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Jump,
        server_host_keys=[(key, certificate)],
        authorized_client_keys=asyncssh.import_authorized_keys(users),
    )
    try:
        yield server.get_port()
    finally:
        server.close()
        await server.wait_closed()


@asynccontextmanager
async def listening(router: LineRouter, *, certified_as: str | None = None) -> AsyncIterator[LineRouter]:
    """The router on a free port. `certified_as`: the name that its host certificate is issued for."""
    authority = router.authority
    key = asyncssh.generate_private_key("ssh-ed25519")
    certificate = authority.host_ca.generate_host_certificate(key, "host", principals=[certified_as or router.name])
    users = f"cert-authority {authority.user_ca.export_public_key('openssh').decode()}"

    class Server(asyncssh.SSHServer):
        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            router.connections.append(conn)

    server = await asyncssh.listen(
        "127.0.0.1",
        0,
        server_factory=Server,
        server_host_keys=[(key, certificate)],
        authorized_client_keys=asyncssh.import_authorized_keys(users),
        process_factory=router.serve,
        encoding=None,
        allow_scp=False,
    )
    router.port = server.get_port()
    try:
        yield router
    finally:
        router.drop()
        server.close()
        await server.wait_closed()


async def until(met: Callable[[], bool], what: str, within_s: float = 5.0) -> None:
    """Wait for a condition; fails with its description."""
    deadline = asyncio.get_running_loop().time() + within_s
    while not met():
        assert asyncio.get_running_loop().time() < deadline, f"not within {within_s} s: {what}"
        await asyncio.sleep(0.01)


async def until_async(met: Callable[[], Awaitable[bool]], what: str, within_s: float = 8.0) -> None:
    """Wait for a condition that must be asked for; fails with its description."""
    deadline = asyncio.get_running_loop().time() + within_s
    while not await met():
        assert asyncio.get_running_loop().time() < deadline, f"not within {within_s} s: {what}"
        await asyncio.sleep(0.1)
