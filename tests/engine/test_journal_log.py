"""The journal on a real file: one write path, append-only, chained, fenced, locked."""

from __future__ import annotations

import asyncio
import base64
import os
import sqlite3
import stat
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from connectors.redact import Redactor
from runbooks.journal import (
    Conflict,
    DriverAlive,
    FenceLost,
    FenceNeeded,
    Journal,
    JournalUnavailable,
    LockHeld,
    NewRun,
    RunClosed,
    UidReused,
    UnfitStorage,
    UnknownRun,
)
from runbooks.journal.engines import open_engine
from runbooks.journal.log import Body
from runbooks.journal.signing import Signature
from runbooks.journal.sqlite import refuse_remote
from runbooks.journal.where import Where
from runbooks.model import UnfitDefinition
from tests.engine.little_device import World, book, console, here, new_id


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "journal.db"


@pytest.fixture
async def journal(where: Where) -> AsyncIterator[Journal]:
    async with console(where, World()) as (opened, _):
        yield opened


@pytest.fixture
async def journal_file(file: Path) -> AsyncIterator[Journal]:
    async with console(file, World()) as (opened, _):
        yield opened


async def close_run(journal: Journal, run_id: str, fence: int) -> None:
    await journal.append(run_id, "run.closed", fence=fence, data={"outcome": "COMPLETED"})


async def test_new_run(journal: Journal) -> None:
    row = await journal.create_run(book(undo_of="R-20260101-01", locks=["port:port-b", "port:port-a"]))
    assert row.run_id == f"R-{row.created_at:%Y%m%d}-01"
    assert (row.fence, row.state, row.direction, row.driver) == (1, "RUNNING", "forward", journal.console)
    assert (row.created_by, row.driver_user, row.driver_alive, row.orphaned) == ("alice", "alice", True, False)
    (created,) = await journal.events(row.run_id)
    assert (created.kind, created.seq, created.mode, created.fence) == ("run.created", 1, "LAB", 1)
    assert created.data["undo_of"] == "R-20260101-01"
    assert created.data["locks"] == {"port:port-a": 1, "port:port-b": 1}
    assert row.head_hash == created.hash


async def test_run_ids_count_and_the_newest_comes_first(journal: Journal) -> None:
    rows = [await journal.create_run(book(locks=[])) for _ in range(3)]
    assert [row.run_id[-3:] for row in rows] == ["-01", "-02", "-03"]
    assert [row.run_id for row in await journal.runs()] == [row.run_id for row in reversed(rows)]


async def test_file_belongs_to_its_owner_alone(journal_file: Journal, file: Path) -> None:
    await journal_file.create_run(book())
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert {stat.S_IMODE(path.stat().st_mode) for path in file.parent.iterdir()} == {0o600}


async def test_definition_that_cannot_be_driven_is_refused(journal: Journal) -> None:
    with pytest.raises(UnfitDefinition, match="'a' is used twice"):
        await journal.create_run(book({"steps": [{"id": "a", "kind": "check"}, {"id": "a", "kind": "act"}]}))
    assert await journal.runs() == []


async def test_state_column_follows_the_log(journal: Journal) -> None:
    row = await journal.create_run(book({"steps": [{"id": "a", "kind": "act"}]}))
    run, fence = row.run_id, row.fence
    await journal.append(run, "act.intent", step="a", phase="do", attempt=1, fence=fence)
    await journal.append(run, "act.unknown", step="a", phase="do", attempt=1, fence=fence)
    assert (await journal.run(run)).state == "NEEDS_DECISION"
    await journal.append(run, "rollback.begin", fence=fence)
    after = await journal.run(run)
    assert (after.state, after.direction, after.head_seq) == ("ROLLING_BACK", "rollback", 4)
    await journal.append(run, "run.closed", fence=fence, data={"outcome": "ROLLED_BACK"})
    closed = await journal.run(run)
    assert (closed.state, closed.driver, closed.orphaned) == ("ROLLED_BACK", None, False)
    assert closed.closed_at is not None


async def test_fence_is_needed_by_the_driver_and_by_nobody_else(journal: Journal) -> None:
    run = (await journal.create_run(book())).run_id
    with pytest.raises(FenceNeeded):
        await journal.append(run, "act.intent", step="egress", phase="do")
    with pytest.raises(FenceLost):
        await journal.append(run, "act.intent", step="egress", phase="do", fence=7)
    for kind in ("cmd.abort", "late.act.result", "note.failed"):
        await journal.append(run, kind)
    assert [event.kind for event in await journal.events(run, after=1)] == [
        "cmd.abort",
        "late.act.result",
        "note.failed",
    ]


