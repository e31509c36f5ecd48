"""The watchdog's own process: it sees the network before it is armed, and puts one act back when its console dies."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from console.leash import Leashes
from console.sites import Chosen
from console.wiring import watching
from network.sitefile import load
from runbooks.journal import Identity, Journal
from runbooks.journal.spool import Spool
from runbooks.model import steps_of
from runbooks.view import Timer
from tests.e2e.embedded_lab import Cli, lab_up, until
from tests.e2e.killing import entries
from tests.e2e.killing import journal as place
from tests.e2e.router_login import silence
from tests.e2e.under_way import drain_under_way
from tests.postgres import Cluster

pytestmark = [pytest.mark.vault, pytest.mark.timeout(300)]

SILENCE_S = 5.0
FIRED = ["deadman.fired", "act.intent", "act.result"]


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    with lab_up(tmp_path_factory.mktemp("watchdog")) as cli:
        silence(cli, 600)  # the routers' own timers are not what is looked at here
        yield cli


def orphaned(cli: Cli) -> str:
    """A drain whose console was killed after its first move, and before it had begun another."""
    for _ in range(5):
        process, run = drain_under_way(cli)
        process.kill()
        process.communicate()
        if [kind for kind, _ in entries(cli, run)].count("act.intent") == 1:
            return run
        cli.ok("rollback", run, "--write", "--yes")
    pytest.fail("never killed between its two moves")


async def guarded(cli: Cli, run: str, *, confirmed: bool) -> str:
    """Arm a watchdog for the run's first move as its console would have, and leave it; what it last said."""
    file = cli.lab_folder / "site.yaml"
    chosen = Chosen(file, load(file.read_text(), str(file)), cli.lab_folder)
    journal = await Journal.open(
        place(cli),
        identity=Identity.here("test", "LAB"),
        now=lambda: datetime.now(UTC),
        new_id=lambda: uuid4().hex,
    )
    row = await journal.run(run)
    await journal.close()
    step = next(each for each in steps_of(row.definition) if each.id == "move-azure")
    timer = Timer(f"{run}-move-azure-a1", SILENCE_S, ("watchdog",), run, row.fence)
    async with watching(chosen, "alice") as watch:
        leashes = Leashes(watch, answer_s=60.0)
        leashes.plan(run, row.definition)
        await leashes.prepare(step, timer)
        await leashes.arm(step, timer)
        assert await leashes.extend(timer) == "armed"
        said = await leashes.disarm(timer) if confirmed else ""
        leashes.let_go()
    return said


def test_a_dead_console_is_followed_by_its_watchdog_and_a_confirmed_one_is_not(
    cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(cli.state))
    run, before = orphaned(cli), cli.router_writes()
    assert asyncio.run(guarded(cli, run, confirmed=True)) == "armed"
    assert cli.router_writes() == before

    asyncio.run(guarded(cli, run, confirmed=False))
    until("it has let the run go", lambda: cli.log(run)[-1].kind == "driver.released", SILENCE_S + 60)
    assert [entry.kind for entry in cli.log(run)][-5:] == ["driver.claimed", *FIRED, "driver.released"]
    after = cli.router_writes()
    assert len(after) > len(before)
    back = cli.run("rollback", run, "--write", "--yes", "--json")
    assert (back.code, back.json["state"]) == (0, "ROLLED_BACK"), back.err
    moved = [line for line in cli.router_writes()[len(after) :] if "IN-msee-primary" in line]
    assert moved == [], "it had put back all that there was of that move"


@pytest.mark.postgres
def test_a_server_that_is_away_does_not_stop_it_and_gets_to_know_it_later(
    cli: Cli, pg_cluster: Cluster, pg_database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = Cli(cli.root)
    shared.env["INTERLOCK_JOURNAL"] = pg_database
    monkeypatch.setenv("XDG_STATE_HOME", str(cli.state))
    monkeypatch.setenv("INTERLOCK_JOURNAL", pg_database)
    run = orphaned(shared)
    asyncio.run(guarded(shared, run, confirmed=False))
    pg_cluster.stop()
    try:
        until("what it did is in the spool", lambda: asyncio.run(spooled(cli, run)) == FIRED, SILENCE_S + 60)
    finally:
        pg_cluster.start()
    after = shared.router_writes()
    back = shared.run("rollback", run, "--write", "--yes", "--json")
    assert (back.code, back.json["state"]) == (0, "ROLLED_BACK"), back.err
    assert f"{len(FIRED)} entries from before an outage are in the journal now" in back.err
    assert shared.router_writes() == after, "it had put back all that there was"
    kinds = [entry.kind for entry in shared.log(run)]
    assert kinds[kinds.index(FIRED[0]) :][: len(FIRED) + 1] == [*FIRED, "driver.claimed"]


async def spooled(cli: Cli, run: str) -> list[str]:
    """What of the run waits on this host for the journal."""
    spool = Spool(cli.state / "interlock" / "spool.db")
    try:
        return [entry.kind for entry in await spool.waiting(run)]
    finally:
        await spool.close()
