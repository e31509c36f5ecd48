"""Address space: which pieces of a prefix are routed alike, and which route is the longest match for a piece.

Two sets of prefixes that differ may cover the same space: so routes are compared by destination, never as sets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from ipaddress import IPv4Network, collapse_addresses


@lru_cache(maxsize=4096)
def network(text: str) -> IPv4Network:
    """The prefix written like that."""
    return IPv4Network(text)


def atoms(destination: str, routes: Iterable[str]) -> tuple[str, ...]:
    """The destination cut where a more specific route begins or ends: each piece has one longest match."""
    whole = network(destination)
    inside = [net for net in map(network, routes) if net.prefixlen > whole.prefixlen and net.subnet_of(whole)]
    return tuple(str(piece) for piece in _cut(whole, inside)) if inside else (destination,)


def _cut(piece: IPv4Network, inside: Sequence[IPv4Network]) -> list[IPv4Network]:
    within = [net for net in inside if net.prefixlen > piece.prefixlen and net.subnet_of(piece)]
    return [part for half in piece.subnets() for part in _cut(half, within)] if within else [piece]


def matches(piece: str, routes: Iterable[str]) -> tuple[str, ...]:
    """The routes that cover a piece, the longest first."""
    whole = network(piece)
    found = [route for route in routes if route == piece or whole.subnet_of(network(route))]
    return tuple(sorted(found, key=lambda route: -network(route).prefixlen))


def joined(pieces: Iterable[str]) -> tuple[str, ...]:
    """Pieces as the fewest prefixes, in order of address."""
    found = list(pieces)
    if len(found) < 2:
        return tuple(found)
    return tuple(str(net) for net in collapse_addresses(map(network, found)))
