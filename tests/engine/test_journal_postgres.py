"""What only a shared journal has: a lease, a role, a server that names its writers, and a line that can be cut."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

import psycopg
import pytest

from runbooks.effects import Ports
from runbooks.engine import Engine
from runbooks.journal import DriverAlive, Event, FenceLost, Identity, Journal, JournalUnavailable, NewRun, UnfitStorage
from runbooks.journal.where import parse, shown
from tests.engine.little_device import World, act, book, console, here, new_id, until
from tests.engine.shared_journal import Wire, elsewhere, end_leases
from tests.postgres import Cluster

pytestmark = pytest.mark.postgres


@asynccontextmanager
async def opened(url: str, identity: Identity | None = None, lease_s: float = 15.0) -> AsyncIterator[Journal]:
    more: dict[str, Any] = {"now": lambda: datetime.now(UTC), "new_id": new_id, "lease_s": lease_s}
    journal = await Journal.open(url, identity=identity or here(), **more)
    try:
        yield journal
    finally:
        await journal.close()


async def test_commit_whose_answer_was_lost_is_written_once(pg_cluster: Cluster, pg_database: str) -> None:
    async with Wire(pg_cluster.port) as wire:
        url = pg_cluster.url(pg_database.rpartition("/")[2], port=wire.port)
        async with opened(url) as journal:
            wire.cut_after_commit = True
            row = await journal.create_run(book())
            assert row.run_id.endswith("-01")
            for kind in ("step.started", "check.passed"):
                wire.cut_after_commit = True
                await journal.append(row.run_id, kind, step="safe", fence=row.fence)
                assert not wire.cut_after_commit, "the wire was never cut"
            await journal.release(row.run_id, row.fence)
            wire.cut_after_commit = True
            assert await journal.claim(row.run_id) == 2
            kinds = [event.kind for event in await journal.events(row.run_id)]
            assert kinds == ["run.created", "step.started", "check.passed", "driver.released", "driver.claimed"]
            assert (await journal.verify())[0].ok
            assert len(await journal.runs()) == 1


async def test_cancelled_while_committing_is_cancelled(pg_cluster: Cluster, pg_database: str) -> None:
    """A heartbeat that is told to end ends: its lost answer must not pass for an outage."""
    wire, name = Wire(pg_cluster.port), pg_database.rpartition("/")[2]
    async with wire, opened(pg_cluster.url(name, port=wire.port)) as journal:
        row = await journal.create_run(book())
        wire.swallow_commits, before = True, wire.commits
        beating = asyncio.create_task(journal.beat(row.run_id, row.fence))
        await until(lambda: wire.commits > before, "the commit is under way")
        beating.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(asyncio.shield(beating), 30)
        wire.swallow_commits = False
        await journal.append(row.run_id, "note.after")


async def test_lease_is_the_servers_word_for_a_driver_elsewhere(pg_database: str) -> None:
    async with (
        opened(pg_database) as mine,
        opened(pg_database, lease_s=0.5) as silent,
        opened(pg_database, elsewhere()) as other,
    ):
        row = await mine.create_run(book())
        with pytest.raises(DriverAlive):
            await other.claim(row.run_id)
        await mine.beat(row.run_id, row.fence)
        assert await silent.claim(row.run_id, force=True) == 2
        deadline = asyncio.get_running_loop().time() + 30
        while not await other.orphans():
            assert asyncio.get_running_loop().time() < deadline, "the lease never ran out"
            await asyncio.sleep(0.02)
        assert await other.claim(row.run_id) == 3
        claimed = (await other.events(row.run_id))[-1]
        assert claimed.data["forced"] is True  # silent is not dead: its packets may still be under way
        with pytest.raises(FenceLost):
            await silent.beat(row.run_id, 2)


async def test_heartbeat_keeps_a_silent_driver_alive(pg_database: str) -> None:
    async with opened(pg_database) as mine, opened(pg_database, elsewhere()) as other:
        row = await mine.create_run(book())
        end_leases(pg_database)
        assert not (await other.run(row.run_id)).driver_alive
        await mine.beat(row.run_id, row.fence)
        assert (await other.run(row.run_id)).driver_alive


class Deaf(Journal):
    """A console whose ear for others is gone without a word, as a connection through a firewall can be."""

    async def follow(self, run_id: str, after: int = 0) -> AsyncIterator[Event]:
        while await asyncio.Event().wait():
            yield (await self.events(run_id, after))[-1]


async def test_the_heartbeat_ends_an_effect_of_a_driver_that_heard_of_no_take_over(pg_database: str) -> None:
    world, acting = World(), asyncio.Event()

    async def sends_for_ever() -> None:
        acting.set()
        await asyncio.Event().wait()

    world.answers["do shut"] = sends_for_ever
    more: dict[str, Any] = {"now": lambda: datetime.now(UTC), "new_id": new_id}
    journal = await Deaf.open(pg_database, identity=here(), lease_s=0.6, **more)
    engine = Engine(journal, Ports(world, world, world, world, world), boottime=monotonic, **more)
    async with opened(pg_database, elsewhere(), lease_s=0.6) as other:
        row = await journal.create_run(book({"steps": [act("shut", timeout_s=60)]}))
        driving = asyncio.create_task(engine.drive(row.run_id, row.fence))
        await asyncio.wait_for(acting.wait(), 20)
        await other.claim(row.run_id, force=True)
        await asyncio.wait({driving}, timeout=20)
        assert isinstance(driving.exception(), FenceLost), "it ended by itself, and not because it was told to"
        told = (await other.events(row.run_id))[-1]
        assert (told.kind, told.data["reason"]) == ("late.act.result", "another console has taken the run over")
    await journal.close()


async def test_the_mirror_of_a_run_ends_with_it(pg_database: str, tmp_path: Path) -> None:
    async with console(pg_database, World(), spool=tmp_path / "spool.db") as (journal, engine):
        row = await journal.create_run(book())
        assert journal.spool is not None
        assert [entry.kind for entry in await journal.spool.acknowledged(row.run_id)] == ["run.created"]
        assert (await engine.drive(row.run_id, row.fence)).state == "COMPLETED"
        await journal.append(row.run_id, "note.after")
        await journal.spool.settle()
        assert await journal.spool.summary() == []


async def test_operator_role_writes_entries_and_changes_none(pg_cluster: Cluster, pg_database: str) -> None:
    async with opened(pg_database):
        pass
    with psycopg.connect(pg_database, autocommit=True) as owner:
        owner.execute("DROP ROLE IF EXISTS carol")
        owner.execute("CREATE ROLE carol LOGIN IN ROLE interlock_operator")
    url = pg_cluster.url(pg_database.rpartition("/")[2], "carol")
    async with console(url, World(), "carol") as (journal, engine):
        row = await journal.create_run(book())
        assert (await engine.drive(row.run_id, row.fence)).state == "COMPLETED"
        assert (await journal.verify())[0].ok
    forged = (
        "INSERT INTO event (run_id, seq, uid, ts, kind, actor, console, db_user, data, prev_hash, hash)"
        " SELECT run_id, 99, 'forged', ts, 'cmd.approve', actor, console, 'owner', data, prev_hash, hash"
        " FROM event WHERE seq = 1"
    )
    for statement, why in (
        ("UPDATE event SET data = '{}'", "permission denied"),
        ("DELETE FROM event", "permission denied"),
        ("TRUNCATE event", "permission denied"),
        (forged, "cannot be written by carol"),
    ):
        with psycopg.connect(url) as db, pytest.raises(psycopg.Error, match=why):
            db.execute(statement.encode())
    for statement in ("UPDATE event SET data = '{}'", "DELETE FROM event", "TRUNCATE event"):
        with psycopg.connect(pg_database) as db, pytest.raises(psycopg.Error, match="append-only"):
            db.execute(statement.encode())
    with psycopg.connect(pg_database) as db:
        assert db.execute("SELECT DISTINCT db_user FROM event").fetchall() == [("carol",)]


async def test_follower_outlives_the_server(pg_cluster: Cluster, pg_database: str) -> None:
    seen: list[str] = []
    async with opened(pg_database) as journal, opened(pg_database, elsewhere()) as other:
        run = (await journal.create_run(book())).run_id

        async def follow() -> None:
            async for event in other.follow(run, after=1):
                seen.append(event.kind)  # noqa: PERF401 - each as it comes

        following = asyncio.create_task(follow())
        await journal.append(run, "note.before")
        await until(lambda: seen == ["note.before"], "the entry before the outage")
        pg_cluster.stop()
        try:
            with pytest.raises(JournalUnavailable, match="no act may start"):
                await journal.append(run, "note.during")
        finally:
            pg_cluster.start()
        await journal.append(run, "note.after")
        await until(lambda: seen == ["note.before", "note.after"], "the entry after the outage")
        following.cancel()


async def test_server_that_accepts_and_never_answers_is_unavailable(pg_database: str) -> None:
    silent = await asyncio.start_server(lambda _r, _w: asyncio.Event().wait(), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    async with asyncio.timeout(60):
        with pytest.raises(JournalUnavailable):
            async with opened(f"postgresql://owner@127.0.0.1:{port}/x"):
                pass
    silent.close()


async def test_foreign_and_newer_databases_are_refused(pg_database: str) -> None:
    with psycopg.connect(pg_database) as db:
        db.execute("CREATE TABLE run (id int)")
    with pytest.raises(UnfitStorage, match="no journal"):
        async with opened(pg_database):
            pass
    with psycopg.connect(pg_database) as db:
        db.execute("DROP TABLE run")
    async with opened(pg_database) as journal:
        await journal.create_run(NewRun("b", "1", {}))
    with psycopg.connect(pg_database) as db:
        db.execute("UPDATE meta SET schema_version = 99")
    with pytest.raises(UnfitStorage, match="schema 99"):
        async with opened(pg_database):
            pass


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://alice:hunter2@db/journal",
        "postgres://alice:@db/journal",
        "postgresql://db/journal?user=alice&password=hunter2",
        "postgresql:///journal?sslpassword=hunter2",
    ],
)
def test_password_in_the_url_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(UnfitStorage, match="pgpass") as refused:
        parse(url)
    assert "hunter2" not in str(refused.value)
    assert "hunter2" not in shown(url)


def test_other_schemes_are_refused() -> None:
    with pytest.raises(UnfitStorage, match="mysql:// is not known"):
        parse("mysql://db/journal")
    assert parse("postgresql://alice@db:5433/journal") == "postgresql://alice@db:5433/journal"


FROZEN = """
import asyncio, os, signal, sys
from tests.engine.little_device import World, console

def locked_and_frozen(run):
    yield "SELECT 1 FROM run WHERE run_id = ? /*FOR UPDATE*/", (run,)
    mine = "SELECT mode FROM pg_locks WHERE pid = pg_backend_pid() AND relation = 'run'::regclass"
    assert ("RowShareLock",) in (yield mine, ()), "the row was never locked"
    print("frozen", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)

async def main():
    async with console(sys.argv[1], World()) as (journal, _):
        await journal._engine.transact(locked_and_frozen(sys.argv[2]))
asyncio.run(main())
"""


def frozen_console(url: str, run_id: str) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", FROZEN, url, run_id], stdout=subprocess.PIPE, text=True)


async def test_console_frozen_in_a_transaction_does_not_keep_the_run_from_others(pg_database: str) -> None:
    async with opened(pg_database) as journal:
        row = await journal.create_run(book())
        frozen = frozen_console(pg_database, row.run_id)
        try:
            assert frozen.stdout is not None
            assert await asyncio.to_thread(frozen.stdout.readline) == "frozen\n"
            await journal.append(row.run_id, "note.meanwhile")
            assert frozen.poll() is None, "it is frozen yet, and let go of nothing by itself"
        finally:
            frozen.kill()
            frozen.communicate(timeout=10)
