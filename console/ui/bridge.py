"""From the collector and the journal to the screens: one coalescing message, at most four a second.

Nothing here touches a widget. The tasks write into the bridge, and the bridge posts a `Changed` with everything
that the screens draw from; a newer one replaces an older one that has not been read yet.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from textual.message import Message

from console.ui.desk_port import Connect, Connection, Desk
from console.ui.screen_operator import ScreenOperator
from network.snapshot import Snapshot

if TYPE_CHECKING:  # the journal is imported when the desk is open: the first paint comes before
    from runbooks.journal import Event, Journal, RunRow
    from runbooks.standing import Away, Standing
    from runbooks.view import RunView

GAP_S = 0.25  # between two messages
IDLE_S = 1.0  # without news: ages go on
COUNTING_S = 0.5  # the same while seconds are counted down
RUNS_S = 1.0  # between two looks at the list of runs: other consoles start some
DESK_RETRY_S = 3.0
FOLLOW_RETRY_S = 1.0
TAIL = 200  # entries of a run's log that are kept for the screen


@dataclass(frozen=True, slots=True)
class RunPicture:
    """One run: its row, its folded log, and the log's end. Countdown figures in seconds; None is unknown.

    `standing` is what only its driver knows; None: it is not driven here. While the journal is away from it,
    `view` is what the driver believes.
    """

    row: RunRow
    view: RunView
    events: tuple[Event, ...]
    window_left_s: float | None = None
    lease_left_s: float | None = None
    standing: Standing | None = None

    @property
    def away(self) -> Away | None:
        """The journal's outage, as this run's driver here meets it."""
        return self.standing.away if self.standing else None

    @property
    def fuses(self) -> Mapping[str, Mapping[str, float]]:
        """See Standing.fuses; empty where the run is driven elsewhere."""
        return self.standing.fuses if self.standing else {}

    @property
    def counts_down(self) -> bool:
        """Seconds are counted down that a person waits for."""
        armed = any(step.armed for step in self.view.steps)
        return not self.view.closed and (armed or self.away is not None)


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that the screens draw from. `snapshot` is None until the site is being watched."""

    now: datetime
    snapshot: Snapshot | None = None
    runs: tuple[RunRow, ...] = ()
    run: RunPicture | None = None
    trouble: str = ""


class Changed(Message):
    """There is a newer picture."""

    def __init__(self, picture: Picture) -> None:
        self.picture = picture
        super().__init__()

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, Changed)


