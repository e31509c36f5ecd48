"""A router's dead-man timers: what was armed puts itself back unless its console says otherwise in time.

    deadman arm ID SECONDS<TAB>LINE<TAB>…     configuration lines, then the soft clears that follow them
    deadman extend ID SECONDS                  from now on
    deadman confirm ID                         the change stays
    deadman list                               JSON: what is armed, and for how many seconds yet

`extend` and `confirm` answer one word: armed (it was), fired (it has put the lines back), absent (never armed here,
confirmed before, or its process died). Each timer is a process of its own that outlives the connection which armed it.
Its record is a file: the name says armed or fired, and its mtime is the second of CLOCK_BOOTTIME at which it is due,
so that extending is one atomic step and the renaming to fired happens once. Whoever holds its lock is the live timer.
Loaded by the guard when one of these words comes; standard library only.
"""

# ruff: noqa: PTH104, PTH108, PTH110, PTH116, PTH118, PTH123, PTH208 -- os.path for the same reason as the guard

import contextlib
import fcntl
import json
import os
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable

ID = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,95}"
SECONDS = r"[1-9]\d{0,3}"
MOST_ARMED = 64
LOOK_S = 1.0  # a timer looks this often whether it was confirmed
READY_S = 5.0
AGAIN_S, TRIES = 1.0, 30  # vtysh takes a lock while another one configures
#: What `extend` and `confirm` answer.
ARMED, FIRED, ABSENT = "armed", "fired", "absent"
Permits = Callable[[list[str]], str | None]
Restore = Callable[[list[str], str], bool]


class Refused(Exception):
    """The words are none of ours, or may not be said now; the message says why."""


class Word:
    """One request: `verb` is arm, extend, confirm or list. `lines` are configuration lines, `clears` come after."""

    def __init__(self, request: str) -> None:
        command, *parts = request.split("\t")
        found = re.fullmatch(rf"deadman (?:(arm|extend) ({ID}) ({SECONDS})|(confirm) ({ID})|(list))", command, re.ASCII)
        if not found:
            raise Refused(f"not a dead-man's word: {command[:120]}")
        self.verb = found[1] or found[4] or found[6]
        self.id, self.seconds = found[2] or found[5] or "", float(found[3] or 0)
        self.clears = [part for part in parts if part.startswith("clear ")]
        self.lines = parts[: len(parts) - len(self.clears)]
        if parts and self.verb != "arm":
            raise Refused(f"`deadman {self.verb}` takes no lines")
        if parts != [*self.lines, *self.clears]:
            raise Refused("soft clears come after the last configuration line")


def permitted(word: Word, account: str, configures: Permits, clears: Permits) -> str | None:
    """None when the account may say it: reading may list; whatever a timer will send, its armer may send now."""
    if word.verb == "list":
        return None
    if account != "run":
        return f"refused: account {account} may not {word.verb} a dead-man"
    return (configures(word.lines) or clears(word.clears)) if word.verb == "arm" else None


