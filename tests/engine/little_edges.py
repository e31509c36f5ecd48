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
from network.measured import MtuResult, ProbeResult
from network.observation import Advert, Advertised, HubPreference, Kind, Link, Load, Observation, Rides
from runbooks.book import shipped
from runbooks.plan import Plan, compile_plan
from tests.engine.little_network import IDLE, LOADS, SITE, LittleScene, Remembering
from tests.sample import REFERENCE, routes, seen

RTT_MS = 4.1  # of every path, as usual
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

    def adverts(self) -> dict[str, tuple[Advert, ...]]:
        """By neighbour, what its export map lets out of what the router originates, as the neighbour sees it."""
        own = [Route(IPv4Network(prefix)) for prefix in networks(self.config)]
        found = {}
        for address, peer in peers(self.config).items():
            sent = filter(None, map(compile_map(self.config, peer.map_out).apply, own))
            found[address] = tuple(Advert(str(r.prefix), (65010, *r.as_path), r.communities) for r in sent)
        return found

    def announced(self, session: str) -> tuple[str, ...]:
        return tuple(advert.prefix for advert in self.adverts()[str(SITE.session(session).peer)])

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

    # By session, of the configurations that were last read: reading them is slow, and a test looks hundreds of times.
    read: list[str] = field(default_factory=list)
    sent: dict[str, tuple[Advert, ...]] = field(default_factory=dict)
    prefs: dict[str, int] = field(default_factory=dict)

    def force(self, cloud: str = "azure") -> Plan:
        return compile_plan(shipped("force-vpn"), {"cloud": cloud}, self.moment(), REFERENCE.read_text())

    def edge_of(self, path: Path) -> Edge:
        return self.routers[self.site.session(path.session).router]

    def look(self) -> None:
        if (texts := [edge.text for edge in self.routers.values()]) != self.read:
            self.read = texts
            sent = {name: edge.adverts() for name, edge in self.routers.items()}
            sessions = [self.site.session(path.session) for path in self.site.paths]
            self.sent = {session.name: sent[session.router][str(session.peer)] for session in sessions}
            self.prefs = {each.name: self.routers[each.router].preference(each.name) for each in sessions}
        super().look()

    def _standing(self) -> list[Observation]:
        found = [seen(Kind.HUB_PREFERENCE, "azure", HubPreference("ExpressRoute"))]
        for path in self.site.paths:
            found.append(seen(Kind.ADVERTISED, path.session, Advertised(self.sent[path.session])))
            found.append(seen(Kind.LOAD, path.vxc or path.tunnel or "", Load(200.0, 7)))
            found.append(seen(Kind.RIDES, path.session, Rides(self.site.interface(path))))
            found.append(seen(Kind.MTU, path.name, MtuResult(1500, 1500, 1500)))
            found.append(seen(Kind.PROBE, path.name, ProbeResult(3, 3, RTT_MS, usual_ms=RTT_MS, median_ms=RTT_MS)))
        return found

    def _ways(self) -> list[Observation]:
        prefs, found = self.prefs, list[Observation]()
        for cloud, load in LOADS.items():
            paths = self.site.paths_of(cloud)
            found += routes(self.site, cloud, prefs=prefs)
            best = max(prefs[path.session] for path in paths)
            longer = [path for path in paths if any(each.prefix in HALVES for each in self.sent[path.session])]
            out = [path for path in paths if prefs[path.session] == best]
            back = longer or [paths[0]]
            for path in paths:
                sends, gets = (load / 2 / len(way) if path in way else IDLE for way in (out, back))
                name = f"{self.site.session(path.session).router} {self.site.interface(path)}"
                fact = Link(admin_up=True, oper_up=True, in_mbps=gets, out_mbps=sends)
                found.append(seen(Kind.LINK, name, fact))
        return found
