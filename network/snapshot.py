"""Snapshot: everything that is known at one moment, as an immutable, revisioned fold of observations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from operator import attrgetter
from types import MappingProxyType
from typing import Any, TypeVar

from network.measured import ProbeResult
from network.observation import (
    Attachment,
    BfdHere,
    Circuit,
    FabricPort,
    FabricVxc,
    Kind,
    Link,
    Observation,
    Routes,
    SessionHere,
    SessionThere,
)

Fact = TypeVar("Fact")
Key = tuple[Kind, str]


@dataclass(frozen=True, slots=True)
class SourceState:
    """How a source is doing: when it last answered, what went wrong since, whether it can be reached at all."""

    name: str
    kind: str
    last_ok: datetime | None = None
    error: str | None = None
    reachable: bool = True

    @property
    def ok(self) -> bool:
        return self.last_ok is not None and self.error is None


def _differs(before: object, after: object) -> bool:
    """The state of two facts, not their figures; a part that was not known, or is not any more, is no change."""
    read = _STATES.get(type(after))
    if read is None or before is after or type(before) is not type(after):
        return False
    old, new = read(before), read(after)
    return old != new and any(a is not None and b is not None and a != b for a, b in zip(old, new, strict=True))


def _choices(fact: Routes) -> tuple[object, ...]:
    return (frozenset((path.peer, path.best, path.valid) for path in fact.paths),)


def _told(fact: Circuit | SessionThere | Attachment) -> tuple[object, ...]:
    return fact.up, fact.state


def _in_fabric(fact: FabricPort | FabricVxc) -> tuple[object, ...]:
    return fact.up, fact.status


#: What of a fact is a state or counts losses: rates, ages and prefix counts come and go without a change.
_STATES: dict[type, Callable[[Any], tuple[object, ...]]] = {
    SessionHere: attrgetter("state", "admin_shut", "over_limit", "no_policy", "drops"),
    BfdHere: attrgetter("status", "drops"),
    Link: attrgetter("admin_up", "oper_up", "downs"),
    FabricPort: _in_fabric,
    FabricVxc: _in_fabric,
    Circuit: _told,
    SessionThere: _told,
    Attachment: _told,
    ProbeResult: lambda fact: (fact.pinned, fact.received == 0),
    Routes: _choices,
}


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Revision n of what is known. Never changed: `with_observations` and `with_source` give the next one."""

    revision: int = 0
    observations: Mapping[Key, Observation] = field(default_factory=lambda: MappingProxyType({}))
    sources: Mapping[str, SourceState] = field(default_factory=lambda: MappingProxyType({}))
    changed: Mapping[Key, datetime] = field(default_factory=lambda: MappingProxyType({}))

    def with_observations(self, seen: Iterable[Observation]) -> Snapshot:
        """The next revision; an older observation never replaces a newer one."""
        return self.folded(seen, ())

    def with_source(self, state: SourceState) -> Snapshot:
        return self.folded((), (state,))

    def folded(self, seen: Iterable[Observation], states: Iterable[SourceState]) -> Snapshot:
        """The next revision with any number of polls at once: the cost of a copy is paid once for all of them.

        `changed` keeps when a fact was first seen to be otherwise than before, its figures aside: what was so when
        the watch began has no entry, for nobody here knows since when.
        """
        merged = dict(self.observations)
        changes: dict[Key, datetime] = {}
        for item in seen:
            known = merged.get(item.key)
            if known is not None and known.at > item.at:
                continue
            if known is not None and _differs(known.fact, item.fact):
                changes[item.key] = item.at
            merged[item.key] = item
        changed = MappingProxyType({**self.changed, **changes}) if changes else self.changed
        sources = {**self.sources, **{state.name: state for state in states}}
        return Snapshot(self.revision + 1, MappingProxyType(merged), MappingProxyType(sources), changed)

    def since(self, moment: datetime) -> Snapshot:
        """Only what was seen after a moment: what was true before an act proves nothing about it."""
        later = {key: seen for key, seen in self.observations.items() if seen.at > moment}
        return replace(self, observations=MappingProxyType(later))

    def get(self, kind: Kind, name: str) -> Observation | None:
        return self.observations.get((kind, name))

    def fact(self, kind: Kind, name: str, of: type[Fact]) -> Fact | None:
        """The fact whatever its age; judge freshness with `fresh`."""
        seen = self.observations.get((kind, name))
        return seen.fact if seen is not None and isinstance(seen.fact, of) else None

    def fresh(self, kind: Kind, name: str, of: type[Fact], now: datetime) -> Fact | None:
        """The fact, or None when it was never seen or is past its freshness."""
        seen = self.observations.get((kind, name))
        return seen.fact if seen is not None and isinstance(seen.fact, of) and not seen.stale(now) else None
