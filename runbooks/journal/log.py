"""The journal's transactions, without I/O: each body yields (sql, parameters) and is sent the rows.

An engine runs a body between BEGIN and COMMIT. Dialects differ in three places only: `?` or `%s`, the
marker that stands for FOR UPDATE (a comment to SQLite, where BEGIN IMMEDIATE has taken the write lock),
and the two that stand for a driver's lease (NULL to SQLite, where a driver's life is read from /proc).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from runbooks.journal.errors import (
    Conflict,
    DriverAlive,
    FenceLost,
    FenceNeeded,
    LockHeld,
    RunClosed,
    UidReused,
    UnknownRun,
    WentBack,
)
from runbooks.journal.identity import Identity
from runbooks.journal.records import Draft, NewRun, RunRow, canonical, sha256, stamp
from runbooks.machine import apply, fold
from runbooks.model import Event, steps_of
from runbooks.view import RunView

T = TypeVar("T")
Row = Sequence[Any]
Body = Generator[tuple[str, Sequence[Any]], list[Row], T]
Alive = Callable[[Identity], bool]
Views = Mapping[str, RunView]  # what this console has folded so far; a body never changes it

FOR_UPDATE = "/*FOR UPDATE*/"
LEASE = "NULL/*lease*/"  # a lease that begins now, by the server's clock
LEASED = "NULL/*leased*/"  # whether run r's lease still runs, by the same clock
DRIVERLESS = ("cmd.", "late.", "note.", "out.")  # what any console may append, also to a closed run

# The columns that the hash covers, in the order of the hashed array.
HASHED = (
    "run_id",
    "seq",
    "uid",
    "ts",
    "kind",
    "actor",
    "console",
    "db_user",
    "fence",
    "step",
    "phase",
    "attempt",
    "reply_to",
    "data",
)
_EVENT = ", ".join((*HASHED, "hash"))
_RUN = (
    "run_id",
    "runbook_id",
    "runbook_version",
    "definition",
    "definition_sha",
    "actions",
    "ticket",
    "created_by",
    "created_host",
    "created_at",
    "state",
    "direction",
    "driver",
    "driver_user",
    "fence",
    "head_seq",
    "head_hash",
    "closed_at",
)
# How many late reports stand behind the entry that closed run r. The newest entry mostly is that one: then none.
_LATE = """CASE WHEN r.closed_at IS NULL
    OR EXISTS (SELECT 1 FROM event h WHERE h.run_id = r.run_id AND h.seq = r.head_seq AND h.ts = r.closed_at) THEN 0
    ELSE (SELECT count(*) FROM event l JOIN event e ON e.run_id = l.run_id AND e.seq < l.seq AND e.ts = r.closed_at
        WHERE l.run_id = r.run_id AND substr(l.kind, 1, 5) = 'late.') END"""
_CONSOLE = 'c."user", c.host, c.pid, c.pid_start, c.boot_id, c.console_id'


def chain_hash(prev_hash: str, columns: Sequence[Any]) -> str:
    """Return the hash of an entry: sha256 over the hash before it and its own columns as a JSON array."""
    return sha256(prev_hash + canonical(list(columns)))


# ------------------------------------------------------------------------------------------------ reading


def events(run_id: str, after: int) -> Body[list[Event]]:
    rows = yield f"SELECT {_EVENT} FROM event WHERE run_id = ? AND seq > ? ORDER BY seq", (run_id, after)  # noqa: S608 - column names are ours
    if not rows and not (yield "SELECT 1 FROM run WHERE run_id = ?", (run_id,)):
        raise UnknownRun(run_id)
    return [read_event(row) for row in rows]


def runs(alive: Alive, run_id: str | None = None) -> Body[list[RunRow]]:
    """All runs, newest first, or one. Raises UnknownRun for one that is not there."""
    only, params = ("WHERE r.run_id = ?", (run_id,)) if run_id else ("", ())
    columns = ", ".join(f"r.{name}" for name in _RUN)
    joined = (
        f"SELECT {columns}, {LEASED}, {_LATE}, {_CONSOLE} FROM run r LEFT JOIN console c ON c.console_id = r.driver"  # noqa: S608 - column names are ours
    )
    rows = yield f"{joined} {only} ORDER BY r.created_at DESC, r.run_id DESC", params
    if run_id and not rows:
        raise UnknownRun(run_id)
    return [_run_row(row, alive) for row in rows]


def read_event(row: Row) -> Event:
    """An entry from the columns that are hashed and its hash."""
    named = dict(zip((*HASHED, "hash"), row, strict=True))
    del named["db_user"]
    return Event(**{**named, "ts": datetime.fromisoformat(named["ts"]), "data": json.loads(named["data"])})


def _run_row(row: Row, alive: Alive) -> RunRow:
    named = dict(zip(_RUN, row, strict=False))
    leased, late, *console = row[len(_RUN) :]
    named["definition"], named["actions"] = json.loads(named["definition"]), json.loads(named["actions"])
    named["created_at"] = datetime.fromisoformat(named["created_at"])
    named["closed_at"] = datetime.fromisoformat(named["closed_at"]) if named["closed_at"] else None
    named["driver_alive"] = console[0] is not None and leased is not False and alive(_identity(console))
    named["disputed"] = late > 0
    named["book"], named["version"] = named.pop("runbook_id"), named.pop("runbook_version")
    return RunRow(**named)


def _identity(console: Row) -> Identity:
    user, host, pid, pid_start, boot_id, console_id = console
    return Identity(user, host, pid, pid_start, boot_id, console_id.rpartition("/")[2])


# ------------------------------------------------------------------------------------------------ writing


@dataclass(frozen=True, slots=True)
class _Head:
    """The part of a run's row that a write depends on, read under the write lock."""

    run_id: str
    state: str
    driver: str | None
    fence: int
    seq: int
    hash: str
    closed: bool
    leased: bool | None = None


