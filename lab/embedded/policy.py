"""Route policy as a router applies it: route-maps compiled from its configuration, with every list resolved."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from ipaddress import IPv4Network

from lab.embedded.config import Config, Slot


@dataclass(frozen=True, slots=True)
class Route:
    """One BGP path as one speaker holds it. `path_id` tells add-path copies apart; `learned` is a wall time."""

    prefix: IPv4Network
    as_path: tuple[int, ...] = ()
    communities: tuple[str, ...] = ()
    med: int | None = None
    local_pref: int | None = None
    next_hop: str = "0.0.0.0"
    path_id: str = ""
    learned: float = 0.0


Match = Callable[[Route], bool]
Change = Callable[[Route], Route]


@dataclass(frozen=True)
class Clause:
    """A clause: all of `matches` must hold; `permit` says whether the route passes, changed by `changes`."""

    permit: bool
    matches: tuple[Match, ...]
    changes: tuple[Change, ...]


@dataclass(frozen=True)
class RouteMap:
    """Clauses in order; what no clause matches is denied. `None` clauses: no map is configured, all passes."""

    clauses: tuple[Clause, ...] | None = None

    def apply(self, route: Route) -> Route | None:
        """The route as it passes, or None when it is denied."""
        if self.clauses is None:
            return route
        for clause in self.clauses:
            if all(match(route) for match in clause.matches):
                if not clause.permit:
                    return None
                for change in clause.changes:
                    route = change(route)
                return route
        return None


def compile_map(config: Config, name: str | None) -> RouteMap:
    """The named map; a name without a map denies everything, as FRR does."""
    if name is None:
        return RouteMap()
    clauses = config.route_maps.get(name, {})
    return RouteMap(tuple(_clause(config, *clauses[sequence]) for sequence in sorted(clauses)))


def _clause(config: Config, action: str, lines: dict[Slot, str]) -> Clause:
    texts = [text for _, text in sorted(lines.items())]
    return Clause(
        action == "permit",
        tuple(_match(config, text.split()) for text in texts if text.startswith("match ")),
        tuple(_change(config, text.split()) for text in texts if text.startswith("set ")),
    )


def _match(config: Config, words: list[str]) -> Match:
    name = words[-1]
    if words[1] == "ip":
        entries = [_prefix_entry(text) for _, text in sorted(config.prefix_lists.get(name, {}).items())]
        return lambda route: _first(entries, route.prefix)
    if words[1] == "as-path":
        patterns = [(e[0], _as_path(e[1])) for e in _entries(config.as_path_lists, name)]
        return lambda route: _first_pattern(patterns, " ".join(map(str, route.as_path)))
    wanted = [(permit, set(text.split())) for permit, text in _entries(config.community_lists, name)]
    return lambda route: next((permit for permit, names in wanted if names <= set(route.communities)), False)


def _entries(lists: dict[str, dict[Slot, str]], name: str) -> list[tuple[bool, str]]:
    """(permit, rest) of each entry of an as-path or community list."""
    found = []
    for _, text in sorted(lists.get(name, {}).items()):
        action, _, rest = text.split(" seq ", 1)[1].split(" ", 1)[1].partition(" ")
        found.append((action == "permit", rest.replace("graceful-shutdown", "65535:0")))
    return found


def _as_path(text: str) -> re.Pattern[str]:
    """FRR's `_` is any delimiter: start, end, or the blank between two AS numbers."""
    return re.compile(text.replace("_", "(?:^|$| )"))


def _first_pattern(patterns: list[tuple[bool, re.Pattern[str]]], path: str) -> bool:
    return next((permit for permit, pattern in patterns if pattern.search(path)), False)


PrefixEntry = tuple[bool, IPv4Network, int, int]


def _prefix_entry(text: str) -> PrefixEntry:
    words = text.split(" seq ", 1)[1].split()[1:]
    if words[1] == "any":
        return words[0] == "permit", IPv4Network("0.0.0.0/0"), 0, 32
    network = IPv4Network(words[1])
    options = dict(zip(words[2::2], map(int, words[3::2]), strict=True))
    low = options.get("ge", network.prefixlen)
    high = options.get("le", 32 if "ge" in options else network.prefixlen)
    return words[0] == "permit", network, low, high


def _first(entries: list[PrefixEntry], prefix: IPv4Network) -> bool:
    for permit, network, low, high in entries:
        if low <= prefix.prefixlen <= high and prefix.subnet_of(network):
            return permit
    return False


def _change(config: Config, words: list[str]) -> Change:
    key, rest = words[1], words[2:]
    if key == "local-preference":
        return lambda route: replace(route, local_pref=int(rest[0]))
    if key == "metric":
        return lambda route: replace(route, med=int(rest[0]))
    if key == "as-path":
        own = tuple(int(word) for word in rest[1:])
        return lambda route: replace(route, as_path=own + route.as_path)
    if key == "comm-list":
        gone = {name for _, text in _entries(config.community_lists, rest[0]) for name in text.split()}
        return lambda route: replace(route, communities=tuple(c for c in route.communities if c not in gone))
    named = tuple(word.replace("graceful-shutdown", "65535:0") for word in rest if word != "additive")
    kept = "additive" in rest
    return lambda route: replace(route, communities=tuple(sorted({*named, *(route.communities if kept else ())})))
