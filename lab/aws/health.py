"""AWS Health: what the lab announces for AWS, as events and, apart from them, the things that they affect."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import chain

from lab.announcements import Announcement, Announcements
from lab.aws.habits import Habits
from lab.aws.side import Side
from lab.aws.wire import JSON, AwsError, page, without_none

_CATEGORIES = {"maintenance": "scheduledChange", "outage": "issue"}
_STATUS = {"announced": "upcoming", "running": "open", "done": "closed", "cancelled": "closed"}
_TYPES = {"maintenance": "MAINTENANCE_SCHEDULED", "outage": "OPERATIONAL_ISSUE"}
_MOST_ARNS = 10


class Health:
    """Answers by operation name. An account without a support plan is refused, whatever it asks."""

    def __init__(self, side: Side, announcements: Announcements, habits: Habits, now: Callable[[], datetime]) -> None:
        self._side = side
        self._announcements = announcements
        self._habits = habits
        self._now = now
        self.operations: dict[str, Callable[[JSON], JSON]] = {
            "DescribeEvents": self._events,
            "DescribeAffectedEntities": self._entities,
        }

    def _events(self, asked: JSON) -> JSON:
        self._check_plan()
        rows = [self._event(entry) for entry in self._announcements.of("aws")]
        wanted = asked.get("filter", {})
        filters = {"services": "service", "eventTypeCategories": "eventTypeCategory", "eventStatusCodes": "statusCode"}
        for name, key in filters.items():
            rows = [row for row in rows if not wanted.get(name) or row[key] in wanted[name]]
        return self._paged("events", rows, asked, least=10)

    def _entities(self, asked: JSON) -> JSON:
        """One list for all the events that were asked for: a page may hold the end of one and the start of another."""
        self._check_plan()
        arns = asked.get("filter", {}).get("eventArns", [])
        if not 1 <= len(arns) <= _MOST_ARNS:
            raise AwsError("ValidationException", f"filter.eventArns must have 1 to {_MOST_ARNS} members.")
        entries = [entry for entry in self._announcements.of("aws") if self._arn(entry) in arns]
        rows = chain.from_iterable(
            [{"eventArn": self._arn(e), "entityValue": identity, "statusCode": "PENDING"} for identity in self._ids(e)]
            for e in entries
        )
        return self._paged("entities", list(rows), asked, least=1)

    def _event(self, entry: Announcement) -> JSON:
        return {
            "arn": self._arn(entry),
            "service": self._service(entry),
            "eventTypeCode": self._type(entry),
            "eventTypeCategory": _CATEGORIES[entry.kind],
            "region": self._side.side.region,
            "startTime": entry.starts.timestamp(),
            "endTime": entry.ends.timestamp(),
            "lastUpdatedTime": entry.announced.timestamp(),
            "statusCode": _STATUS[entry.state(self._now())],
            "eventScopeCode": "ACCOUNT_SPECIFIC" if self._ids(entry) else "PUBLIC",
        }

    def _ids(self, entry: Announcement) -> list[str]:
        """AWS's ids of an announcement's things; a connection has its VIF with it. Other things have none."""
        site, found = self._side.site, list[str]()
        for path in self._side.dx_paths():
            if path.connection in entry.things:
                connection = site.connection(path.connection)
                found += [connection.connection_id, connection.vif_id]
        return found + [self._side.vpn_id(path) for path in self._side.vpn_paths() if path.tunnel in entry.things]

    def _service(self, entry: Announcement) -> str:
        vpn = any(path.tunnel in entry.things for path in self._side.vpn_paths())
        return "VPN" if vpn else "DIRECTCONNECT"

    def _type(self, entry: Announcement) -> str:
        words = ["AWS", self._service(entry), "EMERGENCY" if entry.emergency else "", _TYPES[entry.kind]]
        return "_".join(filter(None, words))

    def _arn(self, entry: Announcement) -> str:
        code = self._type(entry)
        return f"arn:aws:health:{self._side.side.region}::event/{self._service(entry)}/{code}/{code}_{entry.number:08d}"

    def _check_plan(self) -> None:
        if not self._habits.support_plan:
            text = "AWS Premium Support Subscription is required to use this service."
            raise AwsError("SubscriptionRequiredException", text)

    def _paged(self, name: str, rows: list[JSON], asked: JSON, *, least: int) -> JSON:
        size = int(asked.get("maxResults", 100))
        if not least <= size <= 100:
            raise AwsError("ValidationException", f"maxResults must be {least} to 100.")
        try:
            shown, token = page(rows, min(size, self._habits.page), asked.get("nextToken"))
        except ValueError as error:
            raise AwsError("InvalidPaginationToken", str(error)) from error
        return without_none({name: shown, "nextToken": token})
