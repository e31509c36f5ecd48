"""A world of our own making, for the forecast to be compared with: decided here in another way, as naively as can be.

`snapshot_of` says what every system would report of a site when some sessions and routers are lost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from network.carriage import peers
from network.inventory import Path, Session, Site
from network.observation import (
    Advert,
    Advertised,
    CloudRoute,
    CloudRoutes,
    HubPreference,
    Kind,
    Load,
    Observation,
    RoutePath,
    Routes,
    SessionHere,
    SessionThere,
)
from network.snapshot import Snapshot
from tests.sample import NOW, seen

OWN = 65010
CLASSES = {"7224:7100": 1, "7224:7200": 2, "7224:7300": 3}


@dataclass(frozen=True)
class World:
    """A site and what is lost in it. `announces`: which of our prefixes a path announces (default: all)."""

    site: Site
    lost: frozenset[str] = frozenset()
    dark: frozenset[str] = frozenset()
    hub: str = "ExpressRoute"
    announces: Callable[[Path], Iterable[str]] | None = None
    p95: Mapping[str, float] = field(default_factory=dict)

    def up(self, session: Session) -> bool:
        ends = {session.router, session.there} if session.internal else {session.router}
        return session.name not in self.lost and not ends & self.dark


@dataclass(frozen=True)
class Held:
    """A route that a router holds: from an address, over an own session or from another router of ours."""

    peer: str
    asn: int
    pref: int
    session: Session
    sender: str = ""

    def rank(self) -> tuple[int, bool, int]:
        return -self.pref, bool(self.sender), int.from_bytes(bytes(map(int, self.peer.split("."))))


def held(world: World, cloud: str) -> dict[str, list[Held]]:
    """What each router holds towards a cloud, the one that it uses first."""
    site = world.site
    own: dict[str, list[Held]] = {router.name: [] for router in site.routers}
    for path in site.paths_of(cloud):
        session = site.session(path.session)
        if world.up(session):
            own[session.router].append(Held(str(session.peer), session.peer_asn, _policy(session), session))
    full = {router: sorted(routes, key=Held.rank) for router, routes in own.items()}
    for _ in range(len(full) + 2):
        full = {router: sorted([*own[router], *_heard(world, router, own, full)], key=Held.rank) for router in own}
    return full


def _policy(session: Session) -> int:
    return session.policy.local_pref if session.policy else 100


def _heard(world: World, router: str, own: Mapping[str, list[Held]], full: Mapping[str, list[Held]]) -> list[Held]:
    found = []
    for address, name in peers(world.site, router).items():
        session = world.site.session(name)
        if session.internal and world.up(session):
            sender = session.there if session.router == router else session.router
            sent = own[sender] if session.add_path else [r for r in full[sender][:1] if not r.sender]
            found += [Held(address, route.asn, route.pref, session, sender) for route in sent]
    return found


def way_out(world: World, cloud: str, router: str) -> str | None:
    """The path by which a router reaches the cloud."""
    tables = held(world, cloud)
    for _ in world.site.routers:
        if not tables[router]:
            return None
        best = tables[router][0]
        if not best.sender:
            path = world.site.path_of_session(best.session.name)
            return path.name if path else None
        router = best.sender
    return None


def ways_back(world: World, cloud: str, prefix: str) -> tuple[str, ...]:
    """The paths by which the cloud comes back to a prefix of ours."""
    site = world.site
    alive = [p for p in site.paths_of(cloud) if world.up(site.session(p.session)) and prefix in _sent(world, p)]
    ranks = {path.name: _worth(world, path) for path in alive}
    return tuple(name for name, rank in ranks.items() if rank == max(ranks.values()))


def _worth(world: World, path: Path) -> tuple[int, ...]:
    """How a cloud values a path; the highest wins, equal ones share."""
    policy = world.site.session(path.session).policy
    prepend, community = (policy.prepend, policy.community) if policy else (0, None)
    if path.cloud == "aws":
        private = path.kind == "directconnect"
        return int(private), CLASSES.get(community or "", 2) if private else 0, -prepend
    if world.hub == "ASPath":
        return (-prepend,)
    return int((path.kind == "vpn") == (world.hub == "VpnGateway")), -prepend


def _sent(world: World, path: Path) -> tuple[str, ...]:
    if world.announces:
        return tuple(world.announces(path))
    return tuple(str(p.prefix) for p in world.site.on_prem.prefixes)


def snapshot_of(world: World) -> Snapshot:
    """What routers and clouds would report; a router that is dark says nothing, and is seen holding nothing."""
    site = world.site
    facts: list[Observation] = []
    for cloud in site.clouds:
        for router, routes in held(world, cloud.name).items():
            paths = tuple(
                RoutePath(r.peer, str(r.asn), r.pref, n == 0, True, bool(r.sender)) for n, r in enumerate(routes)
            )
            facts += [seen(Kind.ROUTES, f"{router} {p.prefix}", Routes(paths)) for p in cloud.prefixes]
        table = tuple(
            CloudRoute(prefix, ways_back(world, cloud.name, prefix))
            for prefix in (str(p.prefix) for p in site.on_prem.prefixes)
        )
        facts.append(seen(Kind.CLOUD_ROUTES, cloud.name, CloudRoutes(table, "table")))
        if cloud.azure:
            facts.append(seen(Kind.HUB_PREFERENCE, cloud.name, HubPreference(world.hub)))
    for session in site.sessions:
        state = "Established" if world.up(session) else "Active"
        facts.append(seen(Kind.SESSION_HERE, session.name, SessionHere(state, NOW, 2, 2, 100)))
    for path in site.paths:
        facts += _of_path(world, path)
    return Snapshot().with_observations(facts)


def _of_path(world: World, path: Path) -> list[Observation]:
    session = world.site.session(path.session)
    up, policy = world.up(session), session.policy
    ases = (OWN,) * (1 + (policy.prepend if policy else 0))
    community = (policy.community,) if policy and policy.community else ()
    sent = _sent(world, path) if up else ()
    facts = [
        seen(Kind.SESSION_THERE, path.name, SessionThere(up, "up" if up else "down")),
        seen(Kind.ADVERTISED, session.name, Advertised(tuple(Advert(prefix, ases) for prefix in sent))),
    ]
    if path.kind != "vpn":
        accepted = Advertised(tuple(Advert(prefix, ases, community) for prefix in sent))
        facts.append(seen(Kind.ACCEPTED, path.name, accepted))
    thing = str(path.vxc or path.tunnel)
    if thing in world.p95:
        facts.append(seen(Kind.LOAD, thing, Load(world.p95[thing], 7)))
    return facts
