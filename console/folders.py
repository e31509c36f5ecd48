"""Where the console keeps its state and finds its configuration: the XDG folders, and no other place."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def state_dir() -> Path:
    """`XDG_STATE_HOME/interlock`: runs, journal, lab. Made when missing, for its owner only."""
    folder = Path(os.environ.get("XDG_STATE_HOME") or platformdirs.user_state_path()) / "interlock"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def runtime_dir() -> Path | None:
    """`XDG_RUNTIME_DIR/interlock`: in memory, for as long as the machine runs; None where the login made none."""
    run = os.environ.get("XDG_RUNTIME_DIR")
    if not run or not Path(run).is_dir():
        return None
    folder = Path(run) / "interlock"
    folder.mkdir(mode=0o700, exist_ok=True)
    return folder


def config_dir() -> Path:
    """`XDG_CONFIG_HOME/interlock`: the user's own site file."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or platformdirs.user_config_path()) / "interlock"
