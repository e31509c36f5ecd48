"""`runs`, `show`, `report`, `journal verify`: what the journal holds, without a site, a login or a network."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

from console import rundoc
from console.exits import Exit
from console.fail import UsageError
from console.journals import open_journal
from console.next_steps import next_steps
from network.sitecheck import nearest
from runbooks.engine import view_of
from runbooks.journal import Journal, RunRow, UnknownRun
from runbooks.model import UnfitDefinition


def runs(*, as_json: bool) -> Exit:
    """Past and open runs, newest first."""
    return asyncio.run(_with_journal(lambda journal: _runs(journal, as_json=as_json)))


def show(run_id: str, *, as_json: bool) -> Exit:
    """One run."""
    return asyncio.run(_with_journal(lambda journal: _show(journal, run_id, as_json=as_json)))


def report(run_id: str) -> Exit:
    """One run as Markdown."""
    return asyncio.run(_with_journal(lambda journal: _report(journal, run_id)))


def verify(run_id: str | None, head: str | None, *, as_json: bool) -> Exit:
    """Check the hash chains, and that a head kept elsewhere stands in its run's; 1 and the first bad entry if not."""
    if head is not None and run_id is None:
        raise UsageError("--head is one run's: name the run")
    return asyncio.run(_with_journal(lambda journal: _verify(journal, run_id, head, as_json=as_json)))


@contextlib.asynccontextmanager
async def reading() -> AsyncIterator[Journal]:
    """The journal, for somebody who only reads."""
    journal = await open_journal("reader", "live")
    try:
        yield journal
    finally:
        await journal.close()


async def known(journal: Journal, run_id: str) -> RunRow:
    """A run by its id. Raises UsageError with the nearest one there is."""
    try:
        return await journal.run(run_id)
    except UnknownRun as unknown:
        ids = [row.run_id for row in await journal.runs()]
        raise UsageError(f"{unknown}; {nearest(run_id, ids)}") from unknown


async def say_interrupted(journal: Journal) -> None:
    """A run that nobody drives is said at every start, by whoever starts, with every way on."""
    for row in await journal.orphans():
        print(f"interlock: interrupted run {row.run_id} ({row.book}, {row.state}); go on with:", file=sys.stderr)
        with contextlib.suppress(UnfitDefinition):  # of a later version: it is named, and that version drives it
            for line in next_steps(row, await view_of(journal, row.run_id)):
                print(f"  {line}", file=sys.stderr)


async def _with_journal(work: Callable[[Journal], Awaitable[Exit]]) -> Exit:
    async with reading() as journal:
        await say_interrupted(journal)
        return await work(journal)


async def _runs(journal: Journal, *, as_json: bool) -> Exit:
    rows = [rundoc.run_line(row) | {"review": await _review(journal, row)} for row in await journal.runs()]
    if as_json:
        print(json.dumps({"schema": 1, "runs": rows}, indent=1))
        return Exit.OK
    for row in rows:
        flags = {
            "interrupted": row["interrupted"],
            "disputed": row["disputed"],
            "review owed": row["review"] == rundoc.OWED,
        }
        said = ", ".join(word for word, flag in flags.items() if flag)
        state = f"{row['state']} ({said})" if said else row["state"]
        who = f"{row['change'] or '-':<12} {row['driver'] or '-':<8}"
        print(f"{row['run']}  {row['book']:<14} {state:<28} {who} {row['started']}")
    return Exit.OK


async def _review(journal: Journal, row: RunRow) -> str | None:
    """Who has reviewed a restore, or that it is owed. Only the log tells, and only of the few that are one."""
    if not any(step.get("rescues") for step in row.definition.get("steps", ())):
        return None
    with contextlib.suppress(UnfitDefinition):
        return rundoc.review(await view_of(journal, row.run_id))
    return None


async def _show(journal: Journal, run_id: str, *, as_json: bool) -> Exit:
    row, view = await known(journal, run_id), await view_of(journal, run_id)
    print(json.dumps(rundoc.run_document(row, view), indent=1) if as_json else rundoc.run_text(row, view))
    return Exit.OK


async def _report(journal: Journal, run_id: str) -> Exit:
    row, view = await known(journal, run_id), await view_of(journal, run_id)
    print(rundoc.report(row, view, await journal.events(run_id)))
    return Exit.OK


async def _verify(journal: Journal, run_id: str | None, head: str | None, *, as_json: bool) -> Exit:
    reports = await journal.verify((await known(journal, run_id)).run_id if run_id else None, head)
    if as_json:
        rows = [
            {"run": r.run_id, "ok": r.ok, "events": r.events, "first_bad_seq": r.first_bad_seq, "reason": r.reason}
            for r in reports
        ]
        print(json.dumps({"schema": 1, "runs": rows}, indent=1))
    else:
        for r in reports:
            words = (
                f"ok, {r.events} entries, head {r.head_hash}" if r.ok else f"BAD at entry {r.first_bad_seq}: {r.reason}"
            )
            print(f"{r.run_id}  {words}")
    return Exit.OK if all(r.ok for r in reports) else Exit.IMPAIRED
