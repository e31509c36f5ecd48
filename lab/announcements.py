"""What the lab's providers announce: one list for all, made with `lab event`, served by each in its own shape."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from lab.errors import UnknownThing
from network.events import EventKind, EventState
from network.inventory import Site
from network.sitecheck import nearest

SYSTEMS = ("megaport", "azure", "aws")
KINDS: tuple[EventKind, ...] = ("maintenance", "outage")


@dataclass(frozen=True, slots=True)
class Announcement:
    """One event. `things` are the site's names. Its state follows the clock, unless it was cancelled or ended early."""

    number: int
    system: str
    kind: EventKind
    things: tuple[str, ...]
    starts: datetime
    ends: datetime
    announced: datetime
    emergency: bool = False
    cancelled: bool = False

    def state(self, now: datetime) -> EventState:
        if self.cancelled:
            return "cancelled"
        if now < self.starts:
            return "announced"
        return "running" if now < self.ends else "done"


@dataclass
class Announcements:
    """Every event of the lab, oldest first."""

    site: Site
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    entries: list[Announcement] = field(default_factory=list)

    def of(self, system: str) -> list[Announcement]:
        return [each for each in self.entries if each.system == system]

    def add(
        self, system: str, kind: str, things: list[str], *, in_s: float, lasts_s: float, emergency: bool = False
    ) -> Announcement:
        """Announce one that starts in `in_s` seconds (0: now). Raises UnknownThing for a name that does not exist."""
        known = [*_names(self.site)]
        for value, allowed in ((system, SYSTEMS), (kind, KINDS), *((thing, known) for thing in things)):
            if value not in allowed:
                raise UnknownThing(f"{value!r} cannot be announced; {nearest(value, allowed)}")
        now = self.now()
        starts = now + timedelta(seconds=in_s)
        found = next(each for each in KINDS if each == kind)
        entry = Announcement(
            len(self.entries) + 1,
            system,
            found,
            tuple(things),
            starts,
            starts + timedelta(seconds=lasts_s),
            now,
            emergency,
        )
        self.entries.append(entry)
        return entry

    def end(self, number: int) -> None:
        """End a running one now, or cancel one that has not begun. Raises UnknownThing."""
        for place, entry in enumerate(self.entries):
            if entry.number == number:
                running = entry.state(self.now()) == "running"
                self.entries[place] = replace(entry, ends=self.now()) if running else replace(entry, cancelled=True)
                return
        raise UnknownThing(f"there is no event {number}; there are {len(self.entries)}")


def _names(site: Site) -> list[str]:
    tables = (site.ports, site.vxcs, site.connections, site.tunnels, site.clouds)
    return [thing.name for table in tables for thing in table]
