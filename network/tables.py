"""What each party could choose from: our routers' and the clouds' candidate routes, read from a snapshot.

Copies between our own routers are made anew from the sender's own routes, so that they go when the original goes;
whether a router hands on every route (add-path) or its best one is read from what the other really holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, TypeVar

from network.bestpath import Candidate
from network.inventory import Cloud, Path, Session, Site
from network.layers import View
from network.observation import (
    Advertised,
    HubPreference,
    Kind,
    Received,
    RoutePath,
    Routes,
    SessionHere,
    SessionThere,
)
from network.preferences import AWS_TGW, AZURE_HUB, HUB_TRANSIT, Process

Way = Literal["out", "back"]
#: Candidates by the prefix as it is written.
Table = Mapping[str, tuple[Candidate, ...]]
Fact = TypeVar("Fact")


@dataclass(frozen=True, slots=True)
class Inside:
    """A session between two of our routers, one direction of it. `everything`: not only the sender's best route.

    `address` and `router_id` are the sender's as the receiver knows it: they settle a tie between two senders.
    """

    session: str
    sender: str
    receiver: str
    everything: bool
    address: str = ""
    router_id: str = ""


@dataclass(frozen=True, slots=True)
class Tables:
    """Everything that is chosen from. `problems` by cloud and way: why an answer about it would be a guess.

    `seen`: what each router is seen to use for a prefix: its own session, the router that it sends to, "" for nothing.
    """

    ours: Mapping[str, Table]
    inside: tuple[Inside, ...]
    theirs: Mapping[str, Table]
    processes: Mapping[str, Process]
    problems: Mapping[tuple[str, Way], tuple[str, ...]]
    seen: Mapping[tuple[str, str], str]


def read_tables(view: View) -> Tables:
    """The tables as they are known now; what is missing or older than its limit is a problem of that cloud."""
    reader = _Reader(view)
    ours = {router.name: reader.router(router.name) for router in view.site.routers}
    theirs = {cloud.name: reader.cloud(cloud) for cloud in view.site.clouds}
    processes = {cloud.name: process for cloud in view.site.clouds if (process := reader.process(cloud))}
    inside = tuple(reader.inside(ours))
    problems = {key: tuple(dict.fromkeys(found)) for key, found in reader.problems.items()}
    return Tables(ours, inside, theirs, processes, problems, reader.seen)


class _Reader:
    """Reads facts once, and keeps what was wrong with them."""

    def __init__(self, view: View) -> None:
        self._view, self._site = view, view.site
        self.problems: dict[tuple[str, Way], list[str]] = {}
        self.seen: dict[tuple[str, str], str] = {}
        self._sessions = {session.name: session for session in view.site.sessions}
        self._neighbours = _neighbours(view.site)
        self._cloud_of = {str(p.prefix): cloud.name for cloud in view.site.clouds for p in cloud.prefixes}

    def router(self, router: str) -> Table:
        """A router's own routes: what it asks for by prefix, and whatever else its neighbours were allowed to send."""
        named = self._neighbours[router]
        found: dict[str, tuple[Candidate, ...]] = {}
        for prefix, cloud in self._cloud_of.items():
            held = self._fresh(Kind.ROUTES, f"{router} {prefix}", Routes)
            if held is None:
                self._problem(cloud, "out", f"what {router} holds for {prefix} is unknown or older than its limit")
            else:
                found[prefix] = tuple(self._own(held.paths, named))
                self.seen[router, prefix] = self._used(router, held.best, named)
        return found | self._more(router, found)

    def _own(self, held: Sequence[RoutePath], named: Mapping[str, str]) -> Iterator[Candidate]:
        for route in held:
            session = self._sessions.get(named.get(route.peer, ""))
            if session is not None and not session.internal and route.valid:
                yield _candidate(session.name, route)

    def _used(self, router: str, best: RoutePath | None, named: Mapping[str, str]) -> str:
        if best is None:
            return ""
        session = self._sessions.get(named.get(best.peer, ""))
        if session is None:
            return best.peer  # nobody that the site names
        if not session.internal:
            return session.name
        return session.there if session.router == router else session.router

    def _more(self, router: str, asked: Mapping[str, object]) -> dict[str, tuple[Candidate, ...]]:
        """More and less specific routes that are not asked for by name but were received and accepted."""
        found: dict[str, tuple[Candidate, ...]] = {}
        for session in map(self._sessions.__getitem__, self._neighbours[router].values()):
            got = self._fresh(Kind.RECEIVED, session.name, Received)
            if got is None or session.internal:
                continue
            usual = session.policy.local_pref if session.policy else 100
            for route in got.routes:
                if route.accepted and route.prefix not in asked:
                    pref = usual if route.local_pref is None else route.local_pref
                    made = Candidate(session.name, route.as_path, local_pref=pref, address=str(session.peer))
                    found[route.prefix] = (*found.get(route.prefix, ()), made)
        return found

    def inside(self, ours: Mapping[str, Table]) -> Iterator[Inside]:
        for session in self._site.sessions:
            here = self._fresh(Kind.SESSION_HERE, session.name, SessionHere) if session.internal else None
            if not session.internal or (here is not None and not here.established):
                continue
            for sender, receiver in ((session.router, session.there), (session.there, session.router)):
                address = str(session.local if receiver == session.there else session.peer)
                everything = self._hands_on_everything(session, ours.get(sender, {}), receiver, address)
                router_id = self._router_id(receiver, address)
                yield Inside(session.name, sender, receiver, everything, address, router_id)

    def _router_id(self, receiver: str, address: str) -> str:
        for prefix in self._cloud_of:
            held = self._fresh(Kind.ROUTES, f"{receiver} {prefix}", Routes)
            for route in held.paths if held else ():
                if route.peer == address:
                    return route.router_id
        return ""

    def _hands_on_everything(self, session: Session, sent: Table, receiver: str, address: str) -> bool:
        """By what the receiver holds: a second route, or the first where another is best. Else as the site says."""
        expected = False
        for prefix, routes in sent.items():
            best = {(route.as_path, route.local_pref) for route in routes if route.selected}
            spare = [route for route in routes if (route.as_path, route.local_pref) not in best]
            held = self._fresh(Kind.ROUTES, f"{receiver} {prefix}", Routes)
            if spare and held is not None:
                seen = {(_numbers(r.as_path), r.local_pref) for r in held.paths if r.internal and r.peer == address}
                expected = True
                if any((route.as_path, route.local_pref) in seen for route in spare):
                    return True
        return False if expected else session.add_path

    def cloud(self, cloud: Cloud) -> Table:
        """What the cloud accepted from us, by path; probes aside, since each is announced on its own path alone."""
        found: dict[str, tuple[Candidate, ...]] = {}
        probes = {f"{path.probe.source}/32" for path in self._site.paths if path.probe}
        for path in self._site.paths_of(cloud.name):
            routes = self._accepted(path)
            extra = self._drain_length(path)
            for route in routes.routes if routes else ():
                if route.prefix not in probes:
                    length = extra + (HUB_TRANSIT.get(path.kind, 0) if cloud.azure else 0)
                    ases = (*(self._sessions[path.session].peer_asn,) * length, *route.as_path)
                    made = Candidate(path.name, ases, kind=path.kind, communities=route.communities)
                    found[route.prefix] = (*found.get(route.prefix, ()), made)
        return found

    def _accepted(self, path: Path) -> Advertised | None:
        """What the cloud says that it accepted; where it does not say so (tunnels), what our router announces."""
        here = self._fresh(Kind.SESSION_HERE, path.session, SessionHere)
        there = self._fresh(Kind.SESSION_THERE, path.name, SessionThere)
        if (there is not None and not there.up) or (here is not None and not here.established):
            return None
        accepted = self._fresh(Kind.ACCEPTED, path.name, Advertised)
        announced = accepted or self._fresh(Kind.ADVERTISED, path.session, Advertised)
        if announced is None or (here is None and there is None):
            what = f"what {path.cloud} accepted on {path.name} is unknown or older than its limit"
            self._problem(path.cloud, "back", what)
        return announced

    def _drain_length(self, path: Path) -> int:
        """How often a draining provider repeats its AS on a leg: both ways (contract 2.12 [DOC]), and we see one."""
        if path.kind != "expressroute":
            return 0
        session = self._sessions[path.session]
        for prefix in self._site.cloud(path.cloud).prefixes:
            held = self._fresh(Kind.ROUTES, f"{session.router} {prefix.prefix}", Routes)
            for route in held.paths if held else ():
                if route.peer == str(session.peer):
                    return max(0, _numbers(route.as_path).count(session.peer_asn) - 1)
        return 0

    def process(self, cloud: Cloud) -> Process | None:
        """How the cloud decides; of Azure only when its hub says so now."""
        if cloud.azure is None:
            return AWS_TGW
        known = self._fresh(Kind.HUB_PREFERENCE, cloud.name, HubPreference)
        if known is None:
            self._problem(cloud.name, "back", f"the routing preference of {cloud.azure.hub} is unknown")
        elif known.preference not in AZURE_HUB:
            self._problem(
                cloud.name, "back", f"{cloud.azure.hub} prefers {known.preference!r}: how that decides is unknown"
            )
        return AZURE_HUB.get(known.preference) if known else None

    def _fresh(self, kind: Kind, name: str, of: type[Fact]) -> Fact | None:
        return self._view.snapshot.fresh(kind, name, of, self._view.now)

    def _problem(self, cloud: str, way: Way, what: str) -> None:
        self.problems.setdefault((cloud, way), []).append(what)


