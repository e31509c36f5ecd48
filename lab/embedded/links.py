"""The layers below BGP: which link has light, which carries frames and in which direction, and what is grey."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from lab.grey import Grey, Way, way
from network.inventory import Path, Session, Site


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one link. `dark`: no light. `out`/`inward`: frames from/to our edge vanish.

    `data_only`: traffic and probes vanish, BGP and BFD go on (a blackhole).
    """

    dark: bool = False
    out: bool = False
    inward: bool = False
    data_only: bool = False
    grey: Grey | None = None


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
        self.shaped: dict[str, int] = {}  # VXC to Mbps, where the fabric has changed its rate
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

    def rate_mbps(self, path: Path) -> int:
        """What the path carries at most now."""
        return self.shaped.get(path.vxc or "", self.site.rate_mbps(path))

    def leg(self, path: Path) -> tuple[str, ...]:
        """The links up to the session's peer: what lies behind it is the provider's."""
        return self.chain(path)[:2]

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

    def of_leg(self, path: Path) -> Carriage:
        """What a packet to the session's peer meets. A connection that lost its light has lost the peer with it."""
        return self._carriage(self.site.session(path.session).router, path, data=False)

    def _carriage(self, router: str, path: Path, *, data: bool) -> Carriage:
        light = self.interface_up(router, self.site.interface(path))
        faults = [self.has(name) for name in self.chain(path)]
        counted = [fault for fault in faults if data or not fault.data_only]
        dark = not light or any(fault.dark for fault in faults)
        return Carriage(light, not (dark or any(f.out for f in counted)), not (dark or any(f.inward for f in counted)))

    def grey(self, links: Iterable[str]) -> tuple[Way, Way]:
        """What packets meet on the way out and on the way back, all the links together."""
        greys = [grey for name in links if (grey := self.has(name).grey)]
        return way(grey for grey in greys if not grey.oneway), way(greys)
