"""SSH into the namespaces: a real sshd in each, reached through a listener on 127.0.0.1 that hands it the connection.

Nothing is forwarded and no interface enters the root namespace: the accepted socket becomes sshd's stdin and stdout.
"""

from __future__ import annotations

import asyncio
import grp
import json
import os
import pwd
import shutil
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

from lab.frr import config, feed
from lab.frr.shell import run
from lab.ledger import Ledger
from lab.ports import Port
from network.inventory import Site

SignHostKey = Callable[[str, list[str]], Awaitable[str]]
PYTHON = "/usr/bin/python3"  # the supervisor's own Python may lie in a private home
SYSTEM_ACCOUNTS = ("root", "nobody", "sshd", "frr")
FIRST_UID = 61000
NETNS = Path("/etc/netns")


def write_accounts(namespace: str, accounts: list[str]) -> None:
    """The namespace's own passwd, group and shadow: system accounts without passwords, plus ours in group frrvty."""
    folder = NETNS / namespace
    folder.mkdir(mode=0o755, parents=True, exist_ok=True)
    people = [pwd.getpwnam(name) for name in SYSTEM_ACCOUNTS]
    passwd = [f"{p.pw_name}:x:{p.pw_uid}:{p.pw_gid}::{p.pw_dir}:{p.pw_shell}" for p in people]
    passwd += [f"{a}:x:{FIRST_UID + n}:{FIRST_UID + n}::/:/bin/sh" for n, a in enumerate(accounts)]
    groups = [f"{g.gr_name}:x:{g.gr_gid}:" for g in map(grp.getgrgid, {p.pw_gid for p in people})]
    groups.append(f"frrvty:x:{grp.getgrnam('frrvty').gr_gid}:{','.join(['frr', *accounts])}")
    groups += [f"{a}:x:{FIRST_UID + n}:" for n, a in enumerate(accounts)]
    # "*" is no password and not locked; "!" would refuse certificates too.
    shadow = [f"{name}:*:20000:0:99999:7:::" for name in [*SYSTEM_ACCOUNTS, *accounts]]
    for name, lines, mode in (
        ("passwd", passwd, 0o644),
        ("group", groups, 0o644),
        ("shadow", shadow, 0o600),
    ):
        path = folder / name
        path.touch(mode=mode)
        path.write_text("\n".join(lines) + "\n")


def commands(site: Site, node: str, namespace: str, guard: Path) -> dict[str, str]:
    """What each account of a node may run: the guard on a router, a script on stdin on the probe host."""
    vault = site.systems.vault
    if node not in {router.name for router in site.routers}:
        return {vault.probe_principal: f"{PYTHON} -"}
    line = f"{PYTHON} -I -S {guard} {namespace}"
    return {vault.read_principal: f"{line} read", vault.run_principal: f"{line} run {','.join(specifics(site))}"}


def specifics(site: Site) -> list[str]:
    """What an operator may have the edges originate, towards whichever cloud."""
    return sorted({str(each) for cloud in site.clouds for each in site.specifics(cloud.name)})


class Door:
    """The way into one node: a port on 127.0.0.1 that stays the same while the door is shut and opened."""

    def __init__(self, node: str, namespace: str, folder: Path) -> None:
        self.node, self._namespace, self._folder = node, namespace, folder
        self._port = Port()
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._sessions: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        return self._port.number

    async def prepare(self, ca_line: str, accounts: dict[str, str], sign: SignHostKey, principals: list[str]) -> None:
        """Host key, certificate and sshd_config, in a folder that only root reads."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = self._folder / "host_key"
        await run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", self.node, "-f", str(key))
        certificate = await sign(key.with_suffix(".pub").read_text().strip(), principals)
        (self._folder / "host_key-cert.pub").write_text(certificate.strip() + "\n")
        (self._folder / "user_ca.pub").write_text(ca_line.strip() + "\n")
        (self._folder / "sshd_config").write_text(config.sshd(key, self._folder / "user_ca.pub", accounts))

    async def open(self) -> None:
        """Listen (again). The port is chosen at the first time."""
        if self._listener is None:
            self._listener = self._port.taken()
            self._listener.listen(64)
            self._accepting = asyncio.create_task(self._accept(self._listener))

    async def shut(self, *, keep_port: bool = False) -> None:
        """Refuse: stop listening and end every connection that is inside. `keep_port`: it will be opened again."""
        if self._accepting:
            self._accepting.cancel()
        if self._listener:
            self._listener.close()
        self._port.shut(keep=keep_port)
        for session in list(self._sessions):
            session.cancel()
        tasks = [*self._sessions, *([self._accepting] if self._accepting else [])]
        await asyncio.gather(*tasks, return_exceptions=True)
        self._listener = self._accepting = None

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(listener)
            session = asyncio.create_task(self._serve(connection))
            self._sessions.add(session)
            session.add_done_callback(self._sessions.discard)

    def _program(self) -> list[str]:
        """What gets a connection as its stdin and stdout."""
        config_file, log = self._folder / "sshd_config", self._folder / "sshd.log"
        return ["/usr/sbin/sshd", "-i", "-f", str(config_file), "-E", str(log)]

    async def _serve(self, connection: socket.socket) -> None:
        with connection:
            connection.setblocking(True)  # the flag lives in the file description that sshd inherits
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            process = await asyncio.create_subprocess_exec(
                "ip", "netns", "exec", self._namespace, *self._program(),
                stdin=connection.fileno(),
                stdout=connection.fileno(),
                stderr=asyncio.subprocess.DEVNULL,
                start_new_session=True,
            )  # fmt: skip
        try:
            await process.wait()
        except asyncio.CancelledError:
            if process.returncode is None:
                os.killpg(process.pid, 15)
                await process.wait()
            raise


class FeedDoor(Door):
    """The way from the plant to a feed in its cloud: each connection is carried from inside the plant."""

    def __init__(self, namespace: str, folder: Path, address: str) -> None:
        super().__init__("feed", namespace, folder)
        self._address = address

    def _program(self) -> list[str]:
        return [sys.executable, "-I", "-S", feed.__file__, "relay", self._address, str(feed.PORT)]


def install_guard(root: Path) -> Path:
    """Copy the guard and what it loads to where the routers' accounts may read them."""
    for name in ("guard.py", "deadman.py"):
        shutil.copy(Path(__file__).parent / name, root / name)
        (root / name).chmod(0o755)
    return root / "guard.py"


def make_timers(root: Path, namespace: str, accounts: list[str], run: str) -> None:
    """Where a router keeps its dead-men (guard.timers): the run account writes there, the read account looks."""
    folder = root / "timers" / namespace
    folder.mkdir(mode=0o755, parents=True)
    os.chown(folder, FIRST_UID + accounts.index(run), grp.getgrnam("frrvty").gr_gid)
    folder.chmod(0o2750)


class Writes:
    """Hears from the guards what the routers accepted, and writes it into the ledger."""

    def __init__(self, path: Path, prefix: str, ledger: Ledger) -> None:
        self._prefix, self._ledger = prefix, ledger
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.bind(str(path))
        path.chmod(0o666)  # the routers' accounts write to it
        asyncio.get_running_loop().add_reader(self._socket, self._readable)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _readable(self) -> None:
        write = json.loads(self._socket.recv(65536))
        for line in write["lines"]:
            self._ledger.record(write["pathspace"].removeprefix(self._prefix), line, write["by"])
