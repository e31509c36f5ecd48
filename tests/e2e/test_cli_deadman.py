"""A console that falls silent: between act and confirm the routers restore, in a hold nothing moves."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from runbooks.journal import Identity, Journal
from tests.e2e.embedded_lab import Cli, Document, lab_up, until
from tests.e2e.killing import frozen
from tests.e2e.router_login import armed, at_router, silence
from tests.e2e.under_way import drain_under_way

pytestmark = [pytest.mark.vault, pytest.mark.timeout(300)]

SILENCE_S = 8
MARGIN_S = 4.0  # of the lab's own clock, on a loaded machine


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    with lab_up(tmp_path_factory.mktemp("deadman")) as cli:
        silence(cli, SILENCE_S)
        yield cli


@pytest.fixture(scope="module")
def plan(cli: Cli) -> Document:
    return cli.plan()


@pytest.fixture
def console(cli: Cli, plan: Document) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A drain under way whose first move is proven; its console is gone afterwards, and the network as before."""
    process, run = drain_under_way(cli)
    yield process, run
    if process.poll() is None:
        process.kill()
    process.communicate()
    if cli.show(run)["closed"] is None:
        cli.run("rollback", run, "--write", "--yes")
    until("everything is as before", lambda: as_before(cli, plan), 60)


def as_before(cli: Cli, plan: Document) -> bool:
    """The same plan again; a busy machine's look may have to be taken twice."""
    made = cli.run("plan", "drain-port", "port=port-a", "--json")
    return made.code == 0 and made.json["hash"] == plan["hash"]


def evidence(cli: Cli, run: str, step: str, kind: str) -> Document | None:
    found = next(each for each in cli.show(run)["steps"] if each["id"] == step)["evidence"]
    return found.get(kind)


def undone(plan: Document, step: str) -> list[str]:
    lines = next(each["undo"] for each in plan["steps"] if each["id"] == step)
    return [line.replace("(config)>", ">") for line in lines if not line.endswith("configure terminal")]


def by_deadman(cli: Cli, run: str, step: str = "") -> list[Document]:
    """What the dead-men of a run have written, or that of a step: which of two fires first, nobody has promised."""
    of = f"deadman {run}-{step}-a1" if step else f"deadman {run}-"
    return [each for each in cli.ledger() if each["by"].startswith(of)]


def lines(writes: list[Document]) -> list[str]:
    return [f"{each['where']}> {each['what']}" for each in writes]


def test_a_dead_man_that_nobody_drives_is_listed_as_left_over(cli: Cli) -> None:
    """Armed by bob's own hands, for what is there anyway."""
    lines = ("route-map IN-msee-primary permit 10", "set local-preference 200")
    at_router(cli, lambda session: session.arm("X-1-move-a1", 120, lines, ()))

    def listed() -> Document | None:
        left = cli.run("leftovers", "--json").json["leftovers"]
        return next((each for each in left if each["kind"] == "timer"), None)

    try:
        left = until("edge-1 lists it", listed, 60)
    finally:
        assert at_router(cli, lambda session: session.confirm("X-1-move-a1")) == "armed"
    assert (left["kind"], left["where"], left["run"], left["undo"]) == (
        *("timer", "edge-1", None),
        ["deadman confirm X-1-move-a1"],
    )


def test_a_frozen_console_is_restored_by_the_routers_and_asks_when_it_thaws(
    cli: Cli, plan: Document, console: tuple[subprocess.Popen[str], str]
) -> None:
    process, run = console
    frozen(cli, process)
    since, wanted = datetime.now(UTC), undone(plan, "move-azure")
    until("the router restores", lambda: lines(by_deadman(cli, run, "move-azure")) == wanted)
    restored = datetime.fromisoformat(by_deadman(cli, run, "move-azure")[0]["at"])
    assert restored - since <= timedelta(seconds=SILENCE_S + MARGIN_S)
    until("every dead-man has fired", lambda: armed(cli) == [])
    until("what is there is what was there", lambda: as_before(cli, plan), 60)
    before = cli.router_writes()

    process.send_signal(signal.SIGCONT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 6, err
    shown = cli.show(run)
    assert shown["state"] == "NEEDS_DECISION"
    assert shown["question"]["kind"] in {"act.unknown", "act.not_sent"}
    assert cli.router_writes() == before, "nothing is done a second time by itself"


def test_a_killed_console_is_restored_and_the_rollback_finds_it_so(
    cli: Cli, plan: Document, console: tuple[subprocess.Popen[str], str]
) -> None:
    process, run = console
    process.kill()
    process.communicate()
    until("every dead-man has fired", lambda: armed(cli) == [])
    assert lines(by_deadman(cli, run, "move-azure")) == undone(plan, "move-azure")
    before = cli.router_writes()
    back = cli.run("rollback", run, "--write", "--yes", "--json")
    assert (back.code, back.json["state"]) == (0, "ROLLED_BACK"), back.err
    assert cli.router_writes() == before, "it looked, and there was nothing left to undo"


def test_a_console_that_dies_in_a_hold_moves_nothing(cli: Cli, console: tuple[subprocess.Popen[str], str]) -> None:
    process, run = console
    asyncio.run(paused(cli, run))
    until("the hold disarms", lambda: evidence(cli, run, "move-azure", "deadman.disarmed"))
    until("every dead-man is gone", lambda: armed(cli) == [])
    assert cli.show(run)["state"] == "PAUSED"
    process.kill()
    killed, before = time.monotonic(), cli.router_writes()
    until("more than its time is over", lambda: time.monotonic() > killed + SILENCE_S + 2, SILENCE_S + 5)
    assert cli.router_writes() == before
    assert by_deadman(cli, run) == []


def test_a_drain_that_ends_leaves_no_dead_man(cli: Cli) -> None:
    drained = cli.drain(cli.change(), "--json")
    assert drained.code == 0, drained.err
    assert armed(cli) == armed(cli, "edge-2") == []
    run = drained.json["run"]
    for step in ("move-azure", "move-aws"):
        told = evidence(cli, run, step, "deadman.disarmed")
        assert told is not None
        assert told["answers"] == {"edge-1": "armed"}
    assert cli.run("rollback", run, "--write", "--yes").code == 0
    assert by_deadman(cli, run) == []


async def paused(cli: Cli, run: str) -> None:
    """Somebody says pause: any console may, and whoever drives obeys."""
    journal = await Journal.open(
        cli.state / "interlock" / "journal.db",
        identity=Identity.here("bob", "LAB"),
        now=lambda: datetime.now(UTC),
        new_id=lambda: uuid4().hex,
    )
    await journal.append(run, "cmd.pause")
    await journal.close()
