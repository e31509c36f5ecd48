"""Acting on a run from another terminal: the real binary, twice or more, on one embedded lab and one journal."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator

import pytest

from tests.e2e.embedded_lab import BINARY, Cli, Result, lab_up, until
from tests.e2e.killing import caught, frozen, killed, runs
from tests.e2e.router_login import silence
from tests.e2e.two_consoles import Definition, begun_once, kinds, like, log, reached, seen, with_approval, with_exits

pytestmark = [pytest.mark.vault, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    with lab_up(tmp_path_factory.mktemp("orders")) as cli:
        silence(cli, 600)  # what a console leaves that is killed or frozen is looked at here at leisure
        yield cli


@pytest.fixture(scope="module")
def change(cli: Cli) -> str:
    return cli.change("--ci", "port-a")


@pytest.fixture(scope="module")
def done(cli: Cli, change: str) -> str:
    return begun_once(cli, change)


@pytest.fixture
def made(cli: Cli, done: str, change: str) -> Iterator[Callable[[Callable[[Definition], Definition]], str]]:
    """Makes runs; whatever is still open afterwards is put back, so that the next test finds the baseline."""
    runs: list[str] = []

    def make(alter: Callable[[Definition], Definition] = lambda definition: definition) -> str:
        runs.append(like(cli, done, change, alter))
        return runs[-1]

    yield make
    for run in runs:
        view = seen(cli, run)
        if view.state == "COMPLETED" or not view.closed:
            back = cli.run("rollback", run, "--write", "--yes")
            assert back.code == 0 or f"{run} was put back by" in back.err, back.err


Make = Callable[..., str]


def driven(cli: Cli, run: str, *more: str) -> subprocess.Popen[str]:
    return cli.start("resume", run, "--write", "--yes", *more)


def ended(process: subprocess.Popen[str], within_s: float = 120.0) -> Result:
    out, err = process.communicate(timeout=within_s)
    return Result(process.returncode, out, err)


def test_what_nobody_drives_is_listed_with_every_way_on_and_resumed(cli: Cli, made: Make) -> None:
    run = made()
    told = cli.run("runs").err
    assert f"interrupted run {run}" in told
    for way in (f"resume {run} --write", f"rollback {run} --write", f"abandon {run}    (two people)"):
        assert f"interlock {way}" in told
    refused = cli.run("resume", run)
    assert (refused.code, f"interlock resume {run} --write" in refused.err) == (4, True)
    assert cli.run("resume", run, "--write").code == 2, "neither --prompt nor --yes, and no terminal"
    gone_on = ended(driven(cli, run, "--json"))
    assert gone_on.code == 0, gone_on.err
    assert json.loads(gone_on.out)["state"] == "COMPLETED"
    for order in (("pause",), ("handover",), ("abandon",), ("resume",), ("approve", "x")):
        late = cli.run(order[0], run, *order[1:])
        assert (late.code, "COMPLETED" in late.err) == (4, True), late.err
    assert "rollback" in cli.run("abort", run).err


def test_follow_tells_every_entry_until_the_close(cli: Cli, made: Make) -> None:
    run = made()
    follower = cli.start("follow", run, "--json")
    process = driven(cli, run)
    assert ended(process).code == 0
    followed = ended(follower)
    assert followed.code == 0
    lines = [json.loads(line) for line in followed.out.splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert {line["schema"] for line in lines} == {1}
    assert (lines[0]["kind"], lines[-1]["kind"], lines[-1]["state"]) == ("run.created", "run.closed", "COMPLETED")
    assert [line["seq"] for line in lines] == [event.seq for event in log(cli, run)]
    again = cli.ok("follow", run)
    assert "run.closed" in again.out


def test_follow_ends_with_130_on_ctrl_c_and_the_run_does_not_notice(cli: Cli, made: Make) -> None:
    run = made()
    before = kinds(cli, run)
    follower = cli.start("follow", run)
    assert follower.stdout
    assert "run.created" in follower.stdout.readline()
    follower.send_signal(signal.SIGINT)
    assert ended(follower).code == 130
    assert kinds(cli, run) == before


@pytest.mark.parametrize("order", ["follow", "pause", "resume", "handover", "abort", "abandon", "show", "report"])
def test_a_wrong_run_is_told_with_the_nearest(cli: Cli, done: str, order: str) -> None:
    wrong = cli.run(order, done + "0")
    assert wrong.code == 2, wrong.err
    assert f"{done}0 is not in this journal" in wrong.err
    assert "did you mean 'R-" in wrong.err


def test_pause_resume_and_handover_from_another_terminal(cli: Cli, made: Make) -> None:
    run = made()
    process = driven(cli, run)
    reached(cli, run, "act.intent")
    paused = cli.ok("pause", run, "--as", "bob", "--json").json
    assert (paused["command"], paused["state"], paused["driver"]) == ("pause", "PAUSED", "alice")
    assert cli.ok("pause", run, "--json").json["seq"] is None, "it was so already"
    taken = cli.run("resume", run, "--as", "bob", "--json")
    assert (taken.code, taken.json["state"]) == (0, "RUNNING"), taken.err
    refused = cli.run("resume", run, "--as", "bob", "--write", "--yes")
    assert refused.code == 4
    assert f"interlock resume {run} --force --write" in refused.err
    over = cli.ok("handover", run, "--as", "bob", "--json").json
    left = ended(process)
    assert left.code == 6, left.err
    assert f"interlock resume {run} --write" in left.err
    assert "driver.released" in kinds(cli, run, over["seq"])
    assert cli.show(run)["driver"] is None
    gone_on = ended(driven(cli, run, "--as", "bob"))
    assert gone_on.code == 0, gone_on.err
    claimed = [(e.actor, e.data["forced"]) for e in log(cli, run) if e.kind == "driver.claimed"]
    assert claimed == [("alice", False), ("bob", False)]
    for act in ("move-azure", "move-aws"):
        assert kinds_of(cli, run, act).count("act.intent") == 1


def kinds_of(cli: Cli, run: str, step: str) -> list[str]:
    return [event.kind for event in log(cli, run) if event.step == step]


def test_abort_says_first_what_it_undoes_and_twice_is_once(cli: Cli, made: Make) -> None:
    run = made()
    process = driven(cli, run)
    reached(cli, run, "verify.ok", "move-azure")
    aborted = cli.ok("abort", run, "--as", "bob")
    assert f"abort of {run} undoes, in this order:\n" in aborted.err
    assert "move-azure" in aborted.err
    assert cli.run("abort", run, "--as", "carol").code == 0
    assert ended(process).code == 5
    assert cli.ok("abort", run).out
    written = kinds(cli, run)
    assert written.count("cmd.abort") == written.count("rollback.begin") == 1
    assert seen(cli, run).state == "ROLLED_BACK"


def test_abort_of_what_nobody_drives_takes_over_and_undoes(cli: Cli, made: Make) -> None:
    run = made()
    process = driven(cli, run)
    reached(cli, run, "act.result", "move-azure")
    process.kill()
    process.wait()
    aborted = cli.run("abort", run, "--as", "bob")
    assert aborted.code == 0, aborted.err
    assert "undoes, in this order:" in aborted.err
    closed = seen(cli, run)
    assert closed.state == "ROLLED_BACK"
    assert cli.run("abort", run).code == 0
    assert seen(cli, run).seq == closed.seq


def test_an_approval_needs_a_second_person_and_says_what_it_approves(cli: Cli, made: Make) -> None:
    run = made(with_approval)
    waits = ended(driven(cli, run))
    assert waits.code == 6, waits.err
    assert f"interlock approve {run} second-person" in waits.err
    own = cli.run("approve", run, "second-person")
    assert (own.code, "a second person must approve" in own.err) == (4, True)
    assert cli.run("approve", run, "second-persn", "--as", "bob").code == 4
    approved = cli.ok("approve", run, "second-person", "--as", "bob")
    assert f"plan {cli.show(run)['plan_hash']}" in approved.err
    assert "set local-preference 120" in approved.err
    assert f"interlock resume {run} --write" in approved.out
    event = reached(cli, run, "cmd.approve")
    assert (event.actor, event.data["definition_sha"], event.data["step"]) == (
        "bob",
        seen(cli, run).definition_sha,
        "second-person",
    )
    assert event.data["signer"]["algorithm"] == "ed25519", "by the key that the lab keeps of bob"
    assert cli.run("approve", run, "second-person", "--as", "carol").code == 4, "approved already"
    assert ended(driven(cli, run)).code == 0


def test_a_decision_names_its_question_and_drives_on_with_write(cli: Cli, made: Make) -> None:
    for _ in range(5):  # it may have sent before it was caught, and then nothing is open
        run = made()
        killed_at_its_intent(cli, run)
        asked = ended(driven(cli, run))
        if asked.code != 0:
            break
        cli.ok("rollback", run, "--write", "--yes")
    assert asked.code == 6, asked.err
    question = cli.show(run)["question"]
    assert f"interlock decide {run} redo|accept|skip|rollback --reply-to {question['seq']} --write" in asked.err
    unnamed = cli.run("decide", run, "accept")
    assert (unnamed.code, f"--reply-to {question['seq']}" in unnamed.err) == (2, True)
    assert cli.run("decide", run, "hope", "--reply-to", str(question["seq"])).code == 2
    stale = cli.run("decide", run, "accept", "--reply-to", "2")
    assert (stale.code, str(question["seq"]) in stale.err) == (4, True)
    rolled = cli.run("decide", run, "rollback", "--reply-to", str(question["seq"]), "--write", "--yes", "--as", "bob")
    assert rolled.code == 5, rolled.err
    assert seen(cli, run).state == "ROLLED_BACK"


def killed_at_its_intent(cli: Cli, run: str) -> None:
    """Drive it to its first intent and kill the console there. The network is frozen: what it sends comes too late."""
    others, lab = runs(cli) - {run}, cli.ok("lab", "status", "--json").json["pid"]
    process = driven(cli, run)
    try:
        with caught(cli, process, others, ("act.intent", "move-azure")):
            os.kill(lab, signal.SIGSTOP)
            killed(process)
    finally:
        os.kill(lab, signal.SIGCONT)


def test_two_people_abandon_what_nobody_drives_and_only_that_frees_its_locks(cli: Cli, made: Make, change: str) -> None:
    run = made()
    assert cli.run("approve", run, "abandon", "--as", "bob").code == 4, "nobody has asked"
    asked = cli.ok("abandon", run)
    assert f"interlock approve {run} abandon" in asked.out
    assert cli.run("approve", run, "abandon").code == 4, "not by the one who asks"
    held = cli.drain(change)
    assert (held.code, run in held.err) == (4, True), "its locks are held"
    cli.ok("approve", run, "abandon", "--as", "bob")
    assert seen(cli, run).state == "ABANDONED"
    assert kinds(cli, run)[-2:] == ["cmd.abandon", "cmd.approve"]
    assert "ok," in cli.ok("journal", "verify", run).out
    made_after = made()  # takes the same locks
    assert seen(cli, made_after).state == "RUNNING"
    assert cli.run("approve", run, "abandon", "--as", "carol").code == 4


# -- the exit table, one real signal a path


@pytest.mark.parametrize(
    ("number", "path", "policy"),
    [
        (signal.SIGINT, "ctrl-c", "finish"),
        (signal.SIGTERM, "sigterm", "finish"),
        (signal.SIGHUP, "sighup", "finish"),
        (signal.SIGTERM, "sigterm", "hold"),
        (signal.SIGHUP, "sighup", "undo"),
    ],
)  # each policy on each path: tests/engine/test_exit_paths.py
def test_a_signal_leaves_by_its_policy(cli: Cli, made: Make, number: signal.Signals, path: str, policy: str) -> None:
    run = made(with_exits(**{path.replace("-", "_"): policy}) if policy != "finish" else lambda definition: definition)
    process = driven(cli, run)
    reached(cli, run, "act.intent", "move-azure")
    process.send_signal(number)
    left = ended(process)
    assert "Traceback" not in left.err
    event = reached(cli, run, "driver.left")
    assert event.data == {"path": path, "policy": policy}
    if policy == "undo":
        assert left.code == 5, left.err
        assert seen(cli, run).state == "ROLLED_BACK"
        return
    assert left.code == 130, left.err
    assert f"interrupted; run {run} is safe in the journal: `interlock rollback {run}`" in left.err
    assert f"interlock resume {run} --write" in left.err
    after, whole = kinds(cli, run, event.seq), kinds(cli, run)
    assert after[-1] == "driver.released"
    assert "act.intent" not in after, "nothing more is begun"
    assert cli.show(run)["state"] == "RUNNING"
    if policy == "finish":
        assert "act.interrupted" not in whole
        assert whole.count("act.intent") == whole.count("act.result") == whole.count("verify.ok")


def test_a_terminal_that_is_closed_is_an_exit_path_too(cli: Cli, made: Make) -> None:
    """The driver ignores SIGHUP, as under nohup, and its terminal goes away."""
    run = made()
    master, slave = os.openpty()
    process = subprocess.Popen(
        [BINARY, "resume", run, "--write", "--yes"],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        env=cli.env,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN),  # noqa: PLW1509 -- one thread, and it must be so at exec
    )
    os.close(slave)
    reached(cli, run, "act.intent", "move-azure")
    os.close(master)
    event = reached(cli, run, "driver.left")
    assert event.data == {"path": "closed-terminal", "policy": "finish"}
    assert process.wait(timeout=60) == 130
    assert cli.show(run)["driver"] is None


def test_the_second_signal_holds_now(cli: Cli, made: Make) -> None:
    run = made()
    process = driven(cli, run)
    reached(cli, run, "act.intent", "move-azure")
    process.send_signal(signal.SIGINT)
    reached(cli, run, "driver.left")
    process.send_signal(signal.SIGINT)
    assert ended(process).code == 130
    assert cli.show(run)["driver"] is None


def test_a_driver_that_was_frozen_and_taken_over_stops_with_4(cli: Cli, made: Make) -> None:
    run = made()
    process = driven(cli, run)
    reached(cli, run, "verify.ok", "move-azure")
    frozen(cli, process)
    try:
        assert cli.run("resume", run, "--write", "--yes", "--as", "bob").code == 4
        taken = cli.run("resume", run, "--force", "--write", "--yes", "--as", "bob", timeout_s=120)
        assert taken.code in {0, 6}, taken.err
    finally:
        process.send_signal(signal.SIGCONT)
    lost = ended(process)
    assert lost.code == 4, lost.err
    assert f"run {run} was taken over" in lost.err
    assert f"interlock follow {run}" in lost.err
    claims = [(e.actor, e.data["forced"]) for e in log(cli, run) if e.kind == "driver.claimed"]
    assert claims == [("alice", False), ("bob", True)]
    until("it has noticed", lambda: "note.left" in kinds(cli, run))
