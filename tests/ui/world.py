"""What the screens are shown in tests: a still source, a moment that stands, and a desk over a real journal."""
# ruff: noqa: ARG002 -- these methods have the arguments that their protocols give them

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any, cast

from textual import events
from textual.css.query import NoMatches
from textual.keys import _character_to_key
from textual.pilot import Pilot
from textual.screen import Screen
from textual.widgets import Input

from console.ui.app import InterlockApp
from console.ui.desk_port import Connection, Desk
from console.ui.screen_operator import ScreenOperator
from console.ui.screens.pulse import PulseScreen
from console.ui.widgets.path_table import PathTable
from network.inventory import Site
from network.observation import Kind, Observation, SessionHere
from network.snapshot import Snapshot
from runbooks.driving import Driving
from runbooks.effects import Finding, GateVerdict, Ports, Seen
from runbooks.engine import Engine, view_of
from runbooks.journal import Event, Identity, Journal, NewRun
from runbooks.model import Phase, StepDef
from runbooks.orders import Orders
from runbooks.plan import Plan, PlanStep
from runbooks.putback import undo_definition
from runbooks.standing import Standing
from runbooks.view import RunView, Timer
from tests.sample import NOW, healthy, reference

WINDOW_S, LEASE_S = 4320.0, 780.0
HELD_S = 600.0  # of a step: a test holds it for as long as it takes


