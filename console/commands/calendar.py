"""`calendar`: what providers and we ourselves plan, and where two at once are worse than either alone."""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from console.commands.status import once
from console.exits import Exit
from console.sites import choose
from console.status import SCHEMA, stamp
from console.wiring import utc_now
from network.calendar import Overlap, overlaps, planned, silent
from network.events import ProviderEvent
from network.health import SiteHealth
from network.layers import View
from network.snapshot import Snapshot


def calendar(site_file: Path | None, *, as_json: bool, operator: str | None) -> Exit:
    """The calendar of `policy.calendar_days`.

    0: every system has told its events and none overlap to harm. 1: two do, or a system's events are not known.
    """
    chosen = choose(site_file)

    def tell(snapshot: Snapshot, _health: SiteHealth) -> Exit:
        view = View(chosen.site, snapshot, utc_now())
        print(json.dumps(document(view), indent=1) if as_json else text(view), flush=True)
        return Exit.IMPAIRED if overlaps(view) or silent(view) else Exit.OK

    return asyncio.run(once(chosen, operator, tell))


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
    lines = [_line(event) for event in planned(view)] or ["nothing is planned"]
    lines += [f"! {overlap.text}" for overlap in overlaps(view)]
    lines += [f"? what {system} plans is not known" for system in silent(view)]
    return "\n".join(lines)


def _line(event: ProviderEvent) -> str:
    window = f"{_moment(event.starts)} - {_moment(event.ends)}"
    flags = f"{event.state}{' EMERGENCY' if event.emergency else ''}"
    return f"{window}  {event.system:<10} {event.kind} {flags}: {event.title} [{' '.join(event.touches)}]"


def _moment(at: datetime | None) -> str:
    return f"{at:%d %b %H:%MZ}" if at else "open"
