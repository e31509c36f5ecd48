"""The one loop of every wait: samples in a row, spaced, newer than the wait; and the waits that no source can feed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from runbooks.effects import Finding
from runbooks.model import StepDef
from runbooks.proof import line
from runbooks.scene import CannotPlan
from runbooks.until import Sample, refuse_too_slow, until
from tests.engine.little_network import SITE, LittleScene
from tests.sample import NOW


async def waited(
    ok_at: Callable[[float], bool | None], *, samples: int = 3, spacing_s: float = 1.0, step_s: float = 1.0
) -> tuple[Finding, float]:
    """A wait on a predicate of the seconds since it began; how it ended and after how many seconds."""
    scene = LittleScene(step_s=step_s)
    began = scene.clock
    step = StepDef(id="w", kind="wait_until", timeout_s=10, samples=samples, spacing_s=spacing_s)

    def look(_scene: object, _step: StepDef) -> Sample:
        ok = ok_at((scene.clock - began).total_seconds())
        return Sample(scene.clock, ok, (line("it", "so", "so" if ok else "not so", ok=ok),), "it is not so")

    found = await until(scene, step, look, lambda _told: None)
    return found, (scene.clock - began).total_seconds()


async def test_so_many_in_a_row_and_no_sooner() -> None:
    found, took = await waited(lambda _s: True)
    assert (found.ok, took) == (True, 3)


@pytest.mark.parametrize("spoiler", [False, None])
async def test_one_that_is_not_so_or_not_known_starts_the_count_again(spoiler: bool | None) -> None:
    found, took = await waited(lambda s: spoiler if s == 2 else True)
    assert (found.ok, took) == (True, 5)


async def test_samples_count_only_at_their_spacing() -> None:
    found, took = await waited(lambda _s: True, spacing_s=3.0, step_s=0.5)
    assert (found.ok, took) == (True, 6.5)


async def test_what_was_last_seen_against_it_is_a_fact_and_what_is_unknown_is_none() -> None:
    assert await waited(lambda _s: False) == (
        Finding(
            False, "it is not so, after 10 s", {"expected": [line("it", "so, 3 times", "not so, 0 of 3", ok=False)]}
        ),
        10,
    )
    unknown, _ = await waited(lambda _s: None)
    assert (unknown.ok, unknown.reason) == (None, "it is not so, after 10 s")


async def test_an_unfinished_count_is_no_fact_against_it() -> None:
    found, _ = await waited(lambda s: s > 8)
    assert (found.ok, found.reason) == (None, "only 2 of 3 in a row, after 10 s")


def test_a_wait_that_its_source_cannot_feed_in_time_is_refused_in_words() -> None:
    azure = SITE.systems.azure.model_copy(update={"cadence_s": 30.0})
    slow = SITE.model_copy(update={"systems": SITE.systems.model_copy(update={"azure": azure})})
    with pytest.raises(CannotPlan, match="moved: waits 5 s for 3 samples of azure, which is asked every 30 s"):
        refuse_too_slow(slow, "moved", frozenset({"azure", "routers"}), (5.0, 3, 1.0))


def test_a_wait_just_long_enough_is_not_refused() -> None:
    refuse_too_slow(SITE, "empty", frozenset({"routers"}), (3.0, 3, 1.0))
    with pytest.raises(CannotPlan, match="routers"):
        refuse_too_slow(SITE, "empty", frozenset({"routers"}), (2.9, 3, 1.0))


def test_a_book_whose_wait_is_too_short_does_not_compile() -> None:
    short = SITE.policy.model_copy(update={"empty_timeout_s": 2.0})
    scene = LittleScene(site=SITE.model_copy(update={"policy": short}))
    with pytest.raises(CannotPlan, match="empty: waits 2 s for 3 samples of routers, which is asked every 1 s"):
        scene.plan()


async def test_what_was_read_before_the_wait_proves_nothing() -> None:
    scene = LittleScene()
    old = scene.clock - timedelta(seconds=1)
    sample = Sample(old, True, (line("it", "so", "so", ok=True),))
    step = StepDef(id="w", kind="wait_until", timeout_s=3, samples=1)
    found = await until(scene, step, lambda _scene, _step: replace(sample), lambda _told: None)
    assert (found.ok, found.reason) == (None, "nothing was seen within 3 s")


async def test_what_can_never_be_so_any_more_ends_the_wait_at_once_whatever_the_spacing() -> None:
    scene, told = LittleScene(), list[object]()
    step = StepDef(id="w", kind="wait_until", timeout_s=600, samples=2, spacing_s=300)

    def look(_scene: object, _step: StepDef) -> Sample:
        gone = (scene.clock - NOW).total_seconds() >= 5
        return Sample(scene.clock, not gone, (line("it", "so", "gone" if gone else "so", ok=not gone),), "gone", gone)

    found = await until(scene, step, look, told.append)
    assert (found.ok, found.reason) == (False, "gone")
    assert (scene.clock - NOW).total_seconds() == 5
    assert told[-1] == found.evidence
