"""kill -9 of the real console at every entry of a drain, and at seeded ones of each other book: `rollback` restores.

On a journal that is shared, at two seeded ones of a drain; and there too a frozen console sends nothing when it thaws.

The network's own ledger says what was sent; the plan made anew says that everything is as it was.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from copy import copy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from uuid import uuid4

import psycopg
import pytest

from runbooks.book import names, shipped
from runbooks.journal import Identity, Journal
from tests.e2e.embedded_lab import Cli, Document, Result, lab_up, until
from tests.e2e.killing import At, Caught, Ended, NeverThere, caught, journal, killed, on_the_wire, runs
from tests.engine.library_runs import PARAMETERS

ENTRIES = 15  # of a drain before its close, waits' samples not counted
SEEDED = [(book, entry) for book in names() if book != "drain-port" for entry in Random(book).sample(range(2, 10), 2)]
POINTS = [("drain-port", entry) for entry in range(1, ENTRIES + 1)]
POINTS += [(book, entry) for book, entry in SEEDED if not shipped(book).undoes]
UNDOING = [(book, entry) for book, entry in SEEDED if shipped(book).undoes]
GATED, INTENDED = ("gate.passed", "move-azure"), ("act.intent", "move-azure")
SHARED = Random("shared").sample(range(2, ENTRIES + 1), 2)
LABS = 3  # in parallel, where there are workers for them
FUZZED = int(os.environ.get("INTERLOCK_KILLS", "2"))

pytestmark = [pytest.mark.vault, pytest.mark.timeout(300)]


def utc() -> datetime:
    return datetime.now(UTC)


class Field:
    """A lab, with the plan of each book as it is made on an untouched network."""

    def __init__(self, cli: Cli) -> None:
        self.cli, self.change = cli, cli.change()
        self._plans: dict[str, Document] = {}
        cli.runs()  # makes the journal

    def sharing(self, url: str) -> Field:
        """The same lab, with consoles whose journal is this database."""
        other = copy(self)
        other.cli = Cli(self.cli.root)
        other.cli.env["INTERLOCK_JOURNAL"] = url
        other.cli.runs()
        return other

    def written(self) -> Counter[str]:
        """What the routers saw written so far, from the lab itself."""
        return Counter(self.cli.router_writes())

    def plan(self, book: str) -> Document:
        if book not in self._plans:
            self._plans[book] = self.planned(book)
        return self._plans[book]

    def run_until(self, book: str, entry: int) -> Caught:
        """Run a book and kill its console at an entry of the log."""
        with self.started(book, entry) as (process, there):
            killed(process)
        return there

    @contextmanager
    def started(self, book: str, at: At) -> Iterator[tuple[subprocess.Popen[str], Caught]]:
        """A run of the book, caught at an entry of its log."""
        deadline = time.monotonic() + 90
        while True:
            known = runs(self.cli)
            process = self.cli.start("run", book, *words(book), "--change", self.change, "--write", "--yes")
            try:
                with caught(self.cli, process, known, at) as there:
                    yield process, there
                return
            except Ended as refused:  # a machine so busy that what it knows is too old to plan with
                if "not known" not in str(refused) or time.monotonic() > deadline:
                    raise

    def complete(self, book: str) -> None:
        run = ("run", book, *words(book), "--change", self.change, "--write", "--yes")
        until(f"{book} is COMPLETED", lambda: self.cli.run(*run).code == 0, within_s=90)

    def put_back(self, there: Caught) -> Result:
        """`rollback`; a second time when it asks: it died before it sent, and asked again it looks again."""
        undone = self.cli.run("rollback", there.run, "--write", "--yes", "--json")
        if undone.code == 6:
            assert "the outcome is open" in undone.json["question"]["text"], undone.out
            undone = self.cli.run("rollback", there.run, "--write", "--yes", "--json")
        assert undone.code == 0, f"{there}: {undone.err}"
        return undone

    def kill_and_roll_back(self, book: str, entry: int) -> None:
        writes = self.written()
        there = self.run_until(book, entry)
        undone = self.cli.run("rollback", there.run, "--write", "--yes", "--json")
        assert undone.code == 0, f"{there}: {undone.err}"
        assert undone.json["state"] == "ROLLED_BACK"
        assert undone.json["plan_hash"] == self.plan(book)["hash"], f"{there}: it did not begin on an untouched network"
        self.prove(there, book, writes)

    def prove(self, there: Caught, book: str, writes: Counter[str]) -> None:
        """Nothing was sent twice. That everything is as it was, the next run's plan says, and the last look."""
        plan, sent = self.plan(book), self.written() - writes
        assert sent <= on_the_wire(plan, "commands") + on_the_wire(plan, "undo"), f"{there}: sent twice"
        assert "ok," in self.cli.ok("journal", "verify", there.run).out

    def untouched(self) -> None:
        """The same plans would be made again."""
        for book, plan in self._plans.items():
            assert self.planned(book)["hash"] == plan["hash"], f"{book}: not as before"

    def planned(self, book: str) -> Document:
        """Ask until everything that a plan needs is known: a busy machine may need a second look."""
        asked = until(f"{book} is planned", lambda: self._asked(book), within_s=120)
        document: Document = asked.json
        return document

    def _asked(self, book: str) -> Result | None:
        result = self.cli.run("plan", book, *words(book), "--json")
        return result if result.code == 0 else None


