"""Stopping a real console at an entry of its log: the journal is locked from outside, then the signal sent."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest

from runbooks.journal.where import Where
from tests.e2e.embedded_lab import Cli, Document, until

#: Written as time passes and not as the run goes on, so not counted.
UNCOUNTED = ("wait.progress", "guard.", "note.")  # how many there are depends on the machine

Outside = sqlite3.Connection | psycopg.Connection


@dataclass(frozen=True)
class Caught:
    """Where a run stood when its console was stopped: nothing more can be written while this is held."""

    run: str
    entries: int
    kind: str  # of its last entry
    step: str


class Ended(Exception):
    """The console ended by itself before it was caught; the message is what it said."""


#: A moment in a run's log: so many entries, or this one, by its kind and step.
At = int | tuple[str, str]


class NeverThere(Exception):
    """The run did not come so far in time; the message says how far."""


@contextlib.contextmanager
def caught(
    cli: Cli, process: subprocess.Popen[str], known: set[str], at: At, *, within_s: float = 90.0
) -> Iterator[Caught]:
    """Hold the journal's write lock from the moment at which a run that is not `known` has come so far.

    The console cannot write its next entry meanwhile: whatever it has sent since its last one is not in the log.
    Raises Ended, NeverThere.
    """
    db = _opened(journal(cli))
    deadline = time.monotonic() + within_s
    try:
        while not (there := _reached(db, known, at)):
            if process.poll() is not None:
                raise Ended(process.communicate()[1])
            if time.monotonic() > deadline:
                raise NeverThere(f"no run at {at} within {within_s:g} s")
            time.sleep(0.002)
        yield there
    finally:
        db.close()


def journal(cli: Cli) -> Where:
    """The journal of this command's consoles: the one of its environment, else its own file."""
    return cli.env.get("INTERLOCK_JOURNAL") or cli.state / "interlock" / "journal.db"


def runs(cli: Cli) -> set[str]:
    """The runs in the journal."""
    with contextlib.closing(_opened(journal(cli))) as db:
        return {run for (run,) in db.execute("SELECT run_id FROM run").fetchall()}


def entries(cli: Cli, run: str) -> list[tuple[str, str]]:
    """Each entry's kind and step, asked of the journal itself."""
    with contextlib.closing(_opened(journal(cli))) as db:
        return _entries(db, run)


def frozen(cli: Cli, process: subprocess.Popen[str]) -> None:
    """Stop a console, but not in the middle of a write: a frozen lock of the journal's is another test's matter."""
    until("it is frozen, and holds nothing of the journal", lambda: _frozen_idle(cli, process))


def _frozen_idle(cli: Cli, process: subprocess.Popen[str]) -> bool:
    process.send_signal(signal.SIGSTOP)
    os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)  # it runs on until the signal is delivered
    with contextlib.closing(_opened(journal(cli))) as db:
        if _held(db):
            return True
    process.send_signal(signal.SIGCONT)
    return False


def _entries(db: Outside, run: str) -> list[tuple[str, str]]:
    rows = db.execute(f"SELECT kind, step FROM event WHERE run_id = '{run}' ORDER BY seq").fetchall()
    return [(kind, step or "") for kind, step in rows]


def _opened(where: Where) -> Outside:
    if isinstance(where, Path):
        return sqlite3.connect(where, timeout=0, isolation_level=None)
    return psycopg.connect(where, autocommit=True)


def _held(db: Outside) -> bool:
    """Whether nobody else can write an entry now; False: the console writes just now."""
    try:
        if isinstance(db, sqlite3.Connection):
            db.execute("BEGIN IMMEDIATE")
        else:
            db.execute("BEGIN")
            db.execute("LOCK TABLE event IN EXCLUSIVE MODE NOWAIT")
    except sqlite3.OperationalError:
        return False
    except psycopg.errors.LockNotAvailable:
        db.execute("ROLLBACK")
        return False
    return True


def _reached(db: Outside, known: set[str], at: At) -> Caught | None:
    if not _held(db):
        return None
    for run, *_ in db.execute("SELECT run_id FROM run").fetchall():
        if run in known:
            continue
        rows = _entries(db, run)
        if rows[-1][0] == "run.closed":
            pytest.fail(f"{run} was over after {len(rows)} entries, before it was at {at}: there is no such moment")
        counted = [row for row in rows if not row[0].startswith(UNCOUNTED)]
        if len(counted) >= at if isinstance(at, int) else at in counted:
            return Caught(run, len(counted), *counted[-1])
    db.execute("ROLLBACK")
    return None


def killed(process: subprocess.Popen[str]) -> None:
    """kill -9 of the console itself, no wrapper of it, and wait until it is gone."""
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL, "it had ended by itself"


def on_the_wire(plan: Document, key: str) -> Counter[str]:
    """What the routers see written when the plan's `commands` or its `undo` is performed once."""
    lines = [line.replace("(config)>", ">") for step in plan["steps"] for line in step[key]]
    return Counter(line for line in lines if not line.endswith("configure terminal"))
