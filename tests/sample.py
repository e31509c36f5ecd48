"""A healthy reference site as observations, for tests of the pure rooms: change one fact and see what it does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

from network.carriage import peers
from network.inventory import Site
from network.measured import ProbeResult
from network.observation import (
    Advert,
    Advertised,
    Attachment,
    BfdHere,
    Circuit,
    CloudRoute,
    CloudRoutes,
    FabricPort,
    FabricVxc,
    Kind,
    Link,
    Observation,
    RoutePath,
    Routes,
    SessionHere,
    SessionThere,
)
from network.sitefile import load
from network.snapshot import Snapshot, SourceState

NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)
REFERENCE = Path(__file__).parent.parent / "lab" / "reference.yaml"


def reference() -> Site:
    return load(REFERENCE.read_text(), "reference.yaml").site


def seen(
    kind: Kind, name: str, fact: object, *, source: str = "test", age_s: float = 0.5, fresh_s: float = 2.0
) -> Observation:
    return Observation(kind, name, fact, source, NOW - timedelta(seconds=age_s), fresh_s)


def healthy(site: Site) -> Snapshot:
    """Everything up, port-a carrying both clouds both ways."""
    facts: list[Observation] = []
    carrying = [path for path in site.paths if path.name.split("/")[1].startswith(("er-primary", "dx-1"))]
    for port in site.ports:
        facts += [seen(Kind.PORT, port.name, FabricPort(up=True, status="LIVE"))]
        facts += [
            seen(Kind.LINK, f"{port.router} {port.interface}", Link(admin_up=True, oper_up=True, in_mbps=0, out_mbps=0))
        ]
    for vxc in site.vxcs:
        facts.append(
            seen(Kind.VXC, vxc.name, FabricVxc(up=True, shutdown=False, status="LIVE", rate_mbps=vxc.rate_mbps))
        )
    for path in site.paths:
        session = site.session(path.session)
        active = path in carrying
        facts += [
            seen(Kind.SESSION_HERE, session.name, SessionHere("Established", NOW - timedelta(days=12), 2, 3, 100)),
            seen(Kind.SESSION_THERE, path.name, SessionThere(up=True, state="up", received=3)),
            seen(Kind.CIRCUIT, path.name, Circuit(up=True, state="Provisioned")),
            seen(Kind.ATTACHMENT, path.name, Attachment(up=True, state="attached")),
            seen(Kind.PROBE, path.name, ProbeResult(3, 3, 4.1)),
            seen(
                Kind.LINK,
                f"{session.router} {site.interface(path)}",
                Link(
                    admin_up=True, oper_up=True, in_mbps=400.0 if active else 0.01, out_mbps=400.0 if active else 0.01
                ),
            ),
            seen(
                Kind.ADVERTISED,
                session.name,
                Advertised((Advert("10.10.0.0/16", (65010,)), Advert("10.11.0.0/16", (65010,)))),
            ),
        ]
        if session.bfd:
            facts.append(seen(Kind.BFD, session.name, BfdHere("up")))
    facts += [route for cloud in site.clouds for route in routes(site, cloud.name)]
    for cloud in ("azure", "aws"):
        carriers = tuple(path.name for path in carrying if path.cloud == cloud)
        table = tuple(CloudRoute(str(p.prefix), carriers) for p in site.on_prem.prefixes)
        facts.append(seen(Kind.CLOUD_ROUTES, cloud, CloudRoutes(table, "table")))
    snapshot = Snapshot().with_observations(facts)
    for name in (
        *(router.name for router in site.routers),
        "megaport",
        "azure",
        "aws",
        "vault",
        "servicenow",
        "probes",
    ):
        snapshot = snapshot.with_source(SourceState(name, "test", NOW))
    return snapshot


def routes(
    site: Site, cloud: str, *, without: frozenset[str] = frozenset(), prefs: dict[str, int] | None = None
) -> list[Observation]:
    """What each router holds towards a cloud: its own sessions, and the other router's best over iBGP (add-path)."""
    own: dict[str, list[tuple[int, str]]] = {router.name: [] for router in site.routers}
    for path in site.paths_of(cloud):
        session = site.session(path.session)
        if session.name not in without and session.policy:
            pref = (prefs or {}).get(session.name, session.policy.local_pref)
            own[session.router].append((pref, str(session.peer)))
    inside = {end: s for s in site.sessions if s.internal for end in (s.router, s.there)}
    found = []
    for router, sessions in own.items():
        ibgp = inside[router]
        other = ibgp.there if router == ibgp.router else ibgp.router
        towards = next(a for a, n in peers(site, router).items() if n == ibgp.name)
        held = [(pref, peer, False) for pref, peer in sessions]
        if ibgp.name not in without and own[other]:
            held.append((max(own[other])[0], towards, True))
        best = max(held, key=lambda h: (h[0], not h[2]), default=None)
        paths = tuple(RoutePath(p, "12076", pref, best == (pref, p, i), True, i) for pref, p, i in held)
        found += [
            seen(Kind.ROUTES, f"{router} {prefix.prefix}", Routes(paths)) for prefix in site.cloud(cloud).prefixes
        ]
    return found
