"""The same rows as text: for `--plain`, pipes, dumb terminals and screen readers."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from console import status as documents
from console import view
from console.view import Cell
from network.health import PathHealth, SiteHealth
from network.inventory import Site
from network.observation import Kind
from network.snapshot import Snapshot
from runbooks.book import names

_ANSI = {"up": "32", "degraded": "33", "down": "1;31", "stale": "35", "unknown": "36", "dim": "2", "strong": "1"}
#: Which kinds of observation stand behind a path, and how each is named.
_EVIDENCE = (
    (Kind.SESSION_HERE, "session"),
    (Kind.BFD, "session"),
    (Kind.SESSION_THERE, "path"),
    (Kind.CIRCUIT, "path"),
    (Kind.ATTACHMENT, "path"),
    (Kind.PROBE, "path"),
    (Kind.LEG, "path"),
    (Kind.MTU, "path"),
)


def status_text(site: Site, snapshot: Snapshot, health: SiteHealth, now: datetime, *, colour: bool) -> str:
    """The whole status as lines."""
    paint, books = colour and "NO_COLOR" not in os.environ, names()
    lines = [f"INTERLOCK {site.mode.upper()} {site.name}  {_paint(view.overall(health.verdict), paint)}", ""]
    for cloud in health.clouds:
        facts = "   ".join(f"{label} {_paint(cell, paint)}" for label, cell in view.cloud_facts(cloud))
        lines.append(f"{cloud.name.upper():<6} {_paint(view.overall(cloud.verdict), paint)}   {facts}")
        if cloud.why:
            lines.append(f"       {cloud.why}")
    lines += [feed_line(feed) for feed in documents.feeds(site, snapshot, now)]
    lines += ["", paths_text(health, colour=paint), ""]
    for alert in health.alerts:
        letter, age, where, text = view.alert_cells(alert, now)
        fits = [f"> {book}" for book in view.fitting(alert, books)[:1]]
        lines.append(" ".join(part for part in (_paint(letter, paint), age.text, where.text, text.text, *fits) if part))
    lines += [f"? {s.name}: {s.error}" for s in snapshot.sources.values() if s.error]
    return "\n".join(lines).rstrip()


def feed_line(feed: dict[str, Any]) -> str:
    """One feed: whether it arrives, and where it stands against its objective."""
    state = {True: "arrives", False: "FAILS", None: "unknown"}[feed["ok"]]
    detail = f"{feed['latency_ms']:.0f} ms" if feed["latency_ms"] is not None else feed["why"]
    account = "no account yet"
    if feed["availability_pct"] is not None:
        account = (
            f"{feed['availability_pct']:.4g} % of {feed['objective_pct']:g} %   "
            f"error budget left {feed['budget_left_pct']:.4g} %"
        )
    return f"FEED   {feed['name']} ({feed['cloud']}) {state}   {detail}   {account}"


def paths_text(health: SiteHealth, *, colour: bool) -> str:
    """The path table."""
    paint = colour and "NO_COLOR" not in os.environ
    heads = [f"{heading:<{width}}" for _, heading, width, _ in view.COLUMNS]
    rows = [" ".join(heads).rstrip()]
    for row in view.path_rows(health):
        cells = [_paint(row.cells[key], paint, width) for key, _, width, _ in view.COLUMNS]
        rows.append(" ".join(cells).rstrip())
    return "\n".join(rows)


def path_text(site: Site, snapshot: Snapshot, path: PathHealth, now: datetime, proof: Sequence[str] = ()) -> str:
    """One path: its layers, of a VPN path its proof, then the evidence behind each, with source and age."""
    lines = [f"{path.name}  {path.role}  {view.MARKS[path.verdict]} {path.verdict.value}  {path.why}".rstrip()]
    for row in view.layer_rows(path):
        cells = (f"{cell.text:<{width}}" for cell, width in zip(row, (3, 10, 9, 48, 20), strict=True))
        lines.append("  " + " ".join(cells).rstrip())
    lines += proof
    for item in evidence_of(site, snapshot, path):
        lines.append(f"  -- {item.kind.value}: {item.source}, {view.span(item.age_s(now))} ago: {item.evidence}")
        lines += [f"     {line}" for line in item.raw.splitlines()[:40]]
    return "\n".join(lines)


def evidence_of(site: Site, snapshot: Snapshot, path: PathHealth) -> list[Any]:
    """The observations that a path's verdict rests on."""
    names = {"session": path.path.session, "path": path.name}
    found = [snapshot.get(kind, names[by]) for kind, by in _EVIDENCE]
    router = site.session(path.path.session).router
    found += [snapshot.get(Kind.ROUTES, f"{router} {p.prefix}") for p in site.cloud(path.path.cloud).prefixes]
    if path.path.vxc:
        vxc = site.vxc(path.path.vxc)
        found += [snapshot.get(Kind.VXC, vxc.name), snapshot.get(Kind.PORT, vxc.port)]
    return [item for item in found if item is not None]


def sessions_text(rows: Sequence[dict[str, Any]]) -> str:
    """The session table."""
    lines = [f"{'session':<14} {'router':<8} {'peer':<15} {'state':<13} {'in':>4} {'out':>4} {'age':>6}  reason"]
    for row in rows:
        counts = [("-" if row[key] is None else str(row[key])) for key in ("received", "advertised")]
        lines.append(
            f"{row['name']:<14} {row['router']:<8} {row['peer']:<15} {row['state']:<13} "
            f"{counts[0]:>4} {counts[1]:>4} {view.span(row['age_s']):>6}  {row['reason']}".rstrip()
        )
    return "\n".join(lines)


def watch_line(health: SiteHealth, now: datetime) -> str:
    """One line for `status --watch`: the verdict, who carries what, what is down."""
    clouds = "  ".join(
        f"{c.name} {view.overall(c.verdict).text} out {', '.join(map(view.short, c.carried_by)) or '-'} "
        f"back {', '.join(map(view.short, c.way_back.paths)) or '-'}"
        for c in health.clouds
    )
    down = "  ".join(f"{p.name}: {p.why}" for p in health.paths if p.verdict.value == "down")
    return f"{now:%H:%M:%S}.{now.microsecond // 1000:03d}  {clouds}  {down}".rstrip()


def _paint(cell: Cell, paint: bool, width: int = 0) -> str:
    text = f"{cell.text[:width] if width else cell.text:<{width}}"
    code = _ANSI.get(cell.tone)
    return f"\x1b[{code}m{text}\x1b[0m" if paint and code else text
