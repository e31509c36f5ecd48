"""A console that dies in the middle, and a stranger at the same router: nothing is lost and nothing is written over."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.e2e.embedded_lab import Cli, Document, lab_up, until
from tests.e2e.killing import caught, killed
from tests.e2e.router_login import as_bob, silence
from tests.e2e.two_consoles import known as runs
from tests.e2e.two_consoles import reached

pytestmark = [pytest.mark.vault, pytest.mark.timeout(300)]


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    with lab_up(tmp_path_factory.mktemp("kill")) as cli:
        silence(cli, 600)  # what a dead console leaves is looked at here at leisure
        yield cli


@pytest.fixture(scope="module")
def plan(cli: Cli) -> Document:
    """The plan on an untouched lab: whoever makes it again later finds everything as it was."""
    return cli.plan()


@pytest.fixture(scope="module")
def change(cli: Cli) -> str:
    return cli.change("--ci", "port-a")


def begun(cli: Cli, known: set[str]) -> str:
    """The run that has been created since `known` was read."""
    new: set[str] = until("a run is created", lambda: set(runs(cli)) - known, 120.0)
    return next(iter(new))


def killed_between_its_moves(cli: Cli, change: str) -> str:
    """A drain that has sent its first move and not begun another; one that had gone on is put back first."""
    for _ in range(5):
        known = set(runs(cli))
        process = cli.start("run", "drain-port", "port=port-a", "--change", change, "--write", "--yes")
        with caught(cli, process, known, ("act.result", "move-azure")) as there:
            killed(process)
        if there.step == "move-azure":
            return there.run
        cli.ok("rollback", there.run, "--write", "--yes")
    pytest.fail("never killed between its two moves")


def test_kill_nine_in_the_middle_keeps_the_locks_and_rollback_looks_before_it_undoes(
    cli: Cli, plan: Document, change: str
) -> None:
    run = killed_between_its_moves(cli, change)
    listed = cli.run("runs", "--json")
    assert f"interrupted run {run}" in listed.err
    assert f"interlock rollback {run}" in listed.err
    open_ = [(row["run"], row["interrupted"]) for row in listed.json["runs"] if row["closed"] is None]
    assert open_ == [(run, True)]
    before = cli.router_writes()
    other = cli.run("run", "drain-port", "port=port-b", "--change", cli.change("--ci", "port-b"), "--write", "--yes")
    assert other.code == 4, other.err
    assert run in other.err, "the refusal names the run that holds the locks"
    assert cli.drain(change).code == 4
    assert cli.router_writes() == before
    assert cli.runs() == listed.json["runs"]

    undone = cli.run("rollback", run, "--write", "--yes", "--json")
    assert undone.code == 0, undone.err
    assert (undone.json["run"], undone.json["state"], undone.json["direction"]) == (run, "ROLLED_BACK", "rollback")
    entries = cli.log(run)
    turned = next(entry.seq for entry in entries if entry.kind == "rollback.begin")
    after = [entry.kind for entry in entries if entry.seq > turned and entry.step == "move-azure"]
    assert after == ["undo.due", "act.intent", "act.result", "verify.ok", "deadman.disarmed"], (
        "it looked, then it undid"
    )
    assert not [entry for entry in entries if entry.step == "move-aws"], "what was never begun is not undone"
    assert cli.router_writes() == before + undo_of(plan, "move-azure")
    assert cli.plan()["hash"] == plan["hash"]
    assert cli.run("rollback", run, "--write", "--yes").code == 4


def test_ctrl_c_in_the_middle_ends_with_130_names_the_run_and_rollback_restores(
    cli: Cli, plan: Document, change: str
) -> None:
    known = {row["run"] for row in cli.runs()}
    before = cli.router_writes()
    process = cli.start("run", "drain-port", "port=port-a", "--change", change, "--write", "--prompt")
    assert process.stdin
    process.stdin.write("port-a\n")
    process.stdin.flush()
    run = begun(cli, known)
    reached(cli, run, "act.result", "move-azure")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert f"interrupted; run {run} is safe in the journal: `interlock rollback {run}`" in err
    assert "Traceback" not in err
    assert cli.show(run)["state"] == "RUNNING"
    assert len(cli.router_writes()) > len(before), "the name typed at the prompt let it begin"

    undone = cli.run("rollback", run, "--write", "--yes")
    assert undone.code == 0, undone.err
    assert cli.show(run)["state"] == "ROLLED_BACK"
    assert cli.plan()["hash"] == plan["hash"]
    assert "ok," in cli.ok("journal", "verify", run).out


def test_a_strangers_change_is_never_written_over_and_an_interrupted_undo_goes_on(
    cli: Cli, plan: Document, change: str
) -> None:
    drained = cli.drain(change, "--json")
    assert drained.code == 0, drained.err
    run = drained.json["run"]
    clause = "route-map OUT-msee-primary permit 10"
    as_bob(cli, clause, "set metric 50")
    before = cli.router_writes()
    assert before[-1] == "edge-1> set metric 50"

    # Nobody there to say that the field is clear: the run waits, and the process leaves.
    asked = cli.run("rollback", run, "--write", "--prompt", typed="")
    assert asked.code == 6, asked.err
    assert "field clear?" in asked.err
    assert cli.router_writes() == before

    held = cli.run("rollback", run, "--write", "--yes")
    assert held.code == 6, held.err
    told = held.out + held.err
    assert f"somebody else changed {clause}" in told
    assert told.count("set as-path prepend 65010 65010 65010 65010") >= 2, "ours is shown"
    assert "set metric 50" in told, "theirs is shown"
    undo = next(row["run"] for row in cli.runs() if row["undo_of"] == run)
    assert (cli.show(undo)["state"], cli.show(undo)["question"]["step"]) == ("NEEDS_DECISION", "restore-move-azure")
    assert cli.router_writes() == before + undo_of(plan, "move-aws"), "theirs was not touched"
    assert cli.run("rollback", run, "--write", "--yes").code == 6, "asked again, it looks again"

    as_bob(cli, clause, "no set metric")
    process = cli.start("rollback", run, "--write", "--yes")
    with caught(cli, process, set(runs(cli)) - {undo}, ("act.result", "restore-move-azure")):
        killed(process)
    assert f"interrupted run {undo}" in cli.run("runs").err
    finished = cli.run("rollback", undo, "--write", "--yes", "--json")
    assert finished.code == 0, finished.err
    assert (finished.json["run"], finished.json["state"], finished.json["undo_of"]) == (undo, "COMPLETED", run)
    assert cli.plan()["hash"] == plan["hash"]


def undo_of(plan: Document, step: str) -> list[str]:
    """What the routers see written when a step of the plan is undone."""
    lines = next(each["undo"] for each in plan["steps"] if each["id"] == step)
    return [line.replace("(config)>", ">") for line in lines if not line.endswith("configure terminal")]
