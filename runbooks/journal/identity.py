"""Who writes, from which process, and whether a process that wrote before is still alive.

A pid alone is reused, so a process is named by its pid, its start time and the boot it belongs to.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_START_TIME = 19  # proc(5) field 22, counted from field 3, the first one after the parenthesised name


@dataclass(frozen=True, slots=True)
class Identity:
    """One console process. `pid_start` is in clock ticks since boot; `mode` is LIVE, DRILL or LAB."""

    user: str
    host: str
    pid: int
    pid_start: int
    boot_id: str
    mode: str

    @classmethod
    def here(cls, user: str, mode: str) -> Self:
        """Return the identity of this very process. Reads /proc."""
        pid = os.getpid()
        start = start_time(pid)
        assert start is not None, "this process is not in /proc: the journal needs Linux"
        return cls(user, socket.gethostname(), pid, start, boot_id(), mode)


def is_alive(other: Identity, here: Identity) -> bool:
    """Tell whether `other` may still act. What cannot be proven dead from this host counts as alive."""
    if other.host != here.host:
        return True
    if other.boot_id != here.boot_id:
        return False
    return start_time(other.pid) == other.pid_start


def start_time(pid: int) -> int | None:
    """Return the start time of a process in ticks since boot; None when there is none or it is a zombie."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # the name may hold spaces and parentheses
    return None if fields[0] in {"Z", "X"} else int(fields[_START_TIME])


def boot_id() -> str:
    """Return the kernel's id of the current boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