class StillSource:
    """Shows what it was given; `put` shows something newer."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot
        self._changed = asyncio.Event()

    def put(self, *seen: Observation) -> None:
        self.snapshot = self.snapshot.with_observations(seen)
        self._changed.set()

    async def wait(self, after_revision: int, timeout_s: float) -> Snapshot:
        if self.snapshot.revision <= after_revision:
            self._changed.clear()
            await self._changed.wait()
        return self.snapshot


class SilentSource(StillSource):
    """A source that never answers, not even when its time is over."""

    async def wait(self, after_revision: int, timeout_s: float) -> Snapshot:
        await asyncio.Event().wait()
        return self.snapshot


@dataclass
class Moment:
    """A clock that moves when it is told to."""

    now: datetime = NOW

    def __call__(self) -> datetime:
        return self.now

    def later(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)


PROOF = {
    "expected": [
        {"what": "azure out", "want": "azure/er-secondary", "now": "azure/er-secondary", "ok": True},
        {"what": "azure back", "want": "azure/er-secondary", "now": "azure/er-primary", "ok": False},
        {"what": "coverage", "want": "nothing lost", "now": "nothing lost", "ok": True},
    ]
}


def act(cloud: str, neighbour: str) -> dict[str, Any]:
    lines = [f"route-map IN-{neighbour} permit 10", " set local-preference 120"]
    lines += [f"route-map OUT-{neighbour} permit 10", " set as-path prepend 65010 65010 65010 65010"]
    undo = [lines[0], " set local-preference 200", lines[2], " no set as-path prepend"]
    clear = {"router": "edge-1", "exec": "clear bgp ipv4 unicast 10.255.1.2 soft"}
    standby = f"{cloud}/{'er-secondary' if cloud == 'azure' else 'dx-2'}"
    want = [{"what": f"{cloud} {way}", "want": standby} for way in ("out", "back")]
    want.append({"what": "coverage", "want": "nothing lost"})
    return {
        "id": f"move-{cloud}",
        "kind": "act",
        "verb": "prefer-standby",
        "title": f"move {cloud} off port-a, both directions at once",
        "risk": "traffic-moving",
        "with": {},
        "commands": [{"router": "edge-1", "configure": lines}, clear],
        "undo": [{"router": "edge-1", "configure": undo}, clear],
        "expect": want,
        "timeout_s": HELD_S,
    }


def read(name: str, kind: str, title: str) -> dict[str, Any]:
    return {"id": name, "kind": kind, "verb": name, "title": title, "risk": "reading", "timeout_s": HELD_S}


WAYS = {
    "before": {
        "azure": {"carried_by": ["azure/er-primary"], "return_by": ["azure/er-primary"]},
        "aws": {"carried_by": ["aws/dx-1"], "return_by": ["aws/dx-1"]},
    },
    "after": {
        "azure": {"carried_by": ["azure/er-secondary"], "return_by": ["azure/er-secondary"]},
        "aws": {"carried_by": ["aws/dx-2"], "return_by": ["aws/dx-2"]},
    },
}
STEPS = [
    read("survivors", "check", "the standby can carry what port-a carries"),
    act("azure", "msee-primary"),
    act("aws", "dx-router-1"),
    read("empty", "wait_until", "wait until port-a carries nothing"),
    read("verify", "check", "everything arrives over the standby, nothing is lost"),
]


def a_plan(parameters: Mapping[str, str]) -> Plan:
    filled = [{"commands": [], "undo": [], "expect": [], **step} for step in STEPS]
    steps = tuple(
        PlanStep(
            str(s["id"]), str(s["title"]), str(s["kind"]), str(s["verb"]), str(s["risk"]), 0, s,
            tuple(f"{line['what']}: {line['want']}" for line in s["expect"]),
        )
        for s in filled
    )  # fmt: skip
    return Plan(
        "drain-port", 1, "Drain a fabric port", dict(parameters), parameters["port"], steps, "9c41e7d2ab10ff",
        WAYS["before"], WAYS["after"], (parameters["port"], "edge-1"), ("port:port-a", "port:port-b"),
    )  # fmt: skip


@dataclass
class Stage:
    """The outside of a run: obeys at once, unless told to hold at a step. `sent` is the outside truth."""

    hold: dict[str, asyncio.Event] = field(default_factory=dict)
    sent: list[tuple[str, Phase]] = field(default_factory=list)
    refuse: set[str] = field(default_factory=set)  # waits whose time ends without what was expected
    routers: tuple[str, ...] = ()  # where a dead-man can be armed
    silent: bool = False  # they answer no extension: what is armed burns down

    async def check(self, step: StepDef) -> Finding:
        await self._held(step.id)
        return Finding(ok=True, evidence=PROOF if step.id == "verify" else {})

    async def wait(self, step: StepDef, report: Callable[[Mapping[str, Any]], None]) -> Finding:
        await self._held(step.id)
        if step.id in self.refuse:
            still = {"what": step.id, "want": "0 Mbps", "now": "12 Mbps", "ok": False}
            return Finding(ok=False, reason="port-a still carries 12 Mbps", evidence={"expected": [still]})
        return Finding(ok=True)

    async def act(self, step: StepDef, phase: Phase, token: str, send_allowed: Callable[[], None]) -> Mapping[str, Any]:
        send_allowed()
        self.sent.append((step.id, phase))
        return {"sent": len(step.commands)}

    def places(self, step: StepDef) -> tuple[str, ...]:
        return self.routers

    async def prepare(self, step: StepDef, timer: Timer) -> None:
        """Routers need none."""

    async def arm(self, step: StepDef, timer: Timer) -> None:
        """They do as they are told."""

    async def extend(self, step: StepDef, timer: Timer) -> Mapping[str, str]:
        return {} if self.silent else dict.fromkeys(timer.places, "armed")

    async def disarm(self, step: StepDef, timer: Timer) -> Mapping[str, str]:
        return dict.fromkeys(timer.places, "armed")

    async def observe(self, step: StepDef, phase: Phase) -> Seen:
        done = [each for name, each in self.sent if name == step.id]
        return Seen(done[-1] if done else "undo")

    async def verify(self, step: StepDef, phase: Phase) -> Finding:
        await self._held(f"verify {step.id}")
        return Finding(ok=True, evidence=PROOF)

    async def permit(self, view: RunView, step: StepDef) -> GateVerdict:
        return GateVerdict(open=True)

    async def tell(self, event: Event, view: RunView) -> None:
        """Nobody listens."""

    async def _held(self, name: str) -> None:
        if name in self.hold:
            await self.hold[name].wait()


class Unplanned(Exception):
    """What a desk says when there can be no plan."""


@dataclass
class Ticks:
    """The journal's clock: every entry a little later than the one before, the same in every test."""

    at: datetime = NOW - timedelta(seconds=12)

    def __call__(self) -> datetime:
        self.at += timedelta(milliseconds=347)
        return self.at


