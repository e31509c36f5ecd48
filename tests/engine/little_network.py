"""The reference site in memory: routers that keep configuration, traffic that follows it, a clock that a wait moves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from connectors.routers.frr_config import Clause, read_clause
from connectors.routers.frr_render import applied
from network.inventory import Site
from network.observation import Advert, Advertised, HubPreference, Kind, Link, Load, Observation
from network.snapshot import Snapshot
from runbooks.book import shipped
from runbooks.model import StepDef, steps_of
from runbooks.plan import Plan, compile_plan
from runbooks.putback import undo_definition
from runbooks.scene import Moment
from tests.engine.little_circuit import LittleCircuit
from tests.engine.little_fabric import LittleFabric
from tests.router_text import running
from tests.sample import NOW, REFERENCE, healthy, reference, routes, seen

SITE = reference()
LOADS = {"azure": 800.0, "aws": 500.0}  # Mbps, in plus out
IDLE = 0.02


class Remembering:
    """What every router in memory does alike: it remembers what was sent, keeps timers, and fails when told to."""

    text: str
    sent: list[str]
    failures: list[Exception | None]
    unreadable: Exception | None
    timers: dict[str, tuple[float, tuple[str, ...], tuple[str, ...]]]

    async def running_config(self) -> str:
        if self.unreadable is not None:
            raise self.unreadable
        return self.text

    async def execute(self, command: str) -> None:
        self._fail()
        self.sent.append(command)

    async def arm(self, timer: str, seconds: float, lines: tuple[str, ...], clears: tuple[str, ...]) -> None:
        self._fail()
        self.timers[timer] = (seconds, lines, clears)

    async def extend(self, timer: str, seconds: float) -> str:
        self._fail()
        if timer not in self.timers:
            return "absent"
        self.timers[timer] = (seconds, *self.timers[timer][1:])
        return "armed"

    async def armed(self) -> tuple[str, ...]:
        if self.unreadable is not None:
            raise self.unreadable
        return tuple(self.timers)

    async def confirm(self, timer: str) -> str:
        self._fail()
        return "armed" if self.timers.pop(timer, None) else "absent"

    def preference(self, session: str) -> int:
        policy = SITE.session(session).policy
        assert policy is not None
        lines = read_clause(self.text, policy.import_map, policy.import_seq).lines
        return next(int(line.split()[-1]) for line in lines if "local-preference" in line)

    def _fail(self) -> None:
        if self.failures and (failure := self.failures.pop(0)) is not None:
            raise failure


@dataclass
class LittleRouter(Remembering):
    """Keeps a running configuration and says what was sent to it; `failures` are raised instead, in turn."""

    text: str
    sent: list[str] = field(default_factory=list)
    failures: list[Exception | None] = field(default_factory=list)
    unreadable: Exception | None = None
    timers: dict[str, tuple[float, tuple[str, ...], tuple[str, ...]]] = field(default_factory=dict)

    async def configure(self, lines: tuple[str, ...]) -> None:
        self._fail()
        self.sent += lines
        clause: Clause | None = None
        for line in lines:
            if line.startswith("route-map "):
                clause = read_clause(self.text, line.split()[1], int(line.split()[3]))
                continue
            assert clause is not None
            after = applied(clause, [line])
            self.text, clause = self.text.replace(clause.text + "\nexit", after.text + "\nexit"), after

    def prepends(self, session: str) -> int:
        policy = SITE.session(session).policy
        assert policy is not None
        lines = read_clause(self.text, policy.export_map, policy.export_seq).lines
        return next((line.count("65010") for line in lines if "prepend" in line), 0)


@dataclass
class LittleScene:
    """`newer` moves the clock and looks again at everything but what `blind` names; `facts` stand for the last word."""

    site: Site = SITE
    clock: datetime = NOW
    blind: Callable[[Observation], bool] = lambda _seen: False
    facts: list[Observation] = field(default_factory=list)
    idle: bool = False
    asked: int = 0
    step_s: float = 1.0
    routers: Mapping[str, LittleRouter] = field(
        default_factory=lambda: {r.name: LittleRouter(running(SITE, r.name)) for r in SITE.routers}
    )
    the_fabric: LittleFabric = field(default_factory=LittleFabric)
    the_circuit: LittleCircuit = field(default_factory=LittleCircuit)
    snapshot: Snapshot = field(default_factory=Snapshot)

    def __post_init__(self) -> None:
        self.look()

    def now(self) -> datetime:
        return self.clock

    def look_again(self) -> None:
        self.asked += 1

    def router(self, name: str) -> LittleRouter:
        return self.routers[name]

    def fabric(self) -> LittleFabric:
        return self.the_fabric

    def circuit(self) -> LittleCircuit:
        return self.the_circuit

    async def newer(self, revision: int, timeout_s: float) -> Snapshot:
        assert timeout_s > 0
        assert revision <= self.snapshot.revision
        self.clock += timedelta(seconds=min(timeout_s, self.step_s))
        self.look()
        return self.snapshot

    def look(self) -> None:
        """See the network as it is now."""
        every = [*healthy(self.site).observations.values(), *self._standing(), *self._ways(), *self.facts]
        fresh = [replace(item, at=self.clock) for item in every if not self.blind(item)]
        self.snapshot = self.snapshot.with_observations(fresh)

    def moment(self) -> Moment:
        texts = {name: router.text for name, router in self.routers.items()}
        return Moment(self.site, self.snapshot, self.clock, texts)

    def plan(self, port: str = "port-a") -> Plan:
        return compile_plan(shipped("drain-port"), {"port": port}, self.moment(), REFERENCE.read_text())

    def _prefs(self) -> dict[str, int]:
        return {p.session: self._router_of(p.session).preference(p.session) for p in self.site.paths}

    def _router_of(self, session: str) -> LittleRouter:
        return self.routers[self.site.session(session).router]

    def _standing(self) -> list[Observation]:
        found = [seen(Kind.HUB_PREFERENCE, "azure", HubPreference("ExpressRoute"))]
        for path in self.site.paths:
            length = 1 + self._router_of(path.session).prepends(path.session)
            sent = tuple(Advert(str(p.prefix), (65010,) * length) for p in self.site.on_prem.prefixes)
            found.append(seen(Kind.ADVERTISED, path.session, Advertised(sent)))
            found.append(seen(Kind.LOAD, path.vxc or path.tunnel or "", Load(200.0, 7)))
        return found

    def _ways(self) -> list[Observation]:
        prefs, found = self._prefs(), list[Observation]()
        for cloud, load in LOADS.items():
            found += routes(self.site, cloud, prefs=prefs)
            paths = self.site.paths_of(cloud)
            best = max(paths, key=lambda path: prefs[path.session])
            for path in paths:
                mbps = load if path is best and not self.idle else IDLE
                found.append(self.link(path.name, mbps))
        return found

    def link(self, path: str, mbps: float) -> Observation:
        """Counters of a path's interface: `mbps` in plus out."""
        of = self.site.path(path)
        name = f"{self.site.session(of.session).router} {self.site.interface(of)}"
        return seen(Kind.LINK, name, Link(admin_up=True, oper_up=True, in_mbps=mbps / 2, out_mbps=mbps / 2))


def steps(plan: Plan) -> dict[str, StepDef]:
    return {step.id: step for step in steps_of(plan.definition())}


def undo_steps(plan: Plan) -> dict[str, StepDef]:
    return {step.id: step for step in steps_of(undo_definition(plan.definition(), "R-1"))}


def allowed() -> None:
    """A window that is open."""
