"""What is planned: events of every provider and our own changes, and where two at once are worse than either alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import combinations

from network.domains import dark_after_loss_of, domains_of
from network.events import Events, ProviderEvent
from network.inventory import Cloud, Path
from network.layers import View
from network.observation import Kind

#: Whose events make the calendar, by the name of their observation.
SYSTEMS = ("megaport", "azure", "aws", "servicenow")
#: Up to this many paths of a cloud the independent ones are counted exactly.
EXACTLY = 12


@dataclass(frozen=True, slots=True)
class Overlap:
    """Two events at once that leave a cloud with fewer independent paths than either alone.

    `left` are the paths that neither touches; `shared` what all of those have in common. `ends` None: nobody knows.
    """

    cloud: str
    events: tuple[ProviderEvent, ProviderEvent]
    starts: datetime
    ends: datetime | None
    left: tuple[str, ...]
    shared: tuple[str, ...]

    @property
    def id(self) -> str:
        """The same for the same two events, however they are seen again."""
        return f"calendar:{self.cloud}:{'+'.join(sorted(f'{e.system}-{e.id}' for e in self.events))}"

    @property
    def text(self) -> str:
        names = " and ".join(f"{event.system} {event.id}" for event in self.events)
        when = f"{names} overlap from {self.starts:%d %b %H:%MZ}"
        if not self.left:
            return f"{when}: {self.cloud} is left without a path"
        behind = f", all behind {', '.join(self.shared)}" if self.shared else ""
        return f"{when}: {self.cloud} is left with {', '.join(self.left)}{behind}"


def planned(view: View) -> tuple[ProviderEvent, ...]:
    """Every event that runs, or begins within the calendar's days; the next one first. Old news still counts."""
    until = view.now + timedelta(days=view.site.policy.calendar_days)
    found = [
        event
        for system in SYSTEMS
        for event in _events(view, system)
        if event.state in {"announced", "running"}
        and event.starts <= until
        and (event.ends is None or event.ends > view.now)
    ]
    return tuple(sorted(found, key=lambda event: (event.starts, event.system, event.id)))


def silent(view: View) -> tuple[str, ...]:
    """Systems whose events are not known, or are older than their limit: what they plan may be missing here."""
    return tuple(s for s in SYSTEMS if view.snapshot.fresh(Kind.EVENTS, s, Events, view.now) is None)


def overlaps(view: View) -> tuple[Overlap, ...]:
    """Every pair of events that diversity does not survive, in the order of their beginning."""
    pairs = [pair for pair in combinations(planned(view), 2) if _at_once(*pair)]
    found = [hit for one, other in pairs for cloud in view.site.clouds for hit in _overlap(view, cloud, one, other)]
    return tuple(sorted(found, key=lambda overlap: (overlap.starts, overlap.id)))


def touched(view: View, event: ProviderEvent) -> frozenset[str]:
    """The paths that an event takes, by name: those that share something with what it touches."""
    names = set(event.touches)
    return frozenset(
        path.name
        for path in view.site.paths
        if names & {path.name, path.session, path.cloud} or names & domains_of(view.site, path)
    )


def _events(view: View, system: str) -> tuple[ProviderEvent, ...]:
    known = view.snapshot.fact(Kind.EVENTS, system, Events)
    return known.events if known else ()


def _at_once(one: ProviderEvent, other: ProviderEvent) -> bool:
    return (one.ends is None or other.starts < one.ends) and (other.ends is None or one.starts < other.ends)


def _overlap(view: View, cloud: Cloud, one: ProviderEvent, other: ProviderEvent) -> Iterator[Overlap]:
    paths = view.site.paths_of(cloud.name)
    first, second = touched(view, one), touched(view, other)
    alone = [_spread(view, [p for p in paths if p.name not in gone]) for gone in (first, second)]
    left = [path for path in paths if path.name not in first | second]
    together = _spread(view, left)
    if any(now < min(before) for now, *before in zip(together, *alone, strict=True)):
        ends = [event.ends for event in (one, other) if event.ends is not None]
        shared = dark_after_loss_of(view.site, left)
        names = tuple(path.name for path in left)
        starts = max(one.starts, other.starts)
        yield Overlap(cloud.name, (one, other), starts, min(ends, default=None), names, shared)


def _spread(view: View, paths: Sequence[Path]) -> tuple[int, bool]:
    """How many paths share nothing with each other, and whether a private one is left."""
    domains = [domains_of(view.site, path) for path in paths]
    count = _most(domains) if len(domains) <= EXACTLY else _some(domains)
    return count, any(path.kind != "vpn" for path in paths)


def _most(domains: Sequence[frozenset[str]]) -> int:
    """The most sets of which no two have anything in common."""
    if not domains:
        return 0
    first, rest = domains[0], domains[1:]
    return max(1 + _most([each for each in rest if not first & each]), _most(rest))


def _some(domains: Sequence[frozenset[str]]) -> int:
    """The same, taking what comes first: enough where there are many."""
    taken: set[str] = set()
    count = 0
    for each in domains:
        if not taken & each:
            taken |= each
            count += 1
    return count
