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
from runbooks.model import steps_of
from runbooks.view import Timer
from tests.e2e.embedded_lab import Cli, lab_up, until
from tests.e2e.router_login import silence
from tests.e2e.under_way import drain_under_way

pytestmark = [pytest.mark.vault, pytest.mark.timeout(300)]

SILENCE_S = 5.0


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    with lab_up(tmp_path_factory.mktemp("watchdog")) as cli:
        silence(cli, 600)  # the routers' own timers are not what is looked at here
        yield cli


@pytest.fixture
def run(cli: Cli) -> str:
    """A drain whose console was killed after its first move."""
    process, run = drain_under_way(cli)
    process.kill()
    process.communicate()
    return run


async def guarded(cli: Cli, run: str, *, confirmed: bool) -> str:
    """Arm a watchdog for the run's first move as its console would have, and leave it; what it last said."""
    file = cli.lab_folder / "site.yaml"
    chosen = Chosen(file, load(file.read_text(), str(file)), cli.lab_folder)
    journal = await Journal.open(
        cli.state / "interlock" / "journal.db",
        identity=Identity.here("test", "LAB"),
        now=lambda: datetime.now(UTC),
        new_id=lambda: uuid4().hex,
    )
    row = await journal.run(run)
    await journal.close()
    step = next(each for each in steps_of(row.definition) if each.id == "move-azure")
    timer = Timer(f"{run}-move-azure-a1", SILENCE_S, ("watchdog",), run, row.fence)
    async with watching(chosen, "alice") as watch:
        leashes = Leashes(watch)
        leashes.plan(run, row.definition)
        await leashes.prepare(step, timer)
        await leashes.arm(step, timer)
        assert await leashes.extend(timer) == "armed"
        said = await leashes.disarm(timer) if confirmed else ""
        leashes.let_go()
    return said


def test_a_dead_console_is_followed_by_its_watchdog_and_a_confirmed_one_is_not(
    cli: Cli, run: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(cli.state))
    before = cli.router_writes()
    assert asyncio.run(guarded(cli, run, confirmed=True)) == "armed"
    assert cli.router_writes() == before

    asyncio.run(guarded(cli, run, confirmed=False))
    until("it has let the run go", lambda: cli.log(run)[-1].kind == "driver.released", SILENCE_S + 40)
    assert [entry.kind for entry in cli.log(run)][-5:] == [
        "driver.claimed",
        "deadman.fired",
        "act.intent",
        "act.result",
        "driver.released",
    ]
    after = cli.router_writes()
    assert len(after) > len(before)
    back = cli.run("rollback", run, "--write", "--yes", "--json")
    assert (back.code, back.json["state"]) == (0, "ROLLED_BACK"), back.err
    moved = [line for line in cli.router_writes()[len(after) :] if "IN-msee-primary" in line]
    assert moved == [], "it had put back all that there was of that move"
