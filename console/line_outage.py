"""The journal's outages on a terminal: the HOLD is said, and a typed reason breaks the glass."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime


class LineOutage:
    """`ask` puts one question and gives the line that was typed; None: nobody is asked here (`--yes`)."""

    def __init__(self, ask: Callable[[str], Awaitable[str]] | None) -> None:
        self._ask = ask

    def holding(self, run_id: str, why: str) -> None:
        _say(f"HOLD: {run_id} since {datetime.now(UTC):%H:%M:%S}Z: {why}")

    def returned(self, run_id: str, away_s: float, spooled: int) -> None:
        _say(f"{run_id}: the journal is back after {away_s:.0f} s; {spooled} entries of this console are in it now")

    def warn(self, run_id: str, words: str) -> None:
        _say(f"HOLD: {run_id}: {words}")

    async def break_glass(self, run_id: str, within_s: float | None) -> str | None:
        if self._ask is None:
            return None
        soon = "" if within_s is None else f" within {within_s:.0f} s, while this console's lease still runs"
        _say(f"no other console sees what is done now. To act all the same, type a reason{soon}; or just wait")
        return (await self._ask(f"{run_id} without the journal, because: ")).strip() or None

    async def write_again(self, run_id: str, lost: int) -> bool:
        """Only a person says so: `--yes` confirms a plan, not what a server has forgotten."""
        words = f"the journal has lost {lost} entries of {run_id} that it had taken"
        if self._ask is None:
            _say(f"HOLD: {words}; with --prompt they can be written again")
            return False
        return (await self._ask(f"{words}. Write them again? [y/N] ")).strip().lower() in {"y", "yes"}


def _say(text: str) -> None:
    print(f"interlock: {text}", file=sys.stderr, flush=True)
