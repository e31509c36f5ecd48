"""Command patterns, matched word by word as vtysh does: unknown, incomplete or complete."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from ipaddress import IPv4Address, IPv4Network


class VtyError(Exception):
    """A line that vtysh does not take; the text is what it prints."""


class Fit(Enum):
    """How a line compares with a pattern."""

    NO = 0
    INCOMPLETE = 1
    FULL = 2


Values = dict[str, str]


def fit(pattern: str, words: list[str]) -> tuple[Fit, Values]:
    """Compare words with a pattern.

    `<kind>` takes a value, `a|b` is a choice, a place in `[]` may be left out, `<...kind>` takes all the rest.
    Values are keyed by the place's own text.
    """
    found: Values = {}
    rest = list(words)
    for place in pattern.split():
        optional, bare = place.startswith("["), place.strip("[]")
        if not rest:
            return (Fit.FULL, found) if optional else (Fit.INCOMPLETE, {})
        value = " ".join(rest) if bare.startswith("<...") else rest[0]
        if not _takes(bare, value):
            return Fit.NO, {}
        found[bare] = value
        rest = [] if bare.startswith("<...") else rest[1:]
    return (Fit.NO, {}) if rest else (Fit.FULL, found)


def _takes(place: str, word: str) -> bool:
    test = _KINDS.get(place)
    return test(word) if test else word in place.split("|")


def _is(make: Callable[[str], object]) -> Callable[[str], bool]:
    def test(word: str) -> bool:
        try:
            make(word)
        except ValueError:
            return False
        return True

    return test


def _asns(words: str) -> bool:
    return all(word.isdigit() and 1 <= int(word) <= 4294967295 for word in words.split())


_is_network = _is(IPv4Network)

_KINDS: dict[str, Callable[[str], bool]] = {
    "<ip>": _is(IPv4Address),
    "<prefix>": lambda word: "/" in word and _is_network(word),
    "<num>": lambda word: word.isdigit() and int(word) <= 4294967295,
    "<seq>": lambda word: word.isdigit() and 1 <= int(word) <= 65535,
    "<word>": bool,
    "<...text>": bool,
    "<...asns>": _asns,
}