class SmallDesk(Orders):
    """A desk over a real journal and the real engine; the world it works on is a `Stage`."""

    def __init__(self, journal: Journal, stage: Stage, operator: ScreenOperator, now: Callable[[], datetime]) -> None:
        super().__init__(journal)
        self.stage, self.write = stage, False
        ids = (f"e{n}" for n in itertools.count())
        ports = Ports(stage, stage, stage, operator, outage=operator)
        seconds = lambda: now().timestamp()  # noqa: E731 -- all of a test's clocks are one
        self.engine = Engine(journal, ports, now=now, boottime=seconds, new_id=lambda: next(ids))
        self.drives: list[Driving] = []
        self.shown: Standing | None = None  # in place of what the engine knows: for a picture

    async def plan(self, book: str, parameters: Mapping[str, str]) -> Plan:
        if book != "drain-port":
            raise Unplanned(f"{book!r} is not in the library; nearest: drain-port")
        return a_plan(parameters)

    async def start(self, plan: Plan, change: str | None) -> str:
        run = NewRun(plan.book, "1", plan.definition(), {}, change, plan.locks)
        return await self.begin(run)

    async def rollback(self, run_id: str) -> str:
        row = await self.journal.run(run_id)
        if row.closed_at is None:
            fence = await self.journal.claim(run_id)
            await self.engine.request_rollback(run_id, fence, "rollback asked by alice")
            self.drives.append(Driving(self.engine, run_id, fence))
            return run_id
        definition = undo_definition(row.definition, run_id)
        return await self.begin(NewRun(row.book, "1", definition, {}, row.ticket, ("port:port-a",), run_id))

    async def resume(self, run_id: str, *, force: bool = False) -> Event | None:
        """Go on: told to whoever drives a paused run, else driven on from here."""
        row, view = await self.journal.run(run_id), await view_of(self.journal, run_id)
        told = await super().resume(run_id) if view.paused else None
        if force or not row.driver_alive:
            self.drives.append(Driving(self.engine, run_id, await self.journal.claim(run_id, force=force)))
        return told

    async def decide(self, run_id: str, choice: str, reply_to: int) -> Event | None:
        """Answer, and drive on from here when nobody does and changes are allowed."""
        told = await super().decide(run_id, choice, reply_to)
        if self.write and (await self.journal.run(run_id)).orphaned:
            await self.resume(run_id)
        return told

    def standing(self, run_id: str) -> Standing | None:
        return self.shown or self.engine.standing(run_id)

    async def finished(self) -> None:
        """Wait until nothing is driven here any more."""
        await asyncio.gather(*(driving.result() for driving in self.drives), return_exceptions=True)

    def window_left_s(self, run_id: str) -> float | None:
        return WINDOW_S

    def lease_left_s(self, run_id: str) -> float | None:
        return LEASE_S

    async def close(self) -> None:
        await asyncio.gather(*(driving.stop() for driving in self.drives))
        await self.journal.close()

    async def begin(self, run: NewRun) -> str:
        row = await self.journal.create_run(run)
        self.drives.append(Driving(self.engine, row.run_id, row.fence))
        return row.run_id


async def a_journal(
    folder: Path, now: Callable[[], datetime], *, dead: bool = False, user: str = "alice", name: str = ""
) -> Journal:
    """`dead`: its console is proven to be gone, so that what it drove is interrupted."""
    me = Identity.here(user, "LAB")
    ids = (f"j{n}-{dead}-{user}{name}" for n in itertools.count())
    identity = replace(me, pid_start=me.pid_start - 1) if dead else me
    spool = folder / f"spool-{user}{name}.db"
    return await Journal.open(folder / "journal.db", identity=identity, now=now, new_id=lambda: next(ids), spool=spool)


@dataclass
class World:
    """Everything a test shows to the app; `desks` are closed by the fixture."""

    folder: Path
    clock: Moment = field(default_factory=Moment)
    site: Site = field(default_factory=reference)
    stage: Stage = field(default_factory=Stage)
    snapshot: Snapshot | None = None
    source: StillSource | None = None
    desks: list[SmallDesk] = field(default_factory=list)

    def app(self, *, source: type[StillSource] = StillSource, desk: bool = True, **more: Any) -> InterlockApp:
        self.source = source(self.snapshot or raw(healthy(self.site)))
        shown = self.source

        async def connect(operator: ScreenOperator) -> Connection:
            async def open_desk() -> Desk:
                found = SmallDesk(await a_journal(self.folder, Ticks()), self.stage, operator, self.clock)
                self.desks.append(found)
                return found

            return Connection(shown, open_desk if desk else None)

        settings: dict[str, Any] = {"mode": "LAB", "operator": "alice", "write": False, "clock": self.clock}
        return InterlockApp(self.site, connect, **(settings | more))

    @property
    def desk(self) -> SmallDesk:
        return self.desks[-1]

    async def close(self) -> None:
        for desk in self.desks:
            await desk.close()


def raw(snapshot: Snapshot) -> Snapshot:
    """The same facts with evidence as routers give it."""
    seen = [
        replace(item, evidence="show bgp summary json", raw=f'{{"peer": "{item.name}", "state": "{item.fact.state}"}}')
        for item in snapshot.observations.values()
        if item.kind is Kind.SESSION_HERE and isinstance(item.fact, SessionHere)
    ]
    return snapshot.with_observations(seen)


