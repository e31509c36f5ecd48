"""Maintenance and outages in the fabric's shape: what `lab event` announces, by the short ids of the services."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from starlette.requests import Request

from lab.announcements import Announcement, Announcements
from lab.canary import canary_guid
from lab.megaport.answers import JSON, Answer, iso
from network.events import EventKind, EventState
from network.inventory import Site

MAINTENANCE: dict[EventState, str] = {
    "announced": "Scheduled",
    "running": "Running",
    "done": "Completed",
    "cancelled": "Cancelled",
}
#: An outage is not announced before it is there, and not cancelled: it was none.
OUTAGE: dict[EventState, str] = {"running": "Ongoing", "done": "Resolved"}


class EventLists:
    """The two lists, each of one state when it is asked for one."""

    def __init__(self, site: Site, announcements: Announcements, now: Callable[[], datetime]) -> None:
        self._announcements, self._now = announcements, now
        things = (*((port.name, port.uid) for port in site.ports), *((vxc.name, vxc.uid) for vxc in site.vxcs))
        self._short = {name: uid[:8] for name, uid in things}

    def routes(self) -> dict[str, Answer]:
        return {"/ens/v1/status/maintenance": self._maintenance, "/ens/v1/status/outage": self._outage}

    def _maintenance(self, request: Request) -> tuple[str, Any]:
        return "Maintenance events", self._list("maintenance", MAINTENANCE, request)

    def _outage(self, request: Request) -> tuple[str, Any]:
        return "Outage events", self._list("outage", OUTAGE, request)

    def _list(self, kind: EventKind, words: dict[EventState, str], request: Request) -> list[JSON]:
        asked = request.query_params.get("state", "")
        found = []
        for entry in self._announcements.of("megaport"):
            word = words.get(entry.state(self._now()))
            if entry.kind == kind and word and asked.lower() in {"", word.lower()}:
                found.append(self._common(entry, word) | (_planned if kind == "maintenance" else _outage)(entry, word))
        return found

    def _common(self, entry: Announcement, word: str) -> JSON:
        return {
            "eventId": f"CSS-{1000 + entry.number}",
            "state": word,
            "startTime": iso(entry.starts),
            "services": [self._short[thing] for thing in entry.things if thing in self._short],
        }


def _planned(entry: Announcement, word: str) -> JSON:
    return {
        "endTime": iso(entry.ends),
        "impact": "Loss of service",
        "purpose": "Software upgrade",
        "cancelReason": "Not needed" if word == "Cancelled" else "",
        "eventType": "Emergency" if entry.emergency else "Planned",
    }


def _outage(entry: Announcement, word: str) -> JSON:
    """Nobody knows the end of an outage before it is over."""
    ended = {"endTime": iso(entry.ends), "rootCause": "Line card", "resolution": "Replaced", "mitigationActions": ""}
    return {
        "outageId": canary_guid("outage", str(entry.number)),
        "purpose": "Line card failure",
        "createdBy": "noc@fabric.example",
        "createdDate": iso(entry.announced),
        "updatedDate": iso(entry.announced),
        "notices": [],
    } | (ended if word == "Resolved" else {})
