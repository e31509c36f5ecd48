"""What can go wrong between a console and the journal. Every message says what to do next."""

from __future__ import annotations

from pathlib import Path


class JournalError(Exception):
    """Base of all journal errors."""


class UnknownRun(JournalError):
    """No such run in this journal."""

    def __init__(self, run_id: str) -> None:
        super().__init__(f"run {run_id} is not in this journal; `interlock runs` lists those that are")
        self.run_id = run_id


class FenceLost(JournalError):
    """Somebody else drives the run now; whatever this console was about to write was not written."""

    def __init__(self, run_id: str, fence: int, current: int) -> None:
        how = "was taken over" if current > fence else "was driven under a claim that its journal has lost"
        super().__init__(
            f"run {run_id} {how} (fence {fence}, now {current}): this console no longer drives it,"
            f" and sends nothing more; `interlock follow {run_id}` shows who does"
        )
        self.run_id, self.fence, self.current = run_id, fence, current


class FenceNeeded(JournalError):
    """A step event was offered by a console that does not say which claim it drives under."""

    def __init__(self, run_id: str, kind: str) -> None:
        super().__init__(f"{kind} on run {run_id} is the driver's to write: claim the run first")
        self.run_id, self.kind = run_id, kind


class Conflict(JournalError):
    """The log moved on since the writer last looked; look again and decide again."""

    def __init__(self, run_id: str, expected: int, head: int) -> None:
        super().__init__(f"run {run_id} has moved on from entry {expected} to {head}: look again, then decide")
        self.run_id, self.expected, self.head = run_id, expected, head


class UidReused(JournalError):
    """One client id for two different entries: the second was not written."""

    def __init__(self, uid: str, run_id: str, kind: str) -> None:
        super().__init__(f"entry id {uid} already stands for {kind} of run {run_id}; use a fresh id")
        self.uid = uid


class RunClosed(JournalError):
    """A closed run takes commands, notes and late reports only."""

    def __init__(self, run_id: str, state: str) -> None:
        super().__init__(f"run {run_id} is closed ({state}): nothing can be driven in it any more")
        self.run_id, self.state = run_id, state


class LockHeld(JournalError):
    """A resource that the run needs belongs to another open run."""

    def __init__(self, resource: str, run_id: str) -> None:
        super().__init__(f"{resource} is held by run {run_id}: finish it or roll it back first")
        self.resource, self.run_id = resource, run_id


class DriverAlive(JournalError):
    """The run is being driven by a console that lives, or that cannot be proven dead from here."""

    def __init__(self, run_id: str, console: str) -> None:
        super().__init__(f"run {run_id} is driven by {console}: stop it there, or take it over by force")
        self.run_id, self.console = run_id, console


class JournalUnavailable(JournalError):
    """The journal's storage did not take or give an entry: nothing may be sent until it does."""

    def __init__(self, where: Path | str, why: str) -> None:
        super().__init__(f"journal {where} is unavailable ({why}): no act may start until it can be written")
        self.where, self.why = where, why


class CommitUnknown(JournalUnavailable):
    """The connection went while committing: whether the entry is there, only its uid can tell."""


class WentBack(JournalUnavailable):
    """The journal has lost entries that it had taken: another server stands in its place, with less in it."""

    def __init__(self, run_id: str, head: int, known: int) -> None:
        super().__init__(f"of run {run_id}", f"its log ends at entry {head}, and entry {known} had been written")


class UnfitStorage(JournalError):
    """The journal cannot live where it was put, or the file there is not one that this version can use."""
