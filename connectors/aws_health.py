"""AWS Health's replies, read: maintenance and outages, each with the things of the site that it touches.

An event does not say what it touches: that is a second question, whose pages are shared over several events.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from connectors.aws_shapes import Moment, dx_paths, side_of, vpn_paths
from connectors.reply import Shape, Text, read
from network.events import EventKind, EventState, ProviderEvent
from network.inventory import AwsSide, Cloud, Site

ARNS_A_QUESTION = 10
KEPT_AFTER = timedelta(days=1)
KINDS: Mapping[str, EventKind] = {"scheduledChange": "maintenance", "issue": "outage"}
_RESOURCE = re.compile(r"(?:.*[/:])?([a-z]+-[0-9a-z]+)")  # an id, or an ARN that ends in one


class _Event(Shape):
    arn: str
    event_type_code: Text = ""
    event_type_category: Text = ""
    region: Text = ""
    start_time: Moment | None = None
    end_time: Moment | None = None
    status_code: Text = ""


class _Events(Shape):
    events: tuple[_Event, ...]


class _Entity(Shape):
    event_arn: str
    entity_value: Text = ""


class _Entities(Shape):
    entities: tuple[_Entity, ...]


def events_asked(side: AwsSide) -> dict[str, Any]:
    """The filter of DescribeEvents. Closed ones are not asked for: there may be 90 days of them."""
    return {
        "services": list(side.health_services),
        "eventTypeCategories": list(KINDS),
        "eventStatusCodes": ["open", "upcoming"],
    }


def questions(data: Any) -> list[dict[str, Any]]:
    """The filters of DescribeAffectedEntities for the events of a reply. Raises BadReply."""
    arns = [event.arn for event in read(_Events, data, "aws DescribeEvents").events]
    return [{"eventArns": arns[at : at + ARNS_A_QUESTION]} for at in range(0, len(arns), ARNS_A_QUESTION)]


def parse_events(data: Any, entities: Iterable[Any], site: Site, cloud: Cloud, now: datetime) -> list[ProviderEvent]:
    """The events of the calendar's days that touch the site. `entities` are DescribeAffectedEntities' replies.

    One that names only others' resources is not ours; one that names none (or the whole account) touches the cloud
    when it is of our region. Raises BadReply.
    """
    affected: dict[str, list[str]] = {}
    for reply in entities:
        for entity in read(_Entities, reply, "aws DescribeAffectedEntities").entities:
            affected.setdefault(entity.event_arn, []).append(entity.entity_value)
    known = _names(site, cloud)
    found = []
    for event in read(_Events, data, "aws DescribeEvents").events:
        touches = _touches(event, affected.get(event.arn, []), known, cloud)
        if touches and _near(event, now, site.policy.calendar_days):
            found.append(_event(event, touches, now))
    return sorted(found, key=lambda event: event.starts)


def _names(site: Site, cloud: Cloud) -> dict[str, tuple[str, ...]]:
    """AWS's ids to the site's names: connections and VIFs, VPN connections (both tunnels), gateways."""
    side, found = side_of(cloud), dict[str, tuple[str, ...]]()
    for path in dx_paths(site, cloud):
        connection = site.connection(path.connection or "")
        found |= {connection.connection_id: (connection.name,), connection.vif_id: (connection.name,)}
    for path in vpn_paths(site, cloud):
        identity = side.vpn_connection_ids.get(path.tunnel or "", "")
        found[identity] = (*found.get(identity, ()), path.tunnel or "")
    return found | {side.tgw_id: (cloud.name,), side.dx_gateway_id: (cloud.name,)}


def _touches(
    event: _Event, entities: Sequence[str], known: Mapping[str, tuple[str, ...]], cloud: Cloud
) -> tuple[str, ...]:
    ids = [match[1] if (match := _RESOURCE.fullmatch(value)) else value for value in entities]
    ours = dict.fromkeys(name for identity in ids for name in known.get(identity, ()))
    if ours:
        return tuple(ours)
    resources = [value for value in entities if _RESOURCE.fullmatch(value)]
    general = not resources and event.region in {"", "global", side_of(cloud).region}
    return (cloud.name,) if general else ()


def _near(event: _Event, now: datetime, days: float) -> bool:
    starts, ends = event.start_time or now, event.end_time
    return starts <= now + timedelta(days=days) and (ends is None or ends >= now - KEPT_AFTER)


def _event(event: _Event, touches: tuple[str, ...], now: datetime) -> ProviderEvent:
    starts = event.start_time or now
    return ProviderEvent(
        id=event.arn.rpartition("/")[2],
        system="aws",
        kind=KINDS.get(event.event_type_category, "outage"),
        state=_state(event.status_code, starts, event.end_time, now),
        title=event.event_type_code.removeprefix("AWS_").replace("_", " ").lower() or "event without a type",
        starts=starts,
        ends=event.end_time,
        touches=touches,
        emergency="EMERGENCY" in event.event_type_code,
    )


def _state(status: str, starts: datetime, ends: datetime | None, now: datetime) -> EventState:
    """`open` is running, unless the dates say that it has not begun; an open event may outlast its own end."""
    if status == "closed":
        return "done"
    if status == "upcoming" and ends is not None and ends < now:
        return "done"
    return "announced" if starts > now else "running"
