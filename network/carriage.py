"""Who carries a cloud's traffic, out and back: from the routes really chosen, never from the configuration."""

from __future__ import annotations

from dataclasses import dataclass

from network.inventory import Cloud, Path, Router, Site
from network.layers import View
from network.observation import CloudRoutes, Kind, Link, RoutePath, Routes

#: A path takes part in the return when it has this share of what comes back; probes and keepalives stay below.
RETURN_SHARE = 0.05
#: Below this sum, in Mbps, the counters say nothing about the way back.
RETURN_FLOOR_MBPS = 0.1


@dataclass(frozen=True, slots=True)
class Egress:
    """Paths that our routers chose towards a cloud; prefixes without any route; routers that could not be asked."""

    paths: tuple[str, ...]
    uncovered: tuple[str, ...]
    unknown_routers: tuple[str, ...]

    @property
    def known(self) -> bool:
        return bool(self.paths) or not self.unknown_routers


@dataclass(frozen=True, slots=True)
class Return:
    """Paths by which the cloud comes back, how that is known (measured, table, inferred), how old it is."""

    paths: tuple[str, ...] = ()
    basis: str | None = None
    age_s: float | None = None


def peers(site: Site, router: str) -> dict[str, str]:
    """Neighbour address to session name, as seen from a router (an iBGP session is declared at one end only)."""
    found = {str(s.peer): s.name for s in site.sessions if s.router == router}
    return found | {str(s.local): s.name for s in site.sessions if s.internal and s.there == router}


def egress(view: View, cloud: Cloud) -> Egress:
    """Follow the best path of each router for each of the cloud's prefixes, over iBGP where it points there."""
    unknown = tuple(r.name for r in view.site.routers if not _answers(view, r, cloud))
    asked = [r for r in view.site.routers if r.name not in unknown]
    found: set[str] = set()
    uncovered: list[str] = []
    for prefix in cloud.prefixes:
        ways = [_follow(view, router.name, str(prefix.prefix)) for router in asked]
        found |= {way for way in ways if way}
        if asked and not any(ways):
            uncovered.append(str(prefix.prefix))
    ordered = tuple(path.name for path in view.site.paths if path.name in found)
    return Egress(ordered, tuple(uncovered), unknown)


def holds(view: View, path: Path) -> bool:
    """Some router holds a usable route of the cloud over this path, chosen or not: the standby is really there."""
    site = view.site
    session = site.session(path.session)
    return any(
        route.valid and route.peer == str(session.peer)
        for prefix in site.cloud(path.cloud).prefixes
        for route in _paths(view, session.router, str(prefix.prefix))
    )


def way_back(view: View, cloud: Cloud) -> Return:
    """The return path, by the best evidence there is: input counters, then the cloud's own tables."""
    return _measured(view, cloud) or _from_tables(view, cloud) or Return()


def _answers(view: View, router: Router, cloud: Cloud) -> bool:
    return all(
        view.snapshot.fresh(Kind.ROUTES, f"{router.name} {prefix.prefix}", Routes, view.now) is not None
        for prefix in cloud.prefixes
    )


def _paths(view: View, router: str, prefix: str) -> tuple[RoutePath, ...]:
    routes = view.snapshot.fresh(Kind.ROUTES, f"{router} {prefix}", Routes, view.now)
    return routes.paths if routes else ()


def _follow(view: View, router: str, prefix: str) -> str | None:
    """The path by which a router's packets for a prefix leave the site; None when it has no route or cannot be told."""
    site, visited = view.site, set[str]()
    while router not in visited:
        visited.add(router)
        best = next((route for route in _paths(view, router, prefix) if route.best), None)
        name = peers(site, router).get(best.peer) if best else None
        if name is None:
            return None
        session = site.session(name)
        if not session.internal:
            path = site.path_of_session(name)
            return path.name if path else None
        router = session.there if session.router == router else session.router
    return None


def _measured(view: View, cloud: Cloud) -> Return | None:
    rates: dict[str, float] = {}
    ages: list[float] = []
    for path in view.site.paths_of(cloud.name):
        key = f"{view.site.session(path.session).router} {view.site.interface(path)}"
        link = view.snapshot.fresh(Kind.LINK, key, Link, view.now)
        seen = view.snapshot.get(Kind.LINK, key)
        if link is None or seen is None:
            continue
        if link.in_mbps is None:
            return None
        rates[path.name] = link.in_mbps
        ages.append(seen.age_s(view.now))
    total = sum(rates.values())
    if total < RETURN_FLOOR_MBPS:
        return None
    return Return(tuple(name for name, rate in rates.items() if rate >= RETURN_SHARE * total), "measured", max(ages))


def _from_tables(view: View, cloud: Cloud) -> Return | None:
    tables = view.snapshot.fresh(Kind.CLOUD_ROUTES, cloud.name, CloudRoutes, view.now)
    seen = view.snapshot.get(Kind.CLOUD_ROUTES, cloud.name)
    if tables is None or seen is None:
        return None
    sanctioned = {str(p.prefix) for p in view.site.on_prem.prefixes if cloud.name in p.towards}
    used = {via for route in tables.routes if route.prefix in sanctioned for via in route.via}
    return Return(tuple(p.name for p in view.site.paths if p.name in used), tables.basis, seen.age_s(view.now))
