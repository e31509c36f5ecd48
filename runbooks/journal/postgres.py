"""The shared engine: PostgreSQL through psycopg 3, so that consoles on several hosts share their runs.

One connection writes, one transaction at a time; READ COMMITTED is enough, because every body that writes locks
its run's row first. What only reads sees all at one moment. A second connection listens. Nothing waits for ever:
each step on the way has a deadline on this side, and an open transaction of a frozen console has one on the server's.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, LiteralString, Self, TypeVar

from runbooks.journal.errors import CommitUnknown, JournalUnavailable, UnfitStorage
from runbooks.journal.log import FOR_UPDATE, LEASE, LEASED, Body, Row
from runbooks.journal.schema import CHANNEL, GRANTS, OPERATOR_ROLE, POSTGRES_ONLY, SCHEMA_VERSION, TABLES
from runbooks.journal.where import shown

if TYPE_CHECKING:
    from psycopg import AsyncConnection

T = TypeVar("T")

CONNECT_S = 4.0
CALL_S = 6.0  # a whole transaction
CLOSE_S = 1.0
SETTINGS = (
    "SET synchronous_commit = on",
    "SET statement_timeout = '4s'",
    "SET lock_timeout = '4s'",
    "SET idle_in_transaction_session_timeout = '3s'",  # a frozen console must not keep a run's row locked
)
QUIET_S = 5.0  # a listener looks for itself this often: a notification may have been lost
RETRY_S = (0.5, 1.0, 2.0, 4.0)
SCHEMA_LOCK = 0x1_7E12_10C4  # around the creation of the tables, and around nothing else


class PostgresEngine:
    """Runs transaction bodies on one connection, and makes a new one when that is lost."""

    def __init__(self, url: str, lease_s: float) -> None:
        self.lease_s: float | None = lease_s
        self.db_user: str | None = None
        self._url = url
        self._turn = asyncio.Lock()
        self._connection: AsyncConnection | None = None
        self._closed = False
        self._committing = False

    @classmethod
    async def open(cls, url: str, journal_id: str, lease_s: float) -> Self:
        """Connect, and create the tables in a database without them. Raises UnfitStorage, JournalUnavailable."""
        engine = cls(url, lease_s)
        try:
            engine.db_user = (await engine.query(_session_user()))[0]
            if not await engine.query(_fit(shown(url))):
                await engine.transact(_prepare(shown(url), journal_id))
        except BaseException:
            await engine.close()
            raise
        return engine

    async def transact(self, body: Body[T]) -> T:
        return await self._run(body, "BEGIN")

    async def query(self, body: Body[T]) -> T:
        return await self._run(body, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    async def growth(self) -> AsyncIterator[None]:
        """LISTEN on a connection of its own, which is made again for as long as it takes; never raises."""
        failed = 0
        while True:
            try:
                async for _ in self._heard():
                    failed = 0
                    yield
            except JournalUnavailable:
                await asyncio.sleep(RETRY_S[min(failed, len(RETRY_S) - 1)])
                failed += 1

    async def close(self) -> None:
        """What is under way ends first: a descriptor closed under its reader is soon another connection's."""
        self._closed = True
        try:
            await asyncio.wait_for(self._turn.acquire(), CLOSE_S)
        except TimeoutError:
            if self._connection is not None:
                _cut(self._connection)
            await self._turn.acquire()
        try:
            await self._drop()
        finally:
            self._turn.release()

    # -- connections

    async def _connect(self) -> AsyncConnection:
        if self._closed:
            raise JournalUnavailable(shown(self._url), "it has been closed")
        try:
            from psycopg import AsyncConnection
        except ImportError as missing:
            raise UnfitStorage(
                f"journal {shown(self._url)} needs psycopg: pip install 'interlock[postgres]'"
            ) from missing
        async with asyncio.timeout(CONNECT_S):
            connection = await AsyncConnection.connect(
                self._url, autocommit=True, connect_timeout=int(CONNECT_S), application_name="interlock"
            )
            await connection.execute("; ".join(SETTINGS))
        return connection

    async def _drop(self) -> None:
        """Let go of the connection, whatever state it is in."""
        lost, self._connection = self._connection, None
        if lost is not None:
            with suppress(Exception):
                async with asyncio.timeout(CLOSE_S):
                    await lost.close()

    async def _heard(self) -> AsyncIterator[None]:
        import psycopg

        try:
            connection = await self._connect()
            try:
                await connection.execute(f"LISTEN {CHANNEL}")
                while True:
                    yield  # also at first: what was written while nobody listened
                    async for _ in connection.notifies(timeout=QUIET_S, stop_after=1):
                        pass
                    await connection.execute("")  # a connection that has silently gone is found out here
            finally:
                await connection.close()
        except (psycopg.Error, OSError, TimeoutError) as error:
            raise JournalUnavailable(shown(self._url), _why(error)) from error

    # -- transactions

    async def _run(self, body: Body[T], begin: LiteralString) -> T:
        """Run a body between BEGIN and COMMIT, within a deadline; a connection in doubt is dropped."""
        async with self._turn:
            self._committing = False
            try:
                import psycopg

                if self._connection is None or self._connection.broken:
                    self._connection = await self._connect()
                return await _within(CALL_S, self._connection, self._transaction(self._connection, body, begin))
            except (psycopg.Error, OSError, TimeoutError) as error:
                await self._drop()
                lost = CommitUnknown if self._committing else JournalUnavailable
                raise lost(shown(self._url), _why(error)) from error
            except asyncio.CancelledError:
                await self._drop()
                raise
            finally:
                body.close()

    async def _transaction(self, connection: AsyncConnection, body: Body[T], begin: LiteralString) -> T:
        import psycopg

        await connection.execute(begin, prepare=False)
        try:
            result = await self._feed(connection, body)
        except (psycopg.Error, OSError, TimeoutError, asyncio.CancelledError):
            raise  # the connection is dropped, and the server rolls back
        except BaseException:
            await connection.execute("ROLLBACK")
            raise
        self._committing = True
        await connection.execute("COMMIT", prepare=False)
        self._committing = False
        return result

    async def _feed(self, connection: AsyncConnection, body: Body[T]) -> T:
        """Drive a body: execute what it yields, send it the rows."""
        try:
            sql, params = next(body)
            while True:
                cursor = await connection.execute(self._dialect(sql).encode(), params or None)
                sql, params = body.send([] if cursor.description is None else list(await cursor.fetchall()))
        except StopIteration as done:
            result: T = done.value
            return result

    def _dialect(self, sql: str) -> str:
        lease = f"clock_timestamp() + interval '{self.lease_s} s'"
        for ours, theirs in (
            (LEASE, lease),
            (LEASED, "(r.lease_until > clock_timestamp())"),
            (FOR_UPDATE, "FOR UPDATE"),
            ("?", "%s"),
        ):
            sql = sql.replace(ours, theirs)
        return sql