async def test_stale_screen_decides_nothing(journal: Journal) -> None:
    run = (await journal.create_run(book())).run_id
    await journal.append(run, "cmd.pause", expect_seq=1)
    with pytest.raises(Conflict) as error:
        await journal.append(run, "cmd.abort", expect_seq=1)
    assert (error.value.expected, error.value.head) == (1, 2)


async def test_retry_with_the_same_uid_is_written_once(journal: Journal) -> None:
    run = (await journal.create_run(book())).run_id
    first = await journal.append(run, "cmd.pause", uid="u1", expect_seq=1)
    await journal.append(run, "cmd.resume")
    assert await journal.append(run, "cmd.pause", uid="u1", expect_seq=1) == first
    with pytest.raises(UidReused):
        await journal.append(run, "cmd.abort", uid="u1")
    assert len(await journal.events(run)) == 3


async def test_secret_never_reaches_the_file(file: Path) -> None:
    redactor = Redactor()
    redactor.add("hunter2hunter2")
    more: dict[str, Any] = {"now": lambda: datetime.now(UTC), "new_id": new_id, "redact": redactor.data}
    journal = await Journal.open(file, identity=here(), **more)
    run = (await journal.create_run(book())).run_id
    event = await journal.append(run, "note.failed", data={"reason": "401 for hunter2hunter2", "n": [1, None]})
    await journal.close()
    assert event.data == {"reason": "401 for [***]", "n": [1, None]}
    assert not any(b"hunter2" in path.read_bytes() for path in file.parent.iterdir())


async def test_closed_run_takes_commands_and_late_reports_only(journal: Journal) -> None:
    run = (await journal.create_run(book())).run_id
    await close_run(journal, run, 1)
    with pytest.raises(RunClosed):
        await journal.append(run, "act.intent", step="egress", phase="do", fence=1)
    with pytest.raises(RunClosed):
        await journal.claim(run)
    await journal.append(run, "late.act.result", step="shut", phase="do")
    assert (await journal.run(run)).state == "COMPLETED"


async def test_a_late_report_after_the_close_disputes_the_run_in_the_list(journal: Journal) -> None:
    """A packet cannot be recalled: what landed after the close must be seen by who only reads the list."""
    row = await journal.create_run(book())
    for kind in ("late.act.result", "note.failed"):
        await journal.append(row.run_id, kind, step="egress", phase="do")
    await close_run(journal, row.run_id, row.fence)
    assert not (await journal.runs())[0].disputed, "what came before the close was looked at"
    await journal.append(row.run_id, "note.failed")
    assert not (await journal.runs())[0].disputed
    await journal.append(row.run_id, "late.act.result", step="egress", phase="do")
    assert (await journal.runs())[0].disputed
    assert (await journal.run(row.run_id)).disputed


async def test_unknown_run_is_named(journal: Journal) -> None:
    for call in (journal.run, journal.events, journal.claim, journal.verify):
        with pytest.raises(UnknownRun, match="R-20200101-01"):
            await call("R-20200101-01")


async def test_locks_are_all_or_nothing_and_belong_to_the_run(journal: Journal) -> None:
    first = await journal.create_run(book(locks=["port:b"]))
    with pytest.raises(LockHeld, match=r"port:b is held by run R-") as error:
        await journal.create_run(book(locks=["port:c", "port:a", "port:b"]))
    assert (error.value.resource, error.value.run_id) == ("port:b", first.run_id)
    second = await journal.create_run(book(locks=["port:a", "port:c"]))  # nothing of the refused run stayed
    await journal.release(first.run_id, first.fence)
    with pytest.raises(LockHeld):
        await journal.create_run(book(locks=["port:b"]))  # released by its driver, and still locked
    fence = await journal.claim(first.run_id)
    await close_run(journal, first.run_id, fence)
    third = await journal.create_run(book(locks=["port:b"]))
    assert (await journal.events(third.run_id))[0].data["locks"] == {"port:b": 2}  # the fence only grows
    assert second.run_id != third.run_id


async def test_claim_is_refused_while_the_driver_lives_unless_forced(where: Where, journal: Journal) -> None:
    row = await journal.create_run(book())
    async with console(where, World(), "bob") as (other, _):
        with pytest.raises(DriverAlive) as error:
            await other.claim(row.run_id)
        assert (error.value.run_id, error.value.console) == (row.run_id, journal.console)
        assert await other.orphans() == []
        assert await other.claim(row.run_id, force=True) == 2
        claimed = (await other.events(row.run_id))[-1]
        assert (claimed.kind, claimed.fence, claimed.actor) == ("driver.claimed", 2, "bob")
        assert claimed.data == {"from": journal.console, "forced": True}
        with pytest.raises(FenceLost):  # the zombie cannot write
            await journal.append(row.run_id, "act.intent", step="egress", phase="do", fence=row.fence)
        await other.release(row.run_id, 2)
        assert [run.run_id for run in await journal.orphans()] == [row.run_id]
        assert await journal.claim(row.run_id) == 3
        assert (await journal.events(row.run_id))[-1].data["forced"] is False


