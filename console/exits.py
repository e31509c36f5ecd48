"""Exit codes: a contract that scripts and outside checks rely on."""

from __future__ import annotations

from enum import IntEnum


class Exit(IntEnum):
    """What the process says when it ends."""

    OK = 0
    IMPAIRED = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4
    ROLLED_BACK = 5
    DECISION = 6
    INTERRUPTED = 130
