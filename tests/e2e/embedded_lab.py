"""Driving the real binary against an embedded lab: folders of its own, every command a process, one long observer."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import pytest

from lab.client import LabClient

BINARY = str(Path(sys.executable).with_name("interlock"))
#: No promise of the product: what is not there by then hangs, however busy the machine is.
DEADLINE_S = 60.0
#: The same for a command, which may be a whole run; and for a look that is taken again and again, each time anew.
COMMAND_S = 100.0
#: Words of a cold look that is to be whole: on a busy machine a source may answer later than one waits by default.
PATIENT = ("--within", "60s")

Document = dict[str, Any]


@dataclass(frozen=True)
class Result:
    """How a command ended, and what it said on each stream."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass(frozen=True)
class Entry:
    """One entry of a run's log."""

    seq: int
    at: str
    kind: str
    step: str


class Cli:
    """The `interlock` command with XDG folders of its own under `root`, and nothing of the caller's environment."""

    def __init__(self, root: Path) -> None:
        self.root = root
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "LC_ALL") if name in os.environ}
        self.env = {**kept, "HOME": str(root), "XDG_STATE_HOME": str(self.state), "XDG_CONFIG_HOME": str(self.config)}

    @property
    def state(self) -> Path:
        return self.root / "state"

    @property
    def config(self) -> Path:
        return self.root / "config"

    @property
    def lab_folder(self) -> Path:
        return self.state / "interlock" / "lab"

    def run(
        self, *args: str, typed: str = "", env: Mapping[str, str] | None = None, timeout_s: float = COMMAND_S
    ) -> Result:
        """Run one command to its end. Without `typed` it reads from an empty pipe: there is no terminal."""
        done = subprocess.run(
            [BINARY, *args],
            input=typed,
            capture_output=True,
            text=True,
            env={**self.env, **(env or {})},
            timeout=timeout_s,
            check=False,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def ok(self, *args: str) -> Result:
        """Run one command that must end with 0."""
        result = self.run(*args)
        assert result.code == 0, f"{args} ended {result.code}:\n{result.out}\n{result.err}"
        return result

    def looked(self, *args: str, holds: Callable[[Result], Any]) -> Result:
        """A command's look at the network, once it shows this: on a busy machine one look may come too early."""
        results: list[Result] = []

        def look() -> Result | None:
            results.append(self.run(*args))
            return results[-1] if holds(results[-1]) else None

        try:
            found: Result = until(" ".join(args), look, COMMAND_S)
        except pytest.fail.Exception as late:
            raise AssertionError(f"{late}\n{results[-1].out}\n{results[-1].err}") from None
        return found

    def start(self, *args: str) -> subprocess.Popen[str]:
        """Start a command and leave it running; the caller ends it, and may write to it."""
        return subprocess.Popen(
            [BINARY, *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=self.env,
        )

    # -- the lab's words

    def change(self, *args: str) -> str:
        """A new change of the lab's ServiceNow, by default one that permits anything now."""
        return self.ok("lab", "change", "new", *args).out.strip()

    def ask_lab(self, verb: str, **body: Any) -> Any:
        """Ask the lab itself: a process for each look would slow it."""
        return LabClient(self.lab_folder).call(verb, **body)

    def ledger(self) -> list[Document]:
        writes: list[Document] = self.ask_lab("ledger")["writes"]
        return writes

    def router_writes(self) -> list[str]:
        """What the routers saw written, `router> line`, oldest first."""
        return [f"{w['where']}> {w['what']}" for w in self.ledger() if w["where"].startswith("edge-")]

    def heal(self) -> None:
        self.ask_lab("heal", thing=None)

    def open_runs(self) -> list[str]:
        """The runs that are not closed; asked of the file, as the lab is asked itself."""
        file = self.state / "interlock" / "journal.db"
        if not file.exists():
            return []
        with contextlib.closing(sqlite3.connect(file)) as db:
            return [run for (run,) in db.execute("SELECT run_id FROM run WHERE closed_at IS NULL")]

    # -- runs

    def drain(self, change: str, *more: str, **named: Any) -> Result:
        return self.run("run", "drain-port", "port=port-a", "--change", change, "--write", "--yes", *more, **named)

    def plan(self) -> Document:
        document: Document = self.ok("plan", "drain-port", "port=port-a", "--json").json
        return document

    def show(self, run: str) -> Document:
        document: Document = self.ok("show", run, "--json").json
        return document

    def runs(self) -> list[Document]:
        rows: list[Document] = self.ok("runs", "--json").json["runs"]
        return rows

    def log(self, run: str) -> list[Entry]:
        """Every entry of a run's log, from its report: the only view of the log that the outside has."""
        rows = [line for line in self.ok("report", run).out.split("## Log")[1].splitlines() if line.startswith("|")]
        cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]
        return [Entry(int(seq), at, kind, step) for seq, at, _, kind, step in cells]


@contextlib.contextmanager
def lab_up(root: Path) -> Iterator[Cli]:
    """A lab with folders of its own; afterwards it is gone with everything that it started."""
    cli = Cli(root)
    cli.ok("lab", "up", "--detach")
    try:
        yield cli
    finally:
        cli.ok("lab", "down")


def brisk(cli: Cli, cadence_s: int = 2) -> None:
    """From now on the lab's site asks its systems so often: what they do not say any more is stale the sooner."""
    file = cli.lab_folder / "site.yaml"
    text, asked = re.subn(r"cadence_s: (5|10)\n", f"cadence_s: {cadence_s}\n", file.read_text())
    assert asked == 5, "Vault, Megaport, Azure, AWS, ServiceNow"
    file.write_text(text)


def until(what: str, found: Callable[[], Any], within_s: float = DEADLINE_S) -> Any:
    """Wait for something true and return it. A costly look is taken half of the time at most."""
    deadline = time.monotonic() + within_s
    while True:
        began = time.monotonic()
        if value := found():
            return value
        if (now := time.monotonic()) > deadline:
            pytest.fail(f"not within {within_s:g} s: {what}")
        time.sleep(max(0.02, now - began))


def gist(document: Document) -> str:
    """What a failed wait must tell: a whole document is longer than what a runner keeps of a message."""
    clouds = [{k: c[k] for k in ("name", "verdict", "carried_by", "return_by")} for c in document["clouds"]]
    paths = [{k: p[k] for k in ("name", "role", "why", "layers", "since")} for p in document["paths"] if p["why"]]
    silent = [{k: s[k] for k in ("name", "age_s", "error")} for s in document["sources"] if not s["ok"]]
    told = {"at": document["at"], "verdict": document["verdict"], "clouds": clouds, "paths": paths}
    return json.dumps({**told, "alerts": document["alerts"], "silent": silent}, indent=1)


class Observer:
    """One `status --watch --json` for many tests: every line with the moment at which it was read."""

    def __init__(self, cli: Cli) -> None:
        self._process = cli.start("status", "--watch", "--json")
        self._lines: list[tuple[float, Document]] = []
        self._grown = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait(DEADLINE_S)
        self._reader.join(DEADLINE_S)
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            assert stream
            stream.close()

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            if not line.endswith("\n"):
                return  # it was told to end in the middle of a line
            with self._grown:
                self._lines.append((time.monotonic(), json.loads(line)))
                self._grown.notify_all()

    def until(
        self, what: str, holds: Callable[[Document], Any], within_s: float = DEADLINE_S, since: float | None = None
    ) -> tuple[float, Document]:
        """The first line after `since` (default: now) for which it holds, and how many seconds later it came."""
        since = time.monotonic() if since is None else since
        deadline, looked = since + within_s, 0
        with self._grown:
            while True:
                for at, document in self._lines[looked:]:
                    if at >= since and holds(document):
                        return at - since, document
                looked = len(self._lines)
                left = deadline - time.monotonic()
                if left <= 0 or not self._grown.wait(left):
                    if looked < len(self._lines):
                        continue
                    last = gist(self._lines[-1][1]) if self._lines else "nothing at all"
                    pytest.fail(f"not within {within_s:g} s: {what}\nlast said: {last}")

    @property
    def documents(self) -> list[Document]:
        """Everything that was said so far."""
        with self._grown:
            return [document for _, document in self._lines]

    def quiet(self, for_s: float, within_s: float = 30.0) -> None:
        """Wait until no line has come for so long: whatever was under way is over."""
        deadline = time.monotonic() + within_s
        with self._grown:
            while self._grown.wait(for_s):
                assert time.monotonic() < deadline, f"lines keep coming for {within_s:g} s"


def path(document: Document, name: str) -> Document:
    return next(path for path in document["paths"] if path["name"] == name)


def cloud(document: Document, name: str) -> Document:
    return next(cloud for cloud in document["clouds"] if cloud["name"] == name)


def source(document: Document, name: str) -> Document:
    return next(source for source in document["sources"] if source["name"] == name)


def alert(document: Document, begins: str) -> Document | None:
    """The alert whose id begins so, if there is one."""
    return next((alert for alert in document["alerts"] if alert["id"].startswith(begins)), None)


def descendants(pid: int) -> set[int]:
    """Every process under one, by the kernel's own list."""
    found: set[int] = set()
    todo = [pid]
    while todo:
        with contextlib.suppress(OSError):  # it has ended meanwhile, and its children are somebody else's
            for children in Path(f"/proc/{todo.pop()}/task").glob("*/children"):
                new = {int(word) for word in children.read_text().split()} - found
                found |= new
                todo += new
    return found
