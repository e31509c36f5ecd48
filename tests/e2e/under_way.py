"""A drain whose first move is proven, and whose console is still there to be frozen or killed."""

from __future__ import annotations

import subprocess
import time

from tests.e2e.embedded_lab import Cli, until

FIRST = "move-azure"
SEEN_WITHIN_S = 90.0


def drain_under_way(cli: Cli) -> tuple[subprocess.Popen[str], str]:
    """The console's process, and the run that it drives.

    A console that cannot see the whole network in its first look, on a machine that is too busy, refuses: another one
    is started then.
    """
    known, change = {row["run"] for row in cli.runs()}, cli.change()
    deadline = time.monotonic() + SEEN_WITHIN_S
    process = _started(cli, change, known)
    while not (new := _new(cli, known)):
        said = process.communicate()[1]
        assert process.returncode == 4, said
        assert time.monotonic() < deadline, said
        process = _started(cli, change, known)
    (run,) = new
    until("its first move is proven", lambda: ("verify.ok", FIRST) in {(e.kind, e.step) for e in cli.log(run)}, 60)
    return process, run


def _started(cli: Cli, change: str, known: set[str]) -> subprocess.Popen[str]:
    process = cli.start("run", "drain-port", "port=port-a", "--change", change, "--write", "--yes")
    until("a run is created, or refused", lambda: process.poll() is not None or _new(cli, known), 60)
    return process


def _new(cli: Cli, known: set[str]) -> set[str]:
    return {row["run"] for row in cli.runs()} - known
