"""Who carries a cloud's traffic, out and back: from the routes really chosen, never from the configuration."""

from __future__ import annotations

from dataclasses import dataclass, replace

from network.inventory import Cloud, Path, Router, Site
from network.layers import View
from network.observation import CloudRoutes, Kind, Link, RoutePath, Routes, SessionThere

#: A path takes part in the return when it has this share of what comes back; probes and keepalives stay below.
RETURN_SHARE = 0.05
#: Below this sum, in Mbps, the counters say nothing about the way back.
RETURN_FLOOR_MBPS = 0.1


#: What following a prefix gives when it leads back to a router that was visited already.
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
    holes: list[str] = []
    unsettled = False
    for prefix in map(str, (prefix.prefix for prefix in cloud.prefixes)):
        ways = {router.name: _follow(view, router.name, prefix) for router in asked}
        found |= {way for way in ways.values() if way}
        holes += [f"{router} {prefix}" for router, way in ways.items() if way is None]
        unsettled |= UNSETTLED in ways.values()
        if asked and not any(ways.values()) and UNSETTLED not in ways.values():
            uncovered.append(prefix)
    ordered = tuple(path.name for path in view.site.paths if path.name in found)
    return Egress(ordered, tuple(uncovered), unknown, tuple(holes), unsettled)


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
    found = _measured(view, cloud) or _from_tables(view, cloud) or Return()
    return replace(found, lost=_lost(view, cloud))


def _answers(view: View, router: Router, cloud: Cloud) -> bool:
    return all(
        view.snapshot.fresh(Kind.ROUTES, f"{router.name} {prefix.prefix}", Routes, view.now) is not None
        for prefix in cloud.prefixes
    )


def _paths(view: View, router: str, prefix: str) -> tuple[RoutePath, ...]:
    routes = view.snapshot.fresh(Kind.ROUTES, f"{router} {prefix}", Routes, view.now)
    return routes.paths if routes else ()


def _follow(view: View, router: str, prefix: str) -> str | None:
    """The path by which a router's packets for a prefix leave the site; None without a route, UNSETTLED in a loop."""
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
    return UNSETTLED


def _measured(view: View, cloud: Cloud) -> Return | None:
    rates: dict[str, float] = {}
    ages: list[float] = []
    for path in view.site.paths_of(cloud.name):
        key = f"{view.site.session(path.session).router} {view.site.interface(path)}"
        link = view.snapshot.fresh(Kind.LINK, key, Link, view.now)
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
    held = {route.prefix for route in tables.routes if route.via}
    return tuple(prefix for prefix in sanctioned(view.site, cloud) if prefix not in held)


def sanctioned(site: Site, cloud: Cloud) -> tuple[str, ...]:
    """What we may announce towards a cloud, probes aside, in site-file order."""
    return tuple(str(p.prefix) for p in site.on_prem.prefixes if cloud.name in p.towards)


def _from_tables(view: View, cloud: Cloud) -> Return | None:
    tables = view.snapshot.fresh(Kind.CLOUD_ROUTES, cloud.name, CloudRoutes, view.now)
    seen = view.snapshot.get(Kind.CLOUD_ROUTES, cloud.name)
    if tables is None or seen is None:
        return None
    ours = sanctioned(view.site, cloud)
    used = {via for route in tables.routes if route.prefix in ours for via in route.via}
    return Return(tuple(p.name for p in view.site.paths if p.name in used), tables.basis, seen.age_s(view.now))
