"""`plan`, `run`, `rollback`, `runs`, `show`, `report`, `journal verify`: runbooks without a screen."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from console import rundoc
from console.commands.status import collect
from console.desk import Desk, at_desk
from console.exits import Exit
from console.fail import Refused, UsageError
from console.journals import open_journal
from console.line_outage import LineOutage
from console.sites import Chosen, choose
from console.wiring import watching
from runbooks.book import found
from runbooks.engine import view_of
from runbooks.journal import Journal
from runbooks.model import StepDef
from runbooks.parameters import bound
from runbooks.plan import Plan
from runbooks.view import RunView


def plan(book: str, words: Sequence[str], site_file: Path | None, *, as_json: bool, operator: str | None) -> Exit:
    """Compile and show; changes nothing and needs no change."""
    chosen = choose(site_file)
    given = _fitting(book, words, chosen)
    return asyncio.run(_plan(book, given, chosen, as_json=as_json, operator=operator))


def run(
    book: str,
    words: Sequence[str],
    site_file: Path | None,
    *,
    change: str | None,
    write: bool,
    how: str | None,
    plan_hash: str | None,
    as_json: bool,
    operator: str | None,
) -> Exit:
    """Compile, confirm, run, and end with what became of it."""
    chosen = choose(site_file)
    given, person = _fitting(book, words, chosen), _person(how)
    if not write:
        raise Refused("read-only: give --write to allow changes")
    if change is None and found(book).undoes is None:
        raise Refused("no change: give --change CHG (a routing change needs an approved one)")
    work = _run(book, given, chosen, person, change=change, plan_hash=plan_hash, as_json=as_json, operator=operator)
    return asyncio.run(work)


def rollback(
    run_id: str,
    site_file: Path | None,
    *,
    change: str | None,
    write: bool,
    how: str | None,
    as_json: bool,
    operator: str | None,
) -> Exit:
    """Undo a run whose effects are in place."""
    chosen, person = choose(site_file), _person(how)
    if not write:
        raise Refused("read-only: give --write to allow changes")
    return asyncio.run(_rollback(run_id, chosen, person, change=change, as_json=as_json, operator=operator))


def runs(*, as_json: bool) -> Exit:
    """Past and open runs, newest first."""
    return asyncio.run(_with_journal(lambda journal: _runs(journal, as_json=as_json)))


def show(run_id: str, *, as_json: bool) -> Exit:
    """One run."""
    return asyncio.run(_with_journal(lambda journal: _show(journal, run_id, as_json=as_json)))


def report(run_id: str) -> Exit:
    """One run as Markdown."""
    return asyncio.run(_with_journal(lambda journal: _report(journal, run_id)))


def verify(run_id: str | None, *, as_json: bool) -> Exit:
    """Check the hash chains; 1 and the first bad entry when one is broken."""
    return asyncio.run(_with_journal(lambda journal: _verify(journal, run_id, as_json=as_json)))


def parameters(words: Sequence[str]) -> dict[str, str]:
    """`key=value` words. Raises UsageError for one that is none, or a key given twice."""
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key or key in found:
            raise UsageError(f"{word!r}: write each parameter once, as key=value")
        found[key] = value
    return found


def _fitting(book: str, words: Sequence[str], chosen: Chosen) -> dict[str, str]:
    """Parameters that fit the runbook and the site; bad input is told before anything is connected to."""
    given = parameters(words)
    bound(found(book), given, chosen.site)
    return given


class Person:
    """Who answers at this console: `--yes` says yes, `--prompt` asks on the terminal."""

    def __init__(self, *, asks: bool) -> None:
        self.asks = asks
        self.outage = LineOutage(self.ask if asks else None)
        self._reading: asyncio.Task[str] | None = None

    async def confirm(self, view: RunView, step: StepDef) -> bool | None:  # noqa: ARG002 -- the step says it all
        """None when the input has ended: nobody answers, and the run waits for somebody who does."""
        if not self.asks:
            return True
        line = await self.ask(f"{step.title} [y/N] ")
        return line.strip().lower() in {"y", "yes"} if line else None

    async def evidence(self, view: RunView, step: StepDef) -> Mapping[str, str] | None:
        """Asked for one by one; `--yes` invents none. None when the input has ended."""
        if not self.asks:
            return None
        print(step.text or step.title, file=sys.stderr)
        given = {name: (await self.ask(f"{name}: ")).strip() for name in step.evidence}
        if step.evidence:
            return given if all(given.values()) else None
        return {"done": "yes"} if await self.confirm(view, step) else {}

    async def typed(self, target: str) -> bool:
        """The ladder's second rung: a traffic-moving run is confirmed by typing its target's name."""
        return not self.asks or (await self.ask(f"type {target} to run this plan: ")).strip() == target

    async def ask(self, question: str) -> str:
        """One line as typed; empty when the input has ended."""
        print(question, end="", file=sys.stderr, flush=True)
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(asyncio.to_thread(sys.stdin.readline))
        # A question can be overtaken, the reading of a line cannot: the next question takes it over.
        return await asyncio.shield(self._reading)


def _person(how: str | None) -> Person:
    if how is None and not sys.stdin.isatty():
        raise UsageError("without a terminal give --prompt or --yes")
    return Person(asks=how != "yes")


async def _plan(book: str, given: Mapping[str, str], chosen: Chosen, *, as_json: bool, operator: str | None) -> Exit:
    async with _desk(chosen, operator, Person(asks=False), write=False) as desk:
        made = await desk.plan(book, given)
    print(json.dumps(rundoc.plan_document(made), indent=1) if as_json else rundoc.plan_text(made))
    return Exit.OK


async def _run(
    book: str,
    given: Mapping[str, str],
    chosen: Chosen,
    person: Person,
    *,
    change: str | None,
    plan_hash: str | None,
    as_json: bool,
    operator: str | None,
) -> Exit:
    async with _desk(chosen, operator, person, write=True) as desk:
        made = await desk.plan(book, given)
        if person.asks:
            print(rundoc.plan_text(made), file=sys.stderr)
            await _confirmed(person, made)
        run_id = await desk.start(made, change, plan_hash=plan_hash)
        view = await _followed(desk, run_id, quiet=as_json)
        await _told(desk, run_id, view, as_json=as_json)
    return _exit_of_run(view)


async def _confirmed(person: Person, made: Plan) -> None:
    if not await person.typed(made.target):
        raise Refused(f"{made.target} was not typed: nothing was done")


async def _rollback(
    run_id: str, chosen: Chosen, person: Person, *, change: str | None, as_json: bool, operator: str | None
) -> Exit:
    async with _desk(chosen, operator, person, write=True) as desk:
        driven = await desk.rollback(run_id, change)
        view = await _followed(desk, driven, quiet=as_json)
        await _told(desk, driven, view, as_json=as_json)
    return _exit_of_rollback(view)


async def _followed(desk: Desk, run_id: str, *, quiet: bool) -> RunView:
    """Print the run's events while it is driven."""
    print(f"interlock: run {run_id}", file=sys.stderr)
    teller = asyncio.create_task(_tell(desk.journal, run_id, quiet=quiet))
    try:
        view = await desk.finished(run_id)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await teller
        return view
    except asyncio.CancelledError:
        print(
            f"interlock: interrupted; run {run_id} is safe in the journal: `interlock rollback {run_id}`",
            file=sys.stderr,
        )
        raise
    finally:
        teller.cancel()


