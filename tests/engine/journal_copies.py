"""The whole journal at a moment, copied and put back: what a console that dies then leaves to the next one."""

from __future__ import annotations

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

import psycopg

from runbooks.journal.where import Where

TABLES = ("run", "event", "res_lock", "console")

Copy = bytes | Mapping[str, bytes]  # two of them are equal when nothing was written between


class JournalCopies(ABC):
    """Copies of the journal at `where`. A copy is of one moment, whoever writes; put back only while nobody does."""

    where: Where

    @abstractmethod
    def take(self) -> Copy: ...

    @abstractmethod
    def put_back(self, copy: Copy) -> None: ...

    @abstractmethod
    def close(self) -> None: ...


class FileCopies(JournalCopies):
    def __init__(self, path: Path) -> None:
        self.where: Where = path
        self._path = path

    def take(self) -> Copy:
        with closing(sqlite3.connect(self._path)) as db:
            return db.serialize()

    def put_back(self, copy: Copy) -> None:
        assert isinstance(copy, bytes)
        assert not Path(f"{self._path}-wal").exists(), "a console is still there"
        self._path.write_bytes(copy)

    def close(self) -> None:
        pass


class DatabaseCopies(JournalCopies):
    def __init__(self, url: str) -> None:
        self.where: Where = url
        self._db = psycopg.connect(url, autocommit=True)
        self._db.execute("SET session_replication_role = replica")  # the append-only triggers are proven elsewhere

    def take(self) -> Copy:
        with self._db.transaction(), self._db.cursor() as rows:
            rows.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            return {table: _read(rows, table) for table in TABLES}

    def put_back(self, copy: Copy) -> None:
        assert isinstance(copy, Mapping)
        with self._db.transaction(), self._db.cursor() as rows:
            rows.execute("SET LOCAL lock_timeout = '30s'")
            for table, content in copy.items():
                rows.execute(f"DELETE FROM {table}")  # of a few rows: to truncate a table makes its files anew
                with rows.copy(f"COPY {table} FROM STDIN") as into:
                    into.write(content)

    def close(self) -> None:
        self._db.close()


def _read(rows: psycopg.Cursor, table: str) -> bytes:
    with rows.copy(f"COPY {table} TO STDOUT") as out:
        return b"".join(out)


def copies_of(where: Where) -> JournalCopies:
    return FileCopies(where) if isinstance(where, Path) else DatabaseCopies(where)
