"""`status`, `paths`, `sessions`: collect, judge, print. The same engine as the screens."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from console import status as documents
from console.durations import seconds
from console.exits import Exit
from console.fail import UsageError
from console.sites import Chosen, choose
from console.wiring import Watch, utc_now, watching
from network.health import SiteHealth, judge
from network.inventory import Site
from network.layers import View
from network.measured import FeedResult
from network.sitecheck import nearest
from network.snapshot import Snapshot
from network.verdict import Verdict
from network.vpn import proof

#: A cold status waits this long for the slowest source, then says what is missing. `--within` waits longer, for all
#: to answer well: what a busy host or a long way makes late is not known by then.
COLLECT_S = 2.5
#: `--watch`: a line each third of a second and one in hand, so that a first change is told at once: at most 4 in any
#: second. At least one every 5 s.
WATCH_GAP_S = 1 / 3
WATCH_LOOK_S = 0.25
WATCH_IDLE_S = 5.0

Tell = Callable[[Snapshot, SiteHealth], Exit]


def status(
    site_file: Path | None,
    *,
    as_json: bool,
    plain: bool,
    watch: bool,
    operator: str | None,
    within: str | None = None,
) -> Exit:
    """One status, or with `watch` a line at each change until interrupted."""
    chosen, within_s = choose(site_file), within_of(within)
    if watch:
        return asyncio.run(_watch(chosen, operator, within_s, as_json=as_json))

    def tell(snapshot: Snapshot, health: SiteHealth) -> Exit:
        if as_json:
            print(json.dumps(documents.document(chosen.site, snapshot, health, utc_now()), indent=1), flush=True)
        else:
            from console.plain import status_text

            colour = not plain and sys.stdout.isatty()
            print(status_text(chosen.site, snapshot, health, utc_now(), colour=colour), flush=True)
        return documents.exit_code(health, snapshot)

    return asyncio.run(once(chosen, operator, tell, within_s))


def paths(
    site_file: Path | None,
    name: str | None,
    *,
    as_json: bool,
    operator: str | None,
    trace: bool = False,
    within: str | None = None,
) -> Exit:
    """The path table, or one path with its layers; of a VPN path also the proof that it would carry.

    With `trace` the hops that its router sees.
    """
    chosen, within_s = choose(site_file), within_of(within)
    known(name, [path.name for path in chosen.site.paths], "path")
    if trace:
        if name is None:
            raise UsageError("--trace: name one path, such as `interlock paths azure/er-primary --trace`")
        return asyncio.run(_traced(chosen, operator, name, within_s, as_json=as_json))

    def tell(snapshot: Snapshot, health: SiteHealth) -> Exit:
        from console.vpn_view import documents as with_proof

        seen = View(chosen.site, snapshot, utc_now())
        rows = with_proof(documents.document(chosen.site, snapshot, health, seen.now)["paths"], seen)
        return _table("paths", _only(rows, name), lambda: _path_text(seen, health, name), as_json=as_json)

    return asyncio.run(once(chosen, operator, tell, within_s))


async def _traced(chosen: Chosen, operator: str | None, name: str, within_s: float | None, *, as_json: bool) -> Exit:
    from console import trace
    from console.vpn_view import documents as with_proof

    async with watching(chosen, operator, once=True) as watch:
        snapshot, hops = await asyncio.gather(collect(watch, within_s), trace.look(watch, chosen.site.path(name)))
        seen = View(chosen.site, snapshot, utc_now())
        health = judge(chosen.site, snapshot, seen.now)
        rows = with_proof(_only(documents.document(chosen.site, snapshot, health, seen.now)["paths"], name), seen)
        text = f"{_path_text(seen, health, name)}\n{trace.text(hops)}"
        return _table("paths", [row | {"trace": hops} for row in rows], lambda: text, as_json=as_json)


def sessions(
    site_file: Path | None, name: str | None, *, as_json: bool, operator: str | None, within: str | None = None
) -> Exit:
    """The BGP sessions, or one."""
    chosen, within_s = choose(site_file), within_of(within)
    known(name, [session.name for session in chosen.site.sessions], "session")

    def tell(snapshot: Snapshot, _health: SiteHealth) -> Exit:
        from console.plain import sessions_text

        rows = _only(documents.sessions(chosen.site, snapshot, utc_now()), name)
        return _table("sessions", rows, lambda: sessions_text(rows), as_json=as_json)

    return asyncio.run(once(chosen, operator, tell, within_s))


def _path_text(seen: View, health: SiteHealth, name: str | None) -> str:
    """The table, or one path with its layers and evidence, and a VPN path with its proof."""
    from console import vpn_view
    from console.plain import path_text, paths_text

    if name is None:
        return paths_text(health, colour=False)
    path = seen.site.path(name)
    marks = vpn_view.lines(proof(seen, path)) if path.kind == "vpn" else []
    return path_text(seen.site, seen.snapshot, health.path(name), seen.now, marks)


def _table(key: str, rows: list[dict[str, Any]], text: Callable[[], str], *, as_json: bool) -> Exit:
    print(json.dumps({"schema": documents.SCHEMA, key: rows}, indent=1) if as_json else text(), flush=True)
    return Exit.OK


def _only(rows: list[dict[str, Any]], name: str | None) -> list[dict[str, Any]]:
    return [row for row in rows if name in (None, row["name"])]


def known(name: str | None, names: list[str], what: str) -> None:
    if name is not None and name not in names:
        raise UsageError(f"{name!r} is not a {what}; {nearest(name, names)}")


def within_of(words: str | None) -> float | None:
    """Seconds of `--within`. Raises UsageError for what is no duration."""
    return None if words is None else seconds(words, "--within")


async def once(chosen: Chosen, operator: str | None, tell: Tell, within_s: float | None = None) -> Exit:
    """Look once and tell; what is said does not wait for the connections to be closed."""
    async with watching(chosen, operator, once=True) as watch:
        snapshot = await collect(watch, within_s)
        return tell(snapshot, judge(chosen.site, snapshot, utc_now()))


async def collect(watch: Watch, within_s: float | None = None) -> Snapshot:
    """Wait until every source has answered or failed and every figure is there, at most COLLECT_S.

    With `within_s`, until every source has answered well, at most so long: one that has failed is asked again.
    """
    loop = asyncio.get_running_loop()
    waits_s = COLLECT_S if within_s is None else within_s
    deadline = loop.time() + waits_s
    snapshot = watch.collector.snapshot
    while not _complete(watch.site, snapshot, well=within_s is not None):
        left = deadline - loop.time()
        if left <= 0:
            return _missing(snapshot, waits_s)
        snapshot = await watch.collector.wait(snapshot.revision, left)
    return snapshot


def _complete(site: Site, snapshot: Snapshot, *, well: bool) -> bool:
    """Nothing more is to be expected: a source that failed has had its say; a rate needs a router's second poll."""
    sources = snapshot.sources.values()
    if any(source.last_ok is None and source.error is None for source in sources):
        return False
    if any(source.error for source in sources):
        return not well
    paths = judge(site, snapshot, utc_now()).paths
    unseen = any(layer.verdict is Verdict.UNKNOWN for path in paths for layer in path.layers.values())
    return not unseen and all(path.load_mbps is not None for path in paths)


