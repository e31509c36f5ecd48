"""A console that has just started: what it refuses, it does not refuse for want of a first answer."""

from __future__ import annotations

from datetime import timedelta

import pytest

from console.planning import LOOK_S, moments
from network.snapshot import SourceState
from tests.engine.little_network import LittleScene
from tests.sample import NOW

AZURE = SourceState("azure", "cloud")


def answering(after_s: float, said: SourceState) -> LittleScene:
    """The cloud has its first say so many seconds after the beginning."""
    scene = LittleScene()
    scene.snapshot = scene.snapshot.with_source(AZURE)

    def look(item: object) -> bool:
        if scene.clock >= NOW + timedelta(seconds=after_s):
            scene.snapshot = scene.snapshot.with_source(said)
        return False

    scene.blind = look
    return scene


async def looked(scene: LittleScene) -> list[float]:
    """Seconds from the beginning to each moment in which it would be tried."""
    return [(moment.now - NOW).total_seconds() async for moment in moments(scene, scene.moment())]


@pytest.mark.parametrize(
    "said", [SourceState("azure", "cloud", last_ok=NOW), SourceState("azure", "cloud", error="no answer within 5 s")]
)
async def test_what_is_refused_is_tried_again_until_every_source_has_had_its_first_say(said: SourceState) -> None:
    assert await looked(answering(3, said)) == [0, 1, 2, 3]


async def test_a_source_that_stays_silent_is_waited_for_so_long_and_no_longer() -> None:
    assert await looked(answering(1000, AZURE)) == list(range(int(LOOK_S) + 1))


async def test_where_every_source_has_had_its_say_a_refusal_is_one() -> None:
    assert await looked(LittleScene()) == [0]
