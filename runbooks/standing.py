"""What only the console that drives a run knows of it, at one moment: it is in no log. Every duration is in seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from runbooks.view import RunView

#: May the run go on without the journal: a reason can be typed, has been, or it is too late for one.
Glass = Literal["whole", "broken", "shut"]


@dataclass(frozen=True, slots=True)
class Away:
    """The journal does not answer the driver: what must be known before it happens waits, what has happened is kept."""

    why: str
    for_s: float  # since it last answered
    asks_after_s: float  # away for longer, a run on its way forward is paused when it is back
    waits: str  # the entry that nothing goes on without, such as "act.intent of move-aws"; empty: none is due yet
    kept: tuple[str, ...]  # the entries that this host keeps for it, oldest first
    in_memory: bool  # and on no disk
    lost: int  # entries that it had taken and, being back, has no more
    retry_s: float | None  # until it is tried again; None: it is being tried
    glass: Glass
    lease_s: float | None  # for which no other console can take the run over; None: only by force


@dataclass(frozen=True, slots=True)
class Standing:
    """`fuses`: by timer and place, how long until a dead-man restores if it hears nothing more from here."""

    fuses: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    away: Away | None = None
    believed: RunView | None = None  # while the journal is away: the run as this console alone knows it