def _missing(snapshot: Snapshot, waited_s: float) -> Snapshot:
    """Say of every source that has not answered yet that it has not: what is missing is unknown."""
    for source in list(snapshot.sources.values()):
        if source.last_ok is None and source.error is None:
            late = replace(source, error=f"no answer within {waited_s:g} s", reachable=False)
            snapshot = snapshot.with_source(late)
    return snapshot


async def _watch(chosen: Chosen, operator: str | None, within_s: float | None, *, as_json: bool) -> Exit:
    from console.plain import watch_line

    loop = asyncio.get_running_loop()
    async with watching(chosen, operator) as watch:
        snapshot = await collect(watch, within_s)
        last: tuple[Any, ...] | None = None
        printed, owed = -WATCH_IDLE_S, 0.0
        while True:
            health = judge(chosen.site, snapshot, utc_now())
            told = _worth_telling(health, snapshot)
            if told != last or loop.time() - printed >= WATCH_IDLE_S:
                document = documents.document(chosen.site, snapshot, health, utc_now())
                print(json.dumps(document) if as_json else watch_line(health, utc_now()), flush=True)
                last, printed = told, loop.time()
                owed = max(owed, printed) + WATCH_GAP_S
                await asyncio.sleep(owed - WATCH_GAP_S - printed)
            snapshot = await watch.collector.wait(snapshot.revision, WATCH_LOOK_S)


def _worth_telling(health: SiteHealth, snapshot: Snapshot) -> tuple[Any, ...]:
    """What a line is printed for: a verdict, a role, a way back, an alert, a source, a feed."""
    return (
        tuple((p.name, p.verdict, p.role, p.why if p.verdict.value == "down" else "") for p in health.paths),
        tuple((c.name, c.verdict, c.carried_by, c.way_back.paths) for c in health.clouds),
        tuple(alert.id for alert in health.alerts),
        tuple((s.name, s.ok) for s in snapshot.sources.values()),
        tuple(seen.fact.ok for seen in snapshot.observations.values() if isinstance(seen.fact, FeedResult)),
    )
