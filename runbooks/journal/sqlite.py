"""The embedded engine: one SQLite file in WAL mode, one thread that owns the only connection.

synchronous=FULL makes every COMMIT durable before it returns. Nothing here runs on the event loop.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Self, TypeVar

from runbooks.journal.errors import JournalUnavailable, UnfitStorage
from runbooks.journal.log import Body, Row
from runbooks.journal.schema import SCHEMA_VERSION, SQLITE_ONLY, TABLES

T = TypeVar("T")

BUSY_S = 5.0
POLL_S = 0.2  # 0.26 % of a core, measured; p50 111 ms from another console's commit to this one's screen
# WAL needs memory shared between the processes that open the file: no network file system has that.
REMOTE = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ceph", "glusterfs", "lustre", "fuse.sshfs"})
MOUNTS = Path("/proc/self/mountinfo")
_CONTENDED = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL}


class SqliteEngine:
    """Runs transaction bodies on its own thread, one after the other."""

    lease_s: float | None = None
    db_user: str | None = None

    def __init__(self, path: Path) -> None:
        self._path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        self._db: sqlite3.Connection | None = None

    @classmethod
    async def open(cls, path: Path, journal_id: str) -> Self:
        """Open or create the file. Raises UnfitStorage, JournalUnavailable."""
        engine = cls(path)
        try:
            await engine._on_thread(lambda: engine._connect(journal_id))
        except BaseException:
            await engine.close()
            raise
        return engine

    async def transact(self, body: Body[T]) -> T:
        """Run a body between BEGIN IMMEDIATE and a durable COMMIT; any exception rolls it back."""
        return await self._on_thread(lambda: self._run(body, "BEGIN IMMEDIATE"))

    async def query(self, body: Body[T]) -> T:
        """Run a reading body on one snapshot, and leave no read transaction open behind it."""
        return await self._on_thread(lambda: self._run(body, "BEGIN"))

    async def growth(self) -> AsyncIterator[None]:
        """Poll `data_version`, a number that changes whenever another connection has committed."""
        seen = -1
        while True:
            version = await self._data_version()
            if version != seen:
                seen = version
                yield
            await asyncio.sleep(POLL_S)

    async def _data_version(self) -> int:
        return await self._on_thread(lambda: int(self._open_db().execute("PRAGMA data_version").fetchone()[0]))

    async def close(self) -> None:
        with suppress(JournalUnavailable):  # closing twice is closing
            await self._on_thread(self._disconnect)
        self._thread.shutdown(wait=False)

    async def _on_thread(self, work: Callable[[], T]) -> T:
        try:
            running = asyncio.get_running_loop().run_in_executor(self._thread, work)
        except RuntimeError as error:  # the thread has been shut down
            raise JournalUnavailable(self._path, "it has been closed") from error
        try:
            return await running
        except sqlite3.DatabaseError as error:
            raise JournalUnavailable(self._path, str(error)) from error

    # -- below here, everything runs on the journal's thread

    def _open_db(self) -> sqlite3.Connection:
        if self._db is None:
            raise JournalUnavailable(self._path, "it has been closed")
        return self._db

    def _run(self, body: Body[T], begin: str) -> T:
        db = self._open_db()
        db.execute(begin)
        try:
            result = _feed(db, body)
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise
        return result

    def _connect(self, journal_id: str) -> None:
        refuse_remote(self._path)
        _create_private(self._path)
        self._db = sqlite3.connect(self._path, timeout=BUSY_S, isolation_level=None)
        _use_wal(self._db, self._path)
        self._db.execute("PRAGMA synchronous = FULL")
        self._db.execute("PRAGMA foreign_keys = ON")
        self._run(_prepare(self._path, journal_id), "BEGIN IMMEDIATE")

    def _disconnect(self) -> None:
        if self._db is not None:
            self._db.close()
            self._db = None


def _feed(db: sqlite3.Connection, body: Body[T]) -> T:
    """Drive a body: execute what it yields, send it the rows, throw into it what the database raises."""
    try:
        sql, params = next(body)
        while True:
            rows: list[Row] = db.execute(sql, params).fetchall()
            sql, params = body.send(rows)
    except StopIteration as done:
        result: T = done.value
        return result
    finally:
        body.close()


def _prepare(path: Path, journal_id: str) -> Body[None]:
    """Create the tables in a new file; refuse a file that is something else or newer than this version."""
    names = {row[0] for row in (yield "SELECT name FROM sqlite_master WHERE type = 'table'", ())}
    if not names:
        for statement in (*TABLES, *SQLITE_ONLY):
            yield statement, ()
        yield "INSERT INTO meta VALUES (?, ?)", (SCHEMA_VERSION, journal_id)
        return
    if not {"meta", "run", "event"} <= names:
        raise UnfitStorage(f"{path} is a database, but no journal of Interlock: choose another file")
    version = (yield "SELECT schema_version FROM meta", ())[0][0]
    if version != SCHEMA_VERSION:
        raise UnfitStorage(
            f"journal {path} has schema {version}, this version knows {SCHEMA_VERSION}: use the version that wrote it"
        )


def _create_private(path: Path) -> None:
    """Make the file readable by its owner alone before SQLite can make it otherwise."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise JournalUnavailable(path, error.strerror or str(error)) from error


def _use_wal(db: sqlite3.Connection, path: Path) -> None:
    """Switch to WAL.

    SQLite does not call its busy handler for this switch, so two consoles that create the file at the same
    moment need a second try.
    """
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in _CONTENDED or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
            continue
        if mode != "wal":
            raise UnfitStorage(f"{path} cannot be put into WAL mode ({mode}): put the journal on a local disk")
        return


def refuse_remote(path: Path, mountinfo: Path = MOUNTS) -> None:
    """Raise UnfitStorage when the path lies on a network file system, as the kernel's mount table says."""
    if kind := remote(path, mountinfo):
        raise UnfitStorage(
            f"{path} is on a network file system ({kind}), where SQLite's WAL is not safe:"
            " put the journal on a local disk, or use PostgreSQL"
        )


def remote(path: Path, mountinfo: Path = MOUNTS) -> str:
    """The type of the network file system that holds a path; empty when it is a local one."""
    kind = _filesystem(path, mountinfo.read_text(encoding="utf-8", errors="surrogateescape"))
    return kind if kind in REMOTE else ""


def _filesystem(path: Path, mountinfo: str) -> str:
    """Return the type of the file system that holds a path; of two on one mount point the later is on top."""
    target, best, kind = path.resolve(), Path("/"), ""
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        mount = Path(left.split(" ")[4].replace("\\040", " "))
        if target.is_relative_to(mount) and mount.is_relative_to(best):
            best, kind = mount, right.split(" ")[0]
    return kind