async def _tell(journal: Journal, run_id: str, *, quiet: bool) -> None:
    view = await view_of(journal, run_id)
    async for event in journal.follow(run_id):
        line = rundoc.event_line(event, view)
        if line and not quiet:
            print("\n".join([line, *rundoc.proof_lines(event)]), file=sys.stderr, flush=True)
        if event.kind == "run.closed":
            return


async def _told(desk: Desk, run_id: str, view: RunView, *, as_json: bool) -> None:
    row = await desk.journal.run(run_id)
    print(json.dumps(rundoc.run_document(row, view), indent=1) if as_json else rundoc.run_text(row, view))


def _exit_of_run(view: RunView) -> Exit:
    if view.state == "COMPLETED":
        return Exit.OK
    if view.state == "ROLLED_BACK":
        return Exit.REFUSED if view.reason == "refused" else Exit.ROLLED_BACK
    return Exit.DECISION


def _exit_of_rollback(view: RunView) -> Exit:
    """0 only when the baseline is proven: a linked undo is COMPLETED, an open run is ROLLED_BACK with nothing left."""
    if view.undo_of is None and view.state == "ROLLED_BACK" and not view.why and not view.refused:
        return Exit.OK
    return Exit.ROLLED_BACK if view.undo_of and view.state == "ROLLED_BACK" else _exit_of_run(view)


@contextlib.asynccontextmanager
async def _desk(chosen: Chosen, operator: str | None, person: Person, *, write: bool) -> AsyncIterator[Desk]:
    """A desk on a site that has been looked at."""
    async with watching(chosen, operator) as watch:
        await watch.session.pulse()
        await collect(watch)
        async with at_desk(watch, person, write=write, outage=person.outage) as desk:
            await _say_interrupted(desk.journal)
            yield desk


async def _say_interrupted(journal: Journal) -> None:
    """A run whose driver died is said at every start, by whoever starts."""
    for row in await journal.orphans():
        hint = f"look at it (`interlock show {row.run_id}`), then `interlock rollback {row.run_id} --write`"
        print(f"interlock: interrupted run {row.run_id} ({row.book}, {row.state}): {hint}", file=sys.stderr)


async def _with_journal(work: Callable[[Journal], Awaitable[Exit]]) -> Exit:
    """Reading past runs needs no site, no Vault and no network."""
    journal = await open_journal("reader", "live")
    try:
        await _say_interrupted(journal)
        return await work(journal)
    finally:
        await journal.close()


async def _runs(journal: Journal, *, as_json: bool) -> Exit:
    rows = [rundoc.run_line(row) for row in await journal.runs()]
    if as_json:
        print(json.dumps({"schema": 1, "runs": rows}, indent=1))
        return Exit.OK
    for row in rows:
        state = f"{row['state']}{' (interrupted)' if row['interrupted'] else ''}"
        who = f"{row['change'] or '-':<12} {row['driver'] or '-':<8}"
        print(f"{row['run']}  {row['book']:<14} {state:<28} {who} {row['started']}")
    return Exit.OK


async def _show(journal: Journal, run_id: str, *, as_json: bool) -> Exit:
    row, view = await journal.run(run_id), await view_of(journal, run_id)
    print(json.dumps(rundoc.run_document(row, view), indent=1) if as_json else rundoc.run_text(row, view))
    return Exit.OK


async def _report(journal: Journal, run_id: str) -> Exit:
    row, view = await journal.run(run_id), await view_of(journal, run_id)
    print(rundoc.report(row, view, await journal.events(run_id)))
    return Exit.OK


async def _verify(journal: Journal, run_id: str | None, *, as_json: bool) -> Exit:
    reports = await journal.verify(run_id)
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
