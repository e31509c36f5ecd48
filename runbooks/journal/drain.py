"""Bringing what was spooled into the journal: in order, marked, and as late reports if the run was lost meanwhile."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from runbooks.journal.errors import FenceLost, RunClosed, UnknownRun
from runbooks.journal.spool import Entry, Spool
from runbooks.journal.store import Journal

MOVED = frozenset({"act.intent", "act.result", "act.interrupted"})  # something was, or may have been, sent


async def drain(journal: Journal, spool: Spool, run_id: str) -> int:
    """Deliver every waiting entry of a run, and return how many. Safe to repeat: each has its uid.

    Raises JournalUnavailable (what is not delivered keeps waiting), UnknownRun.
    """
    waiting = await spool.waiting(run_id)
    for entry in waiting:
        await deliver(journal, entry)
        await spool.took(entry, journal.now())
    return len(waiting)


async def deliver_leftovers(journal: Journal, spool: Spool) -> int:
    """Deliver what consoles of this host left behind when they died in an outage; return how many entries.

    Those of a run that this journal does not know keep waiting: they are another journal's.
    """
    delivered = 0
    for run_id in await spool.runs_waiting():
        writers = {entry.console for entry in await spool.waiting(run_id)}
        if all([await journal.console_is_gone(writer) for writer in writers]):
            with suppress(UnknownRun):
                delivered += await drain(journal, spool, run_id)
    return delivered


async def deliver(journal: Journal, entry: Entry) -> None:
    """Append one entry under the fence it was written with; once that is lost, as a report to the new driver.

    Delivered a second time, because the first one was not noted, neither is written twice: each has a uid of its own.
    """
    data = {**entry.data, "spooled_at": entry.ts}
    if entry.actor != journal.identity.user:
        data["spooled_by"] = entry.actor
    where: dict[str, Any] = {name: getattr(entry, name) for name in ("step", "phase", "attempt", "reply_to")}
    try:
        await journal.append(entry.run_id, entry.kind, data=data, fence=entry.fence, uid=entry.uid, **where)
    except (FenceLost, RunClosed):
        data["result"] = entry.kind
        await journal.append(entry.run_id, late_kind(entry.kind), data=data, uid=late_uid(entry.uid), **where)


def late_kind(kind: str) -> str:
    """Return how a driver that lost its run tells what it did: an effect makes the new driver look again."""
    if kind.startswith("late."):
        return kind
    return "late.act.result" if kind in MOVED else f"late.{kind}"


def late_uid(uid: str) -> str:
    """The report's own: under the entry's, which has another kind, it would be refused when it comes again."""
    return f"{uid}-late"
