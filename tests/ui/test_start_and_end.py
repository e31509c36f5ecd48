"""What the first paint imports, and that `demo` leaves nothing behind when it is told to end."""

from __future__ import annotations

import os
import pty
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

SLOW = ("asyncssh", "hvac", "pysnow", "boto3", "httpx", "sqlite3", "runbooks.journal")


def test_nothing_slow_is_imported_before_the_first_paint() -> None:
    program = (
        f"import sys, console.commands.screen, console.ui.app;print([name for name in {SLOW!r} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_textual_stays_in_the_ui() -> None:
    program = (
        "import sys, console.cli, console.commands.screen, console.view, console.run_view, console.plan_view,"
        "console.topology_view; print([name for name in ('textual', 'rich') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.timeout(240)
def test_demo_shows_the_lab_and_a_signal_takes_everything_away(tmp_path: Path) -> None:
    environment = os.environ | {"TMPDIR": str(tmp_path), "TERM": "xterm-256color", "COLUMNS": "80", "LINES": "24"}
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(sys.executable, [sys.executable, "-c", "from console.cli import main; main()", "demo"], environment)
    try:
        seen = read_until(terminal, b"HEALTHY", 120.0)
        assert b"LAB" in seen
        lab = next(tmp_path.glob("interlock-demo-*"))
        os.kill(pid, signal.SIGTERM)
        read_to_end(terminal, 60.0)
        _, status = os.waitpid(pid, 0)
        pid = 0
        assert os.waitstatus_to_exitcode(status) == 0
        assert not lab.exists()
    finally:
        os.close(terminal)
        if pid:
            os.kill(pid, signal.SIGTERM)
            os.waitpid(pid, 0)


def read_until(terminal: int, wanted: bytes, deadline_s: float) -> bytes:
    end, seen = time.monotonic() + deadline_s, b""
    while wanted not in seen:
        assert time.monotonic() < end, f"{wanted!r} never shown: {seen[-400:]!r}"
        if select.select([terminal], [], [], 0.1)[0]:
            more = read(terminal)
            assert more, f"it ended before it showed {wanted!r}: {seen[-400:]!r}"
            seen += more
    return seen


def read_to_end(terminal: int, deadline_s: float) -> None:
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if select.select([terminal], [], [], 0.1)[0] and not read(terminal):
            return
    raise AssertionError("it did not end")


def read(terminal: int) -> bytes:
    """What is there to read; nothing when the other side is closed."""
    try:
        return os.read(terminal, 65536)
    except OSError:
        return b""
