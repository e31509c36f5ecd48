"""The reference site with edges that keep a whole configuration, as the embedded lab's do: for acts that write more
than clauses. What is announced, carried and counted follows from it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network

from lab.embedded.config import Config
from lab.embedded.editor import apply
from lab.embedded.policy import Route, compile_map
from lab.embedded.speaker import networks, peers
from lab.embedded.start import edge
from network.inventory import Path
from network.measured import MtuResult
from network.observation import Advert, Advertised, HubPreference, Kind, Link, Load, Observation, Rides
from runbooks.book import shipped
from runbooks.plan import Plan, compile_plan
from tests.engine.little_network import IDLE, LOADS, SITE, LittleScene, Remembering
from tests.sample import REFERENCE, routes, seen

HALVES = ("10.10.0.0/17", "10.10.128.0/17", "10.11.0.0/17", "10.11.128.0/17")


@dataclass
class Edge(Remembering):
    """A router that applies lines as FRR does and refuses what FRR refuses; `failures` are raised instead, in turn."""

    config: Config
    sent: list[str] = field(default_factory=list)
    failures: list[Exception | None] = field(default_factory=list)
    unreadable: Exception | None = None
    timers: dict[str, tuple[float, tuple[str, ...], tuple[str, ...]]] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.config.render()

    async def configure(self, lines: tuple[str, ...]) -> None:
        self._fail()
        apply(self.config, lines)
        self.sent += lines

    def announced(self, session: str) -> tuple[str, ...]:
        """What the session's export map lets out of what the router originates."""
        peer = peers(self.config)[str(SITE.session(session).peer)]
        out = compile_map(self.config, peer.map_out)
        return tuple(str(prefix) for prefix in networks(self.config) if out.apply(Route(IPv4Network(prefix))))

    def inward(self) -> tuple[str, ...]:
        """What our other router gets of it."""
        out = compile_map(self.config, "IBGP-OUT")
        return tuple(str(prefix) for prefix in networks(self.config) if out.apply(Route(IPv4Network(prefix))))


@dataclass
class Edges(LittleScene):
    """See the module. The way back follows the longest match: by the tunnels that announce halves, else at rest."""

    routers: Mapping[str, Edge] = field(  # type: ignore[assignment]  # an Edge does all that a LittleRouter does here
        default_factory=lambda: {r.name: Edge(edge(SITE, r.name)) for r in SITE.routers}
    )

    def force(self, cloud: str = "azure") -> Plan:
        return compile_plan(shipped("force-vpn"), {"cloud": cloud}, self.moment(), REFERENCE.read_text())

    def edge_of(self, path: Path) -> Edge:
        return self.routers[self.site.session(path.session).router]

    def _standing(self) -> list[Observation]:
        found = [seen(Kind.HUB_PREFERENCE, "azure", HubPreference("ExpressRoute"))]
        for path in self.site.paths:
            sent = tuple(Advert(prefix, (65010,)) for prefix in self.edge_of(path).announced(path.session))
            found.append(seen(Kind.ADVERTISED, path.session, Advertised(sent)))
            found.append(seen(Kind.LOAD, path.vxc or path.tunnel or "", Load(200.0, 7)))
            found.append(seen(Kind.RIDES, path.session, Rides(self.site.interface(path))))
            found.append(seen(Kind.MTU, path.name, MtuResult(1500, 1500, 1500)))
        return found

    def _ways(self) -> list[Observation]:
        prefs = {p.session: self.edge_of(p).preference(p.session) for p in self.site.paths}
        found: list[Observation] = []
        for cloud, load in LOADS.items():
            paths = self.site.paths_of(cloud)
            found += routes(self.site, cloud, prefs=prefs)
            best = max(prefs[path.session] for path in paths)
            longer = [path for path in paths if set(HALVES) & set(self.edge_of(path).announced(path.session))]
            out = [path for path in paths if prefs[path.session] == best]
            back = longer or [paths[0]]
            for path in paths:
                sends, gets = (load / 2 / len(way) if path in way else IDLE for way in (out, back))
                name = f"{self.site.session(path.session).router} {self.site.interface(path)}"
                fact = Link(admin_up=True, oper_up=True, in_mbps=gets, out_mbps=sends)
                found.append(seen(Kind.LINK, name, fact))
        return found
