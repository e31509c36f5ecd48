"""Who carries a cloud's traffic, out and back: from the routes really chosen, never from the configuration."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from ipaddress import IPv4Network

from network.bgp import held
from network.inventory import Cloud, Path, Site
from network.layers import View
from network.load import link_of
from network.observation import CloudRoutes, Kind, Link, RoutePath, Routes, SessionThere
from network.prefixes import network_of
from network.space import Space

#: A path takes part in the return when it has this share of what comes back; probes and keepalives stay below.
RETURN_SHARE = 0.05
#: Below this sum, in Mbps, the counters say nothing about the way back.
RETURN_FLOOR_MBPS = 0.1


#: What following a prefix gives when it leads back to a router that was visited already, or to one that is not known.
UNSETTLED = ""


@dataclass(frozen=True, slots=True)
class Egress:
    """Paths that our routers chose towards a cloud; prefixes without any route; routers that could not be asked.

    `holes` are "router prefix": a router that answers and has no way to that prefix, though another may have one.
    `unsettled`: two routers point at each other, because their tables are of different moments: ask again.
    """

    paths: tuple[str, ...]
    uncovered: tuple[str, ...]
    unknown_routers: tuple[str, ...]
    holes: tuple[str, ...] = ()
    unsettled: bool = False

    @property
    def known(self) -> bool:
        return bool(self.paths) or not (self.unknown_routers or self.unsettled)


@dataclass(frozen=True, slots=True)
class Return:
    """Paths by which the cloud comes back, how that is known (measured, table, inferred), how old it is.

    `lost` are sanctioned prefixes of ours that the cloud's own table does not hold; empty also when it is not known.
    """

    paths: tuple[str, ...] = ()
    basis: str | None = None
    age_s: float | None = None
    lost: tuple[str, ...] = ()


def peers(site: Site, router: str) -> Mapping[str, str]:
    """Neighbour address to session name, as seen from a router (an iBGP session is declared at one end only)."""
    return site.index.peers.get(router, {})


def egress(view: View, cloud: Cloud) -> Egress:
    """Follow the best path of each router for each of the cloud's prefixes, over iBGP where it points there."""
    prefixes = view.site.index.prefixes[cloud.name]
    tables = {r.name: [_routes(view, r.name, prefix) for prefix in prefixes] for r in view.site.routers}
    unknown = tuple(router for router, routes in tables.items() if None in routes)
    asked = [router for router in tables if router not in unknown]
    found: set[str] = set()
    uncovered: list[str] = []
    holes: list[str] = []
    unsettled = False
    for place, prefix in enumerate(prefixes):
        best = {router: _best(routes[place]) for router, routes in tables.items() if routes[place] is not None}
        ways = {router: _follow(view.site, router, best) for router in asked}
        found |= {way for way in ways.values() if way}
        holes += [f"{router} {prefix}" for router, way in ways.items() if way is None]
        unsettled |= UNSETTLED in ways.values()
        if asked and not any(ways.values()) and UNSETTLED not in ways.values():
            uncovered.append(prefix)
    ordered = tuple(path.name for path in view.site.paths if path.name in found)
    return Egress(ordered, tuple(uncovered), unknown, tuple(holes), unsettled)


def holds(view: View, path: Path) -> bool:
    """Some router holds a usable route of the cloud over this path, chosen or not: the standby is really there."""
    return any(held(view, path).values())


def way_back(view: View, cloud: Cloud) -> Return:
    """The return path, by the best evidence there is: input counters, then the cloud's own tables."""
    found = _measured(view, cloud) or _from_tables(view, cloud) or Return()
    return replace(found, lost=_lost(view, cloud))


def _routes(view: View, router: str, prefix: str) -> Routes | None:
    return view.fresh(Kind.ROUTES, f"{router} {prefix}", Routes)


def _best(routes: Routes | None) -> RoutePath | None:
    return routes.best if routes else None


def _follow(site: Site, router: str, best: Mapping[str, RoutePath | None]) -> str | None:
    """The path by which a router's packets for a prefix leave the site; None without a route.

    `best` is the best route to that prefix of each router that can be asked. UNSETTLED in a loop, and where the way
    leads to a router that cannot.
    """
    visited = set[str]()
    while router not in visited and router in best:
        visited.add(router)
        route = best.get(router)
        name = peers(site, router).get(route.peer) if route else None
        if name is None:
            return None
        session = site.session(name)
        if not session.internal:
            path = site.path_of_session(name)
            return path.name if path else None
        router = session.there if session.router == router else session.router
    return UNSETTLED


def _measured(view: View, cloud: Cloud) -> Return | None:
    rates: dict[str, float] = {}
    ages: list[float] = []
    for path in view.site.paths_of(cloud.name):
        key = link_of(view, path)
        link = view.fresh(Kind.LINK, key, Link)
        seen = view.snapshot.get(Kind.LINK, key)
        if (link is None or seen is None) and _gone(view, path):
            continue  # nothing comes back over it, whoever may count
        if link is None or seen is None or link.in_mbps is None:
            return None  # what this path carries is not known: the others' shares of it neither
        rates[path.name] = link.in_mbps
        ages.append(seen.age_s(view.now))
    total = sum(rates.values())
    if total < RETURN_FLOOR_MBPS:
        return None
    return Return(tuple(name for name, rate in rates.items() if rate >= RETURN_SHARE * total), "measured", max(ages))


def _gone(view: View, path: Path) -> bool:
    """The cloud itself says that its end of the path is down."""
    there = view.snapshot.fresh(Kind.SESSION_THERE, path.name, SessionThere, view.now)
    return there is not None and there.known and not there.up


def _lost(view: View, cloud: Cloud) -> tuple[str, ...]:
    tables = view.snapshot.fresh(Kind.CLOUD_ROUTES, cloud.name, CloudRoutes, view.now)
    if tables is None:
        return ()
    chosen = _by_longest_match(view.site, tables)
    return tuple(prefix for prefix in sanctioned(view.site, cloud) if not all(chosen(prefix)))


def sanctioned(site: Site, cloud: Cloud) -> tuple[str, ...]:
    """What we may announce towards a cloud, probes aside, in site-file order."""
    return tuple(str(p.prefix) for p in site.on_prem.prefixes if cloud.name in p.towards)


def _from_tables(view: View, cloud: Cloud) -> Return | None:
    tables = view.snapshot.fresh(Kind.CLOUD_ROUTES, cloud.name, CloudRoutes, view.now)
    seen = view.snapshot.get(Kind.CLOUD_ROUTES, cloud.name)
    if tables is None or seen is None:
        return None
    chosen = _by_longest_match(view.site, tables)
    used = {via for prefix in sanctioned(view.site, cloud) for vias in chosen(prefix) for via in vias}
    return Return(tuple(p.name for p in view.site.paths if p.name in used), tables.basis, seen.age_s(view.now))


def _by_longest_match(site: Site, tables: CloudRoutes) -> Callable[[str], list[tuple[str, ...]]]:
    """From a prefix of ours to the cloud's paths for each piece of it; none for a piece that it has no way to.

    Probes aside: each of their addresses is announced on one path alone.
    """
    probes = {f"{path.probe.source}/32" for path in site.paths if path.probe}
    routes = (route for route in tables.routes if route.prefix not in probes)
    known = {route.prefix: route.via for route in routes if isinstance(network_of(route.prefix), IPv4Network)}
    space = Space(known)

    def chosen(prefix: str) -> list[tuple[str, ...]]:
        longest = (next(iter(space.matches(piece)), None) for piece in space.atoms(prefix))
        return [known[match] if match else () for match in longest]

    return chosen
