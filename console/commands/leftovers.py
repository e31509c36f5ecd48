"""`leftovers`: what is still in place that should not be, which run made it, and the lines that put it back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from connectors.errors import InterlockError
from connectors.routers.deadmen import Armed
from connectors.routers.session import RouterSession
from console.commands.status import collect
from console.exits import Exit
from console.journals import open_journal
from console.sites import Chosen, choose
from console.status import SCHEMA, stamp
from console.wiring import Watch, reading_login, watching
from network.inventory import Router
from runbooks.leftovers import Left, found


def leftovers(site_file: Path | None, *, as_json: bool, operator: str | None) -> Exit:
    """0: nothing is left. 1: something is. 3: a router could not be read, so that nobody can say."""
    return asyncio.run(_leftovers(choose(site_file), as_json=as_json, operator=operator))


async def _leftovers(chosen: Chosen, *, as_json: bool, operator: str | None) -> Exit:
    journal = await open_journal("reader", "live")
    try:
        runs = await journal.runs()
    finally:
        await journal.close()
    async with watching(chosen, operator, once=True) as watch:
        snapshot, timers = await asyncio.gather(collect(watch), _timers(watch))
        left, unread = found(chosen.site, snapshot, runs, timers)
        print(json.dumps(document(left, unread), indent=1) if as_json else text(left, unread), flush=True)
    return Exit.UNREACHABLE if unread else Exit.IMPAIRED if left else Exit.OK


async def _timers(watch: Watch) -> dict[str, list[Armed] | None]:
    """The dead-men that each router has armed, as its read account sees them; None where that is not known."""

    async def one(router: Router) -> list[Armed] | None:
        session = RouterSession(router, reading_login(watch.site, watch.session))
        try:
            return await session.armed()
        except InterlockError:
            return None
        finally:
            await session.close()

    routers = watch.site.routers
    return dict(zip((r.name for r in routers), await asyncio.gather(*map(one, routers)), strict=True))


def document(left: Sequence[Left], unread: Sequence[str]) -> dict[str, Any]:
    """leftovers[] {kind, where, what, since, run, undo[]}, and unknown[]: the routers that could not be read."""
    rows = [
        {
            "kind": each.kind,
            "where": each.where,
            "what": each.what,
            "since": stamp(each.since),
            "run": each.run,
            "undo": list(each.undo),
        }
        for each in left
    ]
    return {"schema": SCHEMA, "leftovers": rows, "unknown": list(unread)}


def text(left: Sequence[Left], unread: Sequence[str]) -> str:
    """One block for each: where and what, whose, and how to put it back."""
    lines = [f"? {router}: its configuration, or which dead-men it has armed, is not known" for router in unread]
    for each in left:
        whose = f"{each.run} since {stamp(each.since)}" if each.run else "no run of this journal"
        lines += [f"! {each.where}: {each.what}", f"    by {whose}", *(f"    {line}" for line in each.undo)]
    return "\n".join(lines or ["= nothing is left over"])