def words(book: str) -> list[str]:
    return [f"{name}={value}" for name, value in PARAMETERS[Path(book).stem].items()]


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    with lab_up(tmp_path_factory.mktemp("kill-nine")) as cli:
        yield (field := Field(cli))
        field.untouched()


@pytest.fixture
def shared(field: Field, pg_database: str) -> Field:
    return field.sharing(pg_database)


@pytest.mark.parametrize(
    ("book", "entry"),
    [
        pytest.param(book, entry, marks=pytest.mark.xdist_group(f"kill-nine-{n % LABS}"), id=f"{book}-{entry}")
        for n, (book, entry) in enumerate(POINTS)
    ],
)
def test_killed_at_an_entry_and_rolled_back(field: Field, book: str, entry: int) -> None:
    field.kill_and_roll_back(book, entry)


@pytest.mark.postgres
@pytest.mark.xdist_group("kill-nine-3")
@pytest.mark.parametrize("entry", SHARED)
def test_killed_on_a_shared_journal_and_rolled_back(shared: Field, entry: int) -> None:
    shared.kill_and_roll_back("drain-port", entry)


@pytest.mark.xdist_group("kill-nine-1")
@pytest.mark.parametrize(("book", "entry"), UNDOING)
def test_an_undo_killed_at_an_entry_goes_on(field: Field, book: str, entry: int) -> None:
    undone = str(shipped(book).undoes)
    field.plan(undone)
    field.complete(undone)
    undo, writes = field.planned(book), field.written()
    there = field.run_until(book, entry)
    assert field.put_back(there).json["state"] == "COMPLETED", "an undo is never itself undone"
    assert field.written() - writes == on_the_wire(undo, "commands"), f"{there}: once, and all"


@pytest.mark.xdist_group("kill-nine-0")
@pytest.mark.timeout(60 + 60 * FUZZED)
def test_killed_at_random_and_again_on_the_way_back(field: Field) -> None:
    for seed in range(FUZZED):
        random, writes = Random(seed), field.written()
        there = field.run_until("drain-port", random.randint(1, ENTRIES))
        process = field.cli.start("rollback", there.run, "--write", "--yes")
        others = runs(field.cli) - {there.run}
        with caught(field.cli, process, others, there.entries + random.randint(1, 4)) as again:
            killed(process)
        assert again.run == there.run
        field.put_back(again)
        field.prove(there, "drain-port", writes)


