"""Our own planned work: approved changes that touch the site, as events; and with it that the ticket system answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime, timedelta

from connectors.ports import Clock, deadline_for
from connectors.reply import fresh_for
from connectors.servicenow import ServiceNow
from connectors.servicenow_rows import Planned
from network.events import Events, EventState, ProviderEvent
from network.inventory import Site
from network.observation import Kind, Observation
from network.things import names

IMPLEMENT = -1


class TicketSource:
    """Reads the changes of the calendar's days at its cadence. `tickets` logs in; both raise InterlockError."""

    name = "servicenow"
    kind = "tickets"

    def __init__(self, site: Site, now: Clock, tickets: Callable[[], Awaitable[ServiceNow]]) -> None:
        self.cadence_s = site.systems.servicenow.cadence_s
        self.deadline_s = deadline_for(self.cadence_s)
        self._now, self._tickets = now, tickets
        self._days = timedelta(days=site.policy.calendar_days)
        self._names = frozenset((*names(site), *(cloud.name for cloud in site.clouds)))

    async def collect(self) -> Sequence[Observation]:
        asked_at = self._now()
        changes = await (await self._tickets()).planned(asked_at, asked_at + self._days)
        events = Events(tuple(made for each in changes if (made := event_of(each, self._names, asked_at))))
        evidence = "GET change_request, task_ci: approved, scheduled or implement"
        fresh_s = fresh_for(self.cadence_s)
        return [Observation(Kind.EVENTS, self.name, events, self.name, asked_at, fresh_s, evidence)]

    async def close(self) -> None:
        """The client is the session's, which closes it."""


def event_of(change: Planned, ours: Collection[str], now: datetime) -> ProviderEvent | None:
    """A change as an event; None when it touches nothing of the site, or has no window to speak of."""
    touches = tuple(name for name in change.cis if name in ours)
    if not touches or change.start is None:
        return None
    state: EventState = "running" if change.state_code == IMPLEMENT and change.start <= now else "announced"
    return ProviderEvent(change.number, "servicenow", "change", state, change.title, change.start, change.end, touches)
