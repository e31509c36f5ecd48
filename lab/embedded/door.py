"""An edge's SSH server: user certificates of the lab's CA, a host certificate, and nothing but guarded commands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from lab.embedded.guard import ACCOUNTS, REFUSED, converse, once
from lab.embedded.guard import answer as guarded
from lab.embedded.vty import Vty
from lab.ports import ADDRESS, Port

if TYPE_CHECKING:
    import asyncssh

SignHostKey = Callable[[str, list[str]], Awaitable[str]]


class Door:
    """One edge's SSH server on loopback. It keeps its port and host key when it is shut and opened again."""

    def __init__(self, router: str, vty: Vty, user_ca_line: str) -> None:
        self.router = router
        self._vty, self._user_ca = vty, user_ca_line
        self._host_key: Any = None
        self._port = Port()
        self._listener: asyncssh.SSHAcceptor | None = None
        self._connections: set[asyncssh.SSHServerConnection] = set()

    @property
    def port(self) -> int:
        return self._port.number

    @property
    def is_open(self) -> bool:
        return self._listener is not None

    async def certify(self, sign_host_key: SignHostKey) -> None:
        """Make a host key and have it signed for the router's name and the loopback address."""
        import asyncssh

        key = asyncssh.generate_private_key("ssh-ed25519")
        text = await sign_host_key(key.export_public_key().decode().strip(), [self.router, ADDRESS, "localhost"])
        self._host_key = (key, asyncssh.import_certificate(text))

    async def open(self) -> None:
        """Listen; the port is drawn the first time and kept afterwards."""
        import asyncssh

        self._listener = await asyncssh.create_server(
            self._server,
            sock=self._port.taken(),
            server_host_keys=[self._host_key],
            process_factory=self._serve,
            encoding=None,
            password_auth=False,
            kbdint_auth=False,
            gss_host=None,
            allow_scp=False,
            agent_forwarding=False,
            x11_forwarding=False,
        )

    async def shut(self, *, keep_port: bool = False) -> None:
        """The router is dead: nobody listens, and those who were there are cut off. `keep_port`: it will live again."""
        listener, self._listener = self._listener, None
        for connection in list(self._connections):
            connection.abort()
        if listener:
            listener.close()
        self._port.shut(keep=keep_port)
        if listener:
            await listener.wait_closed()

    def _server(self) -> asyncssh.SSHServer:
        server: asyncssh.SSHServer = _server_class()(self._user_ca, self._connections)
        return server

    async def _serve(self, process: asyncssh.SSHServerProcess[bytes]) -> None:
        import asyncssh

        user = str(process.get_extra_info("username"))
        by = str(process.get_extra_info("connection").get_extra_info("key_id") or user)
        account, command = ACCOUNTS[user], process.command or ""

        async def reply(data: bytes) -> None:
            process.stdout.write(data)
            await process.stdout.drain()

        try:
            if command == "line":
                process.exit(
                    await converse(process.stdin.read, reply, lambda text: guarded(self._vty, text, account, by))
                )
                return
            status, output = once(self._vty, command, account, by)
            (process.stderr if status == REFUSED else process.stdout).write(output)
            process.exit(status)
        except (asyncssh.Error, ConnectionError):
            return  # the client has gone; its answer has nobody to go to


def _server_class() -> type[Any]:
    """Lazy: asyncssh is imported when the first door opens, not with the module."""
    import asyncssh

    class Server(asyncssh.SSHServer):
        def __init__(self, user_ca: str, connections: set[Any]) -> None:
            self._user_ca, self._connections = user_ca, connections
            self._connection: asyncssh.SSHServerConnection

        def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
            self._connection = conn
            self._connections.add(conn)
            _remember_key_id(conn)

        def connection_lost(self, exc: Exception | None) -> None:
            del exc
            self._connections.discard(self._connection)

        def begin_auth(self, username: str) -> bool:
            """Only a certificate of our CA whose principals hold the account's own name is let in."""
            if username in ACCOUNTS:
                line = f'cert-authority,principals="{username}" {self._user_ca}'
                self._connection.set_authorized_keys(asyncssh.import_authorized_keys(line))
            return True

    return Server


def _remember_key_id(connection: Any) -> None:
    """Keep the certificate's key id as extra info `key_id`; asyncssh checks certificates without showing them."""
    name = "_validate_openssh_certificate"
    check = getattr(connection, name, None)
    if check is None:
        return

    async def checked(username: str, certificate: Any) -> Any:
        key = await check(username, certificate)
        if key is not None:
            connection.set_extra_info(key_id=getattr(certificate, "_key_id", ""))
        return key

    setattr(connection, name, checked)
