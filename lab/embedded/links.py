"""The layers below BGP: which link has light, which carries frames and in which direction, and what is grey."""

from __future__ import annotations

from dataclasses import dataclass

from network.inventory import Path, Session, Site


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one link. `dark`: no light. `out`/`inward`: frames from/to our edge vanish.

    `loss_pct`, `delay_ms` and `mtu` are grey: routing does not see them; they hold in each direction, or with
    `inward_only` towards us alone. `data_only`: traffic and probes vanish, BGP and BFD go on (a blackhole).
    """

    dark: bool = False
    out: bool = False
    inward: bool = False
    data_only: bool = False
    loss_pct: float = 0.0
    delay_ms: float = 0.0
    mtu: int | None = None
    inward_only: bool = False


@dataclass(frozen=True, slots=True)
class Grey:
    """Grey trouble in one direction: the share of packets lost (0 to 1) and seconds of extra delay."""

    loss: float
    delay_s: float


@dataclass(frozen=True, slots=True)
class Carriage:
    """What a path or session finds below it now, seen from our edge."""

    light: bool
    out: bool
    inward: bool

    @property
    def both(self) -> bool:
        return self.out and self.inward


class Links:
    """Faults by link name (ports, VXCs, connections, tunnels, iBGP, routers) and interfaces shut by configuration."""

    def __init__(self, site: Site) -> None:
        self.site = site
        self.faults: dict[str, Fault] = {}
        self.shut: set[tuple[str, str]] = set()
        self.ibgp = {s.name: s for s in site.sessions if s.internal}

    def has(self, name: str) -> Fault:
        return self.faults.get(name, Fault())

    def router_up(self, router: str) -> bool:
        return not self.has(router).dark

    def port_light(self, port: str) -> bool:
        """Light on the fabric port: both its own optics and the router behind it."""
        found = self.site.port(port)
        return not (
            self.has(port).dark or not self.router_up(found.router) or (found.router, found.interface) in self.shut
        )

    def vxc_light(self, vxc: str) -> bool:
        """The cross connect as the fabric sees it: its own state and its port's."""
        return not self.has(vxc).dark and self.port_light(self.site.vxc(vxc).port)

    def chain(self, path: Path) -> tuple[str, ...]:
        """Every link that the path needs, from our edge outwards."""
        if path.tunnel:
            return (path.tunnel,)
        vxc = self.site.vxc(path.vxc or "")
        return (vxc.port, vxc.name, path.connection or "")

    def interface_up(self, router: str, interface: str) -> bool:
        """Carrier on a router's interface, as the router sees it."""
        if (router, interface) in self.shut or not self.router_up(router):
            return False
        for vxc in self.site.vxcs:
            if vxc.interface == interface:
                return self.vxc_light(vxc.name)
        for port in self.site.ports:
            if port.interface == interface:
                return self.port_light(port.name)
        for session in self.ibgp.values():
            if session.name == interface:
                return self._ibgp_light(session)
        return not self.has(interface).dark

    def _ibgp_light(self, session: Session) -> bool:
        ends = (session.router, session.there)
        shut = any((end, session.name) in self.shut or not self.router_up(end) for end in ends)
        return not shut and not self.has(session.name).dark

    def of_session(self, session: Session) -> Carriage:
        """What the session's packets meet. A blackhole of data does not touch them."""
        path = self.site.path_of_session(session.name)
        if path is None:
            light = self._ibgp_light(session)
            fault = self.has(session.name)
            return Carriage(light, light and not fault.out, light and not fault.inward)
        return self._carriage(session.router, path, data=False)

    def of_path(self, path: Path) -> Carriage:
        """What the path's traffic and probes meet."""
        return self._carriage(self.site.session(path.session).router, path, data=True)

    def _carriage(self, router: str, path: Path, *, data: bool) -> Carriage:
        light = self.interface_up(router, self.site.interface(path))
        faults = [self.has(name) for name in self.chain(path)]
        counted = [fault for fault in faults if data or not fault.data_only]
        dark = not light or any(fault.dark for fault in faults)
        return Carriage(light, not (dark or any(f.out for f in counted)), not (dark or any(f.inward for f in counted)))

    def grey(self, path: Path) -> tuple[Grey, Grey]:
        """What probes meet on the way out and on the way back, all links of the path together."""
        faults = [self.has(name) for name in self.chain(path)]
        return _grey([fault for fault in faults if not fault.inward_only]), _grey(faults)


def _grey(faults: list[Fault]) -> Grey:
    survive = 1.0
    for fault in faults:
        survive *= 1 - fault.loss_pct / 100
    return Grey(1 - survive, sum(fault.delay_ms for fault in faults) / 1000)
