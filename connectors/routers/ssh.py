"""SSH: one persistent connection a router, key in memory, certificate signed for minutes, host checked by its CA.

The only module that imports asyncssh, inside its functions. Nothing of the operator's own SSH setup is read:
no agent, no configuration file, no known_hosts file, no password.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Protocol

from connectors.errors import BadReply, Denied, InterlockError, TimedOut, Unreachable
from connectors.routers.channel import REFUSED, Channel, ExecChannel, LineChannel, Reply
from connectors.routers.shell import COLUMNS, ROWS, ShellChannel

if TYPE_CHECKING:
    import asyncssh

#: A certificate this close to its end is renewed before a new connection; an open connection outlives it.
RENEW_BEFORE = timedelta(seconds=30)
#: Preferred where a router has them: in this library the usual first choice costs a packet twice as much.
CIPHERS_FIRST = "^aes128-gcm@openssh.com,aes256-gcm@openssh.com"
CONNECT_S, LOGIN_S, KEEPALIVE_S, KEEPALIVE_MISSES = 5.0, 5.0, 5.0, 2


class SignedKey(Protocol):
    """An OpenSSH certificate (public text) and when it ends."""

    @property
    def text(self) -> str: ...
    @property
    def expires_at(self) -> datetime: ...


Sign = Callable[[str], Awaitable[SignedKey]]


class HostCaMissing(InterlockError):
    """The site does not say which CA signs host keys: connecting would mean trusting whoever answers."""


class HostNotTrusted(Unreachable):
    """Whoever answered holds no certificate for this name from the site's host CA."""


@dataclass(frozen=True, slots=True)
class Host:
    """Where to connect. `name` is what the host certificate must be issued for; `jump` is `host` or `host:port`."""

    name: str
    address: str
    port: int = 22
    jump: str | None = None


class Login:
    """Logs in to the site's hosts as one user, with one in-memory key and a certificate renewed when needed.

    `host_ca` is the CA's public key line; without it there is no login at all. `keepalive_s`: seconds between
    keepalives; a far end that leaves two unanswered is gone.
    """

    def __init__(
        self,
        username: str,
        host_ca: str,
        sign: Sign,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        *,
        keepalive_s: float = KEEPALIVE_S,
    ) -> None:
        self._username, self._sign, self._clock, self._keepalive_s = username, sign, clock, keepalive_s
        self._host_ca = host_ca.strip().removeprefix("@cert-authority *").strip()
        self._key: asyncssh.SSHKey | None = None
        self._certificate: SignedKey | None = None
        self._renewing = asyncio.Lock()

    async def connect(self, host: Host) -> Connection:
        """A new connection.

        Raises HostCaMissing, HostNotTrusted, Unreachable, TimedOut, Denied, BadReply (a certificate or CA line that
        is none), or what `sign` raises.
        """
        if not self._host_ca:
            raise HostCaMissing(
                "no host CA",
                where="site file, systems.vault.host_ca",
                do_next="Put the public key line of the CA that signs router host keys there.",
            )
        certificate = await self._fresh()
        where = f"{host.name} ({host.address}:{host.port})"
        jump: asyncssh.SSHClientConnection | None = None
        try:
            if host.jump is not None:
                name, _, port = host.jump.partition(":")
                jump = await self._open(Host(name, name, int(port or 22)), certificate, None)
            return Connection(await self._open(host, certificate, jump), jump, where)
        except BaseException as error:
            if jump is not None:
                jump.close()
            named = _named(error, where, self._username)
            if named is None:
                raise
            raise named from error

    async def _open(
        self, host: Host, certificate: SignedKey, tunnel: asyncssh.SSHClientConnection | None
    ) -> asyncssh.SSHClientConnection:
        import asyncssh

        return await asyncssh.connect(
            host.address,
            host.port,
            username=self._username,
            client_keys=[(self._key, asyncssh.import_certificate(certificate.text))],
            known_hosts=f"@cert-authority * {self._host_ca}\n".encode(),
            host_key_alias=host.name,
            tunnel=tunnel,
            config=None,
            agent_path=None,
            gss_host=None,
            preferred_auth="publickey",
            encryption_algs=CIPHERS_FIRST,
            connect_timeout=CONNECT_S,
            login_timeout=LOGIN_S,
            keepalive_interval=self._keepalive_s,
            keepalive_count_max=KEEPALIVE_MISSES,
        )

    async def _fresh(self) -> SignedKey:
        import asyncssh

        async with self._renewing:
            if self._key is None:
                self._key = asyncssh.generate_private_key("ssh-ed25519")
            kept = self._certificate
            if kept is None or kept.expires_at - self._clock() < RENEW_BEFORE:
                line = self._key.export_public_key("openssh").decode().strip()
                kept = self._certificate = await self._sign(line)
            return kept


