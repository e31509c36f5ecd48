"""The real binary on a shared journal: which one is meant, two consoles' folders, an outage in the middle of a run."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from runbooks.journal.store import LEASE_S
from tests.e2e.embedded_lab import BINARY, COMMAND_S, DEADLINE_S, Cli, lab_up, until
from tests.postgres import Cluster

NOWHERE = "postgresql://alice@127.0.0.1:1/journal"


# -- which journal


@pytest.fixture
def alone(tmp_path: Path) -> Cli:
    return Cli(tmp_path)


def test_password_on_the_command_line_is_refused_and_never_said(alone: Cli) -> None:
    result = alone.run("runs", "--journal", "postgresql://alice:hunter2@db/journal")
    assert result.code == 2
    assert "hunter2" not in result.out + result.err
    assert "pgpass" in result.err
    result = alone.run("runs", env={"INTERLOCK_JOURNAL": "postgresql://alice:hunter2@db/journal"})
    assert (result.code, "hunter2" in result.err) == (2, False)


def test_journal_that_is_away_is_not_replaced_by_an_empty_one(alone: Cli) -> None:
    result = alone.run("runs", "--journal", NOWHERE)
    assert (result.code, result.out) == (3, "")
    assert "journal postgresql://alice@127.0.0.1:1/journal is unavailable" in result.err
    assert not (alone.state / "interlock" / "journal.db").exists()


def test_option_outranks_variable_outranks_config(alone: Cli) -> None:
    config = alone.config / "interlock" / "config.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(f"journal: {NOWHERE}\n")
    assert alone.run("runs").code == 3
    mine = str(alone.root / "mine.db")
    assert alone.run("runs", env={"INTERLOCK_JOURNAL": mine}).code == 0
    assert alone.run("runs", "--journal", mine, env={"INTERLOCK_JOURNAL": NOWHERE}).code == 0
    config.write_text("jurnal: x\n")
    refused = alone.run("runs")
    assert refused.code == 2
    assert f"{config}: 'jurnal' is not a key; did you mean 'journal'?" in refused.err


# -- a whole run


@pytest.fixture(scope="module")
def shared(pg_cluster: Cluster) -> str:
    return pg_cluster.database()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    with lab_up(tmp_path_factory.mktemp("shared")) as cli:
        yield cli


@contextlib.contextmanager
def ending(process: subprocess.Popen[str]) -> Iterator[None]:
    """End a run's process whatever happens to the test."""
    try:
        yield
    finally:
        if process.poll() is None:
            process.kill()
            process.wait(10)


@pytest.mark.vault
@pytest.mark.postgres
@pytest.mark.timeout(400)
def test_outage_in_the_middle_of_a_run(lab: Cli, pg_cluster: Cluster, shared: str, tmp_path: Path) -> None:
    log = tmp_path / "err"
    change = lab.change("--ci", "port-a")
    words = ("run", "drain-port", "port=port-a", "--change", change, "--write", "--yes", "--journal", shared)
    with log.open("w") as err:
        run = subprocess.Popen([BINARY, *words], stdout=err, stderr=err, text=True, env=lab.env)
    with ending(run):
        until("the first act is under way", lambda: "act.intent" in log.read_text() or run.poll() is not None)
        assert run.poll() is None, log.read_text()
        pg_cluster.stop()
        try:
            looks = lab.start("runs", "--journal", shared)  # while the run finds out: an outage is to be short
            until("the run holds", lambda: "HOLD: R-" in log.read_text())
            told, why = looks.communicate(timeout=DEADLINE_S)
            assert (looks.returncode, told) == (3, "")
            assert "as this host knows it (read-only): last" in why
            assert run.poll() is None
        finally:
            pg_cluster.start()
        code = run.wait(COMMAND_S)
    said = log.read_text()
    back = re.search(r"(R-\S+): the journal is back after (\d+) s", said)
    assert back, said
    if code == 6:  # a machine so busy that the lease ran out: only then a person is asked, and says go on
        assert int(back[2]) >= LEASE_S, said
        code = lab.run("resume", back[1], "--write", "--yes", "--journal", shared).code
    assert code == 0, said
    elsewhere = Cli(tmp_path / "second")  # another console's folders
    rows = elsewhere.run("runs", "--json", "--journal", shared).json["runs"]
    assert [(row["state"], row["book"]) for row in rows] == [("COMPLETED", "drain-port")]
    verified = elsewhere.ok("journal", "verify", "--journal", shared)
    assert "ok," in verified.out
    assert lab.runs() == []  # nothing of it is in the file beside
