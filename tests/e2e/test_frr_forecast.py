"""Every forecast against real routers: break it, wait, and compare both directions.

This proves that the forecast agrees with real FRR on our side and with the lab's model of the clouds on the other: the
hubs decide as we believe that Azure and AWS do, on FRR too. It is no proof of what a real cloud does.

The walk breaks one thing more or mends the one before at each step, so that it meets every single failure and the pair
of each two neighbours. INTERLOCK_FORECAST_PAIRS=all walks over every pair there is, `2/4` over a part of that walk.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import asyncssh
import pytest
import pytest_asyncio

from connectors.routers import frr, frr_routes
from connectors.routers.frr_render import drain
from lab.frr import FrrLab
from lab.frr.things import Order
from network.carriage import peers, sanctioned
from network.drain import edits_of
from network.layers import View
from network.observation import (
    Advert,
    Advertised,
    CloudRoute,
    CloudRoutes,
    HubPreference,
    Kind,
    Observation,
    Routes,
    SessionHere,
    SessionThere,
)
from network.outcome import Outcome, Pieces, edited, outcome, pieces_of, without
from network.present import disagreements
from network.sitefile import load
from network.snapshot import Snapshot
from network.tables import Tables, read_tables
from network.takeover import observed_length
from network.things import Reach, reach

pytestmark = [pytest.mark.frr, pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(590)]

SITE = load((Path(__file__).parents[2] / "lab/reference.yaml").read_text()).site
PATH_SESSIONS = {path.name: path.session for path in SITE.paths}
THINGS = (
    *(port.name for port in SITE.ports),
    *(vxc.name for vxc in SITE.vxcs),
    *(connection.name for connection in SITE.connections),
    *(tunnel.name for tunnel in SITE.tunnels),
    *(router.name for router in SITE.routers),
    "ibgp",
    "fabric",
    "internet",
)
SEED = 20261125
SETTLES_S = 90.0
LOOKS_ALIKE_S, LOOKS_AGAIN_S = 0.4, 0.15
FOR_EVER_S = 1e9
NOBODY = Reach(frozenset(), frozenset())
SESSIONS = frozenset(session.name for session in SITE.sessions)

#: By "router prefix" the path out, by "cloud prefix" the paths back.
Ways = Mapping[str, object]


@dataclass(frozen=True)
class Seen:
    """The routers at one moment: what carries what; the sessions that are up, and those with all their routes."""

    ways: Ways
    up: frozenset[str]
    full: frozenset[str]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lab(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[FrrLab]:
    user_ca, host_ca = (asyncssh.generate_private_key("ssh-ed25519") for _ in range(2))

    async def sign(line: str, principals: list[str]) -> str:
        key = asyncssh.import_public_key(line)
        return host_ca.generate_host_certificate(key, "lab", principals=principals).export_certificate().decode()

    lab = FrrLab(SITE)
    await lab.start(tmp_path_factory.mktemp("state"), user_ca.export_public_key().decode(), sign)
    try:
        yield lab
    finally:
        await lab.stop()


async def shown(lab: FrrLab, edge: str, command: str) -> str:
    return json.dumps(await lab._vtys[edge].json(command))


async def routes_of(lab: FrrLab) -> dict[tuple[str, str], Routes]:
    """What each edge holds for each cloud prefix, through the product's own parser."""
    return {
        (edge.name, prefix): frr_routes.routes(await shown(lab, edge.name, frr_routes.prefix_command(prefix)), prefix)
        for edge in SITE.routers
        for prefix in (str(p.prefix) for cloud in SITE.clouds for p in cloud.prefixes)
    }


async def sessions_of(lab: FrrLab) -> dict[str, str]:
    """State of every session as our edges see it."""
    found: dict[str, str] = {}
    for edge in SITE.routers:
        rows = frr.summary(await shown(lab, edge.name, frr.SUMMARY))
        for address, name in peers(SITE, edge.name).items():
            found[name] = min(found.get(name, "Established"), rows[address].state, key=lambda s: s == "Established")
    return found


