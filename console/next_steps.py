"""The exact command lines by which a run can go on from where it stands. Pure."""

from __future__ import annotations

from runbooks.journal import RunRow
from runbooks.orders import ABANDON
from runbooks.tables import CHOICES
from runbooks.view import RunView


def next_steps(row: RunRow, view: RunView) -> list[str]:
    """One a line, the most ordinary first; empty once the run is closed."""
    run = row.run_id
    if view.closed:
        return []
    lines = []
    if view.question:
        lines.append(f"interlock decide {run} {'|'.join(CHOICES)} --reply-to {view.question.seq} --write")
    if step := next((s for s in view.steps if s.kind == "approve" and s.do.state == "asked"), None):
        lines.append(f"interlock approve {run} {step.id}    (a second person)")
    if view.abandon:
        lines.append(f"interlock approve {run} {ABANDON}    (a second person)")
    if row.driver_alive:
        return [*lines, f"interlock follow {run}", f"interlock abort {run}"]
    if not view.question:
        lines.append(f"interlock resume {run} --write")
    lines.append(f"interlock rollback {run} --write")
    return lines if view.abandon else [*lines, f"interlock abandon {run}    (two people)"]
