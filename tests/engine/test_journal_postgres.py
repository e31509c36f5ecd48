"""What only a shared journal has: a lease, a role, a server that names its writers, and a line that can be cut."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from runbooks.journal import DriverAlive, FenceLost, Identity, Journal, JournalUnavailable, NewRun, UnfitStorage
from runbooks.journal.log import Body, Row
from runbooks.journal.where import parse, shown
from tests.engine.little_device import World, book, console, here, new_id, until
from tests.engine.shared_journal import Wire, elsewhere
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
            await asyncio.wait_for(asyncio.shield(beating), 5)
        wire.swallow_commits = False
        await journal.append(row.run_id, "note.after")


async def test_lease_is_the_servers_word_for_a_driver_elsewhere(pg_database: str) -> None:
    async with opened(pg_database, lease_s=0.5) as here_, opened(pg_database, elsewhere(), lease_s=0.5) as other:
        row = await here_.create_run(book())
        with pytest.raises(DriverAlive):
            await other.claim(row.run_id)
        await here_.beat(row.run_id, row.fence)
        deadline = asyncio.get_running_loop().time() + 5
        while not await other.orphans():
            assert asyncio.get_running_loop().time() < deadline, "the lease never ran out"
            await asyncio.sleep(0.02)
        assert await other.claim(row.run_id) == 2
        claimed = (await other.events(row.run_id))[-1]
        assert claimed.data["forced"] is True  # silent is not dead: its packets may still be under way
        with pytest.raises(FenceLost):
            await here_.beat(row.run_id, row.fence)


async def test_heartbeat_keeps_a_silent_driver_alive(pg_database: str) -> None:
    async with opened(pg_database, lease_s=1.0) as mine, opened(pg_database, elsewhere(), lease_s=1.0) as other:
        row = await mine.create_run(book())
        with psycopg.connect(pg_database, autocommit=True) as server:
            (ends,) = server.execute("SELECT lease_until FROM run").fetchone() or (None,)
            over, deadline = False, asyncio.get_running_loop().time() + 10
            while not over:  # until the lease that it began with is over, by the server's own clock
                assert asyncio.get_running_loop().time() < deadline, "the first lease never ran out"
                await mine.beat(row.run_id, row.fence)
                assert (await other.run(row.run_id)).driver_alive
                (over,) = server.execute("SELECT clock_timestamp() > %s", (ends,)).fetchone() or (False,)
                await asyncio.sleep(0.02)


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


async def test_a_reading_is_of_one_moment_whatever_is_written_meanwhile(pg_database: str) -> None:
    """Else `journal verify` of a run under way would find an entry that the head it has just read does not know."""
    count = "SELECT count(*) FROM res_lock", ()

    def twice() -> Body[tuple[list[Row], list[Row]]]:
        first = yield count
        with psycopg.connect(pg_database) as other:
            other.execute("INSERT INTO res_lock (resource, fence) VALUES (gen_random_uuid(), 0)")
        return first, (yield count)

    async with opened(pg_database) as journal:
        first, second = await journal._engine.query(twice())
        assert first == second
        assert await journal._engine.query(twice()) != (first, second), "the next one is of a later moment"


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
        await until(lambda: seen == ["note.before", "note.after"], "the entry after the outage", 15.0)
        following.cancel()


async def test_server_that_accepts_and_never_answers_is_unavailable(pg_database: str) -> None:
    silent = await asyncio.start_server(lambda _r, _w: asyncio.sleep(60), "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    start = asyncio.get_running_loop().time()
    with pytest.raises(JournalUnavailable):
        async with opened(f"postgresql://owner@127.0.0.1:{port}/x"):
            pass
    assert asyncio.get_running_loop().time() - start < 10
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
            start = asyncio.get_running_loop().time()
            await journal.append(row.run_id, "note.meanwhile")
            assert asyncio.get_running_loop().time() - start > 0.5, "the row was never locked"
        finally:
            frozen.kill()
            frozen.communicate(timeout=10)
