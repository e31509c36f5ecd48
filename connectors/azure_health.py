"""Azure Service Health: planned maintenance and service issues, mapped to the site's own names.

Titles and summaries hold HTML. Which leg of the circuit an event is about is told by its words, or not at all:
then it is about both.
"""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

from connectors.azure_site import Moment, legs_of, link_of, names_in, side_of, tunnels_of
from connectors.azure_tables import table_rows
from connectors.reply import Rows, Shape, Text, read
from network.events import EventKind, EventState, ProviderEvent
from network.inventory import Cloud, Site

HEALTH_VERSION = "2025-05-01"
#: The service answers what was updated since then, three days if not asked; notice is given weeks ahead.
UPDATED_WITHIN = timedelta(days=60)
LOOK_BACK = timedelta(days=1)
KINDS: dict[str, EventKind] = {"plannedmaintenance": "maintenance", "serviceissue": "outage"}
#: An event that lists no resource of anybody's concerns us when a service of its impact has such a word.
OUR_SERVICES = re.compile(r"expressroute|vpn|wan\b|network", re.IGNORECASE)
TAG = re.compile(r"<[^<>]*>")


class _Impact(Shape):
    impacted_service: Text = ""


class _EventProperties(Shape):
    event_type: Text = ""
    status: Text = ""
    title: Text = ""
    summary: Text = ""
    impact_start_time: Moment | None = None
    impact_mitigation_time: Moment | None = None
    last_update_time: Moment | None = None
    impact: Rows[_Impact] = ()


class HealthEvent(Shape):
    """An event as Service Health lists it; `name` is its tracking id."""

    name: str
    properties: _EventProperties


class _ResourceProperties(Shape):
    target_resource_id: Text = ""
    resource_name: Text = ""


class _Resource(Shape):
    properties: _ResourceProperties | None = None


def events_query(now: datetime) -> dict[str, str]:
    """Query parameters; the time is that of an event's last update, written month/day/year."""
    since = now - UPDATED_WITHIN
    return {"api-version": HEALTH_VERSION, "queryStartTime": f"{since.month}/{since.day}/{since.year}"}


def parse_events(data: Any, now: datetime, ahead: timedelta) -> list[HealthEvent]:
    """Maintenance and issues that run, that begin within `ahead`, or that ended within a day. Raises BadReply."""
    where = "azure Service Health"
    events = [read(HealthEvent, row, where) for row in table_rows(data, where)]
    return [each for each in events if each.properties.event_type.lower() in KINDS and _near(each, now, ahead)]


def _near(event: HealthEvent, now: datetime, ahead: timedelta) -> bool:
    starts, ends = _starts(event, now), _ends(event)
    return starts <= now + ahead and (ends is None or ends >= now - LOOK_BACK)


def _starts(event: HealthEvent, now: datetime) -> datetime:
    told = event.properties
    return told.impact_start_time or told.last_update_time or now


def _ends(event: HealthEvent) -> datetime | None:
    """When it ends or ended; None while nobody knows."""
    told = event.properties
    over = told.status.lower() == "resolved"
    return told.impact_mitigation_time or (told.last_update_time if over else None)


def parse_impacted(data: Any) -> tuple[str, ...]:
    """ARM ids of the resources that an event touches. Raises BadReply."""
    where = "azure impacted resources"
    rows = [read(_Resource, row, where).properties for row in table_rows(data, where)]
    return tuple(row.target_resource_id or row.resource_name for row in rows if row is not None)


def provider_event(
    event: HealthEvent, impacted: Sequence[str], site: Site, cloud: Cloud, now: datetime
) -> ProviderEvent | None:
    """The event with the things of the site that it touches; None when it is about others' resources."""
    told, title = event.properties, plain(event.properties.title)
    touches = _touches(impacted, f"{title} {plain(told.summary)}", site, cloud)
    if not touches and not impacted and any(OUR_SERVICES.search(each.impacted_service) for each in told.impact):
        touches = (cloud.name,)
    if not touches:
        return None
    return ProviderEvent(
        id=event.name,
        system="azure",
        kind=KINDS[told.event_type.lower()],
        state=_state(event, now),
        title=title or event.name,
        starts=_starts(event, now),
        ends=_ends(event),
        touches=touches,
        emergency="emergency" in title.lower(),
    )


def _state(event: HealthEvent, now: datetime) -> EventState:
    starts, ends = _starts(event, now), _ends(event)
    if event.properties.status.lower() == "resolved":
        return "cancelled" if now < starts or "cancel" in event.properties.title.lower() else "done"
    if now < starts:
        return "announced"
    return "running" if ends is None or now < ends else "done"


def _touches(impacted: Iterable[str], text: str, site: Site, cloud: Cloud) -> tuple[str, ...]:
    """The site's names behind the impacted resources, in site-file order; the cloud's for its hub."""
    side = side_of(cloud)
    names: set[str] = set()
    for parts in map(names_in, impacted):
        if "resourcegroups" not in parts or side.resource_group.lower() in parts:
            names |= parts
    links = _links(text, site, cloud)
    every_leg = bool(names & {side.er_gateway, side.er_connection})
    found = [
        str(leg.connection)
        for leg in legs_of(site, cloud)
        if every_leg or leg.connection in names or (side.circuit in names and link_of(site, leg) in links)
    ]
    tunnels = [str(path.tunnel) for path in tunnels_of(site, cloud)]
    named = [tunnel for tunnel in tunnels if tunnel in names]
    found += named or (tunnels if side.vpn_gateway in names else [])
    return tuple(found) or ((cloud.name,) if side.hub in names else ())


def _links(text: str, site: Site, cloud: Cloud) -> frozenset[str]:
    """The links that the text speaks of; both when it speaks of neither."""
    words = set(re.findall(r"[a-z0-9-]+", text.lower()))
    legs = legs_of(site, cloud)
    spoken = {
        link_of(site, leg)
        for leg in legs
        if words & {link_of(site, leg), leg.connection, site.connection(leg.connection or "").device}
    }
    return frozenset(spoken or {link_of(site, leg) for leg in legs})


def plain(text: str) -> str:
    """Text without its HTML, in one line."""
    return " ".join(html.unescape(TAG.sub(" ", text)).split())
