"""The real binary in a real terminal of 80 by 24, driven by its keys: look, drill, drain a port, abort, put back."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.embedded_lab import BINARY, COMMAND_S, Cli, lab_up, until
from tests.e2e.terminal import Terminal

pytestmark = [pytest.mark.tmux, pytest.mark.vault, pytest.mark.timeout(400)]


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    with lab_up(tmp_path_factory.mktemp("tmux")) as cli:
        yield cli


@pytest.fixture
def terminal(cli: Cli, tmp_path: Path) -> Iterator[Terminal]:
    terminal = Terminal(tmp_path, cli)
    terminal.start(shlex.join([BINARY]))
    yield terminal
    terminal.end()


def test_look_drill_and_leave(cli: Cli, terminal: Terminal) -> None:
    shown = terminal.until("READ-ONLY", "LAB", "= HEALTHY", "azure/er-primary", "active")
    assert max(len(line) for line in shown.splitlines()) <= 80
    cli.ask_lab("fail", thing="er-primary", silent=True)
    terminal.until("X azure/er-primary", "er-secondary", "BFD")
    terminal.keys("Enter")
    terminal.until("bgp_here", "down", "show bgp neighbors 10.255.1.2 json")
    terminal.keys("Escape")
    cli.heal()
    terminal.until("= azure/er-primary")
    terminal.keys("q")
    until("the console has gone", lambda: gone(terminal))


def test_a_drain_by_keys_and_its_undo(cli: Cli, terminal: Terminal) -> None:
    change = cli.change()
    terminal.until("= HEALTHY", "azure/er-primary", "active")
    ask(terminal, f"run drain-port port=port-a change={change}")
    terminal.until("READ-ONLY: press R")
    terminal.keys("R")
    terminal.until("allow changes?", "type WRITE")
    terminal.type("WRITE")
    terminal.keys("Enter")
    terminal.until("WRITE: changes can be asked for")
    ask(terminal, f"run drain-port port=port-a change={change}")
    terminal.until("run drain-port?", "type port-a")
    assert not cli.router_writes()
    terminal.type("port-a")
    terminal.keys("Enter")
    terminal.until("COMPLETED", within_s=COMMAND_S)
    assert cli.runs()[0]["state"] == "COMPLETED"
    drained = len(cli.router_writes())
    terminal.keys("b")
    terminal.until("roll back R-", "type port-a")
    terminal.type("port-a")
    terminal.keys("Enter")
    terminal.until("field clear?")
    terminal.keys("Enter")
    terminal.until("confirms; the run goes on")
    terminal.keys("Enter")
    until("the undo is done", lambda: not cli.open_runs(), COMMAND_S)
    assert [run["state"] for run in cli.runs()] == ["COMPLETED", "COMPLETED"]
    assert len(cli.router_writes()) > drained
    terminal.until("COMPLETED")  # before, the console would ask whether to leave during a run
    terminal.keys("q")
    until("the console has gone", lambda: gone(terminal))


def ask(terminal: Terminal, command: str) -> None:
    terminal.keys(":")
    until("the command line is open", lambda: any(line.strip() == ":" for line in terminal.screen().splitlines()))
    terminal.type(command)
    terminal.keys("Enter")


def gone(terminal: Terminal) -> bool:
    try:
        terminal.screen()
    except subprocess.CalledProcessError:
        return True
    return False
