"""Removing an FRR lab, whole: processes, namespaces, folders. Standard library only: it runs as a process of its own.

FRR's daemons change their user id, and the kernel forgets PDEATHSIG at that moment, so a killed supervisor would
leave them running. Instead this program holds the read end of a pipe that only the supervisor can write: the pipe
closes when the supervisor ends, however it ends, and the sweep begins. `down` closes the pipe on purpose: there is
one way to remove a lab.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TypedDict

RUN = Path("/run/interlock-frr")
OWNER = RUN / "owner.json"
NETNS = Path("/run/netns")
PRIVSEP = Path("/run/sshd")
FRR_FOLDERS = (Path("/etc/frr"), Path("/var/run/frr"), Path("/etc/netns"))
FRR_SCRATCH = Path("/var/tmp/frr")  # noqa: S108 -- FRR's own crash-log folder, one sub-folder a process
GRACE_S = 1.0
KILL_S = 20.0


class Owner(TypedDict):
    """Who runs the lab: `started` is the kernel's start tick of `pid`, which a reused pid does not share."""

    id: str
    pid: int
    started: int
    state_folder: str
    root: str
    made_privsep: bool


def start_tick(pid: int) -> int | None:
    """Field 22 of /proc/PID/stat; None when there is no such process (or it is a zombie)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def alive(owner: Owner) -> bool:
    return start_tick(owner["pid"]) == owner["started"]


def prefix(lab: str) -> str:
    """How the namespaces of a lab begin."""
    return f"il-{lab}-"


def namespaces(lab: str) -> list[str]:
    return sorted(path.name for path in NETNS.glob(f"{prefix(lab)}*"))


def processes(names: list[str]) -> list[int]:
    """Every process in one of the namespaces."""
    inodes = {(NETNS / name).stat().st_ino for name in names if (NETNS / name).exists()}
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                inside = (entry / "ns/net").stat().st_ino in inodes
            except OSError:  # ended while we looked
                continue
            if inside:
                found.append(int(entry.name))
    return found


def sweep(owner: Owner) -> list[str]:
    """Remove everything of a lab. Returns what could not be removed: empty when nothing is left."""
    names = namespaces(owner["id"])
    left = [f"process {pid}" for pid in _end(names)]
    for name in names:
        done = subprocess.run(["ip", "netns", "del", name], capture_output=True, text=True, check=False)
        if done.returncode and (NETNS / name).exists():
            left.append(f"namespace {name}: {done.stderr.strip()}")
    folders = [path for base in FRR_FOLDERS for path in base.glob(f"{prefix(owner['id'])}*")]
    for folder in [*folders, Path(owner["root"])]:
        shutil.rmtree(folder, ignore_errors=True)
        if folder.exists():
            left.append(str(folder))
    _rmdir(FRR_FOLDERS[2])
    if owner["made_privsep"]:
        _rmdir(PRIVSEP)
    if not left:
        _forget(owner)
    return left


def _end(names: list[str]) -> list[int]:
    """SIGTERM, then SIGKILL: a daemon that ends by itself removes its own scratch files."""
    seen: set[int] = set()
    started = time.monotonic()
    while (pids := processes(names)) and time.monotonic() - started < KILL_S:
        fresh = set(pids) - seen
        seen |= fresh
        overdue = time.monotonic() - started > GRACE_S
        for pid in pids if overdue else fresh:
            try:
                os.kill(pid, signal.SIGKILL if overdue else signal.SIGTERM)
            except ProcessLookupError:
                continue
        time.sleep(0.02)
    for pid in seen:
        for scratch in FRR_SCRATCH.glob(f"*.{pid}"):
            shutil.rmtree(scratch, ignore_errors=True)
    return pids


def _forget(owner: Owner) -> None:
    """Take back the claim, unless somebody else holds it by now."""
    try:
        held = json.loads(OWNER.read_text())
    except (OSError, ValueError):
        return
    if held.get("id") == owner["id"]:
        OWNER.unlink(missing_ok=True)
        _rmdir(RUN)


def _rmdir(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:  # somebody else uses it by now, or it is gone
        return


def main() -> int:
    """argv[1] is the owner record; wait for stdin to close, then sweep. Exit 1 and names when something is left."""
    owner: Owner = json.loads(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    left = sweep(owner)
    for item in left:
        print(item, flush=True)
    return 1 if left else 0


if __name__ == "__main__":
    sys.exit(main())
