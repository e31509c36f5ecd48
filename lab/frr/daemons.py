"""Starting FRR in the namespaces: daemons in the foreground, their files where the `-N` path space wants them."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from lab.frr.errors import NotReady

BIN = Path("/usr/lib/frr")
SOCKETS = Path("/var/run/frr")
CONFIGS = Path("/etc/frr")
ZEBRA_DEADLINE_S = 15.0
#: Loadable modules; without configuration of their own they do nothing.
MODULES = {"bgpd": ("-M", "bmp")}


def write(namespace: str, files: dict[str, str]) -> None:
    """Put a router's configuration where its daemons look for it."""
    folder = CONFIGS / namespace
    for path in (folder, SOCKETS / namespace):
        path.mkdir(mode=0o755, parents=True, exist_ok=True)
        shutil.chown(path, "frr", "frr")
    for daemon, text in {**files, "vtysh": ""}.items():
        path = folder / f"{daemon}.conf"
        path.write_text(text)
        shutil.chown(path, "frr", "frr")


async def start(namespace: str, daemons: list[str], log: Path, processes: list[asyncio.subprocess.Process]) -> int:
    """Start zebra, then the others once it listens: a client that finds no zebra tries again only after 10 s.

    Whatever is started is added to `processes` at once. Returns zebra's process id.
    """
    zebra = await _spawn(namespace, "zebra", log)
    processes.append(zebra)
    await _listening(SOCKETS / namespace / "zserv.api", zebra)
    for daemon in daemons:
        if daemon != "zebra":
            process = await _spawn(namespace, daemon, log)
            processes.append(process)
    return zebra.pid


async def _spawn(namespace: str, daemon: str, log: Path) -> asyncio.subprocess.Process:
    with (log / f"{namespace}.{daemon}.log").open("ab") as output:
        return await asyncio.create_subprocess_exec(
            "ip", "netns", "exec", namespace, str(BIN / daemon), "-N", namespace,
            "-f", str(CONFIGS / namespace / f"{daemon}.conf"), "--log", "stdout", "--log-level", "notifications",
            *MODULES.get(daemon, ()),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C at the terminal is for the supervisor alone
        )  # fmt: skip


async def _listening(socket: Path, process: asyncio.subprocess.Process) -> None:
    try:
        async with asyncio.timeout(ZEBRA_DEADLINE_S):
            while not socket.exists():  # noqa: ASYNC240 -- one stat on a tmpfs
                if process.returncode is not None:
                    raise NotReady(f"zebra ended with {process.returncode} before {socket} appeared")
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise NotReady(f"zebra did not open {socket} in {ZEBRA_DEADLINE_S:.0f} s") from None