def with_faults(site: Site, snapshot: Snapshot) -> Snapshot:
    """dx-1 lost 192 s ago, azure/vpn-2 not heard of for 94 s, the fabric's API failing."""
    from network.measured import ProbeResult
    from network.observation import BfdHere, SessionThere
    from tests.sample import routes, seen

    lost = NOW - timedelta(seconds=192)
    snapshot = snapshot.with_observations(
        [
            seen(
                Kind.SESSION_HERE, "dx-1", SessionHere("Idle", lost, 0, 0, 100, reason="hold timer expired"), age_s=0.4
            ),
            seen(Kind.SESSION_THERE, "aws/dx-1", SessionThere(up=False, state="down"), age_s=0.4),
            seen(Kind.BFD, "dx-1", BfdHere("down", "control detection time expired"), age_s=0.4),
            seen(Kind.PROBE, "aws/dx-1", ProbeResult(3, 0, None), age_s=0.4),
            *(
                replace(item, at=NOW - timedelta(seconds=0.4))
                for item in routes(site, "aws", without=frozenset({"dx-1"}))
            ),
        ]
    )
    old = snapshot.get(Kind.SESSION_HERE, "vpn-azure-2")
    assert old is not None
    observations = {**snapshot.observations, old.key: replace(old, at=NOW - timedelta(seconds=94))}
    snapshot = replace(snapshot, observations=observations)
    megaport = replace(snapshot.sources["megaport"], error="429 too many requests", last_ok=NOW - timedelta(seconds=41))
    return snapshot.with_source(megaport)


async def told(app: InterlockApp, order: str) -> None:
    """Wait until an order is in the log of the run in view: only then is it sure that the run meets it."""
    await wait_for(
        lambda: app.picture.run and any(event.kind == f"cmd.{order}" for event in app.picture.run.events),
        f"{order} is in the log",
    )


async def wait_for(condition: Callable[[], object], what: str, deadline_s: float = 30.0) -> None:
    """Wait for a condition of this process, with a deadline and a description.

    A widget that is looked for is there a moment after its screen is: until then the condition does not hold.
    """
    end = monotonic() + deadline_s
    while True:
        missing = ""
        try:
            if condition():
                return
        except NoMatches as absent:
            missing = f" ({absent})"
        assert monotonic() < end, f"never happened: {what}{missing}"
        await asyncio.sleep(0.01)


async def judged(app: InterlockApp) -> None:
    """Wait until the site is judged, and on Pulse its paths stand in their table."""
    await wait_for(lambda: app.sight.health is not None, "the site is judged")
    await wait_for(
        lambda: not isinstance(app.screen, PulseScreen) or app.screen.query_one(PathTable).row_count,
        "the table is filled",
    )


def state(app: InterlockApp) -> str:
    """The state of the run in view."""
    return app.picture.run.view.state if app.picture.run else ""


def step_state(app: InterlockApp, step: str) -> str:
    """The state of a step of the run in view."""
    found = app.picture.run.view.step(step) if app.picture.run else None
    return found.state if found else ""


async def say(pilot: Pilot[None], text: str) -> None:
    """Give the `:` line a command."""
    await press(pilot, "colon")
    pilot.app.screen.query_one("#entry", Input).value = text
    await press(pilot, "enter")


async def shows(app: InterlockApp, kind: type[Screen[Any]]) -> None:
    """Wait until a screen of this kind is in front, with everything that stands on it from the start."""
    await wait_for(lambda: isinstance(app.screen, kind) and app.screen.is_mounted, f"a {kind.__name__} is shown")


def key_event(key: str) -> events.Key:
    """A key as a terminal sends it: one character, or a name such as `enter`."""
    return events.Key(_character_to_key(key), key) if len(key) == 1 else events.Key(key, None)


async def press(pilot: Pilot[None], *keys: str) -> None:
    """Type key by key: on return the last one has been heard by all, and the screen that it opened is in front.

    What a key sets going besides (an order, a plan, the next picture) comes when it comes: it is waited for.
    Pilot.press waits for an idle processor instead: tens of ms for each key, and on a busy machine not for the key.
    """
    app = cast("InterlockApp", pilot.app)
    for key in keys:
        app.post_message(key_event(key))
        await heard(app)
    await pilot._wait_for_screen()


async def heard(app: InterlockApp) -> None:
    """Wait until every key that was typed has been heard."""
    read = asyncio.Event()
    async with asyncio.timeout(30.0):
        if app.call_later(read.set):  # behind them
            await read.wait()
        while app.is_running and app._keyboard._busy:
            assert app._keyboard._turn is not None
            await asyncio.wait({app._keyboard._turn})
