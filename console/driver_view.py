"""Pure selectors: who drives a run, who drove it last, and since when nobody does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from console.next_steps import next_steps
from console.view import Cell, span
from runbooks.journal import Event, RunRow
from runbooks.view import RunView

Line = list[Cell]


def nobody_drives(row: RunRow, view: RunView, events: Sequence[Event]) -> bool:
    """Whether an open run waits for somebody to take it up. A claim in the log is newer than the list of runs."""
    claimed_since = any(event.fence is not None and event.fence > row.fence for event in events)
    return not view.closed and (view.unmanned or (row.orphaned and not claimed_since))


def last_word(events: Sequence[Event]) -> datetime | None:
    """When the log last heard of a driver; None when its end that is known here tells of none."""
    return next((event.ts for event in reversed(events) if event.fence is not None), None)


def driver_cell(row: RunRow, view: RunView, events: Sequence[Event]) -> Cell:
    """For the title: the driver, or that there is none."""
    if nobody_drives(row, view, events):
        return Cell("  ! nobody drives", "degraded")
    return Cell(f"  driver {view.driver}", "dim")


def nobody_line(row: RunRow, view: RunView, events: Sequence[Event], now: datetime, width: int) -> Line:
    """Who drove last, since when nobody does, and the next thing to do: its key, and its command where it fits."""
    who, at = view.driver or row.created_by, last_word(events)
    gone = "gone since" if view.unmanned else "last heard"
    since = f", {gone} {at:%H:%M:%S}" if at else ""
    ago = f", {span((now - at).total_seconds())} ago" if at else ""
    key, does, verb = ("d", "decide", "decide") if view.question else ("t", "take over", "resume")
    command = next((line for line in next_steps(row, view) if line.startswith(f"interlock {verb} ")), "")
    whole = [Cell(f"last {who}{since}", "strong"), Cell(f"{ago}   ", "dim"), Cell(key, "key"), Cell(f"  {command}")]
    brief = [whole[0], Cell("   "), *whole[2:]]
    least = [whole[0], Cell("   "), Cell(key, "key"), Cell(f" {does}")]
    return next((line for line in (whole, brief) if sum(len(cell.text) for cell in line) <= width), least)
