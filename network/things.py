"""What can be lost or drained, by the names that a person says, and what goes with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from network.domains import domains_of
from network.inventory import Path, Session, Site
from network.observation import Kind, Rides
from network.sitecheck import nearest
from network.snapshot import Snapshot


class UnknownThing(ValueError):
    """A name that is nothing of the site's; the message has the nearest that is."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What a thing carries: its sessions (those between our own routers too), and the routers that it is."""

    sessions: frozenset[str]
    routers: frozenset[str]


def names(site: Site) -> tuple[str, ...]:
    """Every name that `reach` takes: things, what they share (PoP, carrier, device, gateway …), paths, groups."""
    inside = (name for session in site.sessions if session.internal for name in _ends(session))
    return tuple(dict.fromkeys((*(name for path in site.paths for name in sorted(_over(site, path))), *inside)))


def reach(site: Site, snapshot: Snapshot, things: Iterable[str]) -> Reach:
    """What goes with the things, tunnels that ride on one of them included. Raises UnknownThing."""
    asked = dict.fromkeys(things)
    found, known = set[str](), set[str]()
    for path in site.paths:
        if hit := asked.keys() & _over(site, path):
            found.add(path.session)
            known |= hit
    for session in site.sessions:
        if session.internal and (hit := asked.keys() & _ends(session)):
            found.add(session.name)
            known |= hit
    for thing in asked:
        if thing not in known:
            raise UnknownThing(f"{thing!r} is not a thing of {site.name}; {nearest(thing, names(site))}")
    sessions = frozenset(found)
    routers = frozenset(router.name for router in site.routers if router.name in asked)
    return Reach(sessions | _riders(site, snapshot, sessions), routers)


def _riders(site: Site, snapshot: Snapshot, lost: frozenset[str]) -> frozenset[str]:
    """Tunnels whose session is seen to ride a path that is lost: they die with it."""
    under = {(site.session(p.session).router, site.interface(p)) for p in site.paths if p.session in lost}
    found = set()
    for path in site.paths:
        rides = snapshot.fact(Kind.RIDES, path.session, Rides) if path.kind == "vpn" else None
        if rides and (site.session(path.session).router, rides.interface or "") in under:
            found.add(path.session)
    return frozenset(found)


def _over(site: Site, path: Path) -> set[str]:
    """Every name whose loss takes the path."""
    group = "fabric" if path.vxc else "internet"
    return {group, path.name, path.session, *domains_of(site, path)}


def _ends(session: Session) -> set[str]:
    return {session.name, session.router, session.there}
