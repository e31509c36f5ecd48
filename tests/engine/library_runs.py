"""Every book of the library on the network in memory: planned, driven, killed, and what the outside saw of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from copy import copy, deepcopy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic
from typing import Any

from runbooks.book import names, shipped
from runbooks.effects import Finding, Ports, Seen
from runbooks.engine import Engine
from runbooks.journal import Journal, NewRun
from runbooks.model import Phase, StepDef
from runbooks.perform import Performer
from runbooks.plan import Plan, compile_plan
from runbooks.scene import Report, Undoing
from runbooks.verbs import actions_of
from tests.engine.little_device import Died, MortalJournal, World, here, new_id
from tests.engine.little_edges import Edges
from tests.engine.little_network import LittleScene
from tests.engine.test_resize import network
from tests.sample import REFERENCE

#: What each book is called with here. A new book without a line fails the tests until it has one.
PARAMETERS: Mapping[str, Mapping[str, str]] = {
    "drain-port": {"port": "port-a"},
    "undrain-port": {"port": "port-a"},
    "force-vpn": {"cloud": "azure"},
    "failback": {"cloud": "azure"},
    "resize-vxc": {"vxc": "vxc-azure-a", "mbps": "1500"},
}
#: The network that a book's commands mean something to, where the plain one does not take them.
NETWORKS: Mapping[str, Callable[[], LittleScene]] = {"force-vpn": Edges}
BOOKS = names()

Moment = Callable[[str], None]
Sends = Counter[tuple[str, str]]  # system and line, how often


class Fate:
    """Counts moments; the chosen one is fatal, and so is every later one: the dead do nothing."""

    def __init__(self, fatal: int | None) -> None:
        self.fatal, self.count, self.name = fatal, 0, ""

    def __call__(self, name: str) -> None:
        if " entry guard." in name:
            return  # written beside the run by a task of its own, whose death alone is not the process's
        self.count += 1
        if self.fatal is not None and self.count >= self.fatal:
            self.name = self.name or name
            raise Died(name)


class MortalPerformer(Performer):
    """The real hands, of a console that can die before or after each effect and before each send."""

    def __init__(self, scene: LittleScene, moment: Moment) -> None:
        super().__init__(scene)
        self._moment = moment

    async def check(self, step: StepDef) -> Finding:
        self._moment(f"before check {step.id}")
        return await super().check(step)

    async def wait(self, step: StepDef, report: Report) -> Finding:
        self._moment(f"before wait {step.id}")
        return await super().wait(step, report)

    async def measure(self, step: StepDef) -> Finding:
        self._moment(f"before measure {step.id}")
        return await super().measure(step)

    async def act(self, step: StepDef, phase: Phase, token: str, send_allowed: Callable[[], None]) -> Mapping[str, Any]:
        def send() -> None:
            send_allowed()
            self._moment(f"before a send of {phase} {step.id}")

        evidence = await super().act(step, phase, token, send)
        self._moment(f"after {phase} {step.id}")
        return evidence

    async def observe(self, step: StepDef, phase: Phase) -> Seen:
        self._moment(f"before looking at {step.id}")
        return await super().observe(step, phase)

    async def verify(self, step: StepDef, phase: Phase) -> Finding:
        self._moment(f"before verifying {phase} of {step.id}")
        return await super().verify(step, phase)


@dataclass
class Stage:
    """One book, planned on a network of its own. `sent` is the outside ledger, `state` the configuration outside."""

    book: str
    scene: LittleScene = field(default_factory=network)
    undoing: Undoing | None = None
    world: World = field(default_factory=World)

    def __post_init__(self) -> None:
        assert self.book in PARAMETERS, f"say in {__name__} what {self.book} is called with"
        moment = replace(self.scene.moment(), undoing=self.undoing)
        self.plan: Plan = compile_plan(shipped(self.book), PARAMETERS[self.book], moment, REFERENCE.read_text())
        self.before = self.state
        for router in self.scene.routers.values():
            router.sent.clear()  # the ledger begins here
        self.scene.the_fabric.ledger.clear()

    @property
    def new_run(self) -> NewRun:
        plan, frozen = self.plan, self.plan.definition()
        return NewRun(plan.book, str(plan.version), frozen, actions_of(frozen), "CHG0030001", plan.locks, plan.undo_of)

    @property
    def sent(self) -> Sends:
        """The ledger of the outside."""
        routers = Sends((name, line) for name, router in self.scene.routers.items() for line in router.sent)
        return routers + Sends(("megaport", str(rate)) for rate in self.scene.the_fabric.ledger)

    @property
    def forth(self) -> Sends:
        """What the outside sees of the whole plan, performed once."""
        return sum((lines(step.definition["commands"]) for step in self.plan.steps), Sends())

    @property
    def back(self) -> Sends:
        """What the outside sees when the whole plan is undone once."""
        return sum((lines(step.definition["undo"]) for step in self.plan.steps), Sends())

    @property
    def state(self) -> dict[str, str]:
        fabric = self.scene.the_fabric
        rate = fabric.rate if fabric._coming is None else fabric._coming
        return {"megaport": str(rate), **{name: router.text for name, router in self.scene.routers.items()}}

    @property
    def outside(self) -> tuple[Any, ...]:
        """All that a console finds there: the configurations, what was ever sent, the timers that are armed."""
        timers = {name: dict(router.timers) for name, router in self.scene.routers.items()}
        return self.state, self.sent, timers

    def twin(self) -> Stage:
        """This stage as it stands now; from now on neither sees what happens on the other."""
        other, scene = copy(self), self.scene
        known = {id(frozen): frozen for frozen in (scene.site, scene.snapshot)}
        other.scene, other.world = deepcopy(scene, known), World()
        other.scene.the_fabric.forget()  # a console that comes new to it knows only what can be read there
        return other

    @asynccontextmanager
    async def console(
        self, where: Path | str, user: str = "alice", *, fate: Moment | None = None, dead: bool = False
    ) -> AsyncIterator[tuple[Journal, Engine]]:
        """A console on a journal, which dies as `fate` says. `dead`: to the next one it is a process that is gone."""
        journal = await MortalJournal.open(where, identity=here(user, dead=dead), now=utc, new_id=new_id)
        moment: Moment = fate or (lambda _name: None)
        journal.moment = moment
        world = self.world  # its guards see nothing amiss: they are proven elsewhere
        ports = Ports(MortalPerformer(self.scene, moment), world, world, world, world)
        try:
            yield journal, Engine(journal, ports, now=utc, boottime=monotonic, new_id=new_id, gate_poll_s=0.01)
        finally:
            journal.moment = lambda _name: None
            await journal.close()

    async def completed(self, where: Path | str) -> str:
        """Run the book without a death."""
        async with self.console(where) as (journal, engine):
            row = await journal.create_run(self.new_run)
            view = await engine.drive(row.run_id, row.fence)
            assert view.state == "COMPLETED", (view.state, view.why, view.question)
        return row.run_id

    async def live_and_die(self, where: Path | str, new: NewRun, fate: Moment) -> str:
        """Begin a run and drive it until the fatal moment; return its id."""
        async with self.console(where, fate=fate, dead=True) as (journal, engine):
            row = await journal.create_run(new)
            with suppress(Died):
                fate("after entry run.created")
                await engine.drive(row.run_id, row.fence)
        return row.run_id

    async def turn_round_and_die(self, where: Path | str, run_id: str, fate: Moment) -> None:
        """Take an interrupted run over, turn it round, and die on the way back."""
        async with self.console(where, "bob", fate=fate, dead=True) as (journal, engine):
            fence = await journal.claim(run_id)
            with suppress(Died):
                await engine.request_rollback(run_id, fence, "found it dead")
                await engine.drive(run_id, fence)


#: By book and journal: the network as a run of the book has left it, and that run.
_left: dict[tuple[str, str], tuple[LittleScene, Undoing]] = {}


async def staged(book: str, where: Path | str) -> Stage:
    """The book on a network of its own; of a book that undoes another, after a run of that one, once a journal."""
    undone = shipped(book).undoes
    if not undone:
        return Stage(book, NETWORKS.get(book, network)())
    key = undone, str(where)
    if key not in _left:
        first = await staged(undone, where)
        _left[key] = first.scene, Undoing(await first.completed(where), first.plan.definition())
    scene, undoing = _left[key]
    return Stage(book, replace(scene, routers=deepcopy(scene.routers), the_fabric=deepcopy(scene.the_fabric)), undoing)


def lines(sends: Sequence[Mapping[str, Any]]) -> Sends:
    """Commands as the outside ledger counts them."""
    return Sends(each for send in sends for each in _seen(send))


def _seen(send: Mapping[str, Any]) -> list[tuple[str, str]]:
    """One command as the ledger has it."""
    if "put" in send:
        return [(send["system"], str(send["json"].get("rateLimit", send["put"])))]
    return [(send["router"], line) for line in send.get("configure") or [send["exec"]]]


def utc() -> datetime:
    return datetime.now(UTC)