@pytest.mark.xdist_group("kill-nine-3")
@pytest.mark.timeout(300)  # whoever takes over by force waits until the other's act must have ended
async def test_a_console_frozen_before_its_send_sends_nothing_when_it_thaws(field: Field, tmp_path: Path) -> None:
    cli, book = field.cli, quick_drain(tmp_path)
    field.plan(book)
    process, there, writes = frozen_before_its_send(field, book)
    try:
        refused = cli.run("rollback", there.run, "--write", "--yes")
        assert refused.code == 4, "frozen is not dead"
        bob = await Journal.open(
            journal(cli), identity=Identity.here("bob", "LAB"), now=utc, new_id=lambda: uuid4().hex
        )
        try:
            await bob.release(there.run, await bob.claim(there.run, force=True))
            intent = next(event for event in await bob.events(there.run) if event.kind == "act.intent")
        finally:
            await bob.close()
        window = timedelta(seconds=intent.data["window_s"])
        until("its window is over", lambda: utc() > intent.ts + window)
    finally:
        process.send_signal(signal.SIGCONT)
    _, err = process.communicate(timeout=60)
    assert process.returncode != 0
    assert there.run in err
    assert field.written() == writes, "the stale effect was not applied"
    assert [e.kind for e in cli.log(there.run) if e.step == "move-azure"][-1] == "late.act.result"
    undone = cli.run("rollback", there.run, "--write", "--yes", timeout_s=180)
    assert undone.code == 0, undone.err
    field.prove(there, book, writes)
    assert field.written() == writes, "there was nothing to undo"


@pytest.mark.postgres
@pytest.mark.xdist_group("kill-nine-3")
def test_a_console_frozen_before_its_send_and_taken_over_on_a_shared_journal_says_so(
    shared: Field, tmp_path: Path
) -> None:
    cli, url = shared.cli, shared.cli.env["INTERLOCK_JOURNAL"]
    process, there, writes = frozen_before_its_send(shared, quick_drain(tmp_path))
    bob = cli.start("resume", there.run, "--force", "--write", "--yes", "--as", "bob", "--journal", url)
    try:
        until("bob drives it", lambda: ("driver.claimed", "bob") in logged(url, there.run))
        ts, intent = next(row for kind, _, *row in entries(url, there.run) if kind == "act.intent")
        over = datetime.fromisoformat(ts) + timedelta(seconds=json.loads(intent)["window_s"])
        until("its window is over", lambda: utc() > over)
        process.send_signal(signal.SIGCONT)
        _, err = process.communicate(timeout=60)
        _, told = bob.communicate(timeout=60)
    finally:
        for each in (process, bob):
            each.kill()
    assert process.returncode == 4, err
    assert f"run {there.run} was taken over" in err
    assert ("late.act.result", "alice") in logged(url, there.run)
    assert bob.returncode == 6, told
    assert "the outcome is open: wanted 'do', saw 'undo'" in told, "it looked once the other's act must have ended"
    assert shared.written() == writes, "the stale effect was not applied"
    assert "ok," in cli.ok("journal", "verify", there.run).out


def entries(url: str, run: str) -> list[tuple[str, str, str, str]]:
    """Each entry's kind, actor, moment and data."""
    with psycopg.connect(url) as db:
        return db.execute("SELECT kind, actor, ts, data FROM event WHERE run_id = %s ORDER BY seq", (run,)).fetchall()


def logged(url: str, run: str) -> list[tuple[str, str]]:
    """Each entry's kind and actor."""
    return [(kind, actor) for kind, actor, *_ in entries(url, run)]


def quick_drain(folder: Path) -> str:
    """A drain whose acts have less time, since whoever takes one over by force waits until that is over."""
    file, text = folder / "drain-port.yaml", shipped("drain-port").text
    assert "timeout: 60s" in text
    file.write_text(text.replace("timeout: 60s", "timeout: 12s"))
    return str(file)


def frozen_before_its_send(field: Field, book: str) -> tuple[subprocess.Popen[str], Caught, Counter[str]]:
    """A console stopped after its first intent and before its first send; what was written before it began.

    The network is frozen first, when the gate has let the act pass, so that the look before the send gets no answer.
    """
    lab = field.cli.ok("lab", "status", "--json").json["pid"]
    for _ in range(5):
        known, writes = runs(field.cli), field.written()
        with field.started(book, GATED) as (process, there):
            os.kill(lab, signal.SIGSTOP)
        begun = there
        try:
            with caught(field.cli, process, known, INTENDED, within_s=20) as begun:
                process.send_signal(signal.SIGSTOP)
        except NeverThere:
            pass  # its guards saw nothing any more before it could begin
        finally:
            os.kill(lab, signal.SIGCONT)
        if ((there.kind, there.step), (begun.kind, begun.step)) == (GATED, INTENDED):
            return process, begun, writes
        killed(process)  # or caught a moment too late: it may have sent something
        assert field.cli.run("rollback", there.run, "--write", "--yes").code == 0
    pytest.fail("never caught between its gate and its intent")
