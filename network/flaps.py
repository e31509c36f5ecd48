"""What came and went between two looks: told from counters, for a level shows nothing of it.

Counters run from when the watch began. A flap is told until what flapped has held for a minute.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from network import remedies
from network.alert import Alert
from network.inventory import Path
from network.layers import View
from network.load import link_of
from network.observation import BfdHere, Kind, Link, SessionHere
from network.snapshot import Key

#: Losses within the watch that make a thing flapping rather than merely lost once.
FLAP_DROPS = 2
#: What has held for this long flaps no more.
FLAP_CLEARS = timedelta(minutes=1)


def alerts(view: View) -> Iterator[Alert]:
    ports: set[str] = set()
    for path in view.site.paths:
        yield from _session(view, path)
        yield from _bfd(view, path)
        yield from _link(view, path.name, link_of(view, path), ports)
    for port in view.site.ports:
        yield from _link(view, port.name, f"{port.router} {port.interface}", ports)
    for session in view.site.sessions:
        here = view.snapshot.fact(Kind.SESSION_HERE, session.name, SessionHere) if session.internal else None
        if here and _recent(view, (Kind.SESSION_HERE, session.name), here.since, up=here.established):
            yield from _told(f"flap:{session.name}", session.name, session.name, here.drops, here.since)


def _session(view: View, path: Path) -> Iterator[Alert]:
    here = view.snapshot.fact(Kind.SESSION_HERE, path.session, SessionHere)
    if here and _recent(view, (Kind.SESSION_HERE, path.session), here.since, up=here.established):
        for alert in _told(f"flap:{path.name}", path.name, path.session, here.drops, here.since):
            fitting = tuple(remedies.off(view.site, path)) if path.vxc and here.established else ()
            yield Alert(alert.id, alert.severity, alert.path, alert.text, alert.since, fitting)


def _bfd(view: View, path: Path) -> Iterator[Alert]:
    bfd = view.snapshot.fact(Kind.BFD, path.session, BfdHere)
    if bfd is None:
        return
    since = view.now - timedelta(seconds=bfd.since_s) if bfd.since_s is not None else None
    if _recent(view, (Kind.BFD, path.session), since, up=bfd.status == "up"):
        yield from _told(f"flap:bfd:{path.name}", path.name, f"BFD of {path.session}", bfd.drops, since)


def _link(view: View, where: str, name: str, told: set[str]) -> Iterator[Alert]:
    link = view.snapshot.fact(Kind.LINK, name, Link)
    if link is None or name in told:
        return
    told.add(name)
    if _recent(view, (Kind.LINK, name), None, up=link.admin_up and link.oper_up):
        yield from _told(
            f"flap:link:{name}", where, f"link {name}", link.downs, view.snapshot.changed.get((Kind.LINK, name))
        )


def _recent(view: View, key: Key, since: datetime | None, *, up: bool) -> bool:
    """It is not up again, or not for long: by its own word, and by when it was last seen to change."""
    moments = [moment for moment in (since, view.snapshot.changed.get(key)) if moment]
    return not up or any(view.now - moment < FLAP_CLEARS for moment in moments)


def _told(id_: str, where: str, what: str, count: int | None, since: datetime | None) -> Iterator[Alert]:
    """Flapping from the second loss on; a single one that nobody saw on the level is a note."""
    if count is not None and count >= FLAP_DROPS:
        yield Alert(id_, "warning", where, f"{what} dropped {count} times while watched", since)
    elif count == 1:
        yield Alert(id_, "info", where, f"{what} dropped once while watched", since)
