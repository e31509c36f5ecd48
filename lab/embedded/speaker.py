"""One BGP speaker: what it takes in, which path it chooses and why, what it sends to whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Network

from lab.embedded.config import Config
from lab.embedded.policy import Route, RouteMap, compile_map

PRIVATE = range(64512, 65535)


@dataclass(frozen=True)
class Peer:
    """A neighbor as the configuration has it. `shutdown` is None, or the text of the shutdown (often empty)."""

    address: str
    asn: int
    description: str = ""
    shutdown: str | None = None
    active: bool = False
    add_path: bool = False
    next_hop_self: bool = False
    remove_private: bool = False
    max_prefix: int | None = None
    map_in: str | None = None
    map_out: str | None = None
    bfd: bool = False
    bfd_profile: str | None = None
    keepalive_s: int = 60
    hold_s: int = 180
    connect_s: int = 120


def peers(config: Config) -> dict[str, Peer]:
    """Every neighbor of a configuration, by address in numeric order."""
    found: dict[str, Peer] = {}
    for lines in (config.bgp, config.unicast):
        for _, text in sorted(lines.items()):
            words = text.split()
            if words[0] == "neighbor":
                known = found.get(words[1], Peer(words[1], 0))
                found[words[1]] = _with(known, words[2:], text)
    return found


def _with(peer: Peer, words: list[str], text: str) -> Peer:
    match words:
        case ["remote-as", asn]:
            return replace(peer, asn=int(asn))
        case ["description", *_]:
            return replace(peer, description=text.split(" description ", 1)[1])
        case ["shutdown", *_]:
            return replace(peer, shutdown=text.partition(" shutdown message ")[2])
        case ["bfd", "profile", name]:
            return replace(peer, bfd=True, bfd_profile=name)
        case ["timers", "connect", seconds]:
            return replace(peer, connect_s=int(seconds))
        case ["timers", keepalive, hold]:
            return replace(peer, keepalive_s=int(keepalive), hold_s=int(hold))
        case ["maximum-prefix", limit, *_]:
            return replace(peer, max_prefix=int(limit))
        case ["route-map", name, "in"]:
            return replace(peer, map_in=name)
        case ["route-map", name, "out"]:
            return replace(peer, map_out=name)
    flags = {"bfd": "bfd", "activate": "active", "addpath-tx-all-paths": "add_path",
             "next-hop-self": "next_hop_self", "remove-private-AS": "remove_private"}  # fmt: skip
    return replace(peer, **{flags[words[0]]: True}) if words[0] in flags else peer  # type: ignore[arg-type]  # every flag is a bool


def networks(config: Config) -> tuple[IPv4Network, ...]:
    """The prefixes that the router originates."""
    found = (text.split() for _, text in sorted(config.unicast.items()))
    return tuple(IPv4Network(words[1]) for words in found if words[0] == "network")


@dataclass(frozen=True)
class Candidate:
    """A path in the table: where it came from. `peer` is None for the router's own network."""

    route: Route
    peer: Peer | None
    internal: bool = False
    router_id: str = ""

    @property
    def weight(self) -> int:
        return 32768 if self.peer is None else 0

    @property
    def local_pref(self) -> int:
        return 100 if self.route.local_pref is None else self.route.local_pref


@dataclass(frozen=True)
class Choice:
    """The paths for one prefix, best first as chosen; `winners` carry traffic (more than one: equal cost)."""

    best: Candidate
    reason: str
    winners: tuple[Candidate, ...]
    paths: tuple[Candidate, ...]


@dataclass
class Table:
    """What one speaker knows: received and accepted by peer address, its choices, and what it sends."""

    received: dict[str, tuple[Route, ...]] = field(default_factory=dict)
    accepted: dict[str, tuple[Route, ...]] = field(default_factory=dict)
    choices: dict[IPv4Network, Choice] = field(default_factory=dict)
    sent: dict[str, tuple[Route, ...]] = field(default_factory=dict)

    def lookup(self, address: IPv4Address) -> Choice | None:
        """The longest match for an address."""
        found = [prefix for prefix in self.choices if address in prefix]
        return self.choices[max(found, key=lambda prefix: prefix.prefixlen)] if found else None


