"""A router's SSH end on loopback: host and user certificates, the line protocol, exec, and a host's `python3 -`."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncssh

from connectors.errors import TimedOut
from connectors.routers.session import RouterSession
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
    prompt: str = "edge-1# "
    piece: int = 32_000
    pages_for_ever: bool = False

    async def serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        self.open_now += 1
        self.most_open = max(self.most_open, self.open_now)
        try:
            if process.command == "line":
                await self._lines(process)
            elif process.command == "python3 -":
                await self._python(process)
            elif process.command is None:
                await self._shell(process)
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

    async def _shell(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        """A command line as vtysh's on a terminal: echo, a prompt, comments; it pages until told not to."""
        paging = True
        process.stdout.write(self.garble + b"\r\nHello, this is FRRouting.\r\n\r\n" + self.prompt.encode())
        while line := await process.stdin.readline():
            request = line.decode().rstrip("\n")
            text = ""
            if request == "terminal length 0":
                paging = self.pages_for_ever
                text = "% Unknown command: terminal length 0\n" if paging else ""
            elif not request.startswith("!"):
                self.asked.append(request)
                answer = await self.answer(request)
                if answer is None:
                    await process.wait_closed()
                    return
                text = "--More--" if paging else answer[1]
            said = f"{request}\n{text}{self.prompt}".replace("\n", "\r\n").encode()
            for at in range(0, len(said), self.piece):
                process.stdout.write(said[at : at + self.piece])
                await asyncio.sleep(0)
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


@contextmanager
def privilege_separation() -> Iterator[None]:
    """The folder that sshd wants and a service manager would have made."""
    folder = Path("/run/sshd")
    made = not folder.exists()
    folder.mkdir(mode=0o755, exist_ok=True)
    try:
        yield
    finally:
        if made:
            folder.rmdir()


@asynccontextmanager
async def openssh(authority: Authority, folder: Path) -> AsyncIterator[int]:
    """A jump host `localhost` that is a real OpenSSH server on a free port, for this test's own user."""
    key = asyncssh.generate_private_key("ssh-ed25519")
    certificate = authority.host_ca.generate_host_certificate(key, "jump", principals=["localhost"])
    key.write_private_key(folder / "host")
    certificate.write_certificate(folder / "host-cert.pub")
    (folder / "host").chmod(0o600)
    authority.user_ca.write_public_key(folder / "users.pub")
    lines = [
        f"HostKey {folder}/host", f"HostCertificate {folder}/host-cert.pub", f"TrustedUserCAKeys {folder}/users.pub",
        "AuthorizedKeysFile none", "PasswordAuthentication no", "KbdInteractiveAuthentication no", "UsePAM no",
        "StrictModes no", "PidFile none", "UseDNS no", "PermitTTY no", "ForceCommand /bin/false",
    ]  # fmt: skip
    (folder / "sshd_config").write_text("\n".join(lines) + "\n")

    async def serve() -> None:
        while True:
            connection, _ = await asyncio.get_running_loop().sock_accept(listener)
            with connection:
                connection.setblocking(True)
                command = ("/usr/sbin/sshd", "-i", "-f", str(folder / "sshd_config"), "-E", str(folder / "log"))
                children.append(await asyncio.create_subprocess_exec(*command, stdin=connection, stdout=connection))

    children: list[asyncio.subprocess.Process] = []
    with privilege_separation(), socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setblocking(False)
        serving = asyncio.create_task(serve())
        try:
            yield listener.getsockname()[1]
        finally:
            serving.cancel()
            for child in children:
                await child.wait()  # each ends with its connection


@asynccontextmanager
async def black_hole(port: int) -> AsyncIterator[tuple[int, asyncio.Event]]:
    """A way to a port that swallows everything, both ways and without a word, once its event is set."""
    gone = asyncio.Event()
    pumps: list[asyncio.Task[None]] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65536):
            if not gone.is_set():
                writer.write(data)

    async def join(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        pumps.extend(asyncio.create_task(pump(*way)) for way in ((reader, far_writer), (far_reader, writer)))

    server = await asyncio.start_server(join, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], gone
    finally:
        server.close()
        for task in pumps:
            task.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)


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


async def shown(over: RouterSession, command: str) -> str:
    """What the router says to a show, once it has: on a busy machine a short deadline may pass before."""
    texts: list[str] = []

    async def told() -> bool:
        with suppress(TimedOut):
            texts.append((await over.show(command)).text)
        return bool(texts)

    await until_async(told, f"an answer to `{command}`")
    return texts[0]


async def until(met: Callable[[], bool], what: str, within_s: float = 30.0) -> None:
    """Wait for a condition; fails with its description."""
    deadline = asyncio.get_running_loop().time() + within_s
    while not met():
        assert asyncio.get_running_loop().time() < deadline, f"not within {within_s} s: {what}"
        await asyncio.sleep(0.01)


async def until_async(met: Callable[[], Awaitable[bool]], what: str, within_s: float = 30.0) -> None:
    """Wait for a condition that must be asked for; fails with its description."""
    deadline = asyncio.get_running_loop().time() + within_s
    while not await met():
        assert asyncio.get_running_loop().time() < deadline, f"not within {within_s} s: {what}"
        await asyncio.sleep(0.1)