def append(draft: Draft, expect_seq: int | None, views: Views) -> Body[tuple[Event, RunView]]:
    """Write one entry; an entry whose uid is already there is returned as it stands.

    Raises UnknownRun, FenceNeeded, FenceLost, Conflict, RunClosed, UidReused.
    """
    head = yield from _locked(draft.run_id)
    known = yield from _known(draft)
    if known:
        return known, (yield from _view(head, views))
    draft = draft.timed()
    _permit(draft, head)
    if expect_seq is not None and head.seq != expect_seq:
        raise Conflict(draft.run_id, expect_seq, head.seq)
    return (yield from _write(head, draft, views))


def create(new: NewRun, draft: Draft, host: str) -> Body[tuple[Event, RunView]]:
    """Create a run with all its locks, or with none of them (LockHeld). The creator drives it, fence 1."""
    if known := (yield from _known(draft)):
        return known, (yield from _view((yield from _locked(known.run_id)), {}))
    steps_of(new.definition)
    definition = canonical(new.definition)
    sha = sha256(definition)
    yield from _in_turn()
    draft = draft.timed()
    run_id = yield from _next_run_id(draft.ts)
    draft = replace(draft, run_id=run_id, fence=1)
    locks = yield from _take_locks(run_id, sorted(set(new.locks)), draft.ts)
    draft = draft.timed()  # not before the run that had the locks was closed
    yield (
        f"INSERT INTO run ({', '.join(_RUN)}, lease_until) VALUES ({', '.join('?' * len(_RUN))}, {LEASE})",  # noqa: S608 - column names are ours
        (
            *(run_id, new.book, new.version, definition, sha, canonical(new.actions), new.ticket),
            *(draft.actor, host, stamp(draft.ts), "NEW", "forward", draft.console, draft.actor, 1, 0, sha, None),
        ),
    )
    data = {
        "book": new.book,
        "version": new.version,
        "definition_sha": sha,
        "ticket": new.ticket,
        "locks": locks,
        "undo_of": new.undo_of,
    }
    head = _Head(run_id, "NEW", draft.console, 1, 0, sha, closed=False)
    return (yield from _write(head, replace(draft, data=data), {}))