class Connection:
    """An open SSH connection, and the jump connection that carries it."""

    def __init__(
        self, ssh: asyncssh.SSHClientConnection, jump: asyncssh.SSHClientConnection | None, where: str
    ) -> None:
        self._ssh, self._jump, self._where = ssh, jump, where

    @property
    def closed(self) -> bool:
        return bool(self._ssh.is_closed())

    async def line_channel(self, deadline_s: float = LOGIN_S) -> Channel:
        """The router's line protocol. Raises Unreachable, TimedOut."""
        process = await self._start("line", deadline_s)
        return LineChannel(BytesIn(process.stdout), process.stdin, self._where)

    async def shell_channel(self, deadline_s: float = LOGIN_S) -> Channel:
        """The account's interactive shell, its prompt learned. Raises Unreachable, TimedOut, BadReply."""
        process = await self._start(None, deadline_s, term_type="dumb", term_size=(COLUMNS, ROWS))
        channel = ShellChannel(BytesIn(process.stdout), process.stdin, self._where)
        await channel.open(deadline_s)
        return channel

    def exec_channel(self) -> Channel:
        return ExecChannel(self._run, self._where)

    async def feed(self, command: str, text: bytes) -> BytesIn:
        """The output of a command that gets the text on its stdin, and then its end. Raises Unreachable, TimedOut."""
        process = await self._start(command, LOGIN_S)
        process.stdin.write(text)
        process.stdin.write_eof()
        return BytesIn(process.stdout)

    async def _start(self, command: str | None, deadline_s: float, **terminal: Any) -> asyncssh.SSHClientProcess[bytes]:
        import asyncssh

        try:
            async with asyncio.timeout(deadline_s):
                return await self._ssh.create_process(command, encoding=None, stderr=asyncssh.STDOUT, **terminal)
        except Exception as error:
            named = _named(error, self._where, "")
            if named is None:
                raise
            raise named from error

    async def _run(self, command: str) -> Reply:
        import asyncssh

        try:
            done = await self._ssh.run(command, encoding="utf-8", errors="backslashreplace")
        except asyncssh.Error as error:
            raise ConnectionError(str(error)) from error
        if done.exit_status is None or done.exit_status < 0:
            raise ConnectionError(f"`{command}` ended without a status")
        out, said = str(done.stdout or ""), str(done.stderr or "")
        return Reply(done.exit_status, said if done.exit_status == REFUSED or not out else out)

    def abort(self) -> None:
        """Let go at once: a far end that is gone cannot be waited for."""
        for connection in (self._ssh, self._jump):
            if connection is not None:
                connection.abort()

    async def close(self) -> None:
        """Hang up politely, for at most a second."""
        self._ssh.close()
        try:
            async with asyncio.timeout(1.0):
                await self._ssh.wait_closed()
        except TimeoutError:
            pass
        finally:
            self.abort()


class BytesIn:
    """A process's output: a lost connection is a ConnectionError, not a library's own class."""

    def __init__(self, reader: asyncssh.SSHReader[bytes]) -> None:
        self._reader = reader

    async def readuntil(self, separator: bytes) -> bytes:
        return await self._guarded(self._reader.readuntil(separator))

    async def read(self, n: int) -> bytes:
        """What has come, at most n bytes; b"" at the end."""
        return await self._guarded(self._reader.read(n))

    async def _guarded(self, reading: Awaitable[bytes]) -> bytes:
        import asyncssh

        try:
            return await reading
        except asyncssh.Error as error:
            raise ConnectionError(str(error)) from error


def _named(error: BaseException, where: str, username: str) -> InterlockError | None:
    """The named error for a failed connection; None for what is not about the connection."""
    import asyncssh

    said: dict[str, Any] = {"where": where}
    if isinstance(error, asyncssh.HostKeyNotVerifiable):
        return HostNotTrusted(
            f"its host key is not trusted ({error.reason})",
            do_next="Do not log in by hand. Check that the site's host CA issued its host certificate for this name.",
            **said,
        )
    if isinstance(error, asyncssh.PermissionDenied):
        return Denied(
            f"login as {username} refused",
            do_next="Check the certificate's principals and the router's TrustedUserCAKeys.",
            **said,
        )
    if isinstance(error, asyncssh.KeyImportError):
        do_next = "Check systems.vault.host_ca in the site file and Vault's SSH role."
        return BadReply(f"the host CA line or the signed certificate is no key ({error})", do_next=do_next, **said)
    if isinstance(error, TimeoutError):
        return TimedOut("no SSH login or channel in time", do_next="Check the way to the router.", **said)
    if isinstance(error, OSError | asyncssh.Error):
        return Unreachable(f"no SSH connection ({error})", do_next="Check the way to the router.", **said)
    return None
