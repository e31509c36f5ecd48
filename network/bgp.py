"""Rules for a BGP session: both ends' view of it, its prefix limits, its fast detection, and what it rides."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from network.inventory import Path, Session
from network.observation import BfdHere, Kind, Received, Rides, RoutePath, Routes, SessionHere, SessionThere
from network.prefixes import network_of
from network.verdict import UP, Layer, Verdict

if TYPE_CHECKING:
    from network.layers import View

#: The change that a runbook puts into the text of a shutdown (RFC 9003).
_CHANGE = re.compile(r"\bCHG\d+")


def here(seen: SessionHere, session: Session, view: View) -> Layer:
    """The session as our router sees it."""
    since = (view.now - seen.since).total_seconds() if seen.since else None
    if seen.admin_shut:
        return Layer(Verdict.DOWN, _shut(seen), since_s=since)
    if seen.over_limit:
        return Layer(Verdict.DOWN, _stopped(seen, session), since_s=since)
    if not seen.established:
        return Layer(Verdict.DOWN, seen.reason or f"BGP is {seen.state}", since_s=since)
    if seen.no_policy:
        return Layer(Verdict.DOWN, "established without a policy: no route passes (RFC 8212)", since_s=since)
    if seen.received == 0:
        return Layer(Verdict.DEGRADED, "established, and no prefix received", since_s=since)
    limit = seen.limit or session.max_prefix_here
    if seen.limit_warning or near(seen.received, limit, view.site.policy.prefix_warning_pct):
        count = f"{seen.received} of {limit} prefixes received" if seen.received and limit else "many prefixes received"
        return Layer(Verdict.DEGRADED, f"{count}: past the warning limit", since_s=since)
    return Layer(Verdict.UP, since_s=since)


def _shut(seen: SessionHere) -> str:
    text = f": {seen.shutdown_text}" if seen.shutdown_text else ""
    return f"drained and shut on our side{text}" if _CHANGE.search(text) else f"shut on our side{text}"


def _stopped(seen: SessionHere, session: Session) -> str:
    if "max-prefix" in seen.reason:
        return seen.reason
    return f"stopped by max-prefix: more than {seen.limit or session.max_prefix_here} prefixes received"


def shut_for_a_change(seen: SessionHere | None) -> bool:
    """We shut it ourselves, and the text says for which change."""
    return seen is not None and seen.admin_shut and _CHANGE.search(seen.shutdown_text) is not None


def near(count: int | None, limit: int | None, warning_pct: float) -> bool:
    """The count has reached that many percent of its limit; False while either is not known."""
    return count is not None and limit is not None and 100 * count >= warning_pct * limit


def there(seen: SessionThere, session: Session, view: View) -> Layer:
    """The session as the cloud sees it, and how near we are to what it accepts."""
    if not seen.known:
        return Layer(Verdict.UNKNOWN, f"the cloud says {seen.state}")
    if not seen.up:
        return Layer(Verdict.DOWN, f"the cloud says {seen.state}")
    if seen.received == 0:
        return Layer(Verdict.DEGRADED, "up, and the cloud accepted no prefix of ours")
    limit, warning = session.max_prefix_there, view.site.policy.prefix_warning_pct
    if near(seen.received, limit, warning):
        return Layer(Verdict.DEGRADED, f"the cloud holds {seen.received} of {limit} prefixes")
    ours = view.fresh(Kind.SESSION_HERE, session.name, SessionHere)
    if ours and near(ours.advertised, limit, warning):
        return Layer(Verdict.DEGRADED, f"we advertise {ours.advertised} of {limit} prefixes that the cloud accepts")
    return Layer(Verdict.UP, f"the cloud saw it down about {seen.down_at:%H:%M} UTC") if seen.down_at else UP


def bfd(seen: BfdHere, *, carries: bool) -> Layer:
    """BFD on its own. A session that stands and carries without it is only slow to notice a loss."""
    since = float(seen.since_s) if seen.since_s is not None else None
    if seen.status == "up":
        return Layer(Verdict.UP, since_s=since)
    words = f" ({seen.diagnostic})" if seen.diagnostic and seen.diagnostic != "ok" else ""
    if carries:
        return Layer(
            Verdict.DEGRADED, f"no fast detection: BFD {seen.status}{words}, BGP is established", since_s=since
        )
    return Layer(Verdict.DOWN, f"BFD {seen.status}{words}", since_s=since)


def impairments(view: View, path: Path) -> Iterator[Layer]:
    """What is wrong with a session that is up: prefixes of its cloud that it lacks, and a ride on another path."""
    if lacking := lacks(view, path):
        yield Layer(Verdict.DEGRADED, f"no route over it to {', '.join(lacking)}")
    if words := astray(view, path):
        yield Layer(Verdict.DEGRADED, words)


Held = Mapping[str, tuple[RoutePath, ...]]


def held(view: View, path: Path) -> Held:
    """The valid routes that the path's router holds over the path, by the cloud's prefix; asked once a look.

    A prefix that the router cannot be asked about has no entry; one that it can and has no route to has an empty one.
    """
    if path.name not in view.held:
        view.held[path.name] = _held(view, path)
    return view.held[path.name]


def _held(view: View, path: Path) -> Held:
    router, peer = view.site.session(path.session).router, view.site.index.peer[path.session]
    found: dict[str, tuple[RoutePath, ...]] = {}
    for prefix in view.site.index.prefixes[path.cloud]:
        routes = view.fresh(Kind.ROUTES, f"{router} {prefix}", Routes)
        if routes is not None:
            found[prefix] = tuple([route for route in routes.paths if route.peer == peer and route.valid])
    return found


def lacks(view: View, path: Path) -> tuple[str, ...]:
    """Prefixes of the cloud that nothing covers over this path, as far as its router can be asked."""
    missing = [prefix for prefix, routes in held(view, path).items() if not routes]
    if not missing:
        return ()
    seen = view.fresh(Kind.RECEIVED, path.session, Received)
    wider = [network_of(route.prefix) for route in seen.routes if route.accepted] if seen else []
    return tuple(prefix for prefix in missing if not any(_covers(other, network_of(prefix)) for other in wider))


def _covers(wider: object, prefix: object) -> bool:
    return isinstance(wider, IPv4Network) and isinstance(prefix, IPv4Network) and prefix.subnet_of(wider)


def rides(view: View, path: Path) -> Path | None:
    """The other path that this one's session runs over, when its router reaches the peer by that interface."""
    seen = view.fresh(Kind.RIDES, path.session, Rides)
    if seen is None or seen.interface is None or seen.interface == view.site.interface(path):
        return None
    router = view.site.session(path.session).router
    same = (other for other in view.site.paths if view.site.session(other.session).router == router)
    return next((other for other in same if view.site.interface(other) == seen.interface), None)


def astray(view: View, path: Path) -> str:
    """In words, when the session runs over another interface than the path's; "" when not, or not known."""
    seen = view.fresh(Kind.RIDES, path.session, Rides)
    if seen is None or seen.interface in {None, view.site.interface(path)}:
        return ""
    other = rides(view, path)
    with_it = f" ({other.name}): it dies with that path" if other else ""
    return f"its session runs over {seen.interface}, not {view.site.interface(path)}{with_it}"
