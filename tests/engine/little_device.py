"""A device in memory with an effect ledger, the outside truth, and consoles that can die at a named moment."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar
from uuid import uuid4

from runbooks.effects import Finding, GateVerdict, Outage, Ports, Reading, Seen, Unattended
from runbooks.engine import Engine
from runbooks.journal import Event, Identity, Journal, NewRun
from runbooks.model import GuardDef, Phase, StepDef
from runbooks.view import RunView, Timer

T = TypeVar("T")


def new_id() -> str:
    return uuid4().hex


@dataclass
class Clock:
    """A console's CLOCK_BOOTTIME that goes on when a test says so: a busy machine takes nothing of its windows."""

    now: float = 0.0

    def __call__(self) -> float:
        return self.now


class Fuse:
    """A dead-man of the device. It burns in small parts: where this process stands still, so does the device.

    A timer of its own would be over while the console, in the same process, had no moment to extend it.
    """

    PARTS = 60

    def __init__(self, seconds: float, burnt: Callable[[], None]) -> None:
        self._part_s, self._left, self._burnt = seconds / self.PARTS, self.PARTS, burnt
        self._wait()

    def cancel(self) -> None:
        self._handle.cancel()

    def _wait(self) -> None:
        self._handle = asyncio.get_running_loop().call_later(self._part_s, self._burn)

    def _burn(self) -> None:
        self._left -= 1
        (self._wait if self._left else self._burnt)()


class Died(BaseException):
    """kill -9, as far as one process can play it: no handler runs after it that writes anything."""


def act(name: str, *, group: str | None = None, before: int = 100, after: int = 120, **more: Any) -> dict[str, Any]:
    """A step that moves two values of the device, one after the other."""
    step: dict[str, Any] = {"id": name, "kind": "act", "verb": "prefer", "commands": [f"set {name} {after}"]}
    step |= {"undo": [f"set {name} {before}"], "with": {"do": after, "undo": before}}
    return step | ({"group": group} if group else {}) | more


BOOK = {
    "steps": [
        {"id": "safe", "kind": "check"},
        act("egress", group="drain"),
        act("return", group="drain"),
        {"id": "empty", "kind": "wait_until"},
        {"id": "clear", "kind": "confirm"},
        act("shut"),
    ]
}
ACTS = ("egress", "return", "shut")
HALVES = ("v4", "v6")


@dataclass
class Device:
    """What is there, and what was ever sent to it."""

    values: dict[str, int] = field(default_factory=lambda: {f"{a}/{h}": 100 for a in ACTS for h in HALVES})
    ledger: list[tuple[str, Phase]] = field(default_factory=list)