async def _within(seconds: float, connection: AsyncConnection, work: Coroutine[Any, Any, T]) -> T:
    """Await work on a connection, and cut the connection when it takes too long or nobody wants it any more.

    psycopg itself would first ask the server to cancel, and wait for its answer: a dead line has none.
    """
    task = asyncio.ensure_future(work)
    try:
        async with asyncio.timeout(seconds):
            return await asyncio.shield(task)
    except (TimeoutError, asyncio.CancelledError):
        _cut(connection)
        await asyncio.wait({task})
        task.exception()  # whatever it was, it is told by the one that is raised here
        raise


def _cut(connection: AsyncConnection) -> None:
    """End whatever waits on a connection, at once."""
    with suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as line:
        line.shutdown(socket.SHUT_RDWR)


def _why(error: BaseException) -> str:
    """The first line of what the server or the driver said; the URL is not in it."""
    said = str(error).strip().splitlines()
    return shown(said[0]) if said else "no answer in time"


# -- the tables


def _session_user() -> Body[Row]:
    return (yield "SELECT session_user::text", ())[0]


def _fit(where: str) -> Body[bool]:
    """Whether the tables are there. Raises UnfitStorage for those of something else, or of another version."""
    rows = yield "SELECT tablename FROM pg_catalog.pg_tables WHERE schemaname = current_schema()", ()
    there = {"meta", "run", "event"} & {row[0] for row in rows}
    if not there:
        return False
    if len(there) < 3:
        raise UnfitStorage(f"{where} holds other tables by these names, and no journal: give it a database of its own")
    version = (yield "SELECT schema_version FROM meta", ())[0][0]
    if version != SCHEMA_VERSION:
        raise UnfitStorage(
            f"journal {where} has schema {version}, this version knows {SCHEMA_VERSION}: use the version that wrote it"
        )
    return True


def _prepare(where: str, journal_id: str) -> Body[None]:
    yield "SELECT pg_advisory_xact_lock(?)", (SCHEMA_LOCK,)
    if (yield from _fit(where)):
        return  # another console was faster
    for statement in (*TABLES, *POSTGRES_ONLY):
        yield statement, ()
    yield "INSERT INTO meta VALUES (?, ?)", (SCHEMA_VERSION, journal_id)
    yield from _role()


def _role() -> Body[None]:
    """A role that can write entries and never change one: made when permitted, granted when it is there."""
    name = (OPERATOR_ROLE,)
    if not (yield "SELECT 1 FROM pg_roles WHERE rolname = ?", name):
        if not (yield "SELECT 1 FROM pg_roles WHERE rolname = current_user AND (rolcreaterole OR rolsuper)", ()):
            return
        yield f"CREATE ROLE {OPERATOR_ROLE} NOLOGIN", ()
    for grant in GRANTS:
        yield grant, ()
