"""What goes into the journal and what comes out of it, beside events."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Self

from runbooks.model import Phase


@dataclass(frozen=True, slots=True)
class NewRun:
    """A run to be created. `definition` is frozen with it: parameters, steps, exact commands, exact undo.

    `actions` are the major versions of the action adapters that the definition needs. `locks` are resources
    such as "port:port-a"; the run holds them until it is closed, whatever happens to its console.
    """

    book: str
    version: str
    definition: Mapping[str, Any]
    actions: Mapping[str, int] = field(default_factory=dict)
    ticket: str | None = None
    locks: Sequence[str] = ()
    undo_of: str | None = None


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run as the list shows it; `state` and `direction` are projections of its log."""

    run_id: str
    book: str
    version: str
    definition: Mapping[str, Any]
    definition_sha: str
    actions: Mapping[str, int]
    ticket: str | None
    created_by: str
    created_host: str
    created_at: datetime
    state: str
    direction: str
    driver: str | None  # console id: host/pid/id/MODE
    driver_user: str | None
    fence: int
    head_seq: int
    head_hash: str
    closed_at: datetime | None
    driver_alive: bool
    disputed: bool = False  # something was reported after the close: the outcome may not be what it says

    @property
    def orphaned(self) -> bool:
        """Open, and nobody who lives drives it: it waits for a person to take it over."""
        return self.closed_at is None and not self.driver_alive


@dataclass(frozen=True, slots=True)
class Draft:
    """An event before it has a place in the log.

    It is timed when the write lock is held: of two consoles' entries, `ts` then follows `seq`.
    """

    run_id: str
    uid: str
    now: Callable[[], datetime]
    kind: str
    actor: str
    console: str
    fence: int | None = None
    step: str | None = None
    phase: Phase | None = None
    attempt: int | None = None
    reply_to: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    db_user: str | None = None
    sig: str | None = None
    ts: datetime = datetime.min  # noqa: DTZ901 - not timed yet

    def timed(self) -> Self:
        return replace(self, ts=self.now())


@dataclass(frozen=True, slots=True)
class ChainReport:
    """What the hash chain of one run says. `first_bad_seq` names the first entry that is not as written."""

    run_id: str
    ok: bool
    events: int
    first_bad_seq: int | None
    reason: str
    head_hash: str


def canonical(value: object) -> str:
    """Return JSON that is the same for the same value, in ASCII. What JSON does not know becomes its str()."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), default=str)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def stamp(moment: datetime) -> str:
    """Return a UTC moment as text that sorts and reads back exactly."""
    return moment.isoformat(timespec="microseconds")
