"""Which path takes over when a port is emptied, and what is known of it. Pure."""

from __future__ import annotations

from collections.abc import Iterable
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


def objections(moment: Moment, move: Takeover) -> list[str]:
    """Every reason why the survivor may not be relied on. What is not known is a reason too."""
    health = moment.health
    survivor = health.path(move.survivor.name)
    return [
        *_not_up(survivor),
        *too_young(moment, move.survivor, moment.now),
        *_not_covering(moment, move.survivor),
        *_not_held_here(moment, move),
        *_not_announced(moment, move),
        *_too_full(moment, move),
        *_preference(moment, move),
        *_left_alone(moment, health, move),
        *_overlapping(moment, health),
    ]


def _not_up(survivor: PathHealth) -> Iterable[str]:
    if survivor.verdict is not Verdict.UP:
        yield f"{survivor.name} is {survivor.verdict.value}: {survivor.why}"


def too_young(moment: Moment, path: Path, now: datetime) -> Iterable[str]:
    here = moment.snapshot.fresh(Kind.SESSION_HERE, path.session, SessionHere, now)
    if here is None or here.since is None:
        yield f"how long {path.session} has been established is unknown"
        return
    age, least = (now - here.since).total_seconds(), moment.site.policy.established_min_s
    if here.established and age < least:
        yield f"{path.session} is established for {age:.0f} s; policy.established_min_s asks {least:g}"


def _not_covering(moment: Moment, path: Path) -> Iterable[str]:
    """The router that must use the standby really holds each prefix over it."""
    missing = [
        str(p.prefix) for p in moment.site.cloud(path.cloud).prefixes if over(moment, path, str(p.prefix)) is None
    ]
    if missing or not holds(moment.view, path):
        yield f"{moment.site.session(path.session).router} holds no route over {path.name} for {', '.join(missing)}"


def _not_held_here(moment: Moment, move: Takeover) -> Iterable[str]:
    """The router that loses its path must hold what takes over: a route by the other router that will win."""
    here, there = (moment.site.session(path.session).router for path in (move.leaving, move.survivor))
    prefixes = [str(p.prefix) for p in moment.site.cloud(move.cloud).prefixes]
    missing = [prefix for prefix in prefixes if not _wins_inside(moment, here, prefix)]
    if here != there and missing:
        yield f"{here} holds no route by {there} for {', '.join(missing)}: it would not leave its own port"


def _wins_inside(moment: Moment, router: str, prefix: str) -> bool:
    routes = moment.snapshot.fresh(Kind.ROUTES, f"{router} {prefix}", Routes, moment.now)
    least = moment.site.policy.drain_local_pref
    held = routes.paths if routes else ()
    return any(r.valid and r.internal and r.local_pref is not None and r.local_pref > least for r in held)


def _not_announced(moment: Moment, move: Takeover) -> Iterable[str]:
    """What only the drained session announces would have no way back."""
    ours, theirs = _announced(moment, move.leaving), _announced(moment, move.survivor)
    if theirs is None:
        yield f"what {move.survivor.session} advertises is unknown"
    elif missing := sorted((ours or frozenset()) - theirs):
        yield f"{move.survivor.session} does not advertise {', '.join(missing)}: no way back over it"


def _announced(moment: Moment, path: Path) -> frozenset[str] | None:
    """Our sanctioned prefixes that the session announces; None when that is not known."""
    sent = moment.snapshot.fresh(Kind.ADVERTISED, path.session, Advertised, moment.now)
    ours = {str(p.prefix) for p in moment.site.on_prem.prefixes if path.cloud in p.towards}
    return frozenset(route.prefix for route in sent.routes if route.prefix in ours) if sent else None


def _overlapping(moment: Moment, health: SiteHealth) -> Iterable[str]:
    overlap = no_ot_overlap(health, moment.view)
    if not overlap["ok"]:
        yield f"OT ranges: {overlap['now']}"


def _too_full(moment: Moment, move: Takeover) -> Iterable[str]:
    loads = [moment.snapshot.fresh(Kind.LOAD, str(p.vxc), Load, moment.now) for p in (move.leaving, move.survivor)]
    if None in loads:
        yield f"the load history of {move.leaving.vxc} or {move.survivor.vxc} is unknown"
        return
    together = sum(load.p95_mbps for load in loads if load)
    rate, limit = moment.site.rate_mbps(move.survivor), moment.site.policy.survivor_p95_pct
    if together > rate * limit / 100:
        yield f"{move.survivor.name} would carry {together:.0f} of {rate} Mbps (p95): more than {limit:g} %"


def _preference(moment: Moment, move: Takeover) -> Iterable[str]:
    """A hub that does not prefer ExpressRoute, or may not, would not come back the way this plan says."""
    side = moment.site.cloud(move.cloud).azure
    if side is None:
        return
    known = moment.snapshot.fresh(Kind.HUB_PREFERENCE, move.cloud, HubPreference, moment.now)
    if known is None:
        yield f"the routing preference of {side.hub} is unknown"
    elif known.preference != "ExpressRoute":
        yield f"{side.hub} prefers {known.preference}: a longer path over ExpressRoute would not move the way back"


def _left_alone(moment: Moment, health: SiteHealth, move: Takeover) -> Iterable[str]:
    """What would be left when the drained port is really taken away."""
    port = moment.site.vxc(str(move.leaving.vxc)).port
    gone = {path.name for path in moment.site.paths_on_port(port)}
    left = [
        p.path for p in health.paths if p.path.cloud == move.cloud and p.name not in gone and usable(moment.view, p)
    ]
    if not left:
        yield f"{move.cloud} would be left without any usable path"
    elif shared := dark_after_loss_of(moment.site, left):
        names = ", ".join(shared)
        yield f"{move.cloud} would be left with one failure domain ({names}): that needs a recorded decision"


def over(moment: Moment, path: Path, prefix: str) -> RoutePath | None:
    """The route to a prefix that the path's router holds over the path, chosen or not."""
    session = moment.site.session(path.session)
    routes = moment.snapshot.fresh(Kind.ROUTES, f"{session.router} {prefix}", Routes, moment.now)
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
