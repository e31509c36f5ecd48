"""The collector: one poll at a time for each source, and nothing that goes wrong goes further than its state."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from connectors.collector import AT_ONCE, Collector
from connectors.errors import InterlockError, Throttled, Unreachable
from connectors.ports import PartlySeen
from connectors.reading import Reading, late
from network.observation import FabricPort, Kind, Observation
from network.snapshot import Snapshot

NOW = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


class Source:
    """A source whose answer is set by the test: a port's name, an exception, or an event to wait for."""

    kind = "fake"

    def __init__(self, name: str, answer: object, cadence_s: float = 0.002, deadline_s: float = 5.0) -> None:
        self.name, self.answer, self.cadence_s, self.deadline_s = name, answer, cadence_s, deadline_s
        self.polls = self.together = self.most_together = self.forgot = 0
        self.closed = False

    async def collect(self) -> Sequence[Observation]:
        self.polls += 1
        self.together += 1
        self.most_together = max(self.most_together, self.together)
        try:
            await asyncio.sleep(0)
            if isinstance(self.answer, asyncio.Event):
                await self.answer.wait()
            if isinstance(self.answer, Exception):
                raise self.answer
            return [seen(str(self.answer))]
        finally:
            self.together -= 1

    def forget(self) -> None:
        self.forgot += 1

    async def close(self) -> None:
        self.closed = True


def seen(port: str) -> Observation:
    return Observation(Kind.PORT, port, FabricPort(up=True, status="LIVE"), "fake", NOW, 3)


def unreachable(text: str = "refused") -> InterlockError:
    return Unreachable(text, where="fake", do_next="Wait.")


@asynccontextmanager
async def collecting(*sources: Source) -> AsyncIterator[Collector]:
    collector = Collector(sources, lambda: NOW, random.Random(7))
    await collector.start()
    try:
        yield collector
    finally:
        await collector.stop()


async def until(collector: Collector, holds: Callable[[Snapshot], bool], what: str) -> Snapshot:
    revision = -1
    try:
        async with asyncio.timeout(30):
            while not holds(collector.snapshot):
                revision = (await collector.wait(revision, 1)).revision
    except TimeoutError:
        raise AssertionError(f"never: {what}; sources {dict(collector.snapshot.sources)}") from None
    return collector.snapshot


async def test_a_source_that_never_answered_is_neither_ok_nor_in_error() -> None:
    collector = Collector([Source("a", "port-a")], lambda: NOW, random.Random(7))
    state = collector.snapshot.sources["a"]
    assert (state.last_ok, state.error, state.ok) == (None, None, False)


async def test_what_every_source_sees_is_folded_into_one_snapshot() -> None:
    async with collecting(Source("a", "port-a"), Source("b", "port-b")) as collector:
        snapshot = await until(collector, lambda s: len(s.observations) == 2, "both ports")
    assert snapshot.sources["a"].last_ok == NOW
    assert snapshot.fact(Kind.PORT, "port-b", FabricPort) is not None


async def test_a_failing_source_keeps_its_observations_and_tells_its_error_and_recovers() -> None:
    source, other = Source("a", "port-a"), Source("b", "port-b")
    async with collecting(source, other) as collector:
        await until(collector, lambda s: s.sources["a"].ok, "a first answer")
        source.answer = unreachable()
        failed = await until(collector, lambda s: s.sources["a"].error is not None, "the error")
        assert "refused" in (failed.sources["a"].error or "")
        assert failed.sources["a"].last_ok == NOW
        assert failed.get(Kind.PORT, "port-a") is not None
        before = other.polls
        await until(collector, lambda _: other.polls > before + 3, "the other goes on")
        source.answer = "port-a"
        await until(collector, lambda s: s.sources["a"].ok, "recovery")


async def test_a_partial_answer_is_kept_and_its_error_told() -> None:
    source = Source("a", PartlySeen([seen("port-a")], [unreachable("no telemetry"), unreachable()]))
    async with collecting(source) as collector:
        snapshot = await until(collector, lambda s: s.sources["a"].error is not None, "the error")
    assert snapshot.get(Kind.PORT, "port-a") is not None
    assert snapshot.sources["a"].last_ok == NOW
    assert "no telemetry (1 more like it)" in (snapshot.sources["a"].error or "")


async def test_our_own_fault_in_a_source_is_an_error_of_that_source() -> None:
    async with collecting(Source("a", ZeroDivisionError("oops"))) as collector:
        snapshot = await until(collector, lambda s: s.sources["a"].error is not None, "the error")
    assert "ZeroDivisionError: oops" in (snapshot.sources["a"].error or "")


async def test_a_poll_ends_at_its_deadline_and_a_source_never_overlaps_itself() -> None:
    source = Source("a", asyncio.Event(), deadline_s=0.004)
    async with collecting(source) as collector:
        snapshot = await until(collector, lambda _: source.polls > 2, "three polls")
    assert "no answer within 0.004 s" in (snapshot.sources["a"].error or "")
    assert source.most_together == 1


async def test_a_poke_polls_early_and_makes_the_source_forget() -> None:
    source = Source("a", "port-a", cadence_s=3600)
    async with collecting(source) as collector:
        await until(collector, lambda s: s.sources["a"].ok, "a first answer")
        assert (source.polls, source.forgot) == (1, 0)
        for _ in range(5):
            collector.poke("a")
        await until(collector, lambda _: source.polls == 2, "an early poll")
        assert source.forgot == 1


