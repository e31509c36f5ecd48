"""What providers and we ourselves plan or suffer: maintenance, outages, changes, each with the things it touches."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

EventKind = Literal["maintenance", "outage", "change"]
EventState = Literal["announced", "running", "done", "cancelled"]


@dataclass(frozen=True, slots=True)
class ProviderEvent:
    """One event of one system. `touches` are the site's own names (ports, VXCs, connections, tunnels, routers, clouds).

    `ends` is None while nobody knows. `emergency`: announced too late to plan for.
    """

    id: str
    system: str
    kind: EventKind
    state: EventState
    title: str
    starts: datetime
    ends: datetime | None
    touches: tuple[str, ...]
    emergency: bool = False


@dataclass(frozen=True, slots=True)
class Events:
    """Every event that a system knows of within the calendar's days, announced, running or just over."""

    events: tuple[ProviderEvent, ...]
