"""`plan`, `run`, `rollback`: runbooks without a screen."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from console import rundoc
from console.commands.driving import desk_on, drive, exit_of_rollback, exit_of_run
from console.exits import Exit
from console.fail import Refused, UsageError
from console.person import Person, person
from console.sites import Chosen, choose
from runbooks.book import Book, found
from runbooks.parameters import bound
from runbooks.plan import Plan
from runbooks.rescue import may_rescue


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
    given, asked = _fitting(book, words, chosen), person(how)
    if not write:
        raise Refused("read-only: give --write to allow changes")
    if change is None and not _needs_no_change(found(book)):
        raise Refused("no change: give --change CHG (a routing change needs an approved one)")
    work = _run(book, given, chosen, asked, change=change, plan_hash=plan_hash, as_json=as_json, operator=operator)
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
    chosen, asked = choose(site_file), person(how)
    if not write:
        raise Refused("read-only: give --write to allow changes")
    return asyncio.run(_rollback(run_id, chosen, asked, change=change, as_json=as_json, operator=operator))


def parameters(words: Sequence[str]) -> dict[str, str]:
    """`key=value` words. Raises UsageError for one that is none, or a key given twice."""
    found: dict[str, str] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals or not key or key in found:
            raise UsageError(f"{word!r}: write each parameter once, as key=value")
        found[key] = value
    return found


def _needs_no_change(book: Book) -> bool:
    """Perhaps: whether an act of it is a restore now, only its plan can tell."""
    return book.undoes is not None or may_rescue(book)


def _fitting(book: str, words: Sequence[str], chosen: Chosen) -> dict[str, str]:
    """Parameters that fit the runbook and the site; bad input is told before anything is connected to."""
    given = parameters(words)
    bound(found(book), given, chosen.site)
    return given


async def _plan(book: str, given: Mapping[str, str], chosen: Chosen, *, as_json: bool, operator: str | None) -> Exit:
    async with desk_on(chosen, operator, Person(asks=False), write=False) as desk:
        made = await desk.plan(book, given)
    print(json.dumps(rundoc.plan_document(made), indent=1) if as_json else rundoc.plan_text(made))
    return Exit.OK


async def _run(
    book: str,
    given: Mapping[str, str],
    chosen: Chosen,
    asked: Person,
    *,
    change: str | None,
    plan_hash: str | None,
    as_json: bool,
    operator: str | None,
) -> Exit:
    async with desk_on(chosen, operator, asked, write=True) as desk:
        made = await desk.plan(book, given, rescue=change is None)
        if asked.asks:
            print(rundoc.plan_text(made), file=sys.stderr)
            await _confirmed(asked, made)
        return await drive(desk, desk.start(made, change, plan_hash=plan_hash), exit_of_run, as_json=as_json)


async def _confirmed(asked: Person, made: Plan) -> None:
    if not await asked.typed(made.target):
        raise Refused(f"{made.target} was not typed: nothing was done")


async def _rollback(
    run_id: str, chosen: Chosen, asked: Person, *, change: str | None, as_json: bool, operator: str | None
) -> Exit:
    async with desk_on(chosen, operator, asked, write=True) as desk:
        return await drive(desk, desk.rollback(run_id, change), exit_of_rollback, as_json=as_json)
