"""What a router forgets: why a session dropped, and how often it did while it was watched.

FRR's reasons are true only while the session is down, and change while one looks (the code of a lost link goes
from "BFD down" to "waiting for a next hop" in two seconds): the first firm one of each drop is kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from connectors.routers.frr_reason import Reason
from network.observation import SessionHere

#: FRR rounds durations to the second, so the same moment wanders by that much from poll to poll.
SAME_MOMENT = timedelta(seconds=2)


@dataclass(frozen=True, slots=True)
class Remembered:
    """What is kept of one session between polls: the router's drop counter, drops since the first poll, the reason."""

    counter: int | None = None
    drops: int = 0
    reason: Reason | None = None
    since: datetime | None = None


class Growth:
    """What counters have grown since each was first seen; one that went back has started anew."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}
        self._grown: dict[str, int] = {}

    def of(self, name: str, counter: int | None) -> int | None:
        """The growth of a counter with its newest reading; None when it is not known now."""
        if counter is None:
            return None
        more = _more(self._last.get(name), counter)
        self._last[name] = counter
        self._grown[name] = self._grown.get(name, 0) + more
        return self._grown[name]


def settle(fact: SessionHere, reason: Reason | None, kept: Remembered | None) -> tuple[SessionHere, Remembered]:
    """The fact with drops counted from the first poll and the first firm reason of this drop; what to keep."""
    first = kept is None
    kept = kept or Remembered(counter=fact.drops)
    more = _more(kept.counter, fact.drops)
    same_drop = not first and more == 0
    held = _held(reason, kept.reason if same_drop else None)
    since = kept.since if same_drop and _same(kept.since, fact.since) else fact.since
    settled = replace(
        fact,
        drops=None if fact.drops is None else kept.drops + more,
        reason=held.text if held is not None else fact.reason,
        since=since,
    )
    counter = fact.drops if fact.drops is not None else kept.counter
    return settled, Remembered(counter, kept.drops + more, held, since)


def _held(now: Reason | None, before: Reason | None) -> Reason | None:
    if now is None or before is None:
        return now  # up again, or stopped on purpose: what was held is over
    return now if now.firm and not before.firm else before


def _more(before: int | None, now: int | None) -> int:
    """What was counted since the last poll; a counter that went back has started anew with the router's process."""
    if now is None or before is None:
        return 0
    return now - before if now >= before else now


def _same(before: datetime | None, now: datetime | None) -> bool:
    return before is not None and now is not None and abs(now - before) <= SAME_MOMENT
