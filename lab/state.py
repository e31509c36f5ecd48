"""lab.json: what a running lab says of itself, and whether it still runs. It holds no secret."""

from __future__ import annotations

import json
import os
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path

#: A unix socket's path may not be longer than this everywhere (Linux allows 107, macOS 103).
SOCKET_LIMIT = 100


@dataclass(frozen=True, slots=True)
class LabState:
    """`pid` with `pid_start` (clock ticks since boot) names one process and no later one with the same pid."""

    pid: int
    pid_start: str
    routers: str
    socket: str
    site: str
    folder: str

    def alive(self) -> bool:
        return pid_start(self.pid) == self.pid_start

    def save(self) -> None:
        """Write lab.json whole or not at all."""
        target = Path(self.folder) / "lab.json"
        part = target.with_suffix(".part")
        part.write_text(json.dumps(asdict(self), indent=1))
        part.replace(target)


def lab_folder(state_dir: Path) -> Path:
    return state_dir / "lab"


def read(folder: Path) -> LabState | None:
    """The lab of this state folder, if its process still lives; a stale lab.json counts as none."""
    state = last(folder)
    return state if state and state.alive() else None


def last(folder: Path) -> LabState | None:
    """What lab.json says, whether its process still lives or not."""
    try:
        return LabState(**json.loads((folder / "lab.json").read_text()))
    except (OSError, ValueError, TypeError):
        return None


def pid_start(pid: int) -> str:
    """The start time of a process, in the kernel's own ticks where there is /proc; "" when it does not run."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return "" if fields[0] == "Z" else fields[19]  # a zombie has ended: nobody has asked it yet
    except OSError:
        pass
    if Path("/proc/self/stat").exists():
        return ""
    try:  # no /proc: the pid alone has to do
        os.kill(pid, 0)
    except OSError:
        return ""
    return "unknown"


def socket_path(folder: Path) -> Path:
    """Where the control socket lies: beside lab.json, or in a short folder when that path is too long."""
    wanted = folder / "control.sock"
    if len(str(wanted)) <= SOCKET_LIMIT:
        return wanted
    return Path(tempfile.mkdtemp(prefix="ilk-")) / "control.sock"
