"""`follow`, `pause`, `resume`, `handover`, `abort`, `abandon`, `approve`, `review`, `decide`: orders from anywhere.

All but the driving needs the journal alone. What an order needs a driver for is done by whoever drives; where nobody
does, the command says which one drives on, or with --write drives on itself.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path

from console import rundoc
from console.commands.driving import desk_on, drive, exit_of_rollback, exit_of_run
from console.commands.past import known, reading
from console.commands.speaking import Spoken, speaking
from console.exits import Exit
from console.fail import Refused, UsageError
from console.leaving import say
from console.next_steps import next_steps
from console.person import Person, person
from console.sites import choose
from runbooks.engine import view_of
from runbooks.journal import Event
from runbooks.machine import apply, fold
from runbooks.model import steps_of
from runbooks.tables import CHOICES

ANSWER_S = 5.0  # for a driver that lives to obey; it ends its act first


def follow(run_id: str, *, as_json: bool) -> Exit:
    """Every entry of a run, past and to come, until it is closed."""
    return asyncio.run(_follow(run_id, as_json=as_json))


def pause(run_id: str, *, operator: str | None, as_json: bool) -> Exit:
    """No further step; the atomic group under way ends first."""

    async def work() -> Exit:
        async with speaking(run_id, operator, None) as spoken:
            return await _told(spoken, await spoken.orders.pause(run_id), "pause", as_json=as_json)

    return asyncio.run(work())


def handover(run_id: str, *, operator: str | None, as_json: bool) -> Exit:
    """Its driver ends the step under way and lets the run go."""

    async def work() -> Exit:
        async with speaking(run_id, operator, None) as spoken:
            event = await spoken.orders.hand_over(run_id)
            if event is not None:
                await _answered(spoken, event, "driver.released")
            return await _told(spoken, event, "handover", as_json=as_json)

    return asyncio.run(work())


def abandon(run_id: str, site_file: Path | None, *, operator: str | None, as_json: bool) -> Exit:
    """Give a run up as it stands, effects and all; a second person's approval frees its locks."""

    async def work() -> Exit:
        async with speaking(run_id, operator, site_file, counts=True) as spoken:
            return await _told(spoken, await spoken.orders.abandon(run_id), "abandon", as_json=as_json)

    return asyncio.run(work())


def approve(run_id: str, step: str, site_file: Path | None, *, operator: str | None, as_json: bool) -> Exit:
    """Approve a step as its second person, or that the run be abandoned; what is approved is shown."""

    async def work() -> Exit:
        async with speaking(run_id, operator, site_file, counts=True) as spoken:
            view = await view_of(spoken.journal, run_id)
            say("\n".join(rundoc.approval_lines(spoken.row, view, step)))
            return await _told(spoken, await spoken.orders.approve(run_id, step), "approve", as_json=as_json)

    return asyncio.run(work())


def review(run_id: str, site_file: Path | None, *, operator: str | None, as_json: bool) -> Exit:
    """Look at a restore that nothing gated, as its second person; what was done, and why, is shown."""

    async def work() -> Exit:
        async with speaking(run_id, operator, site_file, counts=True) as spoken:
            view = await view_of(spoken.journal, run_id)
            say(rundoc.report(spoken.row, view, await spoken.journal.events(run_id)))
            return await _told(spoken, await spoken.orders.review(run_id), "review", as_json=as_json)

    return asyncio.run(work())


def decide(
    run_id: str,
    choice: str,
    site_file: Path | None,
    *,
    reply_to: int | None,
    write: bool,
    how: str | None,
    operator: str | None,
    as_json: bool,
) -> Exit:
    """Answer the open question; with --write, drive on from here when nobody does."""
    if choice not in CHOICES:
        raise UsageError(f"decide {choice!r}: allowed: {', '.join(CHOICES)}")
    asked = person(how) if write else None

    async def work() -> bool:
        async with speaking(run_id, operator, site_file) as spoken:
            event = await spoken.orders.decide(run_id, choice, reply_to or await _open_question(spoken))
            drives = asked is not None and not (await spoken.journal.run(run_id)).driver_alive
            if not drives:
                await _told(spoken, event, "decide", as_json=as_json)
            return drives

    if not asyncio.run(work()) or asked is None:
        return Exit.OK
    return asyncio.run(_resumed(run_id, site_file, asked, force=False, operator=operator, as_json=as_json))


def resume(
    run_id: str,
    site_file: Path | None,
    *,
    force: bool,
    write: bool,
    how: str | None,
    operator: str | None,
    as_json: bool,
) -> Exit:
    """Go on after a pause; drive on from here what nobody drives; `--force` takes the run from its driver."""
    if not force and asyncio.run(_resumed_there(run_id, operator, as_json=as_json)):
        return Exit.OK
    if not write:
        raise Refused(
            f"read-only: `interlock resume {run_id}{' --force' if force else ''} --write` drives it from here"
        )
    return asyncio.run(_resumed(run_id, site_file, person(how), force=force, operator=operator, as_json=as_json))


