"""Runs every status source at its own cadence and folds what they see into one snapshot after the other.

It never raises: what goes wrong with a source is that source's state. Old observations stay and grow stale.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Sequence

from connectors.ending import end
from connectors.errors import InterlockError, Sealed, Throttled, TimedOut, Unreachable
from connectors.ports import Clock, Lingers, PartlySeen, Remembers, StatusSource, Stream
from connectors.redact import redactor
from network.observation import Observation
from network.snapshot import Snapshot, SourceState

AT_ONCE, STAGGER_S = 16, 0.01  # sources that begin together, and seconds between the starts of the others
REST_SHARE = 0.1  # of its cadence that a source rests at least, however long a poll took
POKE_GAP_S = 0.3  # between the starts of two polls of one source, however often it is poked
FIRST_BACKOFF_S = 0.5
LONGEST_BACKOFF_S = 10.0
#: Nobody there: refused, silent or sealed. Anything else is an answer, if not a good one.
AWAY = (Unreachable, TimedOut, Sealed)

log = logging.getLogger(__name__)


class Collector:
    """`snapshot` is the newest; `wait` gives the next; `poke` asks a source to look now.

    A source that never answered has last_ok None and error None. `rng` spreads the retries of broken sources.
    Polls are folded into the snapshot when somebody reads it: two hundred
    routers a second cost a reader at 4 Hz four copies, not two hundred.
    `streams` speak by themselves, through `push` and `poke`.
    """

    def __init__(
        self, sources: Sequence[StatusSource], now: Clock, rng: random.Random, streams: Sequence[Stream] = ()
    ) -> None:
        self._sources, self._now, self._rng, self._streams = tuple(sources), now, rng, tuple(streams)
        self._pokes = {source.name: asyncio.Event() for source in self._sources}
        self._changed = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._states = {source.name: SourceState(source.name, source.kind) for source in self._sources}
        self._snapshot = Snapshot(sources=dict(self._states))
        self._seen: list[Observation] = []
        self._told: set[str] = set()

    @property
    def snapshot(self) -> Snapshot:
        if self._told or self._seen:
            self._snapshot = self._snapshot.folded(self._seen, [self._states[name] for name in self._told])
            self._seen, self._told = [], set()
        return self._snapshot

    async def start(self) -> None:
        """Begin polling every source; a second start does nothing.

        A handful begins at once. Of two hundred, each waits for its place: their logins would starve each other, and
        their polls would come in one burst a second.
        """
        if not self._tasks:
            waits = (max(0, index + 1 - AT_ONCE) * STAGGER_S for index in range(len(self._sources)))
            pairs = zip(self._sources, waits, strict=True)
            self._tasks = [asyncio.create_task(self._watch(each, wait_s), name=each.name) for each, wait_s in pairs]
            self._tasks += [asyncio.create_task(self._hear(each), name=each.name) for each in self._streams]

    async def stop(self) -> None:
        """End the polls and close the sources; the last snapshot stays readable."""
        await end(self._tasks)
        self._tasks = []
        await asyncio.gather(*(self._close(source) for source in self._sources))

    def poke(self, source: str) -> None:
        """Poll early: something changed. Raises KeyError for a source that does not exist."""
        self._pokes[source].set()

    def push(self, seen: Sequence[Observation]) -> None:
        """Fold in what was told without being asked for; a poll that was asked before it does not undo it."""
        self._turn(seen)

    async def wait(self, after_revision: int, timeout_s: float) -> Snapshot:
        """The first snapshot newer than `after_revision`; after `timeout_s` seconds whatever there is."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self.snapshot.revision <= after_revision:
                    await self._changed.wait()
        return self.snapshot

    async def _hear(self, stream: Stream) -> None:
        try:
            await stream.run(self)
        except Exception:
            log.exception("stream %s failed in our own code", stream.name)

    async def _watch(self, source: StatusSource, wait_s: float) -> None:
        loop, poke = asyncio.get_running_loop(), self._pokes[source.name]
        failures = 0
        await asyncio.sleep(wait_s)
        while True:
            began = loop.time()
            if poke.is_set() and isinstance(source, Remembers):
                source.forget()
            poke.clear()  # before the poll: a change during it deserves another
            error = await self._poll(source)
            failures = 0 if error is None else failures + 1
            pause = self._pause_s(source, failures, error, loop.time() - began)
            async with self._lingering(source):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await poke.wait()
                        await asyncio.sleep(began + POKE_GAP_S - loop.time())

    @contextlib.asynccontextmanager
    async def _lingering(self, source: StatusSource) -> AsyncIterator[None]:
        """Until the next poll, what outlasted the last one is folded in as it comes."""
        task = asyncio.create_task(self._late(source), name=source.name) if isinstance(source, Lingers) else None
        try:
            yield
        finally:
            await end([task] if task else [])

    async def _late(self, source: Lingers) -> None:
        try:
            while True:
                self._turn(await source.late())
        except Exception:
            log.exception("what outlasted a poll failed in our own code")

    def _pause_s(self, source: StatusSource, failures: int, error: InterlockError | None, took_s: float = 0.0) -> float:
        """Seconds to the next poll: what is left of the cadence, or after an error a growing, spread out time."""
        if error is None:
            return max(source.cadence_s - took_s, REST_SHARE * source.cadence_s)
        longest = min(LONGEST_BACKOFF_S, 4 * source.cadence_s)
        if isinstance(error, PartlySeen):
            longest = source.cadence_s  # it answers: never asked less often than its cadence
        doubled = min(FIRST_BACKOFF_S, source.cadence_s) * 2.0 ** min(failures - 1, 10)
        pause = min(longest, doubled) * self._rng.uniform(0.5, 1.0)
        errors = error.errors if isinstance(error, PartlySeen) else (error,)
        asked = [each.retry_after_s or 0.0 for each in errors if isinstance(each, Throttled)]
        return max(pause, *asked) if asked else pause

    async def _poll(self, source: StatusSource) -> InterlockError | None:
        """One poll, published whatever comes of it; the error that a retry should back off from."""
        try:
            async with asyncio.timeout(source.deadline_s):
                seen = await source.collect()
        except PartlySeen as part:
            self._publish(source, part.seen, part)
            return part
        except InterlockError as error:
            self._publish(source, (), error)
            return error
        except TimeoutError:
            return self._failed(source, f"no answer within {source.deadline_s:g} s")
        except Exception as error:
            log.exception("source %s failed in our own code", source.name)
            return self._failed(source, f"our own fault, {type(error).__name__}: {error}")
        self._publish(source, seen, None)
        return None

    def _failed(self, source: StatusSource, what: str) -> InterlockError:
        error = TimedOut(what, where=source.name, do_next="It is asked again.")
        self._publish(source, (), error)
        return error

    def _publish(self, source: StatusSource, seen: Sequence[Observation], error: InterlockError | None) -> None:
        answered = error is None or bool(seen)
        last_ok = self._now() if answered else self._states[source.name].last_ok
        text = None if error is None else redactor.text(str(error))
        reachable = answered or not isinstance(error, AWAY)
        self._states[source.name] = SourceState(source.name, source.kind, last_ok, text, reachable)
        self._told.add(source.name)
        self._turn(seen)

    def _turn(self, seen: Sequence[Observation]) -> None:
        """Told to everybody who waits for a next snapshot."""
        self._seen += seen
        self._changed.set()
        self._changed = asyncio.Event()

    async def _close(self, source: StatusSource) -> None:
        try:
            async with asyncio.timeout(source.deadline_s):
                await source.close()
        except Exception:
            log.exception("source %s did not close", source.name)
