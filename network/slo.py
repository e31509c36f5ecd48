"""A feed's objective and its error budget. Pure: from looks that were made, never from those that were not.

The budget is a quantity of the whole window (0.1 % of 30 days are 43 minutes): each bad look takes one cadence out of
it, and time in which nobody looked takes nothing, for it is not known to have been bad.
"""

from __future__ import annotations

from dataclasses import dataclass

from network.measured import FeedResult
from network.surroundings import Feed


@dataclass(frozen=True, slots=True)
class Slo:
    """Percent of the looks that were good, percent of the budget that is left (below 0: overspent), and the burn.

    Burn 1 spends the budget exactly in the window; it is the last hour's. None: nobody looked.
    """

    availability_pct: float | None
    budget_left_pct: float | None
    burn: float | None


def slo(feed: Feed, seen: FeedResult) -> Slo:
    """Where a feed stands against its objective."""
    bad = share_bad(seen.good, seen.total)
    if bad is None:
        return Slo(None, None, None)
    allowed = 1 - feed.objective_pct / 100
    spent_s = (seen.total - seen.good) * feed.cadence_s
    left = 100 * (1 - spent_s / (allowed * feed.window_s))
    hour = share_bad(seen.hour_good, seen.hour_total)
    return Slo(100 * (1 - bad), left, None if hour is None else hour / allowed)


def share_bad(good: int, total: int) -> float | None:
    """None without a look."""
    return (total - good) / total if total else None
