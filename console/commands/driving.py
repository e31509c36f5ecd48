"""Driving a run from a command line: the desk, the run's events as they come, and what the process ends with."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable

from console import rundoc
from console.commands.past import say_interrupted
from console.commands.status import collect
from console.desk import Desk, at_desk
from console.exits import Exit
from console.fail import Interrupted
from console.leaving import Leaving, say
from console.next_steps import next_steps
from console.person import Person
from console.sites import Chosen
from console.wiring import watching
from runbooks.engine import view_of
from runbooks.journal import Journal, RunRow
from runbooks.view import RunView

#: For the last entries to be told, as long as that takes on a busy host; a journal that is away tells none.
LAST_WORDS_S = 5.0


@contextlib.asynccontextmanager
async def desk_on(chosen: Chosen, operator: str | None, person: Person, *, write: bool) -> AsyncIterator[Desk]:
    """A desk on a site that has been looked at."""
    async with watching(chosen, operator) as watch:
        await watch.session.pulse()
        await collect(watch)
        async with at_desk(watch, person, write=write, outage=person.outage) as desk:
            await say_interrupted(desk.journal)
            yield desk


async def drive(
    desk: Desk, begin: Awaitable[str], exit_of: Callable[[RunView], Exit], *, as_json: bool, after: int = 0
) -> Exit:
    """Begin, tell the run's entries behind `after` while it is driven here, and say what became of it.

    A signal leaves by the exit table; the run is then named with the commands by which it goes on, and the code is 130.
    Raises Interrupted when it was left before anything was driven.
    """
    leaving = Leaving(desk)
    try:
        async with leaving:
            run_id = await begin
            view = await _followed(desk, run_id, leaving, after, quiet=as_json)
    except asyncio.CancelledError:
        if leaving.path is None:
            raise
        raise Interrupted(f"{leaving.path}: nothing is driven from here") from None
    row = await desk.journal.run(run_id)
    if leaving.path and not view.closed:
        say(f"interlock: interrupted; run {run_id} is safe in the journal: `interlock rollback {run_id}`")
        _say_next(row, view)
        return Exit.INTERRUPTED
    code = exit_of(view)
    with contextlib.suppress(OSError):  # the terminal may be gone: the code still tells
        print(json.dumps(rundoc.run_document(row, view), indent=1) if as_json else rundoc.run_text(row, view))
    if code == Exit.DECISION:
        _say_next(row, view)
    return code


def exit_of_run(view: RunView) -> Exit:
    """What a run that was driven forward ends with."""
    if view.state == "COMPLETED":
        return Exit.OK
    if view.state == "ROLLED_BACK":
        return Exit.REFUSED if view.reason == "refused" else Exit.ROLLED_BACK
    return Exit.ROLLED_BACK if view.state == "ABANDONED" else Exit.DECISION


def exit_of_rollback(view: RunView) -> Exit:
    """0 only when the baseline is proven: a linked undo is COMPLETED, an open run is ROLLED_BACK with nothing left."""
    if view.undo_of is None and view.state == "ROLLED_BACK" and not view.why and not view.refused:
        return Exit.OK
    return Exit.ROLLED_BACK if view.undo_of and view.state == "ROLLED_BACK" else exit_of_run(view)


async def _followed(desk: Desk, run_id: str, leaving: Leaving, after: int, *, quiet: bool) -> RunView:
    say(f"interlock: run {run_id}", lambda: leaving.by("closed-terminal"))
    teller = asyncio.create_task(_tell(desk.journal, run_id, leaving, after, quiet=quiet))
    try:
        view = await desk.finished(run_id)
        await asyncio.wait({teller}, timeout=LAST_WORDS_S)
        return view
    finally:
        teller.cancel()


async def _tell(journal: Journal, run_id: str, leaving: Leaving, after: int, *, quiet: bool) -> None:
    """Print each entry; a terminal that is gone is one of the ways to leave."""
    view = await view_of(journal, run_id)
    async for event in journal.follow(run_id, after):
        line = rundoc.event_line(event, view)
        if line and not quiet:
            lines = "\n".join([line, *rundoc.proof_lines(event)])
            say(lines, lambda: leaving.by("closed-terminal"))
        if event.kind == "run.closed" or (event.kind, event.console) == ("driver.released", journal.console):
            return


def _say_next(row: RunRow, view: RunView) -> None:
    """Every way on, as it is typed."""
    with contextlib.suppress(OSError, ValueError):
        print("\n".join(["go on with:", *(f"  {line}" for line in next_steps(row, view))]), file=sys.stderr)
