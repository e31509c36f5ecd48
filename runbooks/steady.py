"""Whether a session has stayed up: its uptime may only ever increase. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta

from network.observation import Kind, SessionHere
from network.snapshot import Snapshot
from runbooks.proof import Line, line

#: A router tells how long a session is up; the moment that this gives moves by the time that the telling takes.
TOLERANCE = timedelta(seconds=3)


def up_since(seen: Snapshot, session: str) -> datetime | None:
    """Since when a session is established, as last seen at whatever age: what came after it shows as a later moment."""
    here = seen.fact(Kind.SESSION_HERE, session, SessionHere)
    return here.since if here is not None and here.established else None


def kept_up(here: SessionHere | None, before: datetime) -> bool | None:
    """True when it has been up ever since `before`, where it was up already; None when it is not known."""
    if here is None:
        return None
    if not here.established:
        return False
    return None if here.since is None else here.since <= before + TOLERANCE


def uptime_line(session: str, here: SessionHere | None, before: datetime) -> Line:
    """Expected beside actual, from what is known of it; `before` is when its uptime began, as known from earlier."""
    return line(f"{session} uptime", "only ever increases", _words(here), ok=kept_up(here, before))


def _words(here: SessionHere | None) -> str:
    if here is None:
        return "unknown"
    if not here.established:
        return f"{here.state}: {here.reason}" if here.reason else here.state
    return f"up since {here.since:%H:%M:%S}Z" if here.since else "up, since when is unknown"
