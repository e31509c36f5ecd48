"""A resize whose console falls silent: the fabric keeps no timer, so a watchdog puts the old rate back."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.embedded_lab import Cli, descendants, lab_up, until
from tests.e2e.killing import frozen
from tests.e2e.router_login import silence

pytestmark = [pytest.mark.vault, pytest.mark.timeout(300)]

SILENCE_S = 6
WINDOW_S = 12.0  # in which a frozen update could still be sent: the lab's gap of 2 s, and the margins
ACT_S = 60.0  # of a loaded machine


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    with lab_up(tmp_path_factory.mktemp("resize-watchdog")) as cli:
        silence(cli, SILENCE_S)
        yield cli


def rates(cli: Cli) -> list[int]:
    """The rates that the fabric took, oldest first; every one by the run's own credential."""
    writes = [write for write in cli.ledger() if write["where"] == "megaport"]
    assert {write["by"] for write in writes} <= {"lab-megaport-run"}
    return [json.loads(write["what"].split(maxsplit=2)[2])["rateLimit"] for write in writes]


def resizing(cli: Cli, mbps: int) -> subprocess.Popen[str]:
    change = cli.change("--ci", "vxc-azure-a")
    words = ("run", "resize-vxc", "vxc=vxc-azure-a", f"mbps={mbps}", "--change", change, "--write", "--yes", "--json")
    return cli.start(*words)


def watchdogs(pid: int) -> set[int]:
    return {each for each in descendants(pid) if is_watchdog(each)}


def is_watchdog(pid: int) -> bool:
    try:
        return b"console.watchdog" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def test_a_resize_that_ends_leaves_no_watchdog_behind(cli: Cli) -> None:
    running = resizing(cli, 1500)
    dogs: set[int] = until("it is watched over while it changes the rate", lambda: watchdogs(running.pid), 60.0)
    out, err = running.communicate(timeout=90)
    assert running.returncode == 0, out + err
    until("its watchdog has ended with it", lambda: not any(map(is_watchdog, dogs)))
    back = cli.run("rollback", json.loads(out)["run"], "--write", "--yes", "--json")
    assert back.code == 0, back.out + back.err
    assert rates(cli) == [1500, 1000]


def test_a_frozen_console_is_followed_by_its_watchdog_which_puts_the_old_rate_back(cli: Cli) -> None:
    before = rates(cli)
    running = resizing(cli, 1200)
    until("the update is taken", lambda: rates(cli) == [*before, 1200], 60.0)
    frozen(cli, running)
    since = time.monotonic()
    until("the watchdog puts it back", lambda: rates(cli) == [*before, 1200, 1000], WINDOW_S + ACT_S)
    assert time.monotonic() - since >= SILENCE_S, "not before its time"
    run = cli.runs()[0]["run"]
    until("it has let the run go", lambda: cli.log(run)[-1].kind == "driver.released", ACT_S)
    assert [entry.kind for entry in cli.log(run)][-5:] == [
        *("driver.claimed", "deadman.fired", "act.intent", "act.result", "driver.released")
    ]
    os.kill(running.pid, signal.SIGCONT)
    out, err = running.communicate(timeout=60)
    assert running.returncode != 0, out + err
    assert rates(cli) == [*before, 1200, 1000], "the thawed one sends nothing more"
    back = cli.run("rollback", run, "--write", "--yes", "--json")
    assert (back.code, back.json["state"]) == (0, "ROLLED_BACK"), back.out + back.err
    assert rates(cli) == [*before, 1200, 1000], "there was nothing left to put back"