class Bridge:
    """Opens the connection, follows it, and posts. `desk` is None while connecting, and where there is none."""

    def __init__(self, connect: Connect, post: Callable[[Message], object], now: Callable[[], datetime]) -> None:
        self._connect, self._post, self._now = connect, post, now
        self.operator = ScreenOperator()
        self.desk: Desk | None = None
        self._connection: Connection | None = None
        self._runs: tuple[RunRow, ...] = ()
        self._run: RunPicture | None = None
        self._trouble: dict[str, str] = {}
        self._dirty = asyncio.Event()
        self._look = asyncio.Event()  # something has changed a run's row: it is not waited for
        self._tasks: set[asyncio.Task[None]] = set()
        self._following: asyncio.Task[None] | None = None
        self._left: str | None = None  # a run the operator has turned away from is not opened again by itself

    def start(self) -> None:
        for work in (self._open(), self._publish()):
            self._tasks.add(asyncio.create_task(work))

    async def stop(self) -> None:
        tasks = [*self._tasks, *([self._following] if self._following else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def picture(self) -> Picture:
        source = self._connection.source if self._connection else None
        held = ", ".join(self.operator.holds)
        holds = [f"HOLD {held}: the journal is away; 4 shows what waits"] if held else []
        trouble = "; ".join([*holds, *self._trouble.values()])
        return Picture(self._now(), source.snapshot if source else None, self._runs, self._counted(), trouble)

    def open_run(self, run_id: str) -> None:
        """Follow a run's log from now on."""
        if self._following:
            self._following.cancel()
        self._trouble.pop("run", None)
        if self.desk:
            self._following = asyncio.create_task(self._follow(self.desk.journal, run_id), name=run_id)

    def close_run(self) -> None:
        """Back to the list of runs."""
        if self._following:
            self._following.cancel()
        self._trouble.pop("run", None)
        self._left = self._run.row.run_id if self._run else None
        self._following, self._run = None, None
        self._dirty.set()

    async def _open(self) -> None:
        try:
            self._connection = await self._connect(self.operator)
        except Exception as error:  # noqa: BLE001 -- whatever stands in the way is shown, and the screens stay
            self._trouble["connect"] = f"not connected: {error}"
            self._dirty.set()
            return
        self._tasks.add(asyncio.create_task(self._snapshots(self._connection)))
        if self._connection.desk:
            self._tasks.add(asyncio.create_task(self._open_desk(self._connection.desk)))

    async def _snapshots(self, connection: Connection) -> None:
        revision = -1
        while True:
            revision = (await connection.source.wait(revision, IDLE_S)).revision
            self._dirty.set()
            await asyncio.sleep(GAP_S)

    async def _open_desk(self, desk: Callable[[], Awaitable[Desk]]) -> None:
        """The network is shown whether or not the desk can be opened."""
        while self.desk is None:
            try:
                self.desk = await desk()
                self._trouble.pop("desk", None)
            except Exception as error:  # noqa: BLE001 -- whatever stands in the way is shown, and tried again
                self._trouble["desk"] = f"runs are not available yet: {error}"
                self._dirty.set()
                await asyncio.sleep(DESK_RETRY_S)
        await self._list_runs(self.desk.journal)

    async def _list_runs(self, journal: Journal) -> None:
        from runbooks.journal import JournalError

        while True:
            try:
                self._runs = tuple(await journal.runs())
                self._trouble.pop("journal", None)
                self._open_by_itself()
            except JournalError as error:
                self._trouble["journal"] = str(error)
            self._dirty.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(RUNS_S):
                    await self._look.wait()
            self._look.clear()

    def _open_by_itself(self) -> None:
        """A run that is being driven now is what everybody wants to see."""
        driven = next((run for run in self._runs if run.closed_at is None and run.driver_alive), None)
        busy = self._run is not None and not self._run.view.closed
        if driven and not busy and driven.run_id != self._left and not self._follows(driven.run_id):
            self.open_run(driven.run_id)

    def _follows(self, run_id: str) -> bool:
        return self._following is not None and self._following.get_name() == run_id

    async def _follow(self, journal: Journal, run_id: str) -> None:
        """Follow a run's log, over every outage of the journal."""
        from runbooks.journal import JournalError, JournalUnavailable
        from runbooks.model import UnfitDefinition

        while True:
            try:
                await self._followed(journal, run_id)
            except JournalUnavailable as away:
                self._trouble["run"] = str(away)
                self._dirty.set()
                await asyncio.sleep(FOLLOW_RETRY_S)
            except (JournalError, UnfitDefinition) as error:
                self._trouble["run"] = str(error)
                self._dirty.set()
                return

    async def _followed(self, journal: Journal, run_id: str) -> None:
        from runbooks.machine import apply, fold
        from runbooks.model import steps_of

        row = await journal.run(run_id)
        view, tail = fold(steps_of(row.definition), ()), list[Any]()
        async for event in journal.follow(run_id):
            view = apply(view, event)
            tail = [*tail[-TAIL:], event]
            self._run = RunPicture(row, view, tuple(tail))
            self._trouble.pop("run", None)
            self._dirty.set()
            if view.closed:
                self._look.set()  # its row says so too, and not up to a second later

    def _counted(self) -> RunPicture | None:
        run, desk = self._run, self.desk
        if run is None or desk is None:
            return run
        row = next((row for row in self._runs if row.run_id == run.row.run_id), run.row)
        name, standing = row.run_id, desk.standing(row.run_id)
        view = (standing.believed if standing else None) or run.view
        return RunPicture(row, view, run.events, desk.window_left_s(name), desk.lease_left_s(name), standing)

    async def _publish(self) -> None:
        while True:
            picture = self.picture()
            self._post(Changed(picture))
            await asyncio.sleep(GAP_S)
            idle_s = COUNTING_S if picture.run and picture.run.counts_down else IDLE_S
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(idle_s - GAP_S):
                    await self._dirty.wait()
            self._dirty.clear()
