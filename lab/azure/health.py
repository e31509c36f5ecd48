"""Azure Service Health: what the lab announces for Azure, and the drain of a link while the world shows one.

Titles and summaries hold HTML, as the real ones do. An issue has no end before it is over; a maintenance's is planned.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

from lab.announcements import Announcement, Announcements
from lab.azure.drain import drained
from lab.azure.ids import JSON, REGION, Arm
from lab.facts import Facts

PAGE = 10
_WORDS = {"maintenance": "planned maintenance", "outage": "connectivity issue"}
_TYPES = {"maintenance": "PlannedMaintenance", "outage": "ServiceIssue"}


class HealthError(Exception):
    """A query that Service Health refuses; the message is its answer's."""


class Health:
    """Service Health of the subscription, and Resource Health of the circuit."""

    def __init__(self, arm: Arm, facts: Facts, told: Announcements, now: Callable[[], datetime]) -> None:
        self._arm, self._facts, self._told, self._now = arm, facts, told, now
        self.origin = ""  # that pages after the first are said to be on, if not the caller's
        self._drains: dict[str, tuple[datetime, datetime | None]] = {}
        self.events_path = f"/subscriptions/{arm.side.subscription}/providers/Microsoft.ResourceHealth/events"

    def events(self, base: str, query: dict[str, str]) -> JSON:
        """A page of the events updated since `queryStartTime` (three days if not said). Raises HealthError."""
        since = _since(query.get("queryStartTime"), self._now())
        found = [each for each in self._events() if each["properties"]["lastUpdateTime"] >= _iso(since)]
        start = int(query.get("$skiptoken", "0"))
        answer: JSON = {"value": found[start : start + PAGE]}
        if len(found) > start + PAGE:
            asked = {"api-version": query["api-version"], "queryStartTime": query.get("queryStartTime", "")}
            words = "&".join(f"{name}={quote(value)}" for name, value in asked.items() if value)
            answer["nextLink"] = f"{self.origin or base}{self.events_path}?{words}&$skiptoken={start + PAGE}"
        return answer

    def impacted(self, tracking_id: str) -> JSON | None:
        """The resources of one event; None when there is no such event."""
        resources = self._resources()
        if tracking_id not in resources:
            return None
        place = f"{self.events_path}/{tracking_id}/impactedResources"
        rows = [
            {
                "id": f"{place}/{index}",
                "name": str(index),
                "type": "Microsoft.ResourceHealth/events/impactedResources",
                "properties": {
                    "targetResourceType": _type(target),
                    "targetResourceId": target,
                    "targetRegion": REGION,
                    "info": [{"key": "ResourceName", "value": target.rpartition("/")[2]}],
                },
            }
            for index, target in enumerate(resources[tracking_id])
        ]
        return {"value": rows}

    def circuit_status(self) -> JSON:
        """Resource Health's word for the circuit."""
        alive = [self._facts.connection_up(path.connection or "") for path in self._arm.legs().values()]
        state = "Available" if all(alive) else "Degraded" if any(alive) else "Unavailable"
        summary = "There aren't any known Azure platform problems affecting this circuit."
        properties: JSON = {
            "availabilityState": state,
            "title": state,
            "summary": summary if state == "Available" else "A connection of this circuit is down.",
            "reasonType": "" if state == "Available" else "Unplanned",
            "reasonChronicity": "Persistent",
            "occurredTime": _iso(self._now()),
            "reportedTime": _iso(self._now()),
            "recommendedActions": [],
        }
        name = f"{self._arm.circuit}/providers/Microsoft.ResourceHealth/availabilityStatuses/current"
        return {
            "id": name,
            "name": "current",
            "type": "Microsoft.ResourceHealth/AvailabilityStatuses",
            "location": REGION,
            "properties": properties,
        }

    def _events(self) -> list[JSON]:
        return [*map(self._announced, self._told.of("azure")), *self._drain_events()]

    def _resources(self) -> dict[str, list[str]]:
        found = {_id(entry): self._targets(entry) for entry in self._told.of("azure")}
        return found | {_drain_id(name): [self._arm.circuit] for name in self._drains}

    def _targets(self, entry: Announcement) -> list[str]:
        """The ARM ids of the things of an announcement; a cloud, or a thing that Azure does not know, has none."""
        legs = {path.connection for path in self._arm.legs().values()}
        tunnels = {path.tunnel for path in self._arm.vpn_paths()}
        ids = [self._arm.circuit if thing in legs else self._arm.link(thing) for thing in entry.things
               if thing in legs | tunnels]  # fmt: skip
        return list(dict.fromkeys(ids))

    def _announced(self, entry: Announcement) -> JSON:
        state = entry.state(self._now())
        over = state in {"done", "cancelled"}
        links = {path.connection: link for link, path in self._arm.legs().items()}
        what = ", ".join(f"{links[thing]} connection" if thing in links else thing for thing in entry.things)
        title = ("emergency " if entry.emergency else "") + _WORDS[entry.kind]
        called_off = "Cancelled: " if state == "cancelled" else ""
        told_end = entry.ends if entry.kind == "maintenance" or state == "done" else None
        updated = {"announced": entry.announced, "running": entry.starts, "done": entry.ends}
        return self._event(
            _id(entry),
            kind=_TYPES[entry.kind],
            title=f"{called_off}{title.capitalize()} &ndash; ExpressRoute &amp; VPN: <b>{what}</b>",
            starts=entry.starts,
            ends=told_end,
            updated=updated.get(state, self._now()),
            over=over,
        )

    def _drain_events(self) -> list[JSON]:
        """A running maintenance for each link that is drained now, and a resolved one for each that was."""
        for path in self._arm.legs().values():
            began, ended = self._drains.get(path.name, (None, None))
            now_drained = drained(self._facts, path)
            if now_drained and (began is None or ended is not None):
                self._drains[path.name] = (self._now(), None)
            elif not now_drained and began is not None and ended is None:
                self._drains[path.name] = (began, self._now())
        links = {path.name: link for link, path in self._arm.legs().items()}
        return [
            self._event(
                _drain_id(name),
                kind="PlannedMaintenance",
                title=f"Planned maintenance &ndash; ExpressRoute: <b>{links[name]} connection</b>",
                starts=began,
                ends=ended,
                updated=ended or began,
                over=ended is not None,
            )
            for name, (began, ended) in self._drains.items()
        ]

    def _event(
        self,
        name: str,
        *,
        kind: str,
        title: str,
        starts: datetime,
        ends: datetime | None,
        updated: datetime,
        over: bool,
    ) -> JSON:
        region = {
            "impactedRegion": REGION,
            "status": "Resolved" if over else "Active",
            "lastUpdateTime": _iso(updated),
        }
        properties = {
            "eventType": kind,
            "eventSource": "ServiceHealth",
            "status": "Resolved" if over else "Active",
            "title": title,
            "summary": f"<p>{title}.</p><p>No action is needed for redundant circuits.</p>",
            "header": "Your service might have been impacted by an Azure service issue",
            "level": "Warning",
            "eventLevel": "Informational",
            "impactStartTime": _iso(starts),
            "impactMitigationTime": _iso(ends) if ends else None,
            "impact": [{"impactedService": "ExpressRoute \\ ExpressRoute Circuits", "impactedRegions": [region]}],
            "lastUpdateTime": _iso(updated),
            "priority": 11,
        }
        kind_of = "/providers/Microsoft.ResourceHealth/events"
        return {"id": f"{self.events_path}/{name}", "name": name, "type": kind_of, "properties": properties}


def _type(target: str) -> str:
    """Namespace and types of an ARM id: Microsoft.Network/vpnGateways/vpnConnections."""
    parts = target.split("/")
    return "/".join([parts[6], *parts[7::2]])


def _id(entry: Announcement) -> str:
    return f"LAB{entry.number}-AZR"


def _drain_id(path: str) -> str:
    return f"DRAIN-{path.rpartition('/')[2].upper()}"


def _since(asked: str | None, now: datetime) -> datetime:
    """`queryStartTime` is month/day/year."""
    if asked is None:
        return now - timedelta(days=3)
    try:
        month, day, year = map(int, asked.split("/"))
        return datetime(year, month, day, tzinfo=UTC)
    except ValueError as error:
        raise HealthError(f"queryStartTime {asked!r} is not a date") from error


def _iso(when: datetime) -> str:
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
