"""The site as wires and nodes: which namespaces there are, what joins them, which addresses they have.

Pure. Addresses of the path wires are the site's own (its sessions); the wires inside a cloud continue the
numbering at 10.255.11.0/30, as the reference site does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from network.inventory import Path, Session, Site

ONPREM = "onprem"
FABRIC = "fabric"
LAN_PREFIX = 24
ONPREM_ADDRESS = IPv4Address("10.10.0.10")
#: A hub needs an AS of its own that the provider edge then removes, so that on-prem sees the provider alone.
HUB_ASN = {"azure": 65514, "aws": 64514}
FIRST_CORE_NET = 11


@dataclass(frozen=True)
class End:
    """One end of a wire: the node, its interface, its address (a /30), and the switch port it is plugged into."""

    node: str
    interface: str
    address: IPv4Address
    switch_port: str


@dataclass(frozen=True)
class Wire:
    """A point-to-point link through a bridge of its own in the fabric namespace. `a` is our side."""

    name: str
    bridge: str
    a: End
    b: End


@dataclass(frozen=True)
class Attachment:
    """A provider device between our edges and its cloud's hub."""

    device: str
    asn: int
    cloud: str
    paths: tuple[Path, ...]
    core: Wire

    @property
    def kind(self) -> str:
        return self.paths[0].kind


@dataclass(frozen=True)
class Topology:
    """Everything the lab builds, by name."""

    site: Site
    wires: dict[str, Wire]
    attachments: dict[str, Attachment]
    lan: dict[str, IPv4Address] = field(default_factory=dict)

    @property
    def edges(self) -> tuple[str, ...]:
        return tuple(router.name for router in self.site.routers)

    @property
    def hubs(self) -> dict[str, str]:
        """Hub node by cloud."""
        return {cloud.name: f"{cloud.name}-hub" for cloud in self.site.clouds}

    @property
    def routers(self) -> tuple[str, ...]:
        """Every node that runs FRR."""
        return (*self.edges, *self.attachments, *self.hubs.values())

    @property
    def nodes(self) -> tuple[str, ...]:
        return (FABRIC, ONPREM, *self.routers)

    def session_of(self, path: Path) -> Session:
        return self.site.session(path.session)

    def owner(self, path: Path) -> str:
        """The edge that a path leaves by."""
        return self.session_of(path).router

    def paths_of_edge(self, edge: str) -> tuple[Path, ...]:
        return tuple(path for path in self.site.paths if self.owner(path) == edge)

    def wires_at(self, node: str) -> tuple[tuple[Wire, End], ...]:
        """The wires that end on a node, with that end."""
        return tuple((w, end) for w in self.wires.values() for end in (w.a, w.b) if end.node == node)


def build(site: Site) -> Topology:
    """The topology of a site. Path wires carry their session's name; `ibgp` joins the edges; `core-X` the clouds."""
    wires: dict[str, Wire] = {}
    for session in site.sessions:
        path = site.path_of_session(session.name)
        here = site.interface(path) if path else session.name
        wires[session.name] = _wire(
            len(wires),
            session.name,
            (session.router, here, session.local),
            (session.there, session.name if session.internal else session.router, session.peer),
        )
    attachments: dict[str, Attachment] = {}
    for path in site.paths:
        session = site.session(path.session)
        if session.there in attachments:
            continue
        net = IPv4Network((f"10.255.{FIRST_CORE_NET + len(attachments)}.0", 30))
        core = _wire(
            len(wires),
            f"core-{session.there}",
            (session.there, "hub", net[1]),
            (f"{path.cloud}-hub", session.there, net[2]),
        )
        wires[core.name] = core
        paths = tuple(p for p in site.paths if site.session(p.session).there == session.there)
        attachments[session.there] = Attachment(session.there, session.peer_asn, path.cloud, paths, core)
    lan = {router.name: IPv4Address("10.10.0.0") + n for n, router in enumerate(site.routers, 1)}
    return Topology(site, wires, attachments, {**lan, ONPREM: ONPREM_ADDRESS})


def _wire(index: int, name: str, a: tuple[str, str, IPv4Address], b: tuple[str, str, IPv4Address]) -> Wire:
    ends = [
        End(node, interface[:15], address, f"s{index}{side}")
        for (node, interface, address), side in zip((a, b), "ab", strict=True)
    ]
    return Wire(name, f"b{index}", ends[0], ends[1])
