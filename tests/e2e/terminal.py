"""A real terminal: a tmux server of our own with one window."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.e2e.embedded_lab import DEADLINE_S, Cli, until


class Terminal:
    """One tmux server of our own, one window."""

    def __init__(self, folder: Path, cli: Cli) -> None:
        self._socket, self._cli = str(folder / "tmux.sock"), cli

    def tmux(self, *args: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", self._socket, "-f", "/dev/null", *args],
            capture_output=True,
            text=True,
            env={**self._cli.env, "TERM": "xterm-256color"},
            check=True,
            timeout=DEADLINE_S,
        )
        return done.stdout

    def start(self, command: str, columns: int = 80, lines: int = 24) -> None:
        self.tmux("new-session", "-d", "-x", str(columns), "-y", str(lines), command)

    def end(self) -> None:
        subprocess.run(["tmux", "-S", self._socket, "kill-server"], capture_output=True, check=False)

    def screen(self) -> str:
        return self.tmux("capture-pane", "-p")

    def keys(self, *keys: str) -> None:
        self.tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        self.tmux("send-keys", "-l", text)

    def until(self, *wanted: str, within_s: float = DEADLINE_S) -> str:
        """Wait until everything wanted stands on the screen, and return the screen."""
        last = ""

        def there() -> bool:
            nonlocal last
            last = self.screen()
            return all(word in last for word in wanted)

        try:
            until(f"{wanted} on the screen", there, within_s)
        except pytest.fail.Exception:
            pytest.fail(f"not on the screen within {within_s:g} s: {wanted}\n{last}")
        return last
