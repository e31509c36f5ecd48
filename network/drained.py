"""Drained paths: nothing is wrong with them, and they are made not to be chosen, by us or by the provider.

Drained is no state of BGP. It is derived: the session stands, every route over it has a preference that only a drain
gives, and the router prefers another way. Such a path can still carry, and counts as a spare that says so.
"""

from __future__ import annotations

from dataclasses import dataclass

from network import load
from network.bgp import held
from network.inventory import Path
from network.layers import View
from network.observation import Kind, RoutePath, SessionHere

#: Microsoft announces its own maintenance of a leg by this many more 12076 in front, both ways.
PROVIDER_PREPENDS = 8
#: What RFC 8326 has a receiver of graceful-shutdown set, and what a drain to the end sets.
LAST_RESORT = 0


@dataclass(frozen=True, slots=True)
class Drain:
    """Who drains a path and how; `left` says what still uses it, "" when nothing does."""

    provider: bool
    how: str
    left: str = ""

    @property
    def words(self) -> str:
        return f"draining: {self.how}; {self.left}" if self.left else f"drained: {self.how}; it can still carry"


def drained(view: View, path: Path) -> Drain | None:
    """The path's drain; None when it is in use as usual, is down, or is not known."""
    here = view.fresh(Kind.SESSION_HERE, path.session, SessionHere)
    if here is None or not here.established:
        return None
    routes = [route for each in held(view, path).values() for route in each]
    if not routes:
        return None
    provider = path.kind == "expressroute" and all(_prepended(view, path, route) for route in routes)
    how = f"the provider prepends {PROVIDER_PREPENDS} times" if provider else _lowered(view, path, routes)
    return Drain(provider, how, _left(view, path, routes)) if how else None


def _prepended(view: View, path: Path, route: RoutePath) -> bool:
    """The provider's AS stands in front at least that many times."""
    provider = str(view.site.session(path.session).peer_asn)
    return route.as_path.split()[:PROVIDER_PREPENDS] == [provider] * PROVIDER_PREPENDS


def _lowered(view: View, path: Path, routes: list[RoutePath]) -> str:
    """How our own preference was lowered, in words: every route at or below what a drain sets, and not so at rest."""
    prefs = {route.local_pref for route in routes}
    policy = view.site.session(path.session).policy
    if prefs == {LAST_RESORT}:
        return "local-preference 0, as graceful-shutdown asks for"
    known = [pref for pref in prefs if pref is not None]
    limit = view.site.policy.drain_local_pref
    if policy is None or len(known) < len(prefs) or max(known) > limit or policy.local_pref <= limit:
        return ""
    return f"local-preference {max(known)}, {policy.local_pref} at rest"


def _left(view: View, path: Path, routes: list[RoutePath]) -> str:
    if any(route.best for route in routes):
        return "still the best way of its router"
    rate = load.now(view, path)
    floor = view.site.policy.empty_below_kbps / 1000
    return f"{rate.mbps:.1f} Mbps still on it" if rate.mbps is not None and rate.mbps >= floor else ""
