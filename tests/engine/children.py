"""Real processes with a console each, on one journal file: started, heard, told."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

PRELUDE = """
import asyncio, json, os, sys, time
from pathlib import Path
from runbooks.journal import JournalError, LockHeld
from runbooks.journal.where import parse
from tests.engine.little_device import World, act, book, console
path = parse(sys.argv[1])
def say(**what):
    print(json.dumps(what), flush=True)
def told():
    return sys.stdin.readline().strip()
"""


class Child:
    """A process that says JSON lines and is told lines."""

    def __init__(self, script: str, *args: str) -> None:
        command = [sys.executable, "-c", PRELUDE + script, *args]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def tell(self, line: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def heard(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the process said nothing and ended with {self.process.wait(10)}"
        return dict(json.loads(line))


@contextmanager
def children(script: str, *args: str, count: int = 1) -> Iterator[list[Child]]:
    """So many of them; whatever still runs at the end is killed."""
    started = [Child(script, *args, str(n)) for n in range(count)]
    try:
        yield started
    finally:
        for child in started:
            child.process.kill()
            child.process.communicate(timeout=10)
