"""A supervisor that is killed: its lab goes away by itself, and what even that left is swept by the next lab."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import asyncssh
import pytest

from lab.frr import FrrLab, sweep
from network.sitefile import load

pytestmark = [
    pytest.mark.frr,
    pytest.mark.timeout(300),
]

ROOT = Path(__file__).parents[2]
SITE = ROOT / "lab/reference.yaml"
SUPERVISOR = f"""
import asyncio, asyncssh, pathlib, sys
from lab.frr import FrrLab
from network.sitefile import load

async def main():
    ca = asyncssh.generate_private_key("ssh-ed25519")
    async def sign(line, principals):
        key = asyncssh.import_public_key(line)
        return ca.generate_host_certificate(key, "h", principals=principals).export_certificate().decode()
    lab = FrrLab(load(pathlib.Path({str(SITE)!r}).read_text()).site)
    await lab.start(pathlib.Path(sys.argv[1]), ca.export_public_key().decode(), sign)
    print("up", lab._reaper.pid, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


def up(state: Path) -> tuple[subprocess.Popen[str], int, sweep.Owner]:
    """A supervisor of its own with a lab that is up, its reaper's process id, and its claim."""
    supervisor = subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(state)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert supervisor.stdout is not None
    word = supervisor.stdout.readline().split()
    assert word[0] == "up"
    return supervisor, int(word[1]), json.loads(sweep.OWNER.read_text())


def kill(supervisor: subprocess.Popen[str]) -> None:
    supervisor.kill()
    supervisor.communicate(timeout=10)


def left(owner: sweep.Owner) -> list[str]:
    names = sweep.namespaces(owner["id"])
    folders = [str(p) for base in sweep.FRR_FOLDERS for p in base.glob(f"{sweep.prefix(owner['id'])}*")]
    return [*names, *folders, *(p for p in (owner["root"], str(sweep.OWNER)) if Path(p).exists())]


def until(what: str, holds: Callable[[], bool], within_s: float = 60.0) -> None:
    deadline = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < deadline, f"not within {within_s} s: {what}"
        time.sleep(0.05)


async def test_a_killed_supervisor_takes_its_lab_with_it(tmp_path: Path) -> None:
    supervisor, _, owner = await asyncio.to_thread(up, tmp_path)
    pids = {pid: tick for pid in sweep.processes(sweep.namespaces(owner["id"])) if (tick := sweep.start_tick(pid))}
    assert len(pids) > 30, "ten routers with three daemons each"
    await asyncio.to_thread(kill, supervisor)
    await asyncio.to_thread(until, "nothing left", lambda: not left(owner))
    await asyncio.to_thread(
        until, "all of them ended", lambda: not [pid for pid, tick in pids.items() if sweep.start_tick(pid) == tick]
    )


async def test_leftovers_of_a_dead_owner_are_swept_by_the_next_lab(tmp_path: Path) -> None:
    supervisor, reaper, owner = await asyncio.to_thread(up, tmp_path / "first")
    os.kill(reaper, signal.SIGKILL)
    await asyncio.to_thread(kill, supervisor)
    assert left(owner), "with its reaper dead, the lab stays"

    ca = asyncssh.generate_private_key("ssh-ed25519")

    async def sign(line: str, principals: list[str]) -> str:
        key = asyncssh.import_public_key(line)
        return ca.generate_host_certificate(key, "h", principals=principals).export_certificate().decode()

    lab = FrrLab(load(SITE.read_text()).site)
    await lab.start(tmp_path / "second", ca.export_public_key().decode(), sign)
    try:
        swept = [item for item in left(owner) if item != str(sweep.OWNER)]
        now = json.loads(sweep.OWNER.read_text())
    finally:
        await lab.stop()
    assert not swept
    assert (now["state_folder"], now["pid"]) == (str(tmp_path / "second"), os.getpid())
    assert not left(now)


async def test_a_start_that_fails_leaves_nothing(tmp_path: Path) -> None:
    async def sign(_line: str, _principals: list[str]) -> str:
        raise RuntimeError("the signer is gone")

    with pytest.raises(RuntimeError, match="the signer is gone"):
        await FrrLab(load(SITE.read_text()).site).start(tmp_path, "ssh-ed25519 AAAA", sign)
    assert not sweep.OWNER.exists()
    assert not list(sweep.NETNS.glob("il-*"))
