"""The links as the fabric sees them: it looks at each about every five minutes and tells what it saw last."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Protocol

from lab.circuit_bandwidth import CircuitBandwidth
from lab.facts import Facts
from lab.megaport.rates import Rates
from network.inventory import Site


class Sited(Protocol):
    """Whatever knows its site."""

    @property
    def site(self) -> Site: ...


class Keyed(Sited, Protocol):
    """And what the cloud's key allows in Mbps, which the cloud may raise."""

    @property
    def circuit(self) -> CircuitBandwidth: ...


class Links(Keyed, Protocol):
    """The part of the world that the fabric's products show."""

    def port_up(self, port: str) -> bool: ...
    def vxc_up(self, vxc: str) -> bool: ...
    @property
    def rates(self) -> Rates: ...


class Sampled:
    """`every_s` is how old a link state may be: 0 in a lab, so that drills need not wait; 300 at the real fabric."""

    def __init__(self, facts: Facts, now: Callable[[], datetime], circuit: CircuitBandwidth | None = None) -> None:
        self.site, self.every_s = facts.site, 0.0
        self.circuit = circuit or CircuitBandwidth(facts.site)
        self.rates = Rates(facts.site, facts, now)
        self._facts, self._now = facts, now
        self._seen: dict[tuple[str, str], tuple[datetime, bool]] = {}

    def port_up(self, port: str) -> bool:
        return self._look("port", port, self._facts.port_up)

    def vxc_up(self, vxc: str) -> bool:
        return self._look("vxc", vxc, self._facts.vxc_up)

    def _look(self, kind: str, name: str, up: Callable[[str], bool]) -> bool:
        now, known = self._now(), self._seen.get((kind, name))
        if known is None or now - known[0] >= timedelta(seconds=self.every_s):
            known = self._seen[kind, name] = (now, up(name))
        return known[1]
