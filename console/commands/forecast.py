"""`forecast`: what would carry what."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from console import forecast_view as view
from console.commands.status import collect, within_of
from console.exits import Exit
from console.fail import UsageError
from console.sites import Chosen, choose
from console.wiring import utc_now, watching
from network.forecast import ACTIONS, Action, Forecast, forecast
from network.health import judge
from network.layers import View
from network.sitecheck import nearest
from network.snapshot import Snapshot
from network.things import reach

#: Tables of different moments, or a source that is slow to begin: an answer that is not known yet is waited for.
PATIENCE_S = 6.0


def foretell(
    site_file: Path | None,
    action: str,
    words: Sequence[str],
    *,
    as_json: bool,
    operator: str | None,
    within: str | None = None,
) -> Exit:
    """Look once and work it out. Several things, or A+B, fail at once.

    0: known, and every cloud keeps all of its address space. 1: a cloud is unknown, or would lose some or all.
    A name that is nothing of the site's is bad input: 2, with the nearest.
    """
    known_action = next((each for each in ACTIONS if each == action), None)
    if known_action is None:
        raise UsageError(f"forecast: {action!r} is not an action; {nearest(action, ACTIONS)}")
    things = [thing for word in words for thing in re.split(r"[+,]", word) if thing]
    chosen, within_s = choose(site_file), within_of(within)
    reach(chosen.site, Snapshot(), things)  # a wrong name is told before anything is waited for
    found, at = asyncio.run(_worked_out(chosen, operator, known_action, things, within_s))
    print(json.dumps(view.document(chosen.site, found, at), indent=1) if as_json else view.text(found), flush=True)
    return Exit.OK if found.known and not found.lost else Exit.IMPAIRED


async def _worked_out(
    chosen: Chosen, operator: str | None, action: Action, things: Sequence[str], within_s: float | None
) -> tuple[Forecast, datetime]:
    """The first answer that is known; after PATIENCE_S, or `within_s`, whatever there is, with its reasons."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + (PATIENCE_S if within_s is None else within_s)
    async with watching(chosen, operator) as watch:
        snapshot = await collect(watch, within_s)
        while True:
            now = utc_now()
            health = judge(chosen.site, snapshot, now)
            found = forecast(View(chosen.site, snapshot, now), health, action, things)
            left = deadline - loop.time()
            if found.known or left <= 0:
                return found, now
            snapshot = await watch.collector.wait(snapshot.revision, left)
