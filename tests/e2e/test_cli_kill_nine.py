"""kill -9 of the real console at every entry of a drain, and at seeded ones of each other book: `rollback` restores.

The network's own ledger says what was sent; the plan made anew says that everything is as it was.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from random import Random

import pytest

from runbooks.book import names
from tests.e2e.embedded_lab import Cli, Document, Result, lab_up, until
from tests.e2e.killing import Caught, caught, killed, on_the_wire, runs
from tests.engine.library_runs import PARAMETERS

ENTRIES = 15  # of a drain before its close, waits' samples not counted
OTHERS = [(book, entry) for book in names() if book != "drain-port" for entry in Random(book).sample(range(2, 10), 2)]
POINTS = [("drain-port", entry) for entry in range(1, ENTRIES + 1)] + OTHERS
LABS = 3  # in parallel, where there are workers for them
FUZZED = int(os.environ.get("INTERLOCK_KILLS", "2"))

pytestmark = pytest.mark.vault


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