def abort(run_id: str, site_file: Path | None, *, operator: str | None, as_json: bool) -> Exit:
    """Undo everything that the run did: by its driver, or from here when nobody drives. Never gated, idempotent."""
    if asyncio.run(_aborted_there(run_id, operator, as_json=as_json)):
        return Exit.OK

    async def begin_and_drive() -> Exit:
        async with desk_on(choose(site_file), operator, Person(asks=False), write=True) as desk:
            head = (await desk.journal.run(run_id)).head_seq

            async def begin() -> str:
                await desk.abort(run_id)
                return run_id

            return await drive(desk, begin(), exit_of_rollback, as_json=as_json, after=head)

    return asyncio.run(begin_and_drive())


# ------------------------------------------------------------------------------------------------- inside


async def _follow(run_id: str, *, as_json: bool) -> Exit:
    async with reading() as journal:
        row = await known(journal, run_id)
        view = fold(steps_of(row.definition), ())
        async for event in journal.follow(run_id):
            view = apply(view, event)
            if as_json:
                print(json.dumps(rundoc.event_document(event, view)), flush=True)
            elif line := rundoc.event_line(event, view):
                print("\n".join([line, *rundoc.proof_lines(event)]), flush=True)
            if view.closed and event.seq >= (await journal.run(run_id)).head_seq:
                return Exit.OK
    return Exit.OK


async def _open_question(spoken: Spoken) -> int:
    """An answer names what it answers. Raises UsageError with the open question."""
    question = (await view_of(spoken.journal, spoken.row.run_id)).question
    if question is None:
        raise UsageError(f"give --reply-to SEQ; {spoken.row.run_id} asks nothing now")
    raise UsageError(f"give --reply-to {question.seq}, the entry that asks: {question.text}")


async def _resumed_there(run_id: str, operator: str | None, *, as_json: bool) -> bool:
    """Told to the driver, where one lives and is paused. False: nobody drives. Raises Refused: somebody does."""
    async with speaking(run_id, operator, None) as spoken:
        row, view = await spoken.journal.run(run_id), await view_of(spoken.journal, run_id)
        if view.closed:
            raise Refused(f"{run_id} is {view.state}: there is nothing to go on with")
        if not row.driver_alive:
            return False
        if not view.paused:
            raise Refused(
                f"{run_id} is driven by {row.driver_user} ({row.driver}): `interlock handover {run_id}` asks for it,"
                f" `interlock resume {run_id} --force --write` takes it"
            )
        await _told(spoken, await spoken.orders.resume(run_id), "resume", as_json=as_json)
        return True


async def _resumed(
    run_id: str, site_file: Path | None, asked: Person, *, force: bool, operator: str | None, as_json: bool
) -> Exit:
    async with desk_on(choose(site_file), operator, asked, write=True) as desk:
        head = (await known(desk.journal, run_id)).head_seq

        async def begin() -> str:
            await desk.resume(run_id, force=force)
            return run_id

        return await drive(desk, begin(), exit_of_run, as_json=as_json, after=head)


async def _aborted_there(run_id: str, operator: str | None, *, as_json: bool) -> bool:
    """Said what it undoes, and told to the driver where one lives. False: nobody drives, so it is undone from here."""
    async with speaking(run_id, operator, None) as spoken:
        row, view = await spoken.journal.run(run_id), await view_of(spoken.journal, run_id)
        say("\n".join(rundoc.undo_lines(row, view)))
        undo = row.definition.get("undo_of") is not None
        if not (view.closed or undo or (row.driver_alive and not view.question)):
            return False
        event = await spoken.orders.abort(run_id)
        if event is not None:
            await _answered(spoken, event, "rollback.begin")
        await _told(spoken, event, "abort", as_json=as_json)
        return True


async def _answered(spoken: Spoken, event: Event, kind: str) -> None:
    """Wait a moment until the driver has obeyed; one that ends its act first, or is stuck, is told of."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ANSWER_S):
            async for later in spoken.journal.follow(event.run_id, event.seq):
                if later.kind in {kind, "run.closed"}:
                    return
    row = await spoken.journal.run(event.run_id)
    say(f"interlock: its driver ({row.driver}) has heard it, or ends its step first: `interlock follow {row.run_id}`")


async def _told(spoken: Spoken, event: Event | None, command: str, *, as_json: bool) -> Exit:
    """What became of it, and how the run goes on."""
    run_id = spoken.row.run_id
    row, view = await spoken.journal.run(run_id), await view_of(spoken.journal, run_id)
    ways = next_steps(row, view)
    if as_json:
        print(json.dumps(rundoc.order_document(command, event, row, view, ways), indent=1))
        return Exit.OK
    entry = f"entry {event.seq}" if event else "it was so already"
    driven = f"driven by {row.driver_user}" if row.driver_alive else "nobody drives it"
    print(f"{run_id}  {command}: {entry}; {view.state}{'' if view.closed else f', {driven}'}")
    if not row.driver_alive:
        print("\n".join(f"  {line}" for line in ways), end="\n" if ways else "")
    return Exit.OK
