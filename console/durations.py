"""Durations as people write them: 3s, 5m, 2h, 14d."""

from __future__ import annotations

import re

from console.fail import UsageError

_SECONDS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(text: str, option: str) -> float:
    """Seconds of the duration that an option was given. Raises UsageError, which names it, for anything else."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text.strip())
    if found is None:
        raise UsageError(f"{option}: {text!r} is not a duration; write 3s, 5m, 2h or 14d")
    return float(found[1]) * _SECONDS[found[2]]
