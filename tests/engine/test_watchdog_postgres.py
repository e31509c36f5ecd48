"""The watchdog on a journal that hosts share: it claims and lets go there, and is as alive as its heartbeat says; away,
the server does not stop it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from console.leash import Dog
from runbooks.journal import DriverAlive, FenceLost, Journal
from tests.engine.little_device import Device, World, console, here, until
from tests.engine.shared_journal import elsewhere, end_leases
from tests.engine.test_watchdog import Kennel, frozen, kinds, watchdogs_journal
from tests.postgres import Cluster

pytestmark = pytest.mark.postgres

PUT_BACK = [("egress", "do"), ("egress", "undo")]


@pytest.fixture
def world() -> World:
    return World()


async def test_it_takes_the_run_from_every_host_undoes_that_act_and_lets_go(pg_database: str, world: World) -> None:
    kennel, driving, opened = await frozen(pg_database, world)
    journal = await watchdogs_journal(pg_database)
    assert await kennel.restore(journal) == "done"
    await journal.close()
    assert world.device.values == Device().values
    with pytest.raises(FenceLost):
        await driving  # the console that thaws can do nothing more
    await opened.__aexit__(None, None, None)

    async with console(pg_database, world, "bob", identity=elsewhere()) as (bobs, engine):
        assert (await kinds(bobs, kennel.run_id))[-5:] == [
            *("driver.claimed", "deadman.fired", "act.intent", "act.result", "driver.released")
        ]
        fence = await bobs.claim(kennel.run_id)  # nobody's lease has to run out
        assert (await engine.request_rollback(kennel.run_id, fence, "asked")).direction == "rollback"
        assert (await engine.drive(kennel.run_id, fence)).state == "ROLLED_BACK"
        assert [report.ok for report in await bobs.verify(kennel.run_id)] == [True]
    assert world.device.ledger == PUT_BACK


async def test_while_it_acts_every_host_sees_it_alive(pg_database: str, world: World) -> None:
    """An act may take longer than a lease: without its heartbeat another console could begin beside it."""
    kennel, driving, opened = await frozen(pg_database, world)
    journal = await watchdogs_journal(pg_database, lease_s=2.4)
    refused: list[str] = []

    async def looked_at_from_elsewhere() -> None:
        async with console(pg_database, World(), "bob", identity=elsewhere()) as (bobs, _):
            for _ in range(2):  # not by what it wrote last, and not once only
                end_leases(pg_database)
                await until_alive(bobs, kennel.run_id)
                with pytest.raises(DriverAlive) as alive:
                    await bobs.claim(kennel.run_id)
                refused.append(alive.value.console)

    world.answers["after v6 of undo egress"] = looked_at_from_elsewhere
    assert await kennel.restore(journal) == "done"
    assert refused == [journal.console] * 2
    await journal.close()
    await asyncio.wait({driving})
    await opened.__aexit__(None, None, None)


async def until_alive(journal: Journal, run_id: str) -> None:
    end = asyncio.get_running_loop().time() + 20
    while not (await journal.run(run_id)).driver_alive:
        assert asyncio.get_running_loop().time() < end, "no heartbeat came"
        await asyncio.sleep(0.02)


async def test_a_server_that_is_away_does_not_stop_it(
    pg_cluster: Cluster, pg_database: str, world: World, tmp_path: Path
) -> None:
    kennel, journal = await bereaved(pg_database, world)
    pg_cluster.stop()
    try:
        assert await kennel.restore(journal) == "done"
        await journal.close()
    finally:
        await asyncio.to_thread(pg_cluster.start)
    assert world.device.values == Device().values
    assert [entry.kind for entry in kennel.spooled] == ["deadman.fired", "act.intent", "act.result"]
    await brought_in(kennel, pg_database, world, tmp_path, 3)


async def test_a_server_that_goes_while_it_acts_gets_the_rest_from_the_spool(
    pg_cluster: Cluster, pg_database: str, world: World, tmp_path: Path
) -> None:
    kennel, journal = await bereaved(pg_database, world)
    world.answers["undo egress"] = lambda: asyncio.to_thread(pg_cluster.stop)
    try:
        assert await kennel.restore(journal) == "done"
        await journal.close()
    finally:
        await asyncio.to_thread(pg_cluster.start)
    assert [entry.kind for entry in kennel.spooled] == ["act.result"]
    await brought_in(kennel, pg_database, world, tmp_path, 1)


async def test_its_process_knows_where_the_server_is_and_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"PGHOST": "db", "PGUSER": "alice", "PGSERVICE": "interlock", "PGPASSFILE": "/home/alice/.pgpass"}
    for name, value in {**told, "PGPASSWORD": "hunter2"}.items():
        monkeypatch.setenv(name, value)
    dog = Dog()
    file = Path(f"/proc/{dog.pid}/environ")
    await until(file.read_text, "it has an environment")  # which it gets a moment after it was started
    environment = (await asyncio.to_thread(file.read_text)).split("\0")
    dog.let_go()
    assert {f"{name}={value}" for name, value in told.items()} <= set(environment)
    assert not [line for line in environment if "hunter2" in line]


async def bereaved(url: str, world: World) -> tuple[Kennel, Any]:
    """A watchdog whose console has died, and the journal as it has it open; to the next console both are gone."""
    kennel, driving, opened = await frozen(url, world, dead=True)
    driving.cancel()
    await asyncio.wait({driving})
    await opened.__aexit__(None, None, None)
    return kennel, await watchdogs_journal(url, dead=True)


async def brought_in(kennel: Kennel, url: str, world: World, folder: Path, entries: int) -> None:
    """The next console of this host delivers it, in its order; whoever drives then looks, and asks."""
    async with console(url, world, identity=here("bob")) as (mine, engine):
        assert await kennel.delivered(folder, mine) == entries
        assert (await kinds(mine, kennel.run_id))[-3:] == ["deadman.fired", "act.intent", "act.result"]
        assert (await mine.events(kennel.run_id))[-1].data["spooled_by"] == "watchdog"
        view = await engine.drive(kennel.run_id, await mine.claim(kennel.run_id))
        assert view.question is not None
        assert (view.question.step, view.question.kind) == ("egress", "act.unknown")
        assert [report.ok for report in await mine.verify(kennel.run_id)] == [True]
    assert world.device.ledger == PUT_BACK
