"""What the fabric announces: maintenance and outages, with the ports, VXCs and MCRs of the site that they touch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from pydantic import Field

from connectors.errors import BadReply
from connectors.reply import CHECK_VERSION, Finding, Rows, Shape, Text, excerpt, mappings, read
from network.events import EventKind, Events, EventState, ProviderEvent
from network.inventory import Site
from network.observation import Kind

#: What is asked, one call for each state: the fabric answers for no more than one at a time.
ASKED: tuple[tuple[EventKind, str], ...] = (
    ("maintenance", "Scheduled"),
    ("maintenance", "Running"),
    ("maintenance", "Completed"),
    ("maintenance", "Cancelled"),
    ("outage", "Ongoing"),
    ("outage", "Resolved"),
)
STATES: dict[str, EventState] = {
    "scheduled": "announced",
    "running": "running",
    "completed": "done",
    "cancelled": "cancelled",
    "ongoing": "running",
    "resolved": "done",
}
BACK = timedelta(days=1)
SHORT = 8  # hex digits of a uid by which an event names a service


class _Event(Shape):
    event_id: Text = ""
    outage_id: Text = ""
    state: str
    start_time: datetime
    end_time: datetime | None = None
    impact: Text = ""
    purpose: Text = ""
    event_type: Text = ""
    services: Rows[Annotated[str, Field(min_length=SHORT)]] = ()


def parse_events(replies: Iterable[tuple[EventKind, Any]], site: Site, now: datetime) -> list[Finding]:
    """One fact with all events of the site within the calendar: its days ahead, and one day back. Raises BadReply.

    An event that moved from one state to the next between two of the replies is told in the later one.
    """
    found: dict[tuple[str, str], ProviderEvent] = {}
    for kind, reply in replies:
        for row in _rows(reply, kind):
            event = _event(row, kind, site)
            if event.touches and _in_calendar(event, site, now):
                found[kind, event.id] = event
    events = tuple(sorted(found.values(), key=lambda event: (event.starts, event.id)))
    return [Finding(Kind.EVENTS, "megaport", Events(events), [event.id for event in events])]


def _where(kind: EventKind) -> str:
    return f"megaport /ens/v1/status/{kind}"


def _rows(reply: Any, kind: EventKind) -> tuple[Mapping[str, Any], ...]:
    """The fabric envelopes the list; its own SDK long read a bare one."""
    return mappings(reply.get("data") if isinstance(reply, Mapping) else reply, _where(kind))


def _event(row: Mapping[str, Any], kind: EventKind, site: Site) -> ProviderEvent:
    event = read(_Event, row, _where(kind))
    name, state = event.event_id or event.outage_id, STATES.get(event.state.lower())
    if state is None or not name:
        what = f"state {event.state!r} is not one of {', '.join(STATES)}" if name else "an event without an id"
        raise BadReply(what, where=_where(kind), do_next=CHECK_VERSION, evidence=excerpt(event.model_dump()))
    return ProviderEvent(
        id=name,
        system="megaport",
        kind=kind,
        state=state,
        title=": ".join(part for part in (event.purpose, event.impact) if part) or kind,
        starts=_utc(event.start_time, kind),
        ends=None if event.end_time is None else _utc(event.end_time, kind),
        touches=_touched(event.services, site),
        emergency=event.event_type.lower() == "emergency",
    )


def _touched(services: Iterable[str], site: Site) -> tuple[str, ...]:
    """The site's names of the services, which an event names by the beginning of their uids."""
    short = tuple(service.lower() for service in services)
    things = (*((port.name, port.uid) for port in site.ports), *((vxc.name, vxc.uid) for vxc in site.vxcs))
    things += tuple((mcr.name, mcr.uid) for mcr in site.mcrs)
    return tuple(name for name, uid in things if uid.lower().startswith(short))


def _in_calendar(event: ProviderEvent, site: Site, now: datetime) -> bool:
    if event.starts > now + timedelta(days=site.policy.calendar_days):
        return False
    over = event.ends or (event.starts if event.state in {"done", "cancelled"} else now)
    return event.state == "running" or over >= now - BACK


def _utc(moment: datetime, kind: EventKind) -> datetime:
    """In UTC; the fabric says that its times are, so one without a zone is too."""
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        raise BadReply(f"{moment} is no time", where=_where(kind), do_next=CHECK_VERSION) from None