def _neighbours(site: Site) -> dict[str, dict[str, str]]:
    """By router, session by neighbour's address (`carriage.peers`, for all routers at once)."""
    found: dict[str, dict[str, str]] = {router.name: {} for router in site.routers}
    for session in site.sessions:
        found[session.router][str(session.peer)] = session.name
        if session.internal:
            found[session.there][str(session.local)] = session.name
    return found


def _candidate(session: str, route: RoutePath) -> Candidate:
    return Candidate(
        session,
        _numbers(route.as_path),
        weight=route.weight,
        local_pref=100 if route.local_pref is None else route.local_pref,
        origin=route.origin,
        med=route.med,
        selected=route.best,
        router_id=route.router_id,
        address=route.peer,
    )


@lru_cache(maxsize=4096)
def _numbers(as_path: str) -> tuple[int, ...]:
    """An AS path as FRR writes it; a set counts as one, as in its length."""
    return tuple(int(word.strip("{}()").split(",")[0] or 0) for word in as_path.split())


def copied(candidate: Candidate, link: Inside) -> Candidate:
    """The route as our other router gets it: with the sender as its next hop."""
    return Candidate(
        candidate.via,
        candidate.as_path,
        local_pref=candidate.local_pref,
        origin=candidate.origin,
        med=candidate.med,
        external=False,
        router_id=link.router_id,
        address=link.address,
        copy=link.sender,
    )
