"""A PostgreSQL cluster of the tests' own: in a temporary folder, as its own user, on a free port of loopback."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

#: No test takes the machine itself down, so there is nothing that only a disk would keep: after a stop the server is
#: back in 0.3 s there, and in 4 s on a disk. What syncing costs is measured on a disk (tests/bench).
MEMORY = Path("/dev/shm")
ROOM = 1 << 30

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))


def lacking() -> str | None:
    """Why there can be no cluster here; None when there can."""
    if not BINARIES:
        return "no PostgreSQL server: install the package postgresql"
    return None if os.geteuid() else (None if shutil.which("runuser") else "root without runuser")


def free_port() -> int:
    """One that the kernel gives to nobody: a server that was stopped must find it free when it is started again."""
    given_from = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    low, high = max(1024, given_from // 2), given_from
    mine = low + os.getpid() % (high - low)  # beside other workers' servers
    for port in (*range(mine, high), *range(low, mine)):
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                tried.bind(("127.0.0.1", port))
                return port
    raise AssertionError(f"no port from {low} to {high} is free")


class Cluster:
    """A server that can be stopped, frozen and started again; `url` names a database."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.bin = folder, BINARIES[-1].parent
        self.port = free_port()
        self._made = 0

    def create(self) -> None:
        self._run("initdb", "-D", "data", "-U", "owner", "-A", "trust", "-E", "UTF8", "--no-sync")
        settings = f"listen_addresses='127.0.0.1'\nport={self.port}\nunix_socket_directories='{self.folder}'\n"
        with (self.folder / "data" / "postgresql.conf").open("a") as conf:
            conf.write(settings)
        self.start()

    def start(self) -> None:
        self._run("pg_ctl", "-D", "data", "-l", "log", "-w", "-t", "60", "start")

    def stop(self) -> None:
        """As a power cut does it: nobody is waited for."""
        self._run("pg_ctl", "-D", "data", "-m", "immediate", "-w", "stop")

    def database(self) -> str:
        """Make an empty database and return its URL, for its owner."""
        self._made += 1
        name = f"journal{self._made}"
        self._run("createdb", "-h", "127.0.0.1", "-p", str(self.port), "-U", "owner", name)
        return self.url(name)

    def url(self, name: str, user: str = "owner", port: int | None = None) -> str:
        return f"postgresql://{user}@127.0.0.1:{port or self.port}/{name}"

    def _run(self, program: str, *args: str) -> None:
        as_user = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
        command = [*as_user, str(self.bin / program), *args]
        done = subprocess.run(command, check=False, cwd=self.folder, capture_output=True, text=True, timeout=90)
        assert done.returncode == 0, f"{program}: {done.stderr}{done.stdout}"


def roomy(memory: Path = MEMORY) -> Path | None:
    """A file system in memory with room for what tests write; None where there is none."""
    return memory if memory.is_dir() and shutil.disk_usage(memory).free > ROOM else None


@contextmanager
def cluster(parent: Path | None) -> Iterator[Cluster]:
    """A running server whose folder is in this one; None: where temporary files are."""
    folder = Path(tempfile.mkdtemp(prefix="pg-", dir=parent))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    made = Cluster(folder)
    try:
        made.create()
        yield made
    finally:
        made.stop()
        shutil.rmtree(folder, ignore_errors=True)
