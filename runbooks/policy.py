"""The one place that permits a change. Pure: facts in, every reason against out. Undo and restore are never asked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from network.policy import Policy

IMPLEMENT = -1
#: How far our clock and the ticket system's may be apart at the edges of a window.
CLOCK_TOLERANCE = timedelta(seconds=5)


class ChangeFacts(Protocol):
    """What the ticket system says of a change."""

    @property
    def number(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def state_code(self) -> int | None: ...
    @property
    def approval(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def on_hold(self) -> bool: ...
    @property
    def on_hold_reason(self) -> str: ...
    @property
    def start(self) -> datetime | None: ...
    @property
    def end(self) -> datetime | None: ...
    @property
    def cis(self) -> tuple[str, ...]: ...
    @property
    def conflicts(self) -> tuple[str, ...]: ...


def objections(change: ChangeFacts, target: str, touches: Sequence[str], policy: Policy, now: datetime) -> list[str]:
    """Every reason why a change does not permit this run now; empty when it does."""
    return [
        *_state(change),
        *_window(change, now),
        *_items(change, target if policy.gate_cis == "target" and target in touches else None, touches),
        *(f"{change.number} conflicts: {conflict}" for conflict in change.conflicts),
    ]


def window_left_s(change: ChangeFacts, now: datetime) -> float | None:
    """Seconds until the change's window closes; None when it has no end."""
    return (change.end - now).total_seconds() if change.end else None


def _state(change: ChangeFacts) -> Iterable[str]:
    if change.state_code != IMPLEMENT:
        yield f"{change.number} is in state {change.state}, not Implement"
    if change.approval != "approved" and change.type != "standard":
        yield f"{change.number} is not approved (approval: {change.approval})"
    if change.on_hold:
        why = f": {change.on_hold_reason}" if change.on_hold_reason else ""
        yield f"{change.number} is on hold{why}"


def _window(change: ChangeFacts, now: datetime) -> Iterable[str]:
    if change.start is None or change.end is None:
        yield f"{change.number} has no planned window"
    elif now < change.start - CLOCK_TOLERANCE:
        yield f"{change.number}: its window opens at {change.start:%Y-%m-%d %H:%M:%S}Z"
    elif now >= change.end:
        yield f"{change.number}: its window closed at {change.end:%Y-%m-%d %H:%M:%S}Z"


def _items(change: ChangeFacts, target: str | None, touches: Sequence[str]) -> Iterable[str]:
    wanted = [target] if target else list(touches)
    missing = [name for name in wanted if name not in change.cis]
    if missing:
        named = ", ".join(change.cis) or "no CI"
        yield f"{change.number} does not name {', '.join(missing)} (it names {named})"
