"""Routes by destination, as a document and as text: who chose what, from which candidates, and why."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from console.view import span
from network.carriage import peers, sanctioned
from network.inventory import Cloud, Path, Site
from network.observation import Advertised, CloudRoutes, Kind, Observation, Received, RoutePath, Routes
from network.snapshot import Snapshot

Row = dict[str, Any]


def rows(site: Site, snapshot: Snapshot, now: datetime) -> list[Row]:
    """Every destination: the clouds' prefixes with our routers' choice, then ours with the clouds' way back."""
    found: list[Row] = []
    for cloud in site.clouds:
        found += [_out(site, snapshot, cloud, str(p.prefix), now) for p in cloud.prefixes]
        found += [_back(site, snapshot, cloud, prefix, now) for prefix in sanctioned(site, cloud)]
    return found


def names(site: Site) -> list[str]:
    """What `only` takes: every destination, path and session."""
    ours = (str(p.prefix) for p in site.on_prem.prefixes)
    theirs = (str(p.prefix) for cloud in site.clouds for p in cloud.prefixes)
    return [*theirs, *ours, *(p.name for p in site.paths), *(s.name for s in site.sessions)]


def only(site: Site, found: list[Row], name: str | None) -> list[Row]:
    """The rows of one destination; of a path or session: every destination of its cloud, with its own routes alone."""
    if name is None or any(row["prefix"] == name for row in found):
        return [row for row in found if name in (None, row["prefix"])]
    session = next((p.session for p in site.paths if p.name == name), name)
    path = site.path_of_session(session)
    return [_narrowed(row, session) for row in found if path is None or row["cloud"] == path.cloud]


def _narrowed(row: Row, session: str) -> Row:
    lists = ("candidates", "received", "advertised", "accepted")
    return row | {key: [each for each in row[key] if each["session"] == session] for key in lists if key in row}


def _out(site: Site, snapshot: Snapshot, cloud: Cloud, prefix: str, now: datetime) -> Row:
    seen = {r.name: snapshot.get(Kind.ROUTES, f"{r.name} {prefix}") for r in site.routers}
    candidates = [row for router, item in seen.items() for row in _candidates(site, router, item)]
    return {
        "prefix": prefix,
        "cloud": cloud.name,
        "way": "out",
        "chosen": [_chosen(router, candidates, item, now) for router, item in seen.items()],
        "candidates": candidates,
        "received": [row for path in site.paths_of(cloud.name) for row in _received(snapshot, path, prefix, now)],
    }


def _candidates(site: Site, router: str, item: Observation | None) -> Iterator[Row]:
    named = peers(site, router)
    for route in item.fact.paths if item and isinstance(item.fact, Routes) else ():
        session = named.get(route.peer)
        path = site.path_of_session(session) if session else None
        yield {
            "router": router,
            "session": session,
            "path": path.name if path else None,
            **_route(route),
        }


def _route(route: RoutePath) -> Row:
    return {
        "peer": route.peer,
        "next_hop": route.next_hop,
        "as_path": route.as_path,
        "local_pref": route.local_pref,
        "med": route.med,
        "valid": route.valid,
        "internal": route.internal,
        "best": route.best,
        "why": route.reason,
    }


def _chosen(router: str, candidates: list[Row], item: Observation | None, now: datetime) -> Row:
    best = next((row for row in candidates if row["router"] == router and row["best"]), None)
    return {
        "router": router,
        "session": best["session"] if best else None,
        "path": best["path"] if best else None,
        "why": best["why"] if best else "",
        **_seen(item, now),
    }


def _seen(item: Observation | None, now: datetime) -> Row:
    """The evidence and its age; what was never seen is stale and has none."""
    return {
        "source": item.source if item else None,
        "evidence": item.evidence if item else "",
        "age_s": round(item.age_s(now), 1) if item else None,
        "stale": item.stale(now) if item else True,
    }


def _received(snapshot: Snapshot, path: Path, prefix: str, now: datetime) -> Iterator[Row]:
    item = snapshot.get(Kind.RECEIVED, path.session)
    for route in item.fact.routes if item and isinstance(item.fact, Received) else ():
        if route.prefix == prefix:
            yield {
                "session": path.session,
                "as_path": " ".join(map(str, route.as_path)),
                "accepted": route.accepted,
                **_seen(item, now),
            }


def _back(site: Site, snapshot: Snapshot, cloud: Cloud, prefix: str, now: datetime) -> Row:
    item = snapshot.get(Kind.CLOUD_ROUTES, cloud.name)
    table = item.fact if item and isinstance(item.fact, CloudRoutes) else None
    via = next((route.via for route in table.routes if route.prefix == prefix), ()) if table else ()
    paths = site.paths_of(cloud.name)
    return {
        "prefix": prefix,
        "cloud": cloud.name,
        "way": "back",
        "chosen": [{"cloud": cloud.name, "paths": list(via), "why": table.basis if table else "", **_seen(item, now)}],
        "advertised": [row for p in paths for row in _told(snapshot, Kind.ADVERTISED, p.session, p, prefix, now)],
        "accepted": [row for p in paths for row in _told(snapshot, Kind.ACCEPTED, p.name, p, prefix, now)],
    }


def _told(snapshot: Snapshot, kind: Kind, name: str, path: Path, prefix: str, now: datetime) -> Iterator[Row]:
    item = snapshot.get(kind, name)
    for route in item.fact.routes if item and isinstance(item.fact, Advertised) else ():
        if route.prefix == prefix:
            yield {
                "session": path.session,
                "path": path.name,
                "as_path": " ".join(map(str, route.as_path)),
                "communities": None if route.communities is None else list(route.communities),
                **_seen(item, now),
            }


def text(found: list[Row]) -> str:
    """The rows as lines of at most 80 characters, the chosen marked `>`."""
    return "\n".join(line for row in found for line in (*_lines(row), "")).rstrip()


def _lines(row: Row) -> Iterator[str]:
    yield f"{row['prefix']:<18} {row['cloud']} {'way out' if row['way'] == 'out' else 'way back'}"
    for chosen in row["chosen"]:
        age = f"{span(chosen['age_s'])} old" if chosen["age_s"] is not None else "never seen"
        stale = ", stale" if chosen["stale"] and chosen["age_s"] is not None else ""
        who = chosen.get("router") or chosen["cloud"]
        ways = ", ".join(chosen["paths"]) if "paths" in chosen else chosen["session"]
        yield f"  {who:<8} {ways or '-':<22} {chosen['why']} ({age}{stale})"
    for each in row.get("candidates", ()):
        mark = ">" if each["best"] else " " if each["valid"] else "x"
        pref = "-" if each["local_pref"] is None else each["local_pref"]
        yield f"    {mark} {each['router']:<7} {each['session'] or each['peer']:<14} pref {pref:<4} {each['as_path']}"
    for each in row.get("received", ()):
        if not each["accepted"]:
            yield f"    x {each['session']} sent it and our policy stopped it: {each['as_path']}"
    sent = {each["session"]: each for each in row.get("advertised", ())}
    for each in row.get("accepted", ()):
        sent.pop(each["session"], None)
        yield f"    accepted   {each['path']:<20} {each['as_path']} {' '.join(each['communities'] or ())}".rstrip()
    for each in sent.values():
        yield f"    advertised {each['path']:<20} {each['as_path']}"
