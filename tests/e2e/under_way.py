"""A drain whose first move is proven, and whose console is still there to be frozen or killed."""

from __future__ import annotations

import subprocess

import pytest

from tests.e2e.embedded_lab import Cli, until

FIRST = "move-azure"


def drain_under_way(cli: Cli) -> tuple[subprocess.Popen[str], str]:
    """The console's process, and the run that it drives."""
    known = {row["run"] for row in cli.runs()}
    process = cli.start("run", "drain-port", "port=port-a", "--change", cli.change(), "--write", "--yes")

    def created() -> set[str]:
        if process.poll() is not None:
            pytest.fail(f"it ended with {process.returncode}: {process.communicate()[1]}")
        return {row["run"] for row in cli.runs()} - known

    (run,) = until("a run is created", created, 60)
    until("its first move is proven", lambda: ("verify.ok", FIRST) in {(e.kind, e.step) for e in cli.log(run)}, 60)
    return process, run