async def snapshot_of(lab: FrrLab) -> Snapshot:
    """What the product would know: our routers' tables, what the clouds accepted (tunnels: what we announce)."""
    await lab._facts.refresh()
    now = datetime.now(UTC)
    facts: list[tuple[Kind, str, object]] = [
        (Kind.ROUTES, f"{edge} {prefix}", held) for (edge, prefix), held in (await routes_of(lab)).items()
    ]
    states = await sessions_of(lab)
    facts += [(Kind.SESSION_HERE, name, SessionHere(state, None, None, None, None)) for name, state in states.items()]
    for path in SITE.paths:
        session, far = SITE.session(path.session), lab.far_session(path.name)
        facts.append((Kind.SESSION_THERE, path.name, SessionThere(far.established, far.state)))
        text = await shown(lab, session.router, frr_routes.advertised_command(str(session.peer)))
        sent = frr_routes.advertised(text, str(session.peer), SITE.on_prem.asn) if far.established else Advertised(())
        facts.append((Kind.ADVERTISED, session.name, sent))
        if path.kind != "vpn":
            kept = tuple(Advert(route.prefix, route.as_path, route.communities) for route in far.received)
            facts.append((Kind.ACCEPTED, path.name, Advertised(kept)))
    for cloud in SITE.clouds:
        chosen = lab.chosen(cloud.name)
        table = tuple(CloudRoute(prefix, chosen.get(prefix, ())) for prefix in sanctioned(SITE, cloud))
        facts.append((Kind.CLOUD_ROUTES, cloud.name, CloudRoutes(table, "table")))
        if cloud.azure:
            facts.append((Kind.HUB_PREFERENCE, cloud.name, HubPreference(cloud.azure.hub_preference)))
    return Snapshot().with_observations(
        Observation(kind, name, fact, "lab", now, FOR_EVER_S) for kind, name, fact in facts
    )


async def look(lab: FrrLab) -> Seen:
    """What really carries what: our routers' best routes followed, and the hubs' own choice."""
    await lab._facts.refresh()
    routes, states = await routes_of(lab), await sessions_of(lab)
    ways: dict[str, object] = {f"{edge} {prefix}": followed(routes, edge, prefix) for edge, prefix in routes}
    for cloud in SITE.clouds:
        chosen = lab.chosen(cloud.name)
        ways |= {f"{cloud.name} {prefix}": chosen.get(prefix, ()) for prefix in sanctioned(SITE, cloud)}
    here = {name for name, state in states.items() if state == "Established"}
    return Seen(ways, frozenset(here), frozenset(name for name in here if exchanged(lab, routes, name)))


def exchanged(lab: FrrLab, routes: Mapping[tuple[str, str], Routes], name: str) -> bool:
    """Everything that goes over a session has arrived, on both ends."""
    session, path = SITE.session(name), SITE.path_of_session(name)
    if path is None:
        both = (session.router, session.there)
        return all(
            sum(r.internal for r in held.paths)
            == sum(not r.internal for r in routes[both[edge == both[0]], prefix].paths)
            for (edge, prefix), held in routes.items()
        )
    cloud = SITE.cloud(path.cloud)
    prefixes = [str(p.prefix) for p in cloud.prefixes]
    ours = all(any(r.peer == str(session.peer) for r in routes[session.router, p].paths) for p in prefixes)
    return ours and {r.prefix for r in lab.far_session(path.name).received} >= set(sanctioned(SITE, cloud))


def followed(routes: Mapping[tuple[str, str], Routes], edge: str, prefix: str) -> str | None:
    for _ in SITE.routers:
        best = routes[edge, prefix].best
        if best is None:
            return None
        session = SITE.session(peers(SITE, edge)[best.peer])
        if not session.internal:
            path = SITE.path_of_session(session.name)
            return path.name if path else None
        edge = session.there if session.router == edge else session.router
    return "a circle"


def foreseen(snapshot: Snapshot, things: tuple[str, ...]) -> tuple[Ways, Reach]:
    """What the forecast says, in the words of `look`; routers that are lost themselves are not asked."""
    view = View(SITE, snapshot, datetime.now(UTC))
    lost, tables = reach(SITE, snapshot, things), read_tables(view)
    pieces = pieces_of(SITE, tables)
    assert not objections(view, tables, pieces)
    return ways_of(outcome(SITE, without(tables, lost, PATH_SESSIONS), pieces)), lost


def objections(view: View, tables: Tables, pieces: Pieces) -> list[str]:
    """What speaks against the model of now: what cannot be known, and where the routers use something else."""
    present = outcome(SITE, tables, pieces)
    unlike = disagreements(view, tables, present)
    return list(itertools.chain(*present.problems.values(), *unlike.values()))


async def at_rest(lab: FrrLab, lost: Reach = NOBODY) -> Snapshot:
    """What the product would know of the whole lab, once every session that is left has told all, and all is chosen."""
    began, up = time.monotonic(), SESSIONS - lost.sessions
    while True:
        before, snapshot, after = await look(lab), await snapshot_of(lab), await look(lab)
        view = View(SITE, snapshot, datetime.now(UTC))
        tables = read_tables(view)
        against = objections(view, tables, pieces_of(SITE, tables))
        if before == after and after.up == after.full == up and not against:
            return snapshot
        assert time.monotonic() - began < SETTLES_S, (after.up ^ up, after.full ^ up, against)
        await asyncio.sleep(LOOKS_AGAIN_S)


