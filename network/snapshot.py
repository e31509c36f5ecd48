"""Snapshot: everything that is known at one moment, as an immutable, revisioned fold of observations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from types import MappingProxyType
from typing import TypeVar

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
    if before is after or before == after:
        return False
    pairs = zip(state_of(before), state_of(after), strict=False)
    return any(old is not None and new is not None and old != new for old, new in pairs)


def state_of(fact: object) -> tuple[object, ...]:
    """What of a fact is a state or counts losses: rates, ages and prefix counts come and go without a change."""
    match fact:
        case SessionHere():
            return fact.state, fact.admin_shut, fact.over_limit, fact.no_policy, fact.drops
        case BfdHere():
            return fact.status, fact.drops
        case Link():
            return fact.admin_up, fact.oper_up, fact.downs
        case FabricPort() | FabricVxc():
            return fact.up, fact.status
        case Circuit() | SessionThere() | Attachment():
            return fact.up, fact.state
        case ProbeResult():
            return fact.pinned, fact.received == 0
        case Routes():
            return (frozenset((path.peer, path.best, path.valid) for path in fact.paths),)
    return ()


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
