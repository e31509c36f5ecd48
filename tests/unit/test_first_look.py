"""A first look at a site: how long it waits, and for what."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, cast

import pytest

from connectors.collector import Collector
from connectors.errors import InterlockError, Unreachable
from connectors.ports import StatusSource
from console.commands.status import collect, within_of
from console.fail import UsageError
from console.wiring import Watch, utc_now
from network.inventory import Site
from network.observation import Kind, Link, Observation
from network.snapshot import Snapshot
from tests.sample import healthy, reference


@dataclass
class Source:
    """Gives each of its answers once, the last one ever again."""

    name: str
    answers: list[Sequence[Observation] | InterlockError]
    kind: str = "cloud"
    cadence_s: float = 0.05
    deadline_s: float = 30.0
    asked: int = field(default=0)

    async def collect(self) -> Sequence[Observation]:
        self.asked += 1
        answer = self.answers[min(self.asked, len(self.answers)) - 1]
        if isinstance(answer, InterlockError):
            raise answer
        return answer

    async def close(self) -> None:
        """Nothing is held open."""


@dataclass(frozen=True)
class Looking:
    """What a look needs of a watch."""

    site: Site
    collector: Collector


def whole(site: Site) -> list[Observation]:
    """All is well, and every link's rate is known."""
    facts: list[Any] = [*healthy(site).observations.values()]
    facts = [replace(each, at=utc_now(), fresh_s=600.0) for each in facts]
    rated = [
        replace(each, fact=replace(each.fact, in_mbps=1.0, out_mbps=1.0)) for each in facts if each.kind is Kind.LINK
    ]
    assert all(isinstance(each.fact, Link) for each in rated)
    return [*facts, *rated]


async def looked(*others: Source, within_s: float | None = None) -> Snapshot:
    site = reference()
    sources = cast("list[StatusSource]", [Source("edge-1", [whole(site)]), *others])
    collector = Collector(sources, utc_now, random.Random(1))
    await collector.start()
    try:
        return await collect(cast("Watch", Looking(site, collector)), within_s)
    finally:
        await collector.stop()


def away() -> Unreachable:
    return Unreachable("no connection", where="azure", do_next="Wait.")


async def test_a_look_that_may_take_longer_goes_on_until_every_source_has_answered_well() -> None:
    azure = Source("azure", [away(), away(), []])
    seen = await looked(azure, within_s=60.0)
    assert seen.sources["azure"].error is None
    assert azure.asked >= 3


async def test_what_stays_away_is_told_when_the_time_is_over() -> None:
    seen = await looked(Source("azure", [away()]), within_s=0.3)
    assert "no connection" in (seen.sources["azure"].error or "")


def test_a_duration_is_written_as_people_write_it() -> None:
    assert (within_of(None), within_of("30s"), within_of("2m")) == (None, 30.0, 120.0)
    with pytest.raises(UsageError, match="--within: 'soon' is not a duration"):
        within_of("soon")
