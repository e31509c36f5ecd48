"""What a guard judges: the network at one moment, and what the run moves in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import chain
from typing import Any

from pydantic import BaseModel

from network.health import PathHealth, SiteHealth
from network.inventory import Site
from network.layers import View
from network.snapshot import Snapshot
from network.things import UnknownThing, reach
from runbooks.declares import System
from runbooks.effects import Reading
from runbooks.inforce import verifying
from runbooks.model import ExitPolicy
from runbooks.scene import Moment
from runbooks.view import RunView


@dataclass(frozen=True, slots=True)
class GuardDeclaration:
    """What a guard says of itself: its arguments, what feeds it, and how it is used when a book is silent."""

    name: str
    args: type[BaseModel]
    reads: frozenset[System]
    policy: ExitPolicy = "hold"
    k: int = 2
    n: int = 3


@dataclass(frozen=True, slots=True)
class Move:
    """One cloud that the run concerns: the paths it takes traffic off, those that carry then, and if it is moved."""

    cloud: str
    leaving: tuple[str, ...]
    survivors: tuple[str, ...]
    moved: bool


@dataclass(frozen=True)
class Facts:
    """`definition` is the run's, `run` its view. Times are aware UTC."""

    moment: Moment
    definition: Mapping[str, Any]
    run: RunView

    @property
    def site(self) -> Site:
        return self.moment.site

    @cached_property
    def view(self) -> View:
        return self.moment.view

    @cached_property
    def health(self) -> SiteHealth:
        """Judged once, however many guards ask."""
        return self.moment.health

    @property
    def target(self) -> str:
        return str(self.definition.get("target", ""))

    @cached_property
    def gone(self) -> frozenset[str]:
        """Paths that may be taken away under the run's target; none when the target is a cloud, or all of them."""
        return paths_with(self.site, self.moment.snapshot, self.target)

    @cached_property
    def moves(self) -> tuple[Move, ...]:
        """Clouds whose carriage the plan changes; if it changes none, those that a path of the target carries."""
        before, after = self.definition.get("before", {}), self.definition.get("after", {})
        changed = [name for name in before if _ways(before[name]) != _ways(after.get(name, before[name]))]
        if changed:
            return tuple(self._moved(name, _ways(before[name]), _ways(after[name])) for name in changed)
        return tuple(self._kept(cloud.name) for cloud in self.site.clouds if self._touched(cloud.name))

    def survivors(self, also: str | None = None) -> tuple[PathHealth, ...]:
        """Every path that must carry on, once; those of a thing too that the run changes and leaves in use."""
        kept = paths_with(self.site, self.moment.snapshot, also) if also else frozenset()
        named = chain(self._ordered(kept), *(move.survivors for move in self.moves))
        return tuple(self.health.path(name) for name in dict.fromkeys(named))

    @property
    def verifying(self) -> bool:
        return verifying(self.run)

    @property
    def acted_at(self) -> datetime | None:
        """When the last act began; None before the first."""
        intents = (step.do.intent for step in self.run.steps)
        return max((intent.ts for intent in intents if intent), default=None)

    def _moved(self, cloud: str, before: frozenset[str], after: frozenset[str]) -> Move:
        acts = [step for step in self.run.steps if step.kind == "act" and step.do.attempts]
        moved = any(step.spec.args.get("cloud", cloud) == cloud for step in acts)
        return Move(cloud, self._ordered(before - after), self._ordered(after), moved)

    def _kept(self, cloud: str) -> Move:
        """Nothing is moved on purpose: what would carry should the target fail, private paths before tunnels."""
        left = [path for path in self.site.paths_of(cloud) if path.name not in self.gone]
        private = frozenset(path.name for path in left if path.kind != "vpn")
        mine = frozenset(path.name for path in self.site.paths_of(cloud)) & self.gone
        survivors = private or frozenset(path.name for path in left)
        return Move(cloud, self._ordered(mine), self._ordered(survivors), moved=False)

    def _touched(self, cloud: str) -> bool:
        return any(path.name in self.gone for path in self.site.paths_of(cloud))

    def _ordered(self, names: frozenset[str]) -> tuple[str, ...]:
        return tuple(path.name for path in self.site.paths if path.name in names)


Judge = Callable[[Facts, Any], Reading]


@dataclass(frozen=True, slots=True)
class Guard:
    """A registered guard."""

    declares: GuardDeclaration
    judge: Judge


def together(readings: Iterable[Reading]) -> Reading:
    """One reading of several: harm that is seen wins, then what is unknown. Nothing to look at is unknown."""
    every = tuple(readings)
    margin = "; ".join(each.margin for each in every if each.margin)
    for ok in (False, None):
        if found := [each.reason for each in every if each.ok is ok]:
            return Reading(ok, "; ".join(found), margin)
    return Reading(True, margin=margin) if every else Reading(None, "the run concerns no path that could be watched")


def paths_with(site: Site, snapshot: Snapshot, thing: str) -> frozenset[str]:
    """The paths that go with a thing of the site; none for a cloud or a name that is no thing."""
    if any(thing == cloud.name for cloud in site.clouds):
        return frozenset()
    try:
        sessions = reach(site, snapshot, (thing,)).sessions
    except UnknownThing:
        return frozenset()
    return frozenset(path.name for path in site.paths if path.session in sessions)


def of_cloud(paths: Sequence[PathHealth], cloud: str) -> list[PathHealth]:
    return [path for path in paths if path.path.cloud == cloud]


def _ways(way: Mapping[str, Sequence[str]]) -> frozenset[str]:
    return frozenset(chain(way.get("carried_by", ()), way.get("return_by", ())))