@pytest.mark.parametrize(
    ("change", "claimable"),
    [
        ({}, False),
        ({"pid_start": 1}, True),  # the pid lives, and belongs to another process now
        ({"pid": 2**22 + 1}, True),
        ({"host": "another-host"}, False),  # cannot be proven dead from here
        ({"host": "another-host", "boot_id": "another-boot"}, False),
    ],
)
async def test_dead_driver(where: Where, journal: Journal, change: dict[str, Any], claimable: bool) -> None:
    gone = await Journal.open(where, identity=replace(here(), **change), now=lambda: datetime.now(UTC), new_id=new_id)
    row = await gone.create_run(book())
    await gone.close()
    assert bool(await journal.orphans()) is claimable
    if claimable:
        assert await journal.claim(row.run_id) == 2
    else:
        with pytest.raises(DriverAlive):
            await journal.claim(row.run_id)


# -- append-only and chained

COLUMNS = "run_id, seq, uid, ts, kind, actor, console, data, prev_hash, hash"
ADDED = "run_id, 6, 'u', ts, kind, actor, console, data, hash, 'h'"  # a sixth entry, chained to the fifth


def tamper(where: Where, *statements: str) -> None:
    """What an owner of the journal can do: drop the triggers, then change what was written."""
    if isinstance(where, str):
        with psycopg.connect(where) as server:
            server.execute("ALTER TABLE event DISABLE TRIGGER ALL")
            for statement in statements:
                assert server.execute(statement.encode()).rowcount == 1
        return
    with sqlite3.connect(where) as db:
        for name in ("changed", "deleted", "replaced"):
            db.execute(f"DROP TRIGGER event_is_never_{name}")
        for statement in statements:
            assert db.execute(statement).rowcount == 1
    db.close()


async def some_runs(journal: Journal) -> tuple[str, str]:
    runs = [await journal.create_run(book(locks=[])) for _ in range(2)]
    for row in runs:
        for kind in ("step.started", "check.passed", "cmd.pause", "cmd.resume"):
            fence = None if kind.startswith("cmd.") else row.fence
            await journal.append(row.run_id, kind, step="safe", fence=fence, data={"n": 1, "why": "ü"})
    return runs[0].run_id, runs[1].run_id


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE event SET data = '{}' WHERE seq = 2",
        "DELETE FROM event WHERE seq = 5",
        "INSERT OR REPLACE INTO event SELECT * FROM event WHERE seq = 2",
        f"REPLACE INTO event ({COLUMNS}) SELECT {COLUMNS.replace('seq', '99')} FROM event WHERE seq = 2",
    ],
)
async def test_log_is_append_only(file: Path, journal_file: Journal, statement: str) -> None:
    await some_runs(journal_file)
    db = sqlite3.connect(file)
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        db.execute(statement)
    db.close()


async def test_untouched_chain_holds(journal: Journal) -> None:
    first, second = await some_runs(journal)
    reports = await journal.verify()
    assert [(r.run_id, r.ok, r.events, r.first_bad_seq) for r in reports] == [
        (first, True, 5, None),
        (second, True, 5, None),
    ]
    assert reports[0].head_hash == (await journal.run(first)).head_hash


async def test_a_reader_sees_one_moment_of_a_log_that_grows(where: Where, journal: Journal) -> None:
    """Else an entry that comes between two statements of `verify` would pass for one added behind its back."""
    run = (await journal.create_run(book())).run_id
    head = "SELECT head_seq FROM run"

    def twice() -> Body[list[int]]:
        before = yield head, ()
        grow(where, "UPDATE run SET head_seq = head_seq + 1")
        return [before[0][0], (yield head, ())[0][0]]

    engine = await open_engine(where, "", 15.0)
    assert await engine.query(twice()) == [1, 1]
    await engine.close()
    assert (await journal.run(run)).head_seq == 2


def grow(where: Where, statement: str) -> None:
    if isinstance(where, str):
        with psycopg.connect(where) as server:
            server.execute(statement.encode())
        return
    with sqlite3.connect(where) as db:
        db.execute(statement)
    db.close()


