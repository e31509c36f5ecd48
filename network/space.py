"""Address space: which pieces of a prefix are routed alike, and which route is the longest match for a piece.

Two sets of prefixes that differ may cover the same space: so routes are compared by destination, never as sets.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, collapse_addresses

#: A prefix as its first address and its length.
Net = tuple[int, int]


@lru_cache(maxsize=8192)
def net(text: str) -> Net:
    """The prefix that is written like that."""
    network = IPv4Network(text, strict=False)  # a table may hold anything; host bits say nothing of a route
    return int(network.network_address), network.prefixlen


def written(of: Net) -> str:
    """A prefix as it is written."""
    return f"{IPv4Address(of[0])}/{of[1]}"


class Space:
    """The prefixes of a table, looked up by what they cover and what lies in them."""

    def __init__(self, prefixes: Iterable[str]) -> None:
        self._known = {net(text): text for text in prefixes}
        self._lengths = sorted({length for _, length in self._known}, reverse=True)

    def matches(self, piece: str) -> tuple[str, ...]:
        """The prefixes that cover a piece, the longest first."""
        address, longest = net(piece)
        wider = ((_masked(address, length), length) for length in self._lengths if length <= longest)
        return tuple(self._known[each] for each in wider if each in self._known)

    def atoms(self, destination: str) -> tuple[str, ...]:
        """The destination cut where a more specific prefix begins or ends: each piece has one longest match."""
        whole = net(destination)
        if not self._lengths or self._lengths[0] <= whole[1]:
            return (destination,)
        inside = [each for each in self._known if _within(each, whole)]
        return tuple(map(written, _cut(whole, inside))) if inside else (destination,)


def _masked(address: int, length: int) -> int:
    return address >> (32 - length) << (32 - length)


def _within(each: Net, whole: Net) -> bool:
    return each[1] > whole[1] and _masked(each[0], whole[1]) == whole[0]


def _cut(piece: Net, inside: list[Net]) -> list[Net]:
    within = [each for each in inside if _within(each, piece)]
    if not within:
        return [piece]
    address, length = piece[0], piece[1] + 1
    halves = (address, length), (address + (1 << (32 - length)), length)
    return [part for half in halves for part in _cut(half, within)]


def joined(pieces: Iterable[str]) -> tuple[str, ...]:
    """Pieces as the fewest prefixes, in order of address."""
    found = list(pieces)
    if len(found) < 2:
        return tuple(found)
    return tuple(str(network) for network in collapse_addresses(map(IPv4Network, found)))
