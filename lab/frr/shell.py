"""Running the lab's own plumbing commands: argument lists, deadlines, named errors."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable
from typing import Any

from lab.frr.errors import CommandFailed, FrrMissing

DEADLINE_S = 20.0
PROGRAMS = {
    "/usr/lib/frr/bgpd": "frr",
    "/usr/lib/frr/bfdd": "frr",
    "vtysh": "frr",
    "ip": "iproute2",
    "ping": "iputils-ping",
    "/usr/sbin/sshd": "openssh-server",
    "ssh-keygen": "openssh-client",
    "/usr/bin/python3": "python3-minimal",
}


def require() -> None:
    """Raises FrrMissing naming the Debian package of the first program that is not here."""
    for program, package in PROGRAMS.items():
        if shutil.which(program) is None:
            raise FrrMissing(f"{program} is not on this machine: install the package {package} (make system)")


async def run(*argv: str, stdin: str | None = None, check: bool = True) -> tuple[int, str]:
    """Exit status and merged output. Raises CommandFailed on a non-zero status (with `check`) or after 20 s."""
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL if stdin is None else asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(DEADLINE_S):
            out, _ = await process.communicate(None if stdin is None else stdin.encode())
    except TimeoutError:
        process.kill()
        await process.wait()
        raise CommandFailed(argv, None, f"no end after {DEADLINE_S:.0f} s") from None
    status = process.returncode if process.returncode is not None else -1
    if check and status:
        raise CommandFailed(argv, status, out.decode(errors="replace"))
    return status, out.decode(errors="replace")


async def together(*work: Awaitable[Any]) -> list[Any]:
    """All at once; when one fails the others are ended first, so that nothing starts after the clean-up."""
    tasks = [asyncio.ensure_future(item) for item in work]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