def claim(draft: Draft, alive: Alive, views: Views, *, force: bool) -> Body[tuple[Event, RunView]]:
    """Make the draft's console the driver, with a new fence. Refused while the driver lives, unless forced.

    `forced` in the entry's data says that the old driver was not proven dead and may still be sending: that
    its lease has run out proves nothing about its packets.
    """
    head = yield from _locked(draft.run_id)
    if known := (yield from _known(draft)):
        return known, (yield from _view(head, views))
    if head.closed:
        raise RunClosed(head.run_id, head.state)
    undead = head.driver is not None and (yield from _other_lives(head.driver, draft.console, alive))
    if undead and head.leased is not False and not force:
        raise DriverAlive(head.run_id, str(head.driver))
    fence = head.fence + 1
    yield (
        f"UPDATE run SET driver = ?, driver_user = ?, fence = ?, lease_until = {LEASE} WHERE run_id = ?",  # noqa: S608 - a constant
        (draft.console, draft.actor, fence, head.run_id),
    )
    data = {"from": head.driver, "forced": undead}
    return (yield from _write(replace(head, fence=fence), replace(draft.timed(), fence=fence, data=data), views))


def beat(run_id: str, fence: int, console: str) -> Body[None]:
    """Renew a driver's lease. Raises FenceLost, UnknownRun; a closed run has no lease to renew.

    The fence alone does not say who drives: a server that lost a claim gives the same one to the next who claims.
    """
    head = yield from _locked(run_id)
    if head.fence != fence or head.driver not in {console, None}:
        raise FenceLost(run_id, fence, head.fence)
    if not head.closed:
        yield f"UPDATE run SET lease_until = {LEASE} WHERE run_id = ?", (run_id,)  # noqa: S608 - a constant


def _locked(run_id: str) -> Body[_Head]:
    columns = f"run_id, state, driver, fence, head_seq, head_hash, closed_at IS NOT NULL, {LEASED}"
    rows = yield f"SELECT {columns} FROM run r WHERE run_id = ? {FOR_UPDATE}", (run_id,)  # noqa: S608 - constants
    if not rows:
        raise UnknownRun(run_id)
    return _Head(*rows[0])


def _permit(draft: Draft, head: _Head) -> None:
    """Only the driver writes what happens to the device; anybody may add a command, a note, a late report."""
    driverless = draft.kind.startswith(DRIVERLESS)
    if draft.fence is None and not driverless:
        raise FenceNeeded(head.run_id, draft.kind)
    if draft.fence is not None and draft.fence != head.fence:
        raise FenceLost(head.run_id, draft.fence, head.fence)
    if head.closed and not driverless:
        raise RunClosed(head.run_id, head.state)


def _known(draft: Draft) -> Body[Event | None]:
    """The entry that this very draft has already become: a commit's answer can be lost on its way back."""
    rows = yield f"SELECT {_EVENT} FROM event WHERE uid = ?", (draft.uid,)  # noqa: S608 - column names are ours
    if not rows:
        return None
    event = read_event(rows[0])
    if (event.run_id, event.kind) != (draft.run_id or event.run_id, draft.kind):
        raise UidReused(draft.uid, event.run_id, event.kind)
    return event


def lives(console: str, alive: Alive) -> Body[bool]:
    return (yield from _other_lives(console, "", alive))


def _other_lives(driver: str, here: str, alive: Alive) -> Body[bool]:
    if driver == here:
        return False
    rows = yield f"SELECT {_CONSOLE} FROM console c WHERE c.console_id = ?", (driver,)  # noqa: S608 - column names are ours
    return bool(rows) and alive(_identity(rows[0]))