@dataclass
class World:
    """Everything outside the console: the device, what people say, and the moment at which the console dies."""

    device: Device = field(default_factory=Device)
    moment: Callable[[str], None] = lambda _name: None
    answers: dict[str, Any] = field(default_factory=dict)  # "check safe" -> Finding, "confirm clear" -> bool ...
    told: list[str] = field(default_factory=list)
    gates: list[str] = field(default_factory=list)
    looks: int = 0
    send_allowed: Callable[[], None] = lambda: None  # what the engine handed to the act in flight
    timers: dict[str, Fuse] = field(default_factory=dict)  # the device's dead-men, by id
    fired: list[str] = field(default_factory=list)
    extended: int = 0

    # -- Effects

    async def check(self, step: StepDef) -> Finding:
        self.moment(f"check {step.id}")
        return await self._answer(f"check {step.id}", Finding(True, evidence={"looked": 1}))

    async def wait(self, step: StepDef, report: Callable[[Mapping[str, Any]], None]) -> Finding:
        self.moment(f"wait {step.id}")
        report({"mbps": 3})
        return await self._answer(f"wait {step.id}", Finding(True))

    async def act(self, step: StepDef, phase: Phase, token: str, send_allowed: Callable[[], None]) -> Mapping[str, Any]:
        self.moment(f"before {phase} {step.id}")
        self.send_allowed = send_allowed
        await self._answer(f"{phase} {step.id}", None)
        for half in HALVES:
            send_allowed()
            if half == HALVES[0]:
                self.device.ledger.append((step.id, phase))
            self.device.values[f"{step.id}/{half}"] = step.args[phase]
            self.moment(f"sent {half} of {phase} {step.id}")
            await self._answer(f"after {half} of {phase} {step.id}", None)
        return {"token": token}

    def places(self, step: StepDef) -> tuple[str, ...]:
        return ("device",) if step.undo else ()

    async def prepare(self, step: StepDef, timer: Timer) -> None:
        self.moment(f"prepare {step.id} {timer.id}")
        await self._answer(f"prepare {step.id}", None)

    async def arm(self, step: StepDef, timer: Timer) -> None:
        self.moment(f"arm {step.id}")
        await self._answer(f"arm {step.id}", None)
        self._due(step, timer)

    async def extend(self, step: StepDef, timer: Timer) -> Mapping[str, str]:
        await self._answer(f"extend {step.id}", None)
        said = self._said(timer)
        if said == "armed":
            self._due(step, timer)
            self.extended += 1
        return {"device": said}

    async def disarm(self, step: StepDef, timer: Timer) -> Mapping[str, str]:
        self.moment(f"disarm {step.id}")
        silent = await self._answer(f"disarm {step.id}", "")
        if silent:
            return {"device": silent}
        said = self._said(timer)
        if handle := self.timers.pop(timer.id, None):
            handle.cancel()
        return {"device": said}

    def _said(self, timer: Timer) -> str:
        return "armed" if timer.id in self.timers else "fired" if timer.id in self.fired else "absent"

    def _due(self, step: StepDef, timer: Timer) -> None:
        if timer.id in self.timers:
            self.timers[timer.id].cancel()
        self.timers[timer.id] = Fuse(timer.seconds, lambda: self._fire(step, timer.id))

    def _fire(self, step: StepDef, timer: str) -> None:
        del self.timers[timer]
        self.fired.append(timer)
        self.device.values |= {f"{step.id}/{half}": step.args["undo"] for half in HALVES}

    async def left_behind(self, run_id: str, steps: Sequence[StepDef]) -> Finding:
        self.moment("left behind")
        armed = [timer for timer in self.timers if timer.startswith(f"{run_id}-")]
        left = [step.id for step in steps if self.device.values.get(f"{step.id}/v4") == step.args["do"]]
        return await self._answer("left behind", Finding(not armed and not left, ", ".join([*armed, *left])))

    async def observe(self, step: StepDef, phase: Phase) -> Seen:
        self.moment(f"observe {phase} {step.id}")
        await self._answer(f"observe {step.id}", None)
        there = {self.device.values[f"{step.id}/{half}"] for half in HALVES}
        if len(there) > 1:
            return Seen("mixed")
        return Seen("do" if there == {step.args["do"]} else "undo", {"values": sorted(there)})

    async def verify(self, step: StepDef, phase: Phase) -> Finding:
        self.moment(f"verify {phase} {step.id}")
        there = {self.device.values[f"{step.id}/{half}"] for half in HALVES}
        return await self._answer(f"verify {phase} {step.id}", Finding(there == {step.args[phase]}))

    # -- Gate, Notes, Operator

    async def permit(self, _view: RunView, step: StepDef) -> GateVerdict:
        self.gates.append(step.id)
        return await self._answer(f"gate {step.id}", GateVerdict(open=True))

    async def tell(self, event: Event, _view: RunView) -> None:
        self.told.append(event.kind)
        await self._answer("tell", None)

    async def evidence(self, _view: RunView, step: StepDef) -> Mapping[str, str] | None:
        return await self._answer(f"evidence {step.id}", {"done": "yes"})

    async def measure(self, step: StepDef) -> Finding:
        self.moment(f"measure {step.id}")
        return await self._answer(f"measure {step.id}", Finding(True))

    async def confirm(self, _view: RunView, step: StepDef) -> bool | None:
        answer: bool | None = True
        return await self._answer(f"confirm {step.id}", answer)

    # -- Guards

    async def look(self, _view: RunView, guards: Sequence[GuardDef]) -> Mapping[str, Reading]:
        await asyncio.sleep(0.002)  # a look takes a moment
        self.looks += 1
        return {guard.label: await self._answer(f"guard {guard.label}", Reading(True)) for guard in guards}

    async def baseline(self, _view: RunView) -> Finding:
        return await self._answer("baseline", Finding(True, "the baseline is healthy"))

    async def _answer(self, name: str, default: T) -> T:
        """The prepared answer: a value, an exception to raise, a list of answers, or something to await."""
        answer: Any = self.answers.get(name, default)
        if isinstance(answer, list):
            answer = answer.pop(0) if answer else default
        if callable(answer):
            answer = await answer()
        if isinstance(answer, BaseException):
            raise answer
        told: T = answer
        return told


class MortalJournal(Journal):
    """A journal whose console can die directly before or after an entry is written."""

    moment: Callable[[str], None] = staticmethod(lambda _name: None)

    async def append(self, run_id: str, kind: str, **where: Any) -> Event:
        name = f"{kind} {where.get('step') or ''}".strip()
        self.moment(f"before entry {name}")
        event = await super().append(run_id, kind, **where)
        self.moment(f"after entry {name}")
        return event


def here(user: str = "alice", *, dead: bool = False) -> Identity:
    """This process; or one that had its pid before it, and is therefore proven dead."""
    me = Identity.here(user, "LAB")
    return replace(me, pid_start=me.pid_start - 1) if dead else me


@asynccontextmanager
async def console(
    where: Path | str,
    world: World,
    user: str = "alice",
    *,
    identity: Identity | None = None,
    dead: bool = False,
    lease_s: float = 15.0,
    spool: Path | None = None,
    outage: Outage | None = None,
    **more: Any,
) -> AsyncIterator[tuple[MortalJournal, Engine]]:
    """One console on a journal. `dead`: to the next console it looks like a process that is gone."""
    journal = await MortalJournal.open(
        where,
        identity=identity or here(user, dead=dead),
        now=lambda: datetime.now(UTC),
        new_id=new_id,
        lease_s=lease_s,
        spool=spool,
    )
    journal.moment = world.moment
    settings: dict[str, Any] = {"boottime": monotonic, "gate_poll_s": 0.01} | more
    engine = Engine(
        journal,
        Ports(world, world, world, world, world, outage or Unattended()),
        now=lambda: datetime.now(UTC),
        new_id=new_id,
        **settings,
    )
    try:
        yield journal, engine
    finally:
        await journal.close()


def book(steps: Mapping[str, Any] = BOOK, **more: Any) -> NewRun:
    return NewRun("drain-port", "1", steps, ticket="CHG0030001", **({"locks": ["port:port-a"]} | more))


async def until(condition: Callable[[], Any], what: str, deadline_s: float = 30.0) -> None:
    """Wait for a condition of this process, with a deadline and a description."""
    end = monotonic() + deadline_s
    while not condition():
        assert monotonic() < end, f"never happened: {what}"
        await asyncio.sleep(0.005)
