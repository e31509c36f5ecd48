"""What of the site ends on one router: BGP sessions and interfaces."""

from __future__ import annotations

from dataclasses import dataclass

from network.inventory import Session, Site


@dataclass(frozen=True, slots=True)
class End:
    """One end of a BGP session; `name` is what its observations are called, `interface` what it runs over.

    `tunnel`: it is meant to run through one, which must not itself ride the private path.
    """

    name: str
    peer: str
    session: Session
    interface: str
    tunnel: bool = False

    @property
    def external(self) -> bool:
        return not self.session.internal


def ends(site: Site, router: str) -> tuple[End, ...]:
    """The sessions that end on a router. An internal session has two ends; the far one is `NAME@ROUTER`."""
    found = []
    for session in site.sessions:
        path = site.path_of_session(session.name)
        interface = site.interface(path) if path is not None else ""
        if session.router == router:
            tunnel = path is not None and path.kind == "vpn"
            found.append(End(session.name, str(session.peer), session, interface, tunnel))
        elif session.internal and session.there == router:
            found.append(End(f"{session.name}@{router}", str(session.local), session, interface))
    return tuple(found)


def interfaces_of(site: Site, router: str) -> tuple[str, ...]:
    """The router's interfaces that the site names: of ports, VXCs and tunnels."""
    ports = {port.name: port.interface for port in site.ports if port.router == router}
    isps = {isp.name for isp in site.isps if isp.router == router}
    vxcs = (vxc.interface for vxc in site.vxcs if vxc.port in ports)
    tunnels = (tunnel.interface for tunnel in site.tunnels if tunnel.isp in isps)
    return tuple(dict.fromkeys((*ports.values(), *vxcs, *tunnels)))