def _write(head: _Head, draft: Draft, views: Views) -> Body[tuple[Event, RunView]]:
    """Chain the entry to the head, and project the run's new state into its row."""
    view = yield from _view(head, views)
    data = canonical(draft.data)
    columns = (
        *(head.run_id, head.seq + 1, draft.uid, stamp(draft.ts), draft.kind, draft.actor, draft.console),
        draft.db_user,
        *(draft.fence, draft.step, draft.phase, draft.attempt, draft.reply_to, data),
    )
    digest = chain_hash(head.hash, columns)
    yield (
        f"INSERT INTO event ({', '.join(HASHED)}, prev_hash, hash, sig) VALUES ({', '.join('?' * 17)})",  # noqa: S608 - column names are ours
        (*columns, head.hash, digest, draft.sig),
    )
    event = read_event((*columns, digest))
    view = apply(view, event)
    lease = f", lease_until = {LEASE}" if draft.fence is not None else ""
    yield (
        f"UPDATE run SET head_seq = ?, head_hash = ?, state = ?, direction = ?{lease} WHERE run_id = ?",  # noqa: S608 - constants
        (event.seq, digest, view.state, view.direction, head.run_id),
    )
    if event.kind == "driver.released":  # the run keeps its locks and waits for the next driver
        yield "UPDATE run SET driver = NULL, driver_user = NULL WHERE run_id = ?", (head.run_id,)
    if view.closed and not head.closed:
        yield from _free(head.run_id, event)
    return event, view


def _free(run_id: str, closing: Event) -> Body[None]:
    """Locks are freed here and nowhere else: in the transaction that closes the run."""
    yield (
        "UPDATE run SET closed_at = ?, driver = NULL WHERE run_id = ?",
        (stamp(closing.ts), run_id),
    )
    yield "UPDATE res_lock SET run_id = NULL, since = NULL WHERE run_id = ?", (run_id,)


def _view(head: _Head, views: Views) -> Body[RunView]:
    """Fold up to the head, from what this console has already folded."""
    view = views.get(head.run_id)
    if view is not None and view.seq > head.seq:
        raise WentBack(head.run_id, head.seq, view.seq)
    if view is None:
        frozen = yield "SELECT definition FROM run WHERE run_id = ?", (head.run_id,)
        view = fold(steps_of(json.loads(frozen[0][0])), ())
    if view.seq < head.seq:
        for event in (yield from events(head.run_id, view.seq)):
            view = apply(view, event)
    return view


_COUNTING = "journal:run-ids"  # a row to queue at; no run ever holds it
_KNOW = "INSERT INTO res_lock (resource, fence) VALUES (?, 0) ON CONFLICT (resource) DO NOTHING"
_TAKE = (
    "UPDATE res_lock SET run_id = ?, fence = fence + 1, since = ? WHERE resource = ? AND run_id IS NULL RETURNING fence"
)


def _take_locks(run_id: str, resources: Sequence[str], ts: datetime) -> Body[dict[str, int]]:
    """Take every lock, in sorted order; raise LockHeld at the first that is held (the engine rolls back)."""
    fences: dict[str, int] = {}
    for resource in resources:
        yield _KNOW, (resource,)
        while not (taken := (yield _TAKE, (run_id, stamp(ts), resource))):
            held = yield "SELECT run_id FROM res_lock WHERE resource = ?", (resource,)
            if held[0][0] is not None:  # else it was freed between the two statements
                raise LockHeld(resource, held[0][0])
        fences[resource] = taken[0][0]
    return fences


def _in_turn() -> Body[None]:
    """Runs are created one after the other, each with the next number."""
    yield _KNOW, (_COUNTING,)
    yield f"SELECT fence FROM res_lock WHERE resource = ? {FOR_UPDATE}", (_COUNTING,)  # noqa: S608 - a constant


def _next_run_id(ts: datetime) -> Body[str]:
    """R-20261123-07: readable at 03:00, and over the telephone."""
    prefix = f"R-{ts:%Y%m%d}-"
    rows = yield "SELECT run_id FROM run WHERE run_id LIKE ?", (prefix + "%",)
    last = max((int(row[0].removeprefix(prefix)) for row in rows), default=0)
    return f"{prefix}{last + 1:02d}"
