"""What a person waits for, each figure beside a raw baseline of the same run. Bounds are the product's own promises."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import pytest

from tests.e2e.embedded_lab import BINARY, Cli, Observer, lab_up, path

pytestmark = [pytest.mark.bench, pytest.mark.vault]

HELLO = """
from textual.app import App
from textual.widgets import DataTable
class Hello(App):
    def compose(self):
        yield DataTable()
    def on_mount(self):
        self.query_one(DataTable).add_columns('HELLO')
Hello().run()
"""


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    with lab_up(tmp_path_factory.mktemp("bench")) as cli:
        yield cli


def tell(what: str, ours: float, baseline: str, theirs: float, limit: float) -> None:
    print(f"\n{what}: {ours:.0f} ms (limit {limit:.0f}); {baseline}: {theirs:.0f} ms; ratio {ours / theirs:.2f}")


def once(*command: str) -> float:
    """How long one command takes, in milliseconds."""
    began = time.perf_counter()
    subprocess.run(command, check=True, capture_output=True)
    return (time.perf_counter() - began) * 1000


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return (time.perf_counter() - began) * 1000


def typical(measure: Callable[[], float], rounds: int = 5) -> float:
    measure()  # warm: bytecode and page cache are not what is measured
    return median(measure() for _ in range(rounds))


def until_shown(command: list[str], wanted: bytes, env: dict[str, str], within_s: float = 20.0) -> float:
    """Milliseconds from starting a program on a terminal of 120 by 40 until it has drawn something."""
    began = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        os.execve(command[0], command, {**env, "TERM": "xterm-256color", "COLUMNS": "120", "LINES": "40"})
    seen = b""
    try:
        while wanted not in seen:
            assert time.perf_counter() - began < within_s, f"never shown: {wanted!r}; last {seen[-300:]!r}"
            if select.select([terminal], [], [], 0.2)[0]:
                seen += os.read(terminal, 65536)
        return (time.perf_counter() - began) * 1000
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(terminal)


def test_help() -> None:
    ours = typical(lambda: once(BINARY, "--help"))
    raw = typical(lambda: once(sys.executable, "-c", "import typer"))
    tell("interlock --help", ours, "python -c 'import typer'", raw, 150)
    assert ours < 150 or ours < 3 * raw  # a machine that is slow is so for the baseline too


def test_first_paint_and_first_live_data(cli: Cli) -> None:
    hello = [sys.executable, "-c", HELLO]
    raw = typical(lambda: until_shown(hello, b"HELLO", cli.env), rounds=3)
    paint = typical(lambda: until_shown([BINARY], b"INTERLOCK", cli.env), rounds=3)
    live = typical(lambda: until_shown([BINARY], b"standby", cli.env), rounds=3)
    tell("first paint", paint, "an empty Textual table", raw, 600)
    tell("first live data", live, "an empty Textual table", raw, 2000)
    assert paint < 600 or paint < 4 * raw
    assert live < 2000 or live < 10 * raw


def test_a_router_event_reaches_status_watch(cli: Cli) -> None:
    """From the loss (BFD three times 100 ms included) to the line that says it, at 1 s polling."""
    took = []
    with Observer(cli) as observer:
        observer.until("all up", lambda d: d["verdict"] == "healthy")
        for _ in range(3):
            began = time.monotonic()
            cli.ok("lab", "fail", "er-primary", "--silent")
            seconds, _ = observer.until(
                "er-primary down", lambda d: path(d, "azure/er-primary")["verdict"] == "down", since=began
            )
            took.append(seconds * 1000)
            cli.ok("lab", "heal")
            observer.until("all up again", lambda d: d["verdict"] == "healthy")
    raw = typical(lambda: timed(lambda: cli.ok("lab", "status")), rounds=3)
    tell("router event to status --watch", median(took) - raw, "the lab command alone", raw, 1300)
    assert median(took) - raw < 1300, took


def test_a_cold_status(cli: Cli) -> None:
    ours = typical(lambda: timed(lambda: cli.run("status", "--json")), rounds=3)
    raw = typical(lambda: once(sys.executable, "-c", "import asyncssh, boto3, hvac, httpx, pysnow"), rounds=3)
    tell("cold status", ours, "importing the SDKs alone", raw, 3000)


def test_the_binary_is_the_one_of_this_environment() -> None:
    assert Path(BINARY).parent == Path(sys.executable).parent
