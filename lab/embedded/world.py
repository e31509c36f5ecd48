"""The site alive: configurations, links, sessions, routes and load, each following from the ones before."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from ipaddress import IPv4Network

from lab.embedded import start, timing
from lab.embedded.links import Links
from lab.embedded.policy import Route as BgpRoute
from lab.embedded.propagation import Adjacency, changed, converge
from lab.embedded.sessions import BgpSession, Condition
from lab.embedded.speaker import Speaker, Table
from lab.embedded.timing import Clock
from lab.embedded.traffic import Counters, Flows, Interface
from lab.facts import FarSession, Route
from lab.grey import Grey
from network.inventory import Session, Site

#: Sessions claim to be this old at the start, so that a policy on their age is met at once.
AGE_AT_START_S = 60.0


@dataclass
class Light:
    """Carrier of one interface and how often it changed; times are of the last change, None when there was none."""

    up: bool = True
    ups: int = 0
    downs: int = 0
    last_up: float | None = None
    last_down: float | None = None

    def see(self, up: bool, now: float) -> None:
        if up and not self.up:
            self.ups, self.last_up = self.ups + 1, now
        elif self.up and not up:
            self.downs, self.last_down = self.downs + 1, now
        self.up = up


class World:
    """Implements `lab.facts.Facts`. Everything here happens at once; delays are the sessions' and the clock's."""

    def __init__(self, site: Site, clock: Clock) -> None:
        self.site, self.clock = site, clock
        self.links = Links(site)
        self.configs = start.configurations(site)
        self.speakers = {name: Speaker(name, config) for name, config in self.configs.items()}
        self.adjacencies = start.adjacencies(site)
        self.hung_bfd: set[str] = set()
        self.leaks: dict[tuple[str, str], tuple[BgpRoute, ...]] = {}
        self.watchers: list[Callable[[], None]] = []  # told after every change of a session or a table
        self.started = clock.now() - AGE_AT_START_S
        self.booted = {router.name: self.started for router in site.routers}
        self.tables: dict[str, Table] = {}
        self.updates: Counter[tuple[str, str, bool]] = Counter()  # by (router, peer, sent) since the start
        self.version = 0
        self.sessions = {s.name: BgpSession(s, clock, self.changed, self._condition(s)) for s in site.sessions}
        for session in self.sessions.values():
            session.start(self.started)
        self.lights = {key: Light() for key in self._interfaces()}
        self.counters = Counters(self.started)
        self.tables = converge(self.speakers, self._open(), {}, self.started, self.leaks)
        self._reload_traffic()

    # --- what follows from what ---

    def changed(self, delay_s: float) -> None:
        """Routes follow after the delay (a session moved, or a configuration line was accepted)."""
        if delay_s <= 0:
            self.settle()
        else:
            self.clock.after("routes", delay_s, self.settle)
            self._tell()

    def recheck(self) -> None:
        """Links, interfaces or neighbors changed: every session looks again at what it needs."""
        self.links.shut = {
            (router.name, name)
            for router in self.site.routers
            for name, lines in self.configs[router.name].interfaces.items()
            if "shutdown" in lines.values()
        }
        for (router, name), light in self.lights.items():
            light.see(self.links.interface_up(router, name), self.clock.now())
        for session in self.sessions.values():
            session.reconsider(self._condition(session.site))
        self._reload_traffic()

    def _interfaces(self) -> list[Interface]:
        """Every interface of the edges, in the order in which a router lists them."""
        site, found = self.site, []
        for router in (r.name for r in site.routers):
            found += [(router, "lan"), *((router, s.name) for s in site.sessions if s.internal)]
            found += [(router, p.interface) for p in site.ports if p.router == router]
            found += [(router, site.interface(p)) for p in site.paths if site.session(p.session).router == router]
        return found

    def settle(self) -> None:
        """Propagate routes to rest; a limit exceeded on the way takes its session down and it starts again."""
        before = self.tables
        self.tables = converge(self.speakers, self._open(), self.tables, self.clock.now(), self.leaks)
        if any(self.tables[name].choices != before[name].choices for name in self.tables):
            self.version += 1
        self.updates.update(changed(before, self.tables))
        if self._enforce_limits():
            self.settle()
        self._reload_traffic()
        self._tell()

    def _tell(self) -> None:
        for look in self.watchers:
            look()

    def edited(self, router: str, touched: set[str]) -> None:
        """A configuration changed: attachments, neighbors and interfaces act now, policy by FRR's delay timer."""
        self.speakers[router].reload()
        if "policy" in touched:
            self.clock.after(
                (router, "route-map"), self.clock.between(timing.ROUTE_MAP_S), lambda: self.refresh(router)
            )
        if touched - {"policy"}:
            self.recheck()
            self.changed(timing.FIB_S)

    def refresh(self, router: str, peer: str | None = None, ways: tuple[str, ...] = ("in", "out")) -> None:
        """The policy as configured now acts from now on."""
        self.speakers[router].refresh(peer, ways)
        self.settle()

    def soft_clear(self, router: str, peer: str, ways: tuple[str, ...]) -> None:
        """`clear bgp ipv4 unicast X soft`: policy acts in a tenth of a second, no session drops."""
        self.clock.after(
            (router, peer, ways), self.clock.between(timing.SOFT_S), lambda: self.refresh(router, peer, ways)
        )

    def _condition(self, session: Session) -> Condition:
        here = self.speakers[session.router].peers.get(str(session.peer))
        there = self.speakers[session.there].peers.get(str(session.local))
        return Condition(
            carriage=self.links.of_session(session),
            shut_here=here.shutdown if here else "",
            shut_there=there.shutdown if there else "",
            alive_here=self.links.router_up(session.router),
            alive_there=self.links.router_up(session.there),
            bfd=bool(session.bfd and here and here.bfd),
            bfd_hung=session.name in self.hung_bfd,
            detect_s=session.bfd.detect_s if session.bfd else 0.0,
            hold_s=float(session.hold_s),
        )

    def _open(self) -> list[Adjacency]:
        hubs = [link for name, link in self.adjacencies.items() if name not in self.sessions]
        return [self.adjacencies[s.site.name] for s in self.sessions.values() if s.up and s.exchanging] + hubs

    def _enforce_limits(self) -> bool:
        exceeded = False
        for session in self.sessions.values():
            site = session.site
            for here, router, peer in ((True, site.router, site.peer), (False, site.there, site.local)):
                known = self.speakers[router].peers.get(str(peer))
                count = len(self.tables[router].accepted.get(str(peer), ()))
                if session.up and known and known.max_prefix and count > known.max_prefix:
                    session.exceed(here=here)
                    exceeded = True
        return exceeded

    def _reload_traffic(self) -> None:
        up = {name: session.up for name, session in self.sessions.items()}
        self.counters.change(self.flows().load(up), self.clock.now())

    def shape(self, vxc: str, mbps: int) -> None:
        """The fabric has changed the VXC's rate."""
        self.links.shaped[vxc] = mbps
        self._reload_traffic()

    def flows(self) -> Flows:
        return Flows(self.site, self.links, self.tables)

    # --- lab.facts.Facts ---

    def port_up(self, port: str) -> bool:
        return self.links.port_light(port)

    def vxc_up(self, vxc: str) -> bool:
        return self.links.vxc_light(vxc)

    def connection_up(self, connection: str) -> bool:
        path = next(p for p in self.site.paths if p.connection == connection)
        return not self.links.has(connection).dark and not self.links.has(path.vxc or "").dark

    def tunnel_up(self, tunnel: str) -> bool:
        return not self.links.has(tunnel).dark and self.links.router_up(
            self.site.isp(self.site.tunnel(tunnel).isp).router
        )

    def far_session(self, path: str) -> FarSession:
        session = self.sessions[self.site.path(path).session]
        end, local = session.there, str(session.site.local)
        table = self.tables[session.site.there]
        prefs = {(r.prefix, r.path_id): r.local_pref for r in table.accepted.get(local, ())}
        received = tuple(_fact(r, prefs.get((r.prefix, r.path_id))) for r in table.received.get(local, ()))
        sent = tuple(_fact(r, None) for r in table.sent.get(local, ()))
        since = datetime.fromtimestamp(end.since if end.since is not None else self.started, UTC)
        reason = "" if end.up else ": ".join(filter(None, (end.reset.reason or end.reset.due_to, end.reset.text)))
        if not end.up:
            received = sent = ()
        return FarSession(end.state, since, received, sent, reason)

    def chosen(self, cloud: str) -> Mapping[str, tuple[str, ...]]:
        flows, hub = self.flows(), self.tables[start.hub_name(cloud)]
        found: dict[str, tuple[str, ...]] = {}
        for prefix, choice in sorted(hub.choices.items()):
            if choice.best.peer is not None:
                paths = {path.name for _, path in flows.chosen(cloud, prefix[0], 1.0)}
                found[str(prefix)] = tuple(p.name for p in self.site.paths_of(cloud) if p.name in paths)
        return found

    def mbps(self, path: str) -> tuple[float, float]:
        return self.counters.mbps(path, self.clock.now())

    # --- what the faults do ---

    def leak(self, session: Session, prefixes: tuple[IPv4Network, ...]) -> None:
        """The far end of a session sends these besides; an empty tuple ends it."""
        key = (session.there, str(session.local))
        asn = self.speakers[session.there].asn
        self.leaks[key] = tuple(BgpRoute(p, (asn,), next_hop=str(session.peer)) for p in prefixes)
        self.settle()

    def set_fault(self, link: str, **values: bool | Grey) -> None:
        """Change one link's fault; sessions and load follow."""
        self.links.faults[link] = replace(self.links.has(link), **values)  # type: ignore[arg-type]  # keys are Fault's own
        self.recheck()

    def mend(self, link: str) -> None:
        self.links.faults.pop(link, None)
        self.recheck()


def _fact(route: BgpRoute, local_pref: int | None) -> Route:
    return Route(str(route.prefix), route.as_path, route.communities, 100 if local_pref is None else local_pref)
