"""The calendar as a document and as text."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from console.status import SCHEMA, stamp
from console.view import Cell
from network.calendar import Overlap, overlaps, planned, silent
from network.events import ProviderEvent
from network.layers import View


def document(view: View) -> dict[str, Any]:
    """events[], overlaps[], and unknown[]: the systems whose plans may be missing."""
    return {
        "schema": SCHEMA,
        "site": view.site.name,
        "at": stamp(view.now),
        "days": view.site.policy.calendar_days,
        "events": [_event(event) for event in planned(view)],
        "overlaps": [_overlap(overlap) for overlap in overlaps(view)],
        "unknown": list(silent(view)),
    }


def _event(event: ProviderEvent) -> dict[str, Any]:
    return {
        "id": event.id,
        "system": event.system,
        "kind": event.kind,
        "state": event.state,
        "title": event.title,
        "starts": stamp(event.starts),
        "ends": stamp(event.ends),
        "touches": list(event.touches),
        "emergency": event.emergency,
    }


def _overlap(overlap: Overlap) -> dict[str, Any]:
    return {
        "id": overlap.id,
        "cloud": overlap.cloud,
        "events": [event.id for event in overlap.events],
        "starts": stamp(overlap.starts),
        "ends": stamp(overlap.ends),
        "left": list(overlap.left),
        "shared": list(overlap.shared),
        "text": overlap.text,
    }


def text(view: View) -> str:
    """The calendar as lines."""
    return "\n".join("".join(cell.text for cell in line) for line in cells(view))


def cells(view: View) -> list[list[Cell]]:
    """Two lines an event, soonest first; then where two at once are worse than either alone, and who is silent."""
    lines = [line for event in planned(view) for line in _event_lines(event)]
    lines += [[Cell("! ", "degraded"), Cell(overlap.text)] for overlap in overlaps(view)]
    lines += [[Cell("? ", "stale"), Cell(f"what {system} plans is not known", "stale")] for system in silent(view)]
    return lines or [[Cell("= ", "up"), Cell("nothing is planned", "dim")]]


def _event_lines(event: ProviderEvent) -> list[list[Cell]]:
    window = f"{_moment(event.starts)} - {_moment(event.ends)}"
    tone = "degraded" if event.state == "running" else "plain"
    what = f"{event.kind} {event.state}{' EMERGENCY' if event.emergency else ''}"
    head = [
        Cell(f"{window}  ", "strong"),
        Cell(f"{event.system:<10} ", "dim"),
        Cell(what, tone),
    ]
    return [head, [Cell(f"  {', '.join(event.touches) or 'nothing of ours'}: {event.title}", "dim")]]


def _moment(at: datetime | None) -> str:
    return f"{at:%d %b %H:%MZ}" if at else "open"
