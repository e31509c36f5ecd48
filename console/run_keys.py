"""Which orders to a run make sense as it stands: what the run screen's keys offer. What is allowed, the engine says."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from console.run_view import open_approval
from runbooks.journal import RunRow
from runbooks.machine import objection
from runbooks.view import RunView


def sensible(order: str, row: RunRow, view: RunView | None, console: str) -> bool:
    """Whether to offer an order. `view` is None for a run of the list, not in view; `console` is this one's id."""
    closed = row.closed_at is not None or (view is not None and view.closed)  # the list is read once a second
    if order == "rollback":
        return closed or not row.driver_alive or bool(view and view.question)
    if closed:
        return False
    if order == "take_over":
        return not (row.driver_alive and row.driver == console)
    if view is None:
        return order == "abandon" and row.orphaned
    return _IN_VIEW[order](row, view)


def _pause(row: RunRow, view: RunView) -> bool:
    """Pause, or go on after one."""
    kinds = ("cmd.pause", "cmd.resume")
    return row.driver_alive and any(not objection(view, kind, row.created_by) for kind in kinds)


def _abandon(row: RunRow, view: RunView) -> bool:
    return view.abandon is None and (view.question is not None or row.orphaned)


_IN_VIEW: Mapping[str, Callable[[RunRow, RunView], bool]] = {
    "pause": _pause,
    "hand_over": lambda row, view: row.driver_alive and not view.handover,
    "decide": lambda _row, view: view.question is not None,
    "approve": lambda _row, view: bool(open_approval(view)),
    "abandon": _abandon,
}