async def test_a_poke_during_a_poll_is_followed_by_another() -> None:
    gate = asyncio.Event()
    source = Source("a", gate, cadence_s=3600)
    async with collecting(source) as collector:
        async with asyncio.timeout(30):
            while not source.polls:  # noqa: ASYNC110 -- sets no event
                await asyncio.sleep(0)
        collector.poke("a")
        gate.set()
        await until(collector, lambda _: source.polls == 2, "the poll that the change deserves")


async def test_stop_closes_every_source_even_one_that_is_being_polled() -> None:
    waiting, failing = Source("a", asyncio.Event()), Source("b", unreachable())
    async with collecting(waiting, failing):
        pass
    assert (waiting.closed, failing.closed) == (True, True)
    assert waiting.together == 0


async def test_wait_gives_what_there_is_when_nothing_changes() -> None:
    async with collecting(Source("a", asyncio.Event())) as collector:
        snapshot = await collector.wait(after_revision=collector.snapshot.revision, timeout_s=0.002)
    assert snapshot is collector.snapshot


def test_retries_back_off_up_to_four_cadences_and_honour_retry_after() -> None:
    source = Source("a", "port-a", cadence_s=1.0)
    collector = Collector([source], lambda: NOW, random.Random(7))
    pauses = [collector._pause_s(source, failures, unreachable()) for failures in range(1, 9)]
    assert 0.25 <= pauses[0] <= 0.5
    assert all(pause <= 4.0 for pause in pauses)
    assert pauses[-1] >= 2.0
    assert collector._pause_s(source, 0, None) == 1.0
    asked = Throttled("slow down", where="fake", do_next="Wait.", retry_after_s=30.0)
    assert collector._pause_s(source, 1, asked) == 30.0
    part = PartlySeen([seen("port-a")], [unreachable(), asked])
    assert collector._pause_s(source, 1, part) == 30.0
    part = PartlySeen([seen("port-a")], [unreachable()])
    assert 0.25 <= collector._pause_s(source, 1, part) <= 0.5
    assert 0.5 <= collector._pause_s(source, 20, part) <= source.cadence_s
    slow = Source("b", "port-b", cadence_s=300.0)
    assert collector._pause_s(slow, 20, unreachable()) <= 10.0


def test_a_poll_begins_a_cadence_after_the_one_before_and_a_slow_source_rests_too() -> None:
    source = Source("a", "port-a", cadence_s=1.0)
    collector = Collector([source], lambda: NOW, random.Random(7))
    assert [round(collector._pause_s(source, 0, None, took), 6) for took in (0.0, 0.3, 0.95, 7.0)] == [1, 0.7, 0.1, 0.1]


async def test_a_handful_begins_at_once_and_many_one_after_the_other() -> None:
    sources = [Source(str(number), "port-a", cadence_s=60) for number in range(AT_ONCE + 10)]
    async with collecting(*sources) as collector:
        first = await collector.wait(after_revision=0, timeout_s=5)
        assert sum(state.ok for state in first.sources.values()) <= AT_ONCE
        await until(collector, lambda snapshot: all(s.ok for s in snapshot.sources.values()), "all have begun")


async def test_any_number_of_polls_between_two_looks_is_one_revision() -> None:
    sources = [Source(str(number), f"port-{number}", cadence_s=60) for number in range(AT_ONCE)]
    collector = Collector(sources, lambda: NOW, random.Random(7))
    before = collector.snapshot
    await collector.start()
    async with asyncio.timeout(30):
        while not all(source.polls and not source.together for source in sources):  # noqa: ASYNC110 -- sets no event
            await asyncio.sleep(0)
    await asyncio.sleep(0)
    after = collector.snapshot
    assert (before.revision, after.revision, len(after.observations)) == (0, 1, AT_ONCE)
    assert all(state.ok for state in after.sources.values())
    assert collector.snapshot is after
    assert not before.observations
    await collector.stop()


async def test_stopping_ends_a_source_whose_library_swallows_a_cancellation() -> None:
    class Swallowing(Source):
        swallowed = 0
        asked = asyncio.Event()

        async def collect(self) -> Sequence[Observation]:
            self.asked.set()
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                self.swallowed += 1
                if self.swallowed > 2:
                    raise
            return []

    source = Swallowing("a", "port-a")
    collector = Collector([source], lambda: NOW, random.Random(7))
    await collector.start()
    async with asyncio.timeout(30):
        await source.asked.wait()
        await collector.stop()
    assert (source.swallowed, source.closed) == (3, True)


class LateSource(Source):
    """Polled once a minute, it reads something that outlasts its poll."""

    def __init__(self) -> None:
        super().__init__("a", "port-a", cadence_s=60.0)
        self.ended = asyncio.Event()
        self.reading = Reading(self._read, every_s=60.0)
        self.reading.patience_s = 0.0

    async def _read(self) -> Sequence[Observation]:
        await self.ended.wait()
        return [seen("port-b")]

    async def collect(self) -> Sequence[Observation]:
        return [*await super().collect(), *await self.reading()]

    async def late(self) -> Sequence[Observation]:
        return await late([self.reading])


async def test_what_outlasts_a_poll_is_told_when_it_ends_and_not_a_poll_later() -> None:
    source = LateSource()
    async with collecting(source) as collector:
        first = await until(collector, lambda s: s.sources["a"].ok, "a first answer")
        assert first.get(Kind.PORT, "port-b") is None
        source.ended.set()
        await until(collector, lambda s: s.get(Kind.PORT, "port-b") is not None, "the reading")
        assert source.polls == 1
