"""kill -9 of the real console at every entry of a drain, and at seeded ones of each other book: `rollback` restores.

The network's own ledger says what was sent; the plan made anew says that everything is as it was.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import uuid4

import pytest

from runbooks.book import names
from runbooks.journal import Identity, Journal
from tests.e2e.embedded_lab import Cli, Document, Result, lab_up, until
from tests.e2e.killing import Caught, caught, journal, killed, on_the_wire, runs
from tests.engine.library_runs import PARAMETERS

ENTRIES = 15  # of a drain before its close, waits' samples not counted
OTHERS = [(book, entry) for book in names() if book != "drain-port" for entry in Random(book).sample(range(2, 10), 2)]
POINTS = [("drain-port", entry) for entry in range(1, ENTRIES + 1)] + OTHERS
GATED = 4  # entries when the first act's gate has been passed
LABS = 3  # in parallel, where there are workers for them
FUZZED = int(os.environ.get("INTERLOCK_KILLS", "2"))

pytestmark = pytest.mark.vault


def utc() -> datetime:
    return datetime.now(UTC)


class Field:
    """A lab of its own, with the plan of each book as it is made on an untouched network."""

    def __init__(self, cli: Cli) -> None:
        self.cli, self.change = cli, cli.change()
        self._plans: dict[str, Document] = {}
        cli.runs()  # makes the journal

    def plan(self, book: str) -> Document:
        if book not in self._plans:
            self._plans[book] = self._planned(book)
        return self._plans[book]

    def run_until(self, book: str, entry: int) -> Caught:
        """Run a book and kill its console at an entry of the log."""
        known = runs(self.cli)
        process = self.cli.start("run", book, *words(book), "--change", self.change, "--write", "--yes")
        with caught(self.cli, known, entry) as there:
            killed(process)
        return there

    def prove(self, there: Caught, book: str, writes: Counter[str]) -> None:
        """Nothing was sent twice, and everything is as it was."""
        plan, sent = self.plan(book), Counter(self.cli.router_writes()) - writes
        assert sent <= on_the_wire(plan, "commands") + on_the_wire(plan, "undo"), f"{there}: sent twice"
        assert self._planned(book)["hash"] == plan["hash"], f"{there}: not as before"
        assert "ok," in self.cli.ok("journal", "verify", there.run).out

    def _planned(self, book: str) -> Document:
        """Ask until everything that a plan needs is known: a busy machine may need a second look."""
        asked = until(f"{book} is planned", lambda: self._asked(book), within_s=60)
        document: Document = asked.json
        return document

    def _asked(self, book: str) -> Result | None:
        result = self.cli.run("plan", book, *words(book), "--json")
        return result if result.code == 0 else None


def words(book: str) -> list[str]:
    return [f"{name}={value}" for name, value in PARAMETERS[book].items()]


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    with lab_up(tmp_path_factory.mktemp("kill-nine")) as cli:
        yield Field(cli)


@pytest.mark.parametrize(
    ("book", "entry"),
    [
        pytest.param(book, entry, marks=pytest.mark.xdist_group(f"kill-nine-{n % LABS}"), id=f"{book}-{entry}")
        for n, (book, entry) in enumerate(POINTS)
    ],
)
def test_killed_at_an_entry_and_rolled_back(field: Field, book: str, entry: int) -> None:
    writes = Counter(field.cli.router_writes())
    there = field.run_until(book, entry)
    undone = field.cli.run("rollback", there.run, "--write", "--yes", "--json")
    assert undone.code == 0, f"{there}: {undone.err}"
    assert undone.json["state"] == "ROLLED_BACK"
    field.prove(there, book, writes)


@pytest.mark.xdist_group("kill-nine-0")
@pytest.mark.timeout(60 + 60 * FUZZED)
def test_killed_at_random_and_again_on_the_way_back(field: Field) -> None:
    for seed in range(FUZZED):
        random, writes = Random(seed), Counter(field.cli.router_writes())
        there = field.run_until("drain-port", random.randint(1, ENTRIES))
        process = field.cli.start("rollback", there.run, "--write", "--yes")
        with caught(field.cli, set(), there.entries + random.randint(1, 4), of=there.run) as again:
            killed(process)
        undone = field.cli.run("rollback", there.run, "--write", "--yes")
        if undone.code == 6:  # it died before it sent: asked again, it looks again and then undoes
            assert "saw 'do'" in undone.err, undone.err
            undone = field.cli.run("rollback", there.run, "--write", "--yes")
        assert undone.code == 0, f"seed {seed}, {there}, {again}: {undone.err}"
        field.prove(there, "drain-port", writes)


@pytest.mark.xdist_group("kill-nine-3")
@pytest.mark.timeout(300)  # whoever takes over by force waits until the other's act must have ended
async def test_a_console_frozen_before_its_send_sends_nothing_when_it_thaws(field: Field) -> None:
    cli, writes = field.cli, Counter(field.cli.router_writes())
    plan, lab = field.plan("drain-port"), cli.ok("lab", "status", "--json").json["pid"]
    process, there = frozen_before_its_send(field, lab)
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
    _, err = process.communicate(timeout=30)
    assert process.returncode != 0
    assert there.run in err
    assert Counter(cli.router_writes()) == writes, "the stale effect was not applied"
    assert [e.kind for e in cli.log(there.run) if e.step == "move-azure"][-1] == "late.act.result"
    undone = cli.run("rollback", there.run, "--write", "--yes", timeout_s=180)
    assert undone.code == 0, undone.err
    field.prove(there, plan["book"], writes)
    assert Counter(cli.router_writes()) == writes, "there was nothing to undo"


def frozen_before_its_send(field: Field, lab: int) -> tuple[subprocess.Popen[str], Caught]:
    """A console stopped after its first intent and before its first send.

    The network is frozen first, when the gate has let the act pass, so that the look before the send gets no answer.
    """
    for _ in range(5):
        known = runs(field.cli)
        process = field.cli.start(
            "run", "drain-port", *words("drain-port"), "--change", field.change, "--write", "--yes"
        )
        with caught(field.cli, known, GATED) as there:
            os.kill(lab, signal.SIGSTOP)
        try:
            with caught(field.cli, known, GATED + 1) as begun:
                process.send_signal(signal.SIGSTOP)
        finally:
            os.kill(lab, signal.SIGCONT)
        if (there.kind, begun.kind) == ("gate.passed", "act.intent"):
            return process, begun
        killed(process)  # caught a moment too late: it may have sent something
        assert field.cli.run("rollback", begun.run, "--write", "--yes").code == 0
    pytest.fail("never caught between its gate and its intent")
