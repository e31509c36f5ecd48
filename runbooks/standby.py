"""Which path takes over when a port is emptied, and what is known of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from network.carriage import holds
from network.domains import dark_after_loss_of
from network.health import PathHealth, SiteHealth, usable
from network.inventory import Path
from network.observation import Advertised, HubPreference, Kind, Load, RoutePath, Routes, SessionHere
from network.takeover import Takeover
from network.verdict import Verdict
from runbooks.proof import Line, line, no_ot_overlap
from runbooks.scene import Moment

#: A path with such a verdict is not known now: a poll that is late says so too, and is made good by the next one.
HIDDEN = frozenset({Verdict.UNKNOWN, Verdict.STALE})


@dataclass(frozen=True, slots=True)
class Against:
    """A reason against a survivor. `seen` is False where it is none but that something is not known."""

    words: str
    seen: bool = True


def only_hidden(reasons: Sequence[Against]) -> bool:
    """Nothing is seen against it, and not everything is known: it may be known any moment."""
    return bool(reasons) and not any(each.seen for each in reasons)


def objections(moment: Moment, move: Takeover) -> list[Against]:
    """Every reason why the survivor may not be relied on. What is not known is a reason too."""
    health = moment.health
    survivor = health.path(move.survivor.name)
    return [
        *_not_up(survivor),
        *_too_young(moment, move.survivor),
        *_not_covering(moment, move.survivor),
        *_not_held_here(moment, move),
        *_not_announced(moment, move),
        *_too_full(moment, move),
        *_preference(moment, move),
        *_left_alone(moment, health, move),
        *_overlapping(moment, health),
    ]


def _not_up(survivor: PathHealth) -> Iterable[Against]:
    if survivor.verdict is not Verdict.UP:
        words = f"{survivor.name} is {survivor.verdict.value}: {survivor.why}"
        yield Against(words, seen=survivor.verdict not in HIDDEN)


def too_young(moment: Moment, path: Path, now: datetime) -> Iterable[str]:
    here = moment.snapshot.fresh(Kind.SESSION_HERE, path.session, SessionHere, now)
    if here is None or here.since is None:
        yield f"how long {path.session} has been established is unknown"
        return
    age, least = (now - here.since).total_seconds(), moment.site.policy.established_min_s
    if here.established and age < least:
        yield f"{path.session} is established for {age:.0f} s; policy.established_min_s asks {least:g}"


def _too_young(moment: Moment, path: Path) -> Iterable[Against]:
    here = moment.snapshot.fresh(Kind.SESSION_HERE, path.session, SessionHere, moment.now)
    for words in too_young(moment, path, moment.now):
        yield Against(words, seen=here is not None)


def _not_covering(moment: Moment, path: Path) -> Iterable[Against]:
    """The router that must use the standby really holds each prefix over it."""
    router, prefixes = moment.site.session(path.session).router, _prefixes(moment, path.cloud)
    missing = [prefix for prefix in prefixes if over(moment, path, prefix) is None]
    if missing or not holds(moment.view, path):
        words = f"{router} holds no route over {path.name} for {', '.join(missing)}"
        yield Against(words, seen=_read(moment, router, prefixes))


def _not_held_here(moment: Moment, move: Takeover) -> Iterable[Against]:
    """The router that loses its path must hold what takes over: a route by the other router that will win."""
    here, there = (moment.site.session(path.session).router for path in (move.leaving, move.survivor))
    prefixes = _prefixes(moment, move.cloud)
    missing = [prefix for prefix in prefixes if not _wins_inside(moment, here, prefix)]
    if here != there and missing:
        words = f"{here} holds no route by {there} for {', '.join(missing)}: it would not leave its own port"
        yield Against(words, seen=_read(moment, here, prefixes))


def _prefixes(moment: Moment, cloud: str) -> list[str]:
    return [str(each.prefix) for each in moment.site.cloud(cloud).prefixes]


def _read(moment: Moment, router: str, prefixes: Iterable[str]) -> bool:
    """What the router holds for all of them is known."""
    return None not in [_routes(moment, router, prefix) for prefix in prefixes]


def _routes(moment: Moment, router: str, prefix: str) -> Routes | None:
    return moment.snapshot.fresh(Kind.ROUTES, f"{router} {prefix}", Routes, moment.now)


def _wins_inside(moment: Moment, router: str, prefix: str) -> bool:
    routes = _routes(moment, router, prefix)
    least = moment.site.policy.drain_local_pref
    held = routes.paths if routes else ()
    return any(r.valid and r.internal and r.local_pref is not None and r.local_pref > least for r in held)


def _not_announced(moment: Moment, move: Takeover) -> Iterable[Against]:
    """What only the drained session announces would have no way back."""
    ours, theirs = _announced(moment, move.leaving), _announced(moment, move.survivor)
    if theirs is None:
        yield Against(f"what {move.survivor.session} advertises is unknown", seen=False)
    elif missing := sorted((ours or frozenset()) - theirs):
        yield Against(f"{move.survivor.session} does not advertise {', '.join(missing)}: no way back over it")


def _announced(moment: Moment, path: Path) -> frozenset[str] | None:
    """Our sanctioned prefixes that the session announces; None when that is not known."""
    sent = moment.snapshot.fresh(Kind.ADVERTISED, path.session, Advertised, moment.now)
    ours = {str(p.prefix) for p in moment.site.on_prem.prefixes if path.cloud in p.towards}
    return frozenset(route.prefix for route in sent.routes if route.prefix in ours) if sent else None


def _overlapping(moment: Moment, health: SiteHealth) -> Iterable[Against]:
    overlap = no_ot_overlap(health, moment.view)
    if not overlap["ok"]:
        yield Against(f"OT ranges: {overlap['now']}", seen=overlap["ok"] is False)


def _too_full(moment: Moment, move: Takeover) -> Iterable[Against]:
    loads = [moment.snapshot.fresh(Kind.LOAD, str(p.vxc), Load, moment.now) for p in (move.leaving, move.survivor)]
    if None in loads:
        yield Against(f"the load history of {move.leaving.vxc} or {move.survivor.vxc} is unknown", seen=False)
        return
    together = sum(load.p95_mbps for load in loads if load)
    rate, limit = moment.site.rate_mbps(move.survivor), moment.site.policy.survivor_p95_pct
    if together > rate * limit / 100:
        yield Against(f"{move.survivor.name} would carry {together:.0f} of {rate} Mbps (p95): more than {limit:g} %")


def _preference(moment: Moment, move: Takeover) -> Iterable[Against]:
    """A hub that does not prefer ExpressRoute, or may not, would not come back the way this plan says."""
    side = moment.site.cloud(move.cloud).azure
    if side is None:
        return
    known = moment.snapshot.fresh(Kind.HUB_PREFERENCE, move.cloud, HubPreference, moment.now)
    if known is None:
        yield Against(f"the routing preference of {side.hub} is unknown", seen=False)
    elif known.preference != "ExpressRoute":
        words = f"{side.hub} prefers {known.preference}: a longer path over ExpressRoute would not move the way back"
        yield Against(words)


def _left_alone(moment: Moment, health: SiteHealth, move: Takeover) -> Iterable[Against]:
    """What would be left when the drained port is really taken away; a path that is not known may be left too."""
    port = moment.site.vxc(str(move.leaving.vxc)).port
    gone = {path.name for path in moment.site.paths_on_port(port)}
    others = [path for path in health.paths if path.path.cloud == move.cloud and path.name not in gone]
    left, seen = [p.path for p in others if usable(moment.view, p)], not any(p.verdict in HIDDEN for p in others)
    if not left:
        yield Against(f"{move.cloud} would be left without any usable path", seen)
    elif shared := dark_after_loss_of(moment.site, left):
        names = ", ".join(shared)
        words = f"{move.cloud} would be left with one failure domain ({names}): that needs a recorded decision"
        yield Against(words, seen)


def over(moment: Moment, path: Path, prefix: str) -> RoutePath | None:
    """The route to a prefix that the path's router holds over the path, chosen or not."""
    session = moment.site.session(path.session)
    routes = _routes(moment, session.router, prefix)
    held = routes.paths if routes else ()
    return next((route for route in held if route.valid and route.peer == str(session.peer)), None)


def room(moment: Moment, path: Path) -> Line:
    """Whether the cloud takes our longer prefixes besides what is announced to it on a session now."""
    session, more = moment.site.session(path.session), len(moment.site.specifics(path.cloud))
    sent = moment.snapshot.fresh(Kind.ADVERTISED, session.name, Advertised, moment.now)
    want = f"room for {more} more prefixes"
    if session.max_prefix_there is None:
        return line(f"{session.name} limit", want, "the site declares no limit of the cloud", ok=True)
    if sent is None:
        return line(f"{session.name} limit", want, f"what {session.name} announces is unknown", ok=None)
    total, limit = len(sent.routes) + more, session.max_prefix_there
    now = f"{session.name} would announce {total} of {limit} prefixes that the cloud takes"
    return line(f"{session.name} limit", want, now, ok=total <= limit)
