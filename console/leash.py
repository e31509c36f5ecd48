"""A console's end of its watchdogs: one process for each act on a system that keeps no timer of its own."""

from __future__ import annotations

import asyncio
import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from connectors.errors import TimedOut, Unreachable
from console.wiring import Watch
from runbooks.effects import ABSENT, ANSWERS, ARMED
from runbooks.model import StepDef
from runbooks.view import Timer

READY_S, ANSWER_S = 60.0, 3.0
COMMAND = (sys.executable, "-I", "-m", "console.watchdog")
#: What a watchdog inherits of the environment: nothing that could be a secret.
KEPT = (
    *("PATH", "HOME", "LANG", "LC_ALL", "XDG_STATE_HOME", "XDG_CONFIG_HOME"),
    *("INTERLOCK_JOURNAL", "PGSERVICE", "PGHOST", "PGPORT", "PGDATABASE", "PGUSER", "PGSSLMODE"),  # the journal
    *("PGPASSFILE", "PGSERVICEFILE", "PGSSLROOTCERT", "PGSSLCERT", "PGSSLKEY"),  # a file's name each
)


class Leashes:
    """Implements runbooks.perform.Watchdogs for one desk."""

    def __init__(self, watch: Watch, *, answer_s: float = ANSWER_S) -> None:
        self._watch, self._answer_s = watch, answer_s
        self._dogs: dict[str, Dog] = {}
        self._plans: dict[str, Mapping[str, Any]] = {}

    def plan(self, run_id: str, definition: Mapping[str, Any]) -> None:
        """Say what a run's plan moves: its watchdogs judge by that whether going back is better."""
        self._plans[run_id] = {key: definition.get(key, {}) for key in ("target", "before", "after")}

    async def prepare(self, step: StepDef, timer: Timer) -> None:  # noqa: ARG002 -- its charge comes when it is armed
        """Start one and wait until it sees the network. Raises Unreachable, TimedOut."""
        if timer.id not in self._dogs:
            dog = self._dogs[timer.id] = Dog()
            await dog.say(self._site(), "ready", READY_S)

    async def arm(self, step: StepDef, timer: Timer) -> None:
        """Give it its charge. Raises Unreachable when it was not prepared or has died, TimedOut when it is silent."""
        dog, plan = self._dogs.get(timer.id), self._plans.get(timer.run_id)
        if dog is None or plan is None:
            raise _gone("it was not started" if dog is None else f"what {timer.run_id} moves is not known")
        charge = {
            "run": timer.run_id,
            "step": step.model_dump(mode="json", by_alias=True),
            "timer": timer.id,
            "seconds": timer.seconds,
            "fence": timer.fence,
            "definition": plan,
        }
        await dog.say(charge, ARMED, self._answer_s)

    def let_go(self) -> None:
        """Leave them: one without a charge ends, one with a charge takes it for this console's death."""
        for dog in self._dogs.values():
            dog.let_go()
        self._dogs.clear()

    async def extend(self, timer: Timer) -> str:
        return await self._told(timer, "renew")

    async def disarm(self, timer: Timer) -> str:
        said = await self._told(timer, "confirm")
        if said in ANSWERS:
            self._dogs.pop(timer.id, None)
        return said

    async def _told(self, timer: Timer, word: str) -> str:
        """What it says, or why it has not answered yet: it may live, and is asked again.

        One that is gone is absent: whether it acted stands in the journal.
        """
        dog = self._dogs.get(timer.id)
        if dog is None:
            return ABSENT
        try:
            await dog.say(word, ARMED, self._answer_s)
        except TimedOut as late:
            return str(late)
        except Unreachable:
            return ABSENT
        return ARMED

    def _site(self) -> Mapping[str, Any]:
        chosen, session = self._watch.chosen, self._watch.session
        return {
            "file": str(chosen.file),
            "site": chosen.loaded.text,
            "lab_folder": str(chosen.lab_folder) if chosen.lab_folder else None,
            **session.handed_on(),
        }


class Dog:
    """One watchdog's process and the pipe to it. Not asyncio's subprocess, which kills its child when the loop ends."""

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            env={name: os.environ[name] for name in KEPT if name in os.environ},
        )
        self._turn = threading.Lock()  # whoever is cancelled leaves a thread that still listens
        self._owed, self._heard = 0, b""

    @property
    def pid(self) -> int:
        return self._process.pid

    async def say(self, said: Mapping[str, Any] | str, wanted: str, deadline_s: float) -> None:
        """Say one line and hear the answer to it. Raises TimedOut when none comes in time, Unreachable for another.

        An answer that came too late is not taken for the next one's.
        """
        line = said if isinstance(said, str) else json.dumps(said)
        answer = await asyncio.to_thread(self._exchanged, f"{line}\n".encode(), deadline_s)
        if answer is None:
            raise TimedOut(
                f"the watchdog has not answered within {deadline_s:g} s",
                where="console.watchdog",
                do_next="It is asked again.",
            )
        if answer != wanted:
            raise _gone(answer)

    def let_go(self) -> None:
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with suppress(OSError):
                    stream.close()

    def _exchanged(self, line: bytes, deadline_s: float) -> str | None:
        assert self._process.stdin is not None
        with self._turn:
            try:
                self._process.stdin.write(line)
                self._process.stdin.flush()
                self._owed += 1
                return self._answer(time.monotonic() + deadline_s)
            except (OSError, ValueError) as error:
                return f"the pipe to it is broken ({error})"

    def _answer(self, deadline: float) -> str | None:
        """The answer to what was said last; None when it does not come in time."""
        assert self._process.stdout is not None
        pipe = self._process.stdout.fileno()
        while True:
            answer, ended, rest = self._heard.partition(b"\n")
            if ended:
                self._heard, self._owed = rest, self._owed - 1
                if self._owed == 0:
                    return answer.decode().strip()
                continue
            if not select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
                return None
            if not (more := os.read(pipe, 4096)):
                return "it has ended"
            self._heard += more


def _gone(why: str) -> Unreachable:
    return Unreachable(
        f"the watchdog is not there: {why}",
        where="console.watchdog",
        do_next="Nothing was sent. Run the step again; if it stays so, check that this host can start processes.",
    )
