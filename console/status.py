"""The status document: one JSON shape for `status --json`, `paths` and `sessions`; fields are only ever added."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from console.exits import Exit
from network.alerts import Alert
from network.grey import locate
from network.health import CloudHealth, PathHealth, SiteHealth
from network.inventory import Site
from network.layers import View
from network.measured import FeedResult, LegResult, MtuResult, ProbeResult
from network.observation import Kind, SessionHere
from network.slo import slo
from network.snapshot import Snapshot, SourceState
from network.surroundings import Feed
from network.verdict import Overall, Verdict
from runbooks.book import names

SCHEMA = 1

#: A status needs neither the ticket system nor what the network is for; every other source is needed.
_NOT_NEEDED = frozenset({"servicenow", "feeds"})


def exit_code(health: SiteHealth, snapshot: Snapshot) -> Exit:
    """3 when a path is down or a needed system cannot be reached; else 1 unless everything is healthy."""
    away = any(not s.reachable for s in snapshot.sources.values() if s.name not in _NOT_NEEDED)
    if away or any(path.verdict is Verdict.DOWN for path in health.paths):
        return Exit.UNREACHABLE
    failing = any(source.error for source in snapshot.sources.values())
    return Exit.IMPAIRED if failing or health.verdict is not Overall.HEALTHY else Exit.OK


def document(site: Site, snapshot: Snapshot, health: SiteHealth, now: datetime) -> dict[str, Any]:
    """The whole status; clouds and paths in site-file order; what is not known is null."""
    books = frozenset(names())
    return {
        "schema": SCHEMA,
        "site": site.name,
        "mode": site.mode,
        "at": stamp(now),
        "verdict": health.verdict.value,
        "why": health.why,
        "since": stamp(health.since),
        "clouds": [_cloud(cloud) for cloud in health.clouds],
        "paths": [_path(path) | _probed(View(site, snapshot, now), path) for path in health.paths],
        "feeds": feeds(site, snapshot, now),
        "alerts": [_alert(alert, books) for alert in health.alerts],
        "sources": _sources(snapshot, now),
    }


def stamp(moment: datetime | None) -> str | None:
    """ISO 8601 in UTC with a Z, to the millisecond where there are any."""
    if moment is None:
        return None
    text = moment.astimezone(UTC).isoformat(timespec="milliseconds")
    return text.replace(".000+00:00", "Z").replace("+00:00", "Z")


def _round(value: float | None, digits: int = 1) -> float | None:
    return None if value is None else round(value, digits)


def _cloud(cloud: CloudHealth) -> dict[str, Any]:
    return {
        "name": cloud.name,
        "verdict": cloud.verdict.value,
        "why": cloud.why,
        "carried_by": list(cloud.carried_by),
        "return_by": list(cloud.way_back.paths),
        "return_source": cloud.way_back.basis,
        "return_age_s": _round(cloud.way_back.age_s),
        "symmetric": cloud.symmetric,
        "spares": list(cloud.spares),
        "one_loss_from": list(cloud.one_loss_from),
        "one_loss_known": cloud.one_loss_known,
        "missed": list(cloud.missed),
        "lost": list(cloud.lost),
        "since": stamp(cloud.since),
    }


def _path(path: PathHealth) -> dict[str, Any]:
    return {
        "name": path.name,
        "cloud": path.path.cloud,
        "role": path.role,
        "verdict": path.verdict.value,
        "why": path.why,
        "layers": {name: layer.verdict.value for name, layer in path.layers.items()},
        "evidence": {
            name: {
                "why": layer.why,
                "source": layer.source,
                "age_s": _round(layer.age_s),
                "since_s": _round(layer.since_s),
            }
            for name, layer in path.layers.items()
            if layer.source or layer.why
        },
        "prefixes": {
            "received": path.prefixes.received,
            "advertised": path.prefixes.advertised,
            "limit_here": path.prefixes.limit_here,
            "limit_there": path.prefixes.limit_there,
            "room_here": path.prefixes.room_here,
            "room_there": path.prefixes.room_there,
        },
        "rtt_ms": _round(path.rtt_ms, 2),
        "loss_pct": _round(path.loss_pct),
        "load_mbps": _round(path.load_mbps),
        "load_age_s": _round(path.load_age_s),
        "rate_mbps": path.rate_mbps,
        "drained": path.drained.words if path.drained else None,
        "age_s": _round(path.age_s),
        "age_there_s": _round(path.age_there_s),
        "age_probe_s": _round(path.probe_age_s),
        "stale": path.stale,
        "since": stamp(path.since),
    }


def _probed(view: View, health: PathHealth) -> dict[str, Any]:
    """What probes and pings know beyond rtt and loss; null where nobody has looked yet."""
    name = health.name
    probe = view.snapshot.fact(Kind.PROBE, name, ProbeResult)
    leg = view.snapshot.fact(Kind.LEG, name, LegResult)
    mtu = view.snapshot.fact(Kind.MTU, name, MtuResult)
    grey = locate(view, health.path)
    return {
        "usual_ms": _round(probe.usual_ms, 2) if probe else None,
        "lost_out": probe.lost_out if probe else None,
        "lost_back": probe.lost_back if probe else None,
        "leg": {
            "sent": leg.sent,
            "received": leg.received,
            "rtt_ms": _round(leg.rtt_ms, 2),
            "usual_ms": _round(leg.usual_ms, 2),
        }
        if leg
        else None,
        "mtu": {"wanted": mtu.wanted, "passes": mtu.passes, "leg_passes": mtu.leg_passes} if mtu else None,
        "grey": {
            "kind": grey.kind,
            "leg": grey.leg,
            "direction": grey.direction,
            "text": grey.text,
            "since": stamp(grey.since),
        }
        if grey
        else None,
    }


def feeds(site: Site, snapshot: Snapshot, now: datetime) -> list[dict[str, Any]]:
    """Every feed against its objective; `ok` is null while it is not known."""
    return [_feed(feed, snapshot, now) for feed in site.feeds]


def _feed(feed: Feed, snapshot: Snapshot, now: datetime) -> dict[str, Any]:
    seen = snapshot.get(Kind.FEED, feed.name)
    fact = seen.fact if seen and isinstance(seen.fact, FeedResult) else None
    account = slo(feed, fact) if fact else None
    fresh = fact if seen and not seen.stale(now) else None
    return {
        "name": feed.name,
        "cloud": feed.cloud,
        "ok": fresh.ok if fresh else None,
        "latency_ms": _round(fresh.latency_ms) if fresh else None,
        "why": fresh.why if fresh else "not looked at",
        "availability_pct": _round(account.availability_pct, 4) if account else None,
        "objective_pct": feed.objective_pct,
        "budget_left_pct": _round(account.budget_left_pct, 3) if account else None,
        "burn": _round(account.burn, 2) if account else None,
        "age_s": _round(seen.age_s(now)) if seen else None,
    }


def _alert(alert: Alert, books: Collection[str]) -> dict[str, Any]:
    """`runbooks`: those that fit and that are in the library; a parameter that is not known is left to the operator."""
    return {
        "id": alert.id,
        "severity": alert.severity,
        "path": alert.path,
        "text": alert.text,
        "since": stamp(alert.since),
        "runbooks": [
            {"book": each.book, "parameters": dict(each.parameters)} for each in alert.runbooks if each.book in books
        ],
    }


def _sources(snapshot: Snapshot, now: datetime) -> list[dict[str, Any]]:
    """A row for each system. What looks closer at a router or at a feed has none: its trouble stands with them."""
    closer = {f"legs-{name}": name for name in snapshot.sources}
    rows = {name: _source(state, now) for name, state in snapshot.sources.items() if name not in {*closer, "feeds"}}
    for name, router in closer.items():
        if name in snapshot.sources:
            rows[router]["legs_error"] = snapshot.sources[name].error
    return list(rows.values())


def _source(source: SourceState, now: datetime) -> dict[str, Any]:
    age = (now - source.last_ok).total_seconds() if source.last_ok else None
    return {
        "name": source.name,
        "kind": source.kind,
        "ok": source.ok,
        "age_s": _round(age),
        "error": source.error or (None if source.last_ok else "has not answered yet"),
    }


def sessions(site: Site, snapshot: Snapshot, now: datetime) -> list[dict[str, Any]]:
    """Every BGP session of the site as our routers see it, with its evidence and age."""
    return [_session(site, snapshot, name, now) for name in (session.name for session in site.sessions)]


def _session(site: Site, snapshot: Snapshot, name: str, now: datetime) -> dict[str, Any]:
    session = site.session(name)
    seen = snapshot.get(Kind.SESSION_HERE, name)
    here = seen.fact if seen and isinstance(seen.fact, SessionHere) else None
    return {
        "name": name,
        "router": session.router,
        "peer": str(session.peer),
        "peer_asn": session.peer_asn,
        "there": session.there,
        "state": here.state if here else "unknown",
        "reason": (here.shutdown_text or here.reason) if here else "",
        "since": stamp(here.since) if here else None,
        "received": here.received if here else None,
        "advertised": here.advertised if here else None,
        "drops": here.drops if here else None,
        "age_s": _round(seen.age_s(now)) if seen else None,
        "stale": seen.stale(now) if seen else True,
        "evidence": seen.evidence if seen else "",
    }
