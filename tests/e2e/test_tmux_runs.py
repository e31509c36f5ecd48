"""Two operators at two terminals and one run: attach, approve, hand over, take over, abort from the other one."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.embedded_lab import BINARY, COMMAND_S, Cli, lab_up
from tests.e2e.terminal import Terminal
from tests.e2e.two_consoles import begun_once, kinds, like, log, with_approval, with_question

pytestmark = [pytest.mark.tmux, pytest.mark.vault, pytest.mark.timeout(600)]


@pytest.fixture
def cli(tmp_path: Path) -> Iterator[Cli]:
    with lab_up(tmp_path) as cli:
        yield cli


class Shell:
    """A shell in a terminal; every command says what it ended with."""

    def __init__(self, cli: Cli, folder: Path) -> None:
        folder.mkdir()
        self.terminal, self._count = Terminal(folder, cli), 0
        self.terminal.start("sh", 200, 50)

    def start(self, *words: str) -> None:
        self._count += 1
        self.terminal.type(f"clear; {shlex.join([BINARY, *words])}; echo ended:$?:{self._count}")
        self.terminal.keys("Enter")

    def ended(self, code: int, *said: str) -> str:
        return self.terminal.until(f"ended:{code}:{self._count}", *said, within_s=COMMAND_S)


@pytest.fixture
def shells(cli: Cli, tmp_path: Path) -> Iterator[tuple[Shell, Shell]]:
    pair = Shell(cli, tmp_path / "alice"), Shell(cli, tmp_path / "bob")
    yield pair
    for shell in pair:
        shell.terminal.end()


def test_attach_approve_hand_over_take_over_and_abort_from_the_other_terminal(
    cli: Cli, shells: tuple[Shell, Shell]
) -> None:
    alice, bob = shells
    change = cli.change("--ci", "port-a")
    run = like(cli, begun_once(cli, change), change, lambda definition: with_approval(with_question(definition)))

    bob.start("follow", run)
    bob.terminal.until("run.created")
    alice.start("resume", run, "--write", "--prompt")
    alice.ended(6, f"approve {run} second-person")
    bob.terminal.until("check.passed", "driver.released")
    bob.terminal.keys("C-c")
    bob.ended(130)
    alice.start("approve", run, "second-person")
    alice.ended(4, "a second person must approve")
    bob.start("approve", run, "second-person", "--as", "bob")
    bob.ended(0, "move-azure", "nobody drives it")

    alice.start("resume", run, "--write", "--prompt")
    alice.terminal.until("all clear? [y/N]")
    bob.start("resume", run, "--write", "--prompt", "--as", "bob")
    bob.ended(4, "is driven by alice")
    bob.start("handover", run, "--as", "bob")
    bob.ended(0, f"resume {run} --write")
    alice.ended(6, f"resume {run} --write")

    bob.start("resume", run, "--write", "--prompt", "--as", "bob")
    bob.terminal.until("all clear? [y/N]")
    alice.start("resume", run, "--force", "--write", "--prompt")
    bob.ended(4, f"run {run} was taken over", f"interlock follow {run}")
    alice.terminal.until("all clear? [y/N]")

    bob.start("abort", run, "--as", "bob")
    bob.ended(0, "undoes, in this order:", "move-azure")
    alice.ended(5, "ROLLED_BACK")
    assert cli.show(run)["state"] == "ROLLED_BACK"
    assert kinds(cli, run).count("rollback.begin") == 1
    claims = [(event.actor, event.data["forced"]) for event in log(cli, run) if event.kind == "driver.claimed"]
    assert claims == [("alice", False), ("alice", False), ("bob", False), ("alice", True)]
    planned = cli.show(run)["plan_hash"]
    cli.looked("plan", "drain-port", "port=port-a", "--json", holds=lambda seen: f'"hash": "{planned}"' in seen.out)
