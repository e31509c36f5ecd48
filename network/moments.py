"""Moments reckoned from durations that others report: a garbled one must not end a look."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta


def ago(now: datetime, seconds: float | None) -> datetime | None:
    """So many seconds before now; None when that is not known, or is no date."""
    if seconds is None:
        return None
    try:
        return now - timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        return None


def first(moments: Iterable[datetime | None]) -> datetime | None:
    """The earliest of those that are known."""
    return min((moment for moment in moments if moment), default=None)