class Speaker:
    """A router's BGP.

    Policies act per neighbor and direction and are taken from the configuration on `refresh`, because a route-map
    edit acts later than the line that made it.
    """

    def __init__(self, name: str, config: Config) -> None:
        self.name = name
        self.config = config
        self.peers: dict[str, Peer] = {}
        self.networks: tuple[IPv4Network, ...] = ()
        self.maps: dict[tuple[str, str], RouteMap] = {}
        self._names: dict[tuple[str, str], str | None] = {}
        self.reload()
        self.refresh()

    @property
    def asn(self) -> int:
        return self.config.asn

    @property
    def router_id(self) -> str:
        return self.config.bgp[0, 0, 0, ""].split()[-1]

    def reload(self) -> None:
        """Take over everything that acts at once: neighbors, networks, which map is attached where."""
        self.peers, self.networks = peers(self.config), networks(self.config)
        for address, peer in self.peers.items():
            for way, name in (("in", peer.map_in), ("out", peer.map_out)):
                if (address, way) not in self._names or self._names[address, way] != name:
                    self._names[address, way] = name
                    self.maps[address, way] = compile_map(self.config, name)

    def refresh(self, address: str | None = None, ways: tuple[str, ...] = ("in", "out")) -> None:
        """Make the policy as configured now the acting one, for one neighbor or for all."""
        for known, peer in self.peers.items():
            if address in (None, known):
                for way in ways:
                    self.maps[known, way] = compile_map(self.config, peer.map_in if way == "in" else peer.map_out)

    def accept(self, address: str, routes: tuple[Route, ...]) -> tuple[Route, ...]:
        """What the import policy and loop detection leave of what a peer sent."""
        found = []
        for route in routes:
            if self.asn in route.as_path:
                continue
            passed = self.maps[address, "in"].apply(route)
            if passed is not None:
                found.append(passed)
        return tuple(found)

    def choose(
        self, accepted: Mapping[str, tuple[Route, ...]], router_ids: Mapping[str, str]
    ) -> dict[IPv4Network, Choice]:
        """The decision process over everything accepted and originated."""
        found: dict[IPv4Network, list[Candidate]] = {}
        for prefix in self.networks:
            found.setdefault(prefix, []).append(Candidate(Route(prefix, med=0), None))
        for address, routes in accepted.items():
            peer = self.peers[address]
            for route in routes:
                candidate = Candidate(route, peer, peer.asn == self.asn, router_ids.get(address, address))
                found.setdefault(route.prefix, []).append(candidate)
        relax = (0, 4, 0, "") in self.config.bgp
        return {prefix: _decide(paths, relax) for prefix, paths in found.items()}

    def send(self, peer: Peer, choices: Mapping[IPv4Network, Choice], own_address: str) -> tuple[Route, ...]:
        """What goes to a peer: the best path, or over add-path every path that is not internal."""
        found = []
        internal = peer.asn == self.asn
        for choice in choices.values():
            for candidate in choice.paths if internal and peer.add_path else (choice.best,):
                if _stays(candidate, peer, internal=internal):
                    continue
                route = self.maps[peer.address, "out"].apply(self._outbound(candidate, internal))
                if route is not None:
                    found.append(self._signed(route, candidate, peer, own_address, internal))
        return tuple(sorted(found, key=_order))

    def _outbound(self, candidate: Candidate, internal: bool) -> Route:
        route = candidate.route
        return route if internal else replace(route, med=route.med if candidate.peer is None else None)

    def _signed(self, route: Route, candidate: Candidate, peer: Peer, own: str, internal: bool) -> Route:
        source = candidate.peer.address if candidate.peer and peer.add_path and internal else ""
        if internal:
            return replace(route, local_pref=100 if route.local_pref is None else route.local_pref,
                           next_hop=own if peer.next_hop_self or not candidate.peer else route.next_hop,
                           path_id=source)  # fmt: skip
        path = route.as_path
        if peer.remove_private:
            path = tuple(asn for asn in path if asn not in PRIVATE or asn == peer.asn)
        return replace(route, as_path=(self.asn, *path), local_pref=None, next_hop=own, path_id="")


def _stays(candidate: Candidate, peer: Peer, *, internal: bool) -> bool:
    """Internal paths do not go to internal peers, and none goes back to where it came from."""
    returns = candidate.peer is not None and candidate.peer.address == peer.address
    return returns or (internal and candidate.internal)


def _order(route: Route) -> tuple[int, int, str]:
    """Tables are compared as a whole, so their order must not depend on who spoke first."""
    return int(route.prefix.network_address), route.prefix.prefixlen, route.path_id


def _decide(paths: list[Candidate], relax: bool) -> Choice:
    """FRR's order of comparison; the reason names the step at which the winner beat the runner-up."""
    best, reason = paths[0], "First path received"
    for other in paths[1:]:
        better, why = _compare(other, best)
        best, reason = (other, why) if better else (best, why)
    equal = tuple(path for path in paths if path is best or _equal(path, best, relax))
    return Choice(best, reason, equal, tuple(paths))


_STEPS: tuple[tuple[str, Callable[[Candidate], float]], ...] = (
    ("Weight", lambda c: -c.weight),
    ("Local Pref", lambda c: -c.local_pref),
    ("AS Path", lambda c: len(c.route.as_path)),
    ("MED", lambda c: c.route.med or 0),
    ("Peer Type", lambda c: c.internal),
)


def _compare(one: Candidate, other: Candidate) -> tuple[bool, str]:
    for reason, key in _STEPS:
        if reason == "MED" and one.route.as_path[:1] != other.route.as_path[:1]:
            continue
        if key(one) != key(other):
            return key(one) < key(other), reason
    if one.router_id != other.router_id:
        return IPv4Address(one.router_id) < IPv4Address(other.router_id), "Router ID"
    return _address(one) < _address(other), "Neighbor IP"


def _address(candidate: Candidate) -> tuple[int, str]:
    return (int(IPv4Address(candidate.peer.address)) if candidate.peer else 0, candidate.route.path_id)


def _equal(one: Candidate, best: Candidate, relax: bool) -> bool:
    """Equal cost: same weight, preference and AS-path length (and, unless relaxed, the same AS path), both external."""
    return (
        not one.internal
        and not best.internal
        and one.peer is not None
        and best.peer is not None
        and (one.local_pref, len(one.route.as_path)) == (best.local_pref, len(best.route.as_path))
        and (relax or one.route.as_path == best.route.as_path)
    )
