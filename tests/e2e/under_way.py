"""A drain whose first move is proven, and whose console is still there to be frozen or killed."""

from __future__ import annotations

import subprocess
import time

from tests.e2e.embedded_lab import Cli

FIRST = "move-azure"
SEEN_WITHIN_S = 120.0


def drain_under_way(cli: Cli) -> tuple[subprocess.Popen[str], str]:
    """The console's process, and the run that it drives, as it tells them itself.

    A console that cannot see the whole network in its first look, on a machine that is too busy, refuses: another one
    is started then.
    """
    change, deadline = cli.change(), time.monotonic() + SEEN_WITHIN_S
    while True:
        process = cli.start("run", "drain-port", "port=port-a", "--change", change, "--write", "--yes")
        assert process.stderr is not None
        run, said = "", list[str]()
        for line in process.stderr:
            said.append(line)
            if line.startswith("interlock: run "):
                run = line.split()[-1]
            if "verify.ok" in line and FIRST in line:
                return process, run
        assert process.wait(60) == 4, said
        assert not run, said
        assert time.monotonic() < deadline, said
