"""What can go wrong with the FRR lab; every message says what, where and what to do next."""

from __future__ import annotations

from collections.abc import Iterable

from lab import errors
from lab.errors import LabError, LabRuns
from network.sitecheck import nearest


class FrrLabError(LabError):
    """The FRR lab cannot do what was asked."""


class FrrMissing(FrrLabError):
    """A program the lab needs is not on this machine, or we are not root."""


class AnotherLab(FrrLabError, LabRuns):
    """One FRR lab runs at a time; `state_folder` belongs to the one that is up."""

    def __init__(self, state_folder: str, pid: int) -> None:
        self.state_folder, self.pid = state_folder, pid
        super().__init__(
            f"an FRR lab is already up: its state folder is {state_folder} (pid {pid}). "
            "Only one runs on a machine: take that one down with `interlock lab down`, or use --routers embedded"
        )


class UnknownThing(FrrLabError, errors.UnknownThing):
    """The name given to `lab fail` or `lab heal` is not in the list."""

    def __init__(self, thing: str, allowed: Iterable[str]) -> None:
        super().__init__(f"lab fail: {thing!r} is not something this lab can break; {nearest(thing, allowed)}")


class WrongOption(FrrLabError, errors.UnknownThing):
    """The option does not go with that THING."""

    def __init__(self, thing: str, option: str, fits: str) -> None:
        super().__init__(f"lab fail {thing}: --{option} does nothing there; it goes with {fits}")


class CommandFailed(FrrLabError):
    """A command of the lab's own plumbing failed."""

    def __init__(self, argv: Iterable[str], status: int | None, output: str) -> None:
        shown = " ".join(argv)[:300]
        super().__init__(f"`{shown}` ended with {status}: {output.strip()[:600] or 'no output'}")


class NotReady(FrrLabError):
    """Sessions did not come up in time."""


class LeftBehind(FrrLabError):
    """`stop` could not remove everything."""
