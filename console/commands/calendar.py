"""`calendar`: what providers and we ourselves plan, and where two at once are worse than either alone."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from console.calendar_view import document, text
from console.commands.status import once, within_of
from console.exits import Exit
from console.sites import choose
from console.wiring import utc_now
from network.calendar import overlaps, silent
from network.health import SiteHealth
from network.layers import View
from network.snapshot import Snapshot


def calendar(site_file: Path | None, *, as_json: bool, operator: str | None, within: str | None = None) -> Exit:
    """The calendar of `policy.calendar_days`.

    0: every system has told its events and none overlap to harm. 1: two do, or a system's events are not known.
    """
    chosen, within_s = choose(site_file), within_of(within)

    def tell(snapshot: Snapshot, _health: SiteHealth) -> Exit:
        view = View(chosen.site, snapshot, utc_now())
        print(json.dumps(document(view), indent=1) if as_json else text(view), flush=True)
        return Exit.IMPAIRED if overlaps(view) or silent(view) else Exit.OK

    return asyncio.run(once(chosen, operator, tell, within_s))
