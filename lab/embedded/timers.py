"""An edge's dead-man timers in this process: the words and answers of the real routers' (lab/frr/deadman.py)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from lab.embedded.programs import deadman

Configure = Callable[[list[str], str], tuple[int, str]]
Ask = Callable[[str, str], tuple[int, str]]


@dataclass
class _Timer:
    lines: list[str]
    clears: list[str]
    handle: asyncio.TimerHandle


@dataclass
class Timers:
    """Fires into the router's own command line; whoever reads the ledger sees which dead-man wrote."""

    configure: Configure
    ask: Ask
    _armed: dict[str, _Timer] = field(default_factory=dict)
    _fired: set[str] = field(default_factory=set)

    def say(self, word: Any) -> tuple[int, str]:
        """The answer to a permitted word; status 1 when it cannot be done."""
        match word.verb:
            case "arm":
                return self._arm(word)
            case "extend":
                return 0, f"{self._extend(word)}\n"
            case "confirm":
                return 0, f"{self._confirm(word.id)}\n"
            case _:
                return 0, json.dumps(self._listed()) + "\n"

    def stop(self) -> None:
        """The router is gone, and its timers with it."""
        for timer in self._armed.values():
            timer.handle.cancel()
        self._armed.clear()

    def _arm(self, word: Any) -> tuple[int, str]:
        known = self._armed.get(word.id)
        if word.id in self._fired:
            return 1, f"% deadman: {word.id} has fired: arm another one\n"
        if known and (known.lines, known.clears) != (word.lines, word.clears):
            return 1, f"% deadman: {word.id} is armed already, with other lines\n"
        if known:
            known.handle.cancel()
        elif len(self._armed) >= deadman.MOST_ARMED:
            return 1, f"% deadman: {deadman.MOST_ARMED} dead-men are armed here: confirm one first\n"
        self._armed[word.id] = _Timer(word.lines, word.clears, self._later(word))
        return 0, f"{deadman.ARMED}\n"

    def _extend(self, word: Any) -> str:
        timer = self._armed.get(word.id)
        if timer is None:
            return self._gone(word.id)
        timer.handle.cancel()
        timer.handle = self._later(word)
        return str(deadman.ARMED)

    def _confirm(self, name: str) -> str:
        timer = self._armed.pop(name, None)
        if timer is None:
            return self._gone(name)
        timer.handle.cancel()
        return str(deadman.ARMED)

    def _gone(self, name: str) -> str:
        return str(deadman.FIRED if name in self._fired else deadman.ABSENT)

    def _later(self, word: Any) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(word.seconds, self._fire, word.id)

    def _fire(self, name: str) -> None:
        timer = self._armed.pop(name)
        self._fired.add(name)
        by = f"deadman {name}"
        self.configure(timer.lines, by)
        for clear in timer.clears:
            self.ask(clear, by)

    def _listed(self) -> list[dict[str, Any]]:
        now = asyncio.get_running_loop().time()
        rows = sorted(self._armed.items())
        return [{"id": name, "left_s": round(timer.handle.when() - now, 1), "alive": True} for name, timer in rows]
