"""One FRR lab at a time on a machine: the claim, and the sweep of what a dead owner left."""

from __future__ import annotations

import fcntl
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from lab.frr import sweep
from lab.frr.errors import AnotherLab, LeftBehind
from lab.frr.sweep import OWNER, RUN, Owner


def claim(state_folder: Path, root: Path | None) -> Owner:
    """Become the machine's FRR lab; its files go to `root`, or else to a folder beside the record.

    Raises AnotherLab when one lives; sweeps the leftovers of a dead one first.
    """
    with _locked():
        previous = current()
        if previous:
            if sweep.alive(previous):
                raise AnotherLab(previous["state_folder"], previous["pid"])
            _clear(previous)
            RUN.mkdir(exist_ok=True)
        made = not sweep.PRIVSEP.exists()
        sweep.PRIVSEP.mkdir(mode=0o755, exist_ok=True)
        lab = secrets.token_hex(2)
        owner = Owner(
            id=lab,
            pid=os.getpid(),
            started=sweep.start_tick(os.getpid()) or 0,
            state_folder=str(state_folder),
            root=str(root or RUN / lab),
            made_privsep=made,
        )
        OWNER.write_text(json.dumps(owner))
    return owner


def current() -> Owner | None:
    """The record on disk, whether its process lives or not."""
    try:
        record: Owner = json.loads(OWNER.read_text())
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise LeftBehind(f"{OWNER} cannot be read ({error}); remove it once no `il-` namespace is left") from None
    return record


def _clear(previous: Owner) -> None:
    if left := sweep.sweep(previous):
        raise LeftBehind(f"leftovers of a dead FRR lab cannot be removed: {'; '.join(left)}")


@contextmanager
def _locked() -> Iterator[None]:
    """Two labs that start in the same instant: the second waits for the first one's claim."""
    RUN.mkdir(exist_ok=True)
    handle = os.open("/run", os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        RUN.mkdir(exist_ok=True)
        yield
    finally:
        os.close(handle)