async def test_a_server_that_lost_a_claim_makes_no_two_drivers(where: Where, journal: Journal) -> None:
    """A standby that had not received it gives the same fence to the next who claims."""
    row = await journal.create_run(book())
    async with console(where, World(), "bob") as (bob, _), console(where, World(), "carol") as (carol, _):
        assert await bob.claim(row.run_id, force=True) == 2
        first = (await journal.events(row.run_id))[0]
        lost = f"UPDATE run SET fence = 1, driver = '{row.driver}', head_seq = 1, head_hash = '{first.hash}'"
        tamper(where, "DELETE FROM event WHERE seq = 2", lost)
        assert await carol.claim(row.run_id, force=True) == 2
        await carol.beat(row.run_id, 2)
        with pytest.raises(FenceLost, match="a claim that its journal has lost"):
            await bob.beat(row.run_id, 2)


async def test_another_boot_of_this_host_proves_death_where_the_file_is(file: Path, journal_file: Journal) -> None:
    rebooted = replace(here(), boot_id="another-boot")
    gone = await Journal.open(file, identity=rebooted, now=lambda: datetime.now(UTC), new_id=new_id)
    row = await gone.create_run(book())
    await gone.close()
    assert await journal_file.claim(row.run_id) == 2


@pytest.mark.parametrize(
    ("statement", "seq", "reason"),
    [
        ("UPDATE event SET data = '{}' WHERE run_id = '{run}' AND seq = 3", 3, "content"),
        ("UPDATE event SET actor = 'bob' WHERE run_id = '{run}' AND seq = 1", 1, "content"),
        ("UPDATE event SET ts = 'yesterday' WHERE run_id = '{run}' AND seq = 2", 2, "content"),
        ("DELETE FROM event WHERE run_id = '{run}' AND seq = 2", 2, "missing"),
        ("DELETE FROM event WHERE run_id = '{run}' AND seq = 5", 5, "missing"),
        ("UPDATE event SET prev_hash = 'x' WHERE run_id = '{run}' AND seq = 4", 4, "follow"),
        ("UPDATE event SET hash = 'x' WHERE run_id = '{run}' AND seq = 5", 5, "content"),
        ("UPDATE run SET definition = replace(definition, '120', '50') WHERE run_id = '{run}'", 1, "definition"),
        ("UPDATE run SET head_hash = 'x' WHERE run_id = '{run}'", 5, "head"),
        (
            f"INSERT INTO event ({COLUMNS}) SELECT {ADDED} FROM event WHERE run_id = '{{run}}' AND seq = 5",
            6,
            "content",
        ),
    ],
)
async def test_tampering_is_named(where: Where, journal: Journal, statement: str, seq: int, reason: str) -> None:
    run, other = await some_runs(journal)
    tamper(where, statement.replace("{run}", run))
    report, untouched = await journal.verify()
    assert (report.run_id, report.ok, report.first_bad_seq) == (run, False, seq)
    assert reason in report.reason
    assert (untouched.run_id, untouched.ok) == (other, True)
    assert (await journal.verify(run)) == [report]


# -- signed


class Key:
    """A key in this process's memory."""

    def __init__(self) -> None:
        self._key = Ed25519PrivateKey.generate()

    async def sign(self, statement: bytes) -> Signature:
        public = self._key.public_key().public_bytes_raw()
        return Signature(base64.b64encode(public).decode(), base64.b64encode(self._key.sign(statement)).decode())


@pytest.fixture
async def signing(where: Where) -> AsyncIterator[Journal]:
    more: dict[str, Any] = {"now": lambda: datetime.now(UTC), "new_id": new_id}
    opened = await Journal.open(where, identity=here("bob"), signer=Key(), **more)
    yield opened
    await opened.close()


async def test_approval_is_signed_and_the_rest_is_not(where: Where, journal: Journal, signing: Journal) -> None:
    row = await journal.create_run(book())
    approval = await signing.append(row.run_id, "cmd.approve", step="a", data={"definition_sha": row.definition_sha})
    await signing.append(row.run_id, "cmd.pause")
    assert approval.data["signer"]["algorithm"] == "ed25519"
    assert (await journal.verify(row.run_id))[0].ok


async def test_what_cannot_be_signed_is_not_written(where: Where, journal: Journal) -> None:
    class Away:
        async def sign(self, _statement: bytes) -> Signature:
            raise ConnectionRefusedError

    run = (await journal.create_run(book())).run_id
    more: dict[str, Any] = {"now": lambda: datetime.now(UTC), "new_id": new_id}
    bob = await Journal.open(where, identity=here("bob"), signer=Away(), **more)
    try:
        with pytest.raises(ConnectionRefusedError):
            await bob.append(run, "cmd.approve", step="a")
    finally:
        await bob.close()
    assert (await journal.run(run)).head_seq == 1


