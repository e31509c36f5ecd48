"""What a verb sees: the moment a plan is compiled in, and the scene a run acts on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from network.health import SiteHealth, judge
from network.inventory import Site, Vxc
from network.layers import View
from network.snapshot import Snapshot
from runbooks.declares import Declaration
from runbooks.effects import Finding, Seen
from runbooks.model import Phase, StepDef

if TYPE_CHECKING:
    from connectors.azure_bandwidth import CircuitDetails
    from connectors.megaport_price import Resize
    from connectors.megaport_vxc import Sent, VxcDetails


class CannotPlan(Exception):
    """The plan would be wrong or harmful: the message says why, each reason on a line. Nothing was touched."""


@dataclass(frozen=True, slots=True)
class Undoing:
    """The COMPLETED run that a plan puts back: its id and its frozen definition."""

    run_id: str
    definition: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Moment:
    """What is known when a plan is compiled: the site, the snapshot judged now, each router's running config.

    `quotes`: what the fabric asks for a change of rate, by VXC and Mbps, where it was asked and answered.
    """

    site: Site
    snapshot: Snapshot
    now: datetime
    running: Mapping[str, str]
    undoing: Undoing | None = None
    quotes: Mapping[tuple[str, int], Resize] = field(default_factory=dict)

    @property
    def health(self) -> SiteHealth:
        return judge(self.site, self.snapshot, self.now)

    @property
    def view(self) -> View:
        return View(self.site, self.snapshot, self.now)


class RouterPort(Protocol):
    """A router under the run's own login."""

    async def running_config(self) -> str: ...
    async def configure(self, lines: tuple[str, ...]) -> None: ...
    async def execute(self, command: str) -> None: ...
    async def arm(self, timer: str, seconds: float, lines: tuple[str, ...], clears: tuple[str, ...]) -> None:
        """Have the router itself send the lines and then the clears, unless it is told otherwise in time."""
        ...

    async def extend(self, timer: str, seconds: float) -> str:
        """Put it off: so many seconds from now. Returns what it was: armed, fired or absent."""
        ...

    async def armed(self) -> tuple[str, ...]:
        """The ids of the dead-men that are armed on the router now."""
        ...

    async def confirm(self, timer: str) -> str:
        """The change stays. Over a new connection: that one can be made is what is confirmed. Returns as `extend`."""
        ...


class Fabric(Protocol):
    """The fabric, read and, under the run's own credential, written. Reading raises an InterlockError."""

    async def vxc(self, uid: str) -> VxcDetails: ...
    async def price(self, vxc: Vxc, mbps: int) -> Resize: ...
    def sent(self, uid: str) -> Sent | None:
        """The last change that this console sent to the VXC."""

    async def set_rate(self, uid: str, mbps: int, send_allowed: Callable[[], None]) -> None:
        """Raises the connectors' NotSent (TooEarly) with proof that nothing changed, else OutcomeUnknown."""


class CircuitPort(Protocol):
    """The ExpressRoute circuit under the run's own credential. Reading raises an InterlockError."""

    async def circuit(self) -> CircuitDetails: ...
    async def set_bandwidth(self, seen: CircuitDetails, mbps: int, send_allowed: Callable[[], None]) -> None:
        """Raises the connectors' NotSent with proof that nothing changed, else OutcomeUnknown."""


class Scene(Protocol):
    """The live site that a run works on."""

    site: Site

    def now(self) -> datetime: ...
    @property
    def snapshot(self) -> Snapshot: ...
    async def newer(self, revision: int, timeout_s: float) -> Snapshot: ...
    def look_again(self) -> None:
        """Have the routers and the clouds asked now: something has just been changed."""

    def router(self, name: str) -> RouterPort: ...
    def fabric(self) -> Fabric: ...
    def circuit(self) -> CircuitPort: ...


def moment_of(scene: Scene, running: Mapping[str, str] | None = None) -> Moment:
    """The scene as it is known now."""
    return Moment(scene.site, scene.snapshot, scene.now(), running or {})


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a verb makes of a step: exact commands and undo, what is expected, and what the undo relies on.

    A command is {"router": name, "configure": [lines]}, {"router": name, "exec": line} or {"system": name, "put": path,
    "json": body}. `relied_on` is part of the
    plan's hash; `args` are further arguments that the run needs and the hash does not (loads, baselines).
    `touches` are the things that the step works on, by their site names; `locks` what nobody else may move meanwhile
    ("port:port-a"); `after` says by cloud which paths carry it then: {"carried_by": [...], "return_by": [...]}.
    `window_s`: a send may come so long after its intent, where the undo has to wait before it may be sent.
    `samples` and `spacing_s` are a wait's: so many in a row, at least so far apart.
    `needless`: why there is nothing to do; in the place of the step the plan then has a note that says so.
    """

    commands: tuple[dict[str, Any], ...] = ()
    undo: tuple[dict[str, Any], ...] = ()
    expect: tuple[dict[str, str], ...] = ()
    relied_on: Mapping[str, Any] = field(default_factory=dict)
    args: Mapping[str, Any] = field(default_factory=dict)
    timeout_s: float | None = None
    window_s: float | None = None
    samples: int = 1
    spacing_s: float = 0.0
    touches: tuple[str, ...] = ()
    locks: tuple[str, ...] = ()
    after: Mapping[str, Mapping[str, Sequence[str]]] = field(default_factory=dict)
    needless: str = ""


Report = Callable[[Mapping[str, Any]], None]


class Verb(Protocol):
    """What every verb can do: say what it is, and make a step exact."""

    @property
    def declares(self) -> Declaration: ...
    def compile(self, moment: Moment, args: Mapping[str, str]) -> Compiled: ...


class CheckVerb(Verb, Protocol):
    """Reads, and says whether it is so."""

    async def check(self, scene: Scene, step: StepDef) -> Finding: ...


class WaitVerb(Verb, Protocol):
    """Waits until it is so, or until the step's time is over: a predicate, and `runbooks.until` for the rest."""

    async def wait(self, scene: Scene, step: StepDef, report: Report) -> Finding: ...


class MeasureVerb(Verb, Protocol):
    """Takes figures: they are the finding's evidence, `ok` whether they are within their bound."""

    async def measure(self, scene: Scene, step: StepDef) -> Finding: ...


class ActVerb(Verb, Protocol):
    """Changes the network, looks at what it changed, and proves it.

    A linked undo runs the same step with commands and undo exchanged and `inverse` True in its arguments: then `do`
    puts back what was saved.
    """

    async def act(
        self, scene: Scene, step: StepDef, phase: Phase, send_allowed: Callable[[], None]
    ) -> Mapping[str, Any]: ...
    async def observe(self, scene: Scene, step: StepDef) -> Seen: ...
    async def verify(self, scene: Scene, step: StepDef, phase: Phase) -> Finding: ...


@runtime_checkable
class Rescuing(Protocol):
    """An act that is of class `restore`, whatever its book says, while it takes a cloud off a path that fails it."""

    def rescues(self, moment: Moment, args: Mapping[str, Any]) -> str:
        """What is observed, in words; empty while that is not so, or not known. Asked again at the gate."""
        ...


@runtime_checkable
class Weighing(Protocol):
    """An act that takes traffic off no path: it knows itself what its undo needs to be no worse than staying."""

    def going_back(self, moment: Moment, step: StepDef) -> Sequence[Mapping[str, Any]]:
        """Lines of expected beside actual, as `runbooks.proof.line` makes them; the undo is proven when all are ok."""
        ...
