"""What came and went between two looks: told from counters, for a level shows nothing of it.

Counters run from when the watch began. A flap is told until what flapped has held for a minute.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from network import remedies
from network.alert import Alert, Remedy
from network.inventory import Path
from network.layers import View
from network.load import link_of
from network.moments import ago
from network.observation import BfdHere, Kind, Link, SessionHere
from network.snapshot import Key

#: Losses within the watch that make a thing flapping rather than merely lost once.
FLAP_DROPS = 2
#: What has held for this long flaps no more.
FLAP_CLEARS = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class _Watched:
    """A thing with a loss counter: what an alert's id and words call it, where it is, whether it is up, since when."""

    id: str
    where: str
    what: str
    key: Key
    count: int | None
    up: bool
    since: datetime | None = None
    runbooks: tuple[Remedy, ...] = ()


def alerts(view: View) -> Iterator[Alert]:
    for thing in _watched(view):
        if thing.count and _recent(view, thing):
            yield from _told(thing)


def _watched(view: View) -> Iterator[_Watched]:
    for path in view.site.paths:
        yield from _session(view, path.session, path)
        yield from _bfd(view, path)
        yield from _link(view, path.name, link_of(view, path))
    for port in view.site.ports:
        yield from _link(view, port.name, f"{port.router} {port.interface}")
    for session in view.site.sessions:
        if session.internal:
            yield from _session(view, session.name, None)


def _session(view: View, name: str, path: Path | None) -> Iterator[_Watched]:
    here = view.snapshot.fact(Kind.SESSION_HERE, name, SessionHere)
    if here and here.drops:
        fitting = tuple(remedies.off(view.site, path)) if path and path.vxc and here.established else ()
        where = path.name if path else name
        key = Kind.SESSION_HERE, name
        yield _Watched(where, where, name, key, here.drops, here.established, here.since, fitting)


def _bfd(view: View, path: Path) -> Iterator[_Watched]:
    bfd = view.snapshot.fact(Kind.BFD, path.session, BfdHere)
    if bfd and bfd.drops:
        since = ago(view.now, bfd.since_s)
        key = Kind.BFD, path.session
        yield _Watched(
            f"bfd:{path.name}", path.name, f"BFD of {path.session}", key, bfd.drops, bfd.status == "up", since
        )


def _link(view: View, where: str, name: str) -> Iterator[_Watched]:
    link = view.snapshot.fact(Kind.LINK, name, Link)
    if link and link.downs:
        key = Kind.LINK, name
        up = link.admin_up and link.oper_up
        yield _Watched(f"link:{name}", where, f"link {name}", key, link.downs, up, view.snapshot.changed.get(key))


def _recent(view: View, thing: _Watched) -> bool:
    """It is not up again, or not for long: by its own word, and by when it was last seen to change."""
    moments = [moment for moment in (thing.since, view.snapshot.changed.get(thing.key)) if moment]
    return not thing.up or any(view.now - moment < FLAP_CLEARS for moment in moments)


def _told(thing: _Watched) -> Iterator[Alert]:
    """Flapping from the second loss on; a single one is a note once it is back: the level shows nothing of it then."""
    if thing.count is not None and thing.count >= FLAP_DROPS:
        text = f"{thing.what} dropped {thing.count} times while watched"
        yield Alert(f"flap:{thing.id}", "warning", thing.where, text, thing.since, thing.runbooks)
    elif thing.up:
        yield Alert(f"dropped:{thing.id}", "info", thing.where, f"{thing.what} dropped once and is back", thing.since)
