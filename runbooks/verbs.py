"""Every verb that a runbook may use, by kind and name: those that come with Interlock, and those of other packages.

Another package adds a verb with an entry point of the group `interlock.verbs`: the name is the verb's, the object the
verb (or its class). It is loaded when somebody asks for a name that does not come with Interlock. One that cannot be
used is told by name and does not stop the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from runbooks.actions.announce_specifics import AnnounceSpecifics
from runbooks.actions.prefer_standby import PreferStandby
from runbooks.actions.prefer_vpn import PreferVpn
from runbooks.actions.set_circuit_bandwidth import SetCircuitBandwidth
from runbooks.actions.set_vxc_rate import SetVxcRate
from runbooks.checks.port_empty import PortEmpty
from runbooks.checks.price_delta import PriceDelta
from runbooks.checks.primary_stable import PrimaryStable
from runbooks.checks.resize_fits import ResizeFits
from runbooks.checks.restored import Restored
from runbooks.checks.session_steady import SessionSteady
from runbooks.checks.standby_carries import StandbyCarries
from runbooks.checks.stays_restored import StaysRestored
from runbooks.checks.survivors_ready import SurvivorsReady
from runbooks.checks.vpn_carries import VpnCarries
from runbooks.checks.vpn_ready import VpnReady
from runbooks.declares import Declaration
from runbooks.scene import ActVerb, CheckVerb, MeasureVerb, WaitVerb

GROUP = "interlock.verbs"
#: What a verb of each kind can do beside `compile`.
METHODS: Mapping[str, tuple[str, ...]] = {
    "check": ("check",),
    "wait_until": ("wait",),
    "measure": ("measure",),
    "act": ("act", "observe", "verify"),
}
SHIPPED: tuple[CheckVerb | WaitVerb | MeasureVerb | ActVerb, ...] = (
    PreferStandby(),
    AnnounceSpecifics(),
    PreferVpn(),
    SetCircuitBandwidth(),
    SetVxcRate(),
    PortEmpty(),
    PriceDelta(),
    PrimaryStable(),
    ResizeFits(),
    Restored(),
    SessionSteady(),
    StandbyCarries(),
    StaysRestored(),
    SurvivorsReady(),
    VpnCarries(),
    VpnReady(),
)


class BrokenVerb(Exception):
    """A verb of another package cannot be used: the message names the package and what is wrong with it."""


def _installed() -> Iterable[EntryPoint]:
    return entry_points(group=GROUP)


class Registry(Mapping[str, Mapping[str, Any]]):
    """Verbs by kind, then by name. `found` lists the entry points; it is asked once, when a name is not shipped."""

    def __init__(self, shipped: Iterable[Any], found: Callable[[], Iterable[EntryPoint]] = _installed) -> None:
        self._shipped = {verb.declares.name: verb for verb in shipped}
        self._found = found
        self._kinds = {kind: _Kind(self, kind) for kind in METHODS}

    def __getitem__(self, kind: str) -> Mapping[str, Any]:
        return self._kinds[kind]

    def __iter__(self) -> Iterator[str]:
        return iter(self._kinds)

    def __len__(self) -> int:
        return len(self._kinds)

    @property
    def broken(self) -> Mapping[str, BrokenVerb]:
        """By name: verbs of other packages that cannot be used, and why."""
        return self._others[1]

    def named(self, name: str) -> Any:
        """The verb of that name, of whatever kind. Raises KeyError, BrokenVerb."""
        if name in self._shipped:
            return self._shipped[name]
        verbs, broken = self._others
        if name not in verbs and name in broken:
            raise broken[name]
        return verbs[name]

    def every(self) -> list[Any]:
        """All that can be used, those that are shipped first."""
        return [*self._shipped.values(), *self._others[0].values()]

    @cached_property
    def _others(self) -> tuple[dict[str, Any], dict[str, BrokenVerb]]:
        verbs: dict[str, Any] = {}
        broken: dict[str, BrokenVerb] = {}
        for point in self._found():
            try:
                verbs[point.name] = self._loaded(point, verbs)
            except BrokenVerb as error:
                broken[point.name] = error
        return verbs, broken

    def _loaded(self, point: EntryPoint, taken: Mapping[str, Any]) -> Any:
        whose = f"verb {point.name!r} of {point.dist.name if point.dist else point.value}"
        if point.name in self._shipped or point.name in taken:
            raise BrokenVerb(f"{whose} is refused: another verb has that name already, and that one is used")
        try:
            loaded = point.load()
            verb = loaded() if isinstance(loaded, type) else loaded
        except Exception as error:
            raise BrokenVerb(f"{whose} cannot be loaded: {type(error).__name__}: {error}") from error
        if wrong := _unfit(verb, point.name):
            raise BrokenVerb(f"{whose} {wrong}")
        return verb


def _unfit(verb: Any, name: str) -> str:
    """What a verb lacks; empty when it is one."""
    declares = getattr(verb, "declares", None)
    if not isinstance(declares, Declaration):
        return "has no `declares` that is a runbooks.declares.Declaration"
    if declares.name != name:
        return f"declares itself as {declares.name!r}: the entry point must have the same name"
    methods = ("compile", *METHODS.get(declares.kind, ("a known kind",)))
    lacking = [method for method in methods if not callable(getattr(verb, method, None))]
    return f"is of kind {declares.kind} and has no {', '.join(lacking)}" if lacking else ""


class _Kind(Mapping[str, Any]):
    """The verbs of one kind."""

    def __init__(self, registry: Registry, kind: str) -> None:
        self._registry, self._kind = registry, kind

    def __getitem__(self, name: str) -> Any:
        verb = self._registry.named(name)
        if verb.declares.kind != self._kind:
            raise KeyError(name)
        return verb

    def __contains__(self, name: object) -> bool:
        try:
            return self[str(name)] is not None
        except (KeyError, BrokenVerb):
            return False

    def __iter__(self) -> Iterator[str]:
        return (verb.declares.name for verb in self._registry.every() if verb.declares.kind == self._kind)

    def __len__(self) -> int:
        return sum(1 for _ in self)


VERBS = Registry(SHIPPED)


def actions_of(definition: Mapping[str, Any]) -> dict[str, int]:
    """The actions that a frozen definition needs, each with the major version that made it exact."""
    needed = dict.fromkeys(str(step["verb"]) for step in definition["steps"] if step["kind"] == "act")
    return {name: VERBS["act"][name].declares.version for name in needed}


def lacking(actions: Mapping[str, int]) -> list[str]:
    """Those of a run's actions that are not installed here as they were: who lacks one may follow and not drive."""
    here = VERBS["act"]
    return [
        f"{name} {version}"
        for name, version in actions.items()
        if name not in here or here[name].declares.version != version
    ]
