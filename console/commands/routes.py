"""`routes`: by destination, who chose what and why."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

from console import routes_view as view
from console.commands.status import known, once, within_of
from console.exits import Exit
from console.sites import choose
from console.status import SCHEMA
from console.wiring import utc_now
from network.health import SiteHealth
from network.snapshot import Snapshot


def routes(
    site_file: Path | None, name: str | None, *, as_json: bool, operator: str | None, within: str | None = None
) -> Exit:
    """The routes of every destination, or of one destination, path or session."""
    chosen, within_s = choose(site_file), within_of(within)
    known(name, view.names(chosen.site), "destination, path or session")

    def tell(snapshot: Snapshot, _health: SiteHealth) -> Exit:
        found = view.only(chosen.site, view.rows(chosen.site, snapshot, utc_now()), name)
        print(json.dumps({"schema": SCHEMA, "routes": found}, indent=1) if as_json else view.text(found), flush=True)
        return Exit.OK

    return asyncio.run(once(chosen, operator, tell, within_s))
