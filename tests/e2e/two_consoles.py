"""A run of a shipped book under an altered definition, as a site's policy would alter it, and its log."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from runbooks.engine import view_of
from runbooks.journal import Event, Identity, Journal, NewRun
from runbooks.view import RunView
from tests.e2e.embedded_lab import Cli, until

Definition = dict[str, Any]


async def _journal(cli: Cli) -> Journal:
    return await Journal.open(
        cli.state / "interlock" / "journal.db",
        identity=Identity.here("alice", "LAB"),
        now=lambda: datetime.now(UTC),
        new_id=lambda: uuid.uuid4().hex,
    )


def begun_once(cli: Cli, change: str) -> str:
    """A drain-port run that two people gave up before it sent anything: others are made of its definition."""
    words = ("run", "drain-port", "port=port-a", "--change", change, "--write", "--yes")
    process = cli.start(*words)

    def there() -> str | None:
        nonlocal process
        if process.poll() is not None:  # refused: a fresh lab may not be ready
            process.communicate()
            process = cli.start(*words)
        return next(iter(known(cli)), None)

    run: str = until("a run on a lab that is ready", there, 120.0)
    process.kill()
    process.communicate()
    cli.ok("abandon", run)
    cli.ok("approve", run, "abandon", "--as", "bob")
    assert not cli.router_writes()
    return run


def like(cli: Cli, run: str, change: str, alter: Callable[[Definition], Definition]) -> str:
    """A new run, by alice, of an earlier run's definition, altered; nobody drives it yet."""

    async def create() -> str:
        journal = await _journal(cli)
        try:
            old = await journal.run(run)
            definition = alter(dict(old.definition))
            new = NewRun(old.book, old.version, definition, old.actions, change, definition["locks"])
            row = await journal.create_run(new)
            await journal.release(row.run_id, row.fence)
            return row.run_id
        finally:
            await journal.close()

    return asyncio.run(create())


def known(cli: Cli) -> list[str]:
    """Every run there is, newest first; asked of the file, since a process for each look would slow the lab."""

    async def read() -> list[str]:
        journal = await _journal(cli)
        try:
            return [row.run_id for row in await journal.runs()]
        finally:
            await journal.close()

    return asyncio.run(read())


def log(cli: Cli, run: str) -> list[Event]:
    """Every entry, with its data."""

    async def read() -> list[Event]:
        journal = await _journal(cli)
        try:
            return await journal.events(run)
        finally:
            await journal.close()

    return asyncio.run(read())


def seen(cli: Cli, run: str) -> RunView:
    async def read() -> RunView:
        journal = await _journal(cli)
        try:
            return await view_of(journal, run)
        finally:
            await journal.close()

    return asyncio.run(read())


def kinds(cli: Cli, run: str, after: int = 0) -> list[str]:
    return [e.kind for e in log(cli, run) if e.seq > after and e.kind not in {"wait.progress", "step.started"}]


def reached(cli: Cli, run: str, kind: str, step: str | None = None, after: int = 0) -> Event:
    """Wait for an entry."""
    found: Event = until(
        f"{run}: {kind} {step or ''}",
        lambda: next(
            (e for e in log(cli, run) if e.seq > after and e.kind == kind and (step is None or e.step == step)), None
        ),
        120.0,
    )
    return found


def with_exits(**exits: str) -> Callable[[Definition], Definition]:
    """Every step with these exits."""
    named = {path.replace("_", "-"): policy for path, policy in exits.items()}
    return lambda definition: definition | {"steps": [step | {"exits": named} for step in definition["steps"]]}


APPROVAL = {"id": "second-person", "kind": "approve", "title": "a second person agrees to move traffic"}
QUESTION = {"id": "clear", "kind": "confirm", "title": "all clear?"}


def with_approval(definition: Definition) -> Definition:
    """An approval before the first act."""
    first = _first_act(definition)
    return definition | {"steps": [*definition["steps"][:first], APPROVAL, *definition["steps"][first:]]}


def with_question(definition: Definition) -> Definition:
    """A confirmation after the first act, at which the run stands as long as it takes."""
    after = _first_act(definition) + 1
    return definition | {"steps": [*definition["steps"][:after], QUESTION, *definition["steps"][after:]]}


def _first_act(definition: Definition) -> int:
    return next(number for number, step in enumerate(definition["steps"]) if step["kind"] == "act")