OTHER = base64.b64encode(bytes(64)).decode()


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        (f"UPDATE event SET sig = '{OTHER}' WHERE seq = 2", "not by the key"),
        ("UPDATE event SET sig = 'no base64' WHERE seq = 2", "not by the key"),
        ("UPDATE event SET sig = NULL WHERE seq = 2", "missing"),
        (f"UPDATE event SET sig = '{OTHER}' WHERE seq = 1", "nobody whom it names"),
    ],
)
async def test_wrong_signature_is_named(
    where: Where, journal: Journal, signing: Journal, statement: str, reason: str
) -> None:
    run = (await journal.create_run(book())).run_id
    await signing.append(run, "cmd.approve", step="a")
    tamper(where, statement)
    (report,) = await journal.verify()
    assert (report.ok, report.first_bad_seq) == (False, int(statement[-1]))
    assert reason in report.reason


# -- followers


async def test_follower_sees_own_and_foreign_entries_once_and_in_order(where: Where, journal: Journal) -> None:
    run = (await journal.create_run(book())).run_id
    seen: list[str] = []
    async with asyncio.timeout(30), console(where, World(), "bob") as (other, _):

        async def write() -> None:
            for n in range(10):
                await (journal if n % 2 else other).append(run, f"note.{n}")

        writing = asyncio.create_task(write())
        async for event in journal.follow(run, after=1):
            seen.append(event.kind)
            if len(seen) == 10:
                break
        await writing
    assert seen == [f"note.{n}" for n in range(10)]


async def test_cancelled_writer_still_tells_followers(journal: Journal) -> None:
    run = (await journal.create_run(book())).run_id
    writing = asyncio.create_task(journal.append(run, "note.last"))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    writing.cancel()
    async with asyncio.timeout(30):
        async for event in journal.follow(run, after=1):
            assert event.kind == "note.last"
            break


async def test_follower_of_a_closed_journal_is_told(where: Where) -> None:
    async with console(where, World()) as (journal, _):
        run = (await journal.create_run(book())).run_id

        async def follow() -> None:
            async for event in journal.follow(run, after=1):
                raise AssertionError(event)

        following = asyncio.create_task(follow())
        await asyncio.sleep(0)
    with pytest.raises(JournalUnavailable):
        await asyncio.wait_for(following, 30)


# -- where it may live


async def open_at(path: Path) -> Journal:
    return await Journal.open(path, identity=here(), now=lambda: datetime.now(UTC), new_id=new_id)


MOUNTS = """\
22 1 254:0 / / rw - ext4 /dev/vda rw
30 22 0:44 / /home rw,relatime shared:5 - nfs4 nas:/home rw
31 30 0:45 / /home/local\\040disk rw - xfs /dev/vdb rw
32 22 0:46 / /share rw - cifs //nas/share rw
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/home/alice/j.db", "nfs4"), ("/share/j.db", "cifs"), ("/home/local disk/j.db", None), ("/var/j.db", None)],
)
def test_network_file_system_is_refused(tmp_path: Path, path: str, kind: str | None) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(MOUNTS)
    if kind is None:
        refuse_remote(Path(path), mounts)
    else:
        with pytest.raises(UnfitStorage, match=rf"\({kind}\).*use PostgreSQL"):
            refuse_remote(Path(path), mounts)


def newer(db: sqlite3.Connection) -> None:
    db.execute("UPDATE meta SET schema_version = 99")


def foreign(db: sqlite3.Connection) -> None:
    db.execute("DROP TABLE event")


@pytest.mark.parametrize(("change", "why"), [(newer, "schema 99"), (foreign, "no journal")])
async def test_file_that_is_not_ours_is_refused(
    tmp_path: Path, change: Callable[[sqlite3.Connection], None], why: str
) -> None:
    path = tmp_path / "j.db"
    await (await open_at(path)).close()
    with sqlite3.connect(path) as db:
        change(db)
    db.close()
    with pytest.raises(UnfitStorage, match=why):
        await open_at(path)


async def test_garbage_file_and_unwritable_folder_are_unavailable(tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.db"
    garbage.write_bytes(os.urandom(4096))
    with pytest.raises(JournalUnavailable, match="not a database"):
        await open_at(garbage)
    with pytest.raises(JournalUnavailable, match="no act may start"):
        await open_at(garbage / "below" / "j.db")


async def test_closed_journal_says_so(where: Where) -> None:
    async with console(where, World()) as (journal, _):
        pass
    with pytest.raises(JournalUnavailable, match="closed"):
        await journal.create_run(NewRun("b", "1", {}))