def now_s() -> float:
    """Seconds that go on while the machine is suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Spool:
    """The timers of one router, in a folder that the run account writes and the read account may look into."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def arm(self, word: Word, start: Callable[[str], None]) -> None:
        """Record it and start its timer, which must be ready before this returns. Arming again is extending."""
        lines = json.dumps({"lines": word.lines, "clears": word.clears})
        path = self._path(word.id)
        if self._state(word.id) == FIRED:
            raise Refused(f"{word.id} has fired: arm another one")
        if self._state(word.id) == ARMED:
            if _read(path) != lines:
                raise Refused(f"{word.id} is armed already, with other lines")
            self._due_in(path, word.seconds)
            return
        if len(self.listed()) >= MOST_ARMED:
            raise Refused(f"{MOST_ARMED} dead-men are armed here: confirm one first")
        self._forget_old()
        with open(path, "w", opener=lambda name, flags: os.open(name, flags, 0o640)) as file:
            file.write(lines)
        self._due_in(path, word.seconds)
        try:
            start(word.id)
        except BaseException:
            os.unlink(path)
            raise

    def extend(self, word: Word) -> str:
        """Have it due so many seconds from now."""
        state = self._state(word.id)
        if state == ARMED:
            with contextlib.suppress(FileNotFoundError):
                self._due_in(self._path(word.id), word.seconds)
        return self._state(word.id)

    def confirm(self, word: Word) -> str:
        """The change stays: the timer goes. Whoever is first, this or the firing, wins."""
        state = self._state(word.id)
        try:
            os.unlink(self._path(word.id))
        except FileNotFoundError:
            return FIRED if self._has_fired(word.id) else ABSENT
        return state

    def listed(self) -> list[dict[str, object]]:
        """Every armed timer, by id."""
        names = sorted(name.removesuffix(f".{ARMED}") for name in os.listdir(self.folder) if name.endswith(f".{ARMED}"))
        rows: list[dict[str, object]] = []
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                left = os.stat(self._path(name)).st_mtime - now_s()
                rows.append({"id": name, "left_s": round(left, 1), "alive": self._state(name) == ARMED})
        return rows

    def watch(self, name: str, ready: Callable[[], None], restore: Restore) -> None:
        """Be the timer: wait until it is confirmed, or until it is due, and then put the lines back, once."""
        path = self._path(name)
        with open(path) as file:
            fcntl.flock(file, fcntl.LOCK_EX)  # whoever just looks lets go at once
            ready()
            kept = json.load(file)
            while (left := self._left_s(path)) > 0:
                time.sleep(min(left, LOOK_S))
            if left == 0 and self._claimed(name):
                put_back(kept, restore)

    def _left_s(self, path: str) -> float:
        """Seconds until it is due; 0 when it is; negative when it was confirmed."""
        try:
            return max(0.0, os.stat(path).st_mtime - now_s())
        except FileNotFoundError:
            return -1.0

    def _claimed(self, name: str) -> bool:
        try:
            os.rename(self._path(name), self._path(name, FIRED))
        except FileNotFoundError:  # confirmed in the last moment
            return False
        return True

    def _state(self, name: str) -> str:
        try:
            with open(self._path(name)) as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return FIRED if self._has_fired(name) else ABSENT
        except BlockingIOError:  # its timer holds it
            return ARMED
        return ABSENT

    def _has_fired(self, name: str) -> bool:
        return os.path.exists(self._path(name, FIRED))

    def _due_in(self, path: str, seconds: float) -> None:
        due = now_s() + seconds
        os.utime(path, (due, due))

    def _forget_old(self) -> None:
        """Keep the newest of those that have fired: a console may still ask for them."""
        fired = [os.path.join(self.folder, name) for name in os.listdir(self.folder) if name.endswith(f".{FIRED}")]
        for path in sorted(fired, key=lambda each: os.stat(each).st_mtime)[: -MOST_ARMED or None]:
            os.unlink(path)

    def _path(self, name: str, state: str = ARMED) -> str:
        return os.path.join(self.folder, f"{name}.{state}")


def put_back(kept: dict[str, list[str]], restore: Restore) -> None:
    """The lines as one group, then each soft clear; what the router does not take now is tried again for a while."""
    groups = [["configure terminal", *kept["lines"]]] if kept["lines"] else []
    for group in [*groups, *([clear] for clear in kept["clears"])]:
        for _ in range(TRIES):
            if restore(group[1:] or group, group[0]):
                break
            time.sleep(AGAIN_S)


def detached(program: list[str]) -> None:
    """Start a timer's process in a session of its own, and wait until it says that it is ready."""
    process = subprocess.Popen(
        program,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"},
    )
    assert process.stdout is not None
    with process.stdout as said:
        answers, _, _ = select.select([said], [], [], READY_S)
        if not answers or said.readline() != b"ready\n":
            raise Refused("its timer did not start")


def say_ready() -> None:
    """Tell whoever waits in `detached`, and let go of the pipe."""
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def answered(word: Word, spool: Spool, start: Callable[[str], None]) -> str:
    """What the router says to a permitted word. Raises Refused."""
    match word.verb:
        case "arm":
            spool.arm(word, start)
            return ARMED
        case "extend":
            return spool.extend(word)
        case "confirm":
            return spool.confirm(word)
        case _:
            return json.dumps(spool.listed())


def _read(path: str) -> str:
    with open(path) as file:
        return file.read()