def ways_of(made: Outcome) -> Ways:
    out = {f"{router} {piece.prefix}": path for piece, ways in made.out.items() for router, path in ways.items()}
    return out | {f"{piece.cloud} {piece.prefix}": paths for piece, paths in made.back.items()}


async def becomes(lab: FrrLab, wanted: Ways, lost: Reach, what: str) -> float:
    """Wait until the routers are as foreseen and stay so at a second look; seconds it took."""
    began, held = time.monotonic(), False
    sessions = SESSIONS - lost.sessions
    while True:
        seen = await look(lab)
        ways = {key: way for key, way in seen.ways.items() if key.split()[0] not in lost.routers}
        alike = ways == wanted and seen.up == seen.full == sessions
        if alike and held:
            return time.monotonic() - began
        held = alike
        if time.monotonic() - began > SETTLES_S:
            unlike = {key: (way, ways.get(key)) for key, way in wanted.items() if ways.get(key) != way}
            wrong = f"sessions {seen.up ^ sessions}, routes of {seen.full ^ sessions}"
            pytest.fail(f"{what}: (foreseen, seen) {unlike}; unlike: {wrong}")
        await asyncio.sleep(LOOKS_ALIKE_S if alike else LOOKS_AGAIN_S)


def ring() -> list[str]:
    """Every thing once, then the first again."""
    order = list(THINGS)
    random.Random(SEED).shuffle(order)
    return [*order, order[0]]


def every_pair() -> list[str]:
    """A walk over every pair once (Hierholzer; there is one because the number of things is odd)."""
    left = {thing: [other for other in THINGS if other != thing] for thing in THINGS}
    stack, walk = [THINGS[0]], list[str]()
    while stack:
        at = stack[-1]
        if left[at]:
            to = left[at].pop()
            left[to].remove(at)
            stack.append(to)
        else:
            walk.append(stack.pop())
    return walk


def walk() -> list[str]:
    asked = os.environ.get("INTERLOCK_FORECAST_PAIRS", "")
    if not asked:
        return ring()
    part, _, of = ("1/1" if asked == "all" else asked).partition("/")
    steps = every_pair()
    size = -(-len(steps) // int(of))
    return steps[(int(part) - 1) * size : int(part) * size + 1]


async def test_every_failure_and_pairs_of_them_end_as_foreseen_in_both_directions(lab: FrrLab) -> None:
    await lab.heal()
    steady = await at_rest(lab)
    steps = walk()
    took: dict[tuple[str, ...], float] = {}

    async def broken(*things: str) -> None:
        took[things] = await becomes(lab, *foreseen(steady, things), what=" and ".join(things))

    await lab.fail(steps[0])
    await broken(steps[0])
    for one, other in itertools.pairwise(steps):
        then = await at_rest(lab, reach(SITE, steady, (one,)))
        from_there = foreseen(then, (other,))[0]
        await lab.fail(other)
        await broken(one, other)
        with_both = foreseen(steady, (one, other))[0]
        assert {key: from_there[key] for key in with_both} == with_both, f"{other} foreseen while {one} is broken"
        await lab.heal(one)
        await broken(other)
    await lab.heal()
    await becomes(lab, *foreseen(steady, ()), what="mended")
    slowest = sorted(took.items(), key=lambda item: -item[1])[:3]
    print(f"\n{len(took)} failures foreseen, {sum(took.values()):.0f} s; slowest {slowest}")


@pytest.mark.parametrize("port", ["port-a", "port-b"])
async def test_a_drained_port_ends_as_foreseen_and_so_does_its_undo(lab: FrrLab, port: str) -> None:
    """With the product's own lines: what a drain-port run would write."""
    await lab.heal()
    steady = await at_rest(lab)
    view, target = View(SITE, steady, datetime.now(UTC)), reach(SITE, steady, [port])
    tables, edits = read_tables(view), edits_of(view, target)
    pieces = pieces_of(SITE, tables)
    drained = ways_of(outcome(SITE, edited(tables, edits, PATH_SESSIONS), pieces))
    made = []
    for path in SITE.paths_on_port(port):
        session, edit = SITE.session(path.session), edits[path.session]
        running = await lab.node_show(session.router, "show running-config")
        prepend = (observed_length(view, path) or 1) + edit.longer - 1
        knobs = drain(
            session, SITE.on_prem.asn, running, local_pref=edit.local_pref, prepend=prepend, community=edit.community
        )
        made.append((session.router, knobs))
        await lab._tell(Order(session.router, knobs.lines, (knobs.soft_clear,)))
    await becomes(lab, drained, NOBODY, what=f"{port} drained")
    for router, knobs in made:
        await lab._tell(Order(router, knobs.undo, (knobs.soft_clear,)))
    await becomes(lab, ways_of(outcome(SITE, tables, pieces)), NOBODY, what=f"{port} undrained")
