"""Longer prefixes that a router originates and announces on chosen sessions alone: lines to send, and their inverse.

A prefix-list of our own names them; a clause of our own in each chosen export map lets them out, and one in each map
towards our other routers keeps them in: there they would be longer than what a router without them leads inward by.
They are originated by `network` without a route behind them (`no bgp network import-check`): no static to Null0, which
would eat what it attracts. The origination is shared by every cloud whose list names the prefix. Tried on FRR 8.4.4.
"""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Literal

from connectors.errors import InterlockError
from connectors.routers.frr_config import Clause, clauses, statements
from connectors.routers.frr_render import same_meaning

#: What every prefix-list of ours is called, and the cloud's name behind it.
LIST = "INTERLOCK-SPECIFICS-"
NO_CHECK = "no bgp network import-check"
_NOWHERE = ("Null0", "blackhole", "reject")

State = Literal["there", "gone"]


class NoRoom(InterlockError):
    """No sequence number is free before the clause that ours must stand before."""


@dataclass(frozen=True, slots=True)
class Specifics:
    """What one router has while it announces them: `clauses` as FRR keeps them; `asn` is our own."""

    name: str
    prefixes: tuple[str, ...]
    clauses: tuple[Clause, ...]
    asn: int

    @property
    def entries(self) -> tuple[str, ...]:
        return tuple(f"ip prefix-list {self.name} seq {5 * n} permit {p}" for n, p in enumerate(self.prefixes, 1))

    @property
    def lines(self) -> tuple[str, ...]:
        """Who may announce them first, the prefixes last: so nobody announces one before it is filtered."""
        return self._made(self.entries, self.clauses, self.prefixes)

    @property
    def undo(self) -> tuple[str, ...]:
        """In reverse: withdrawn everywhere before the filters go."""
        return self._removed(self.entries, self.clauses, self.prefixes)

    def lacking(self, running: str) -> tuple[str, ...]:
        """The lines without what is there already. Raises BadReply."""
        there = frozenset(statements(running))
        return self._made(
            [entry for entry in self.entries if entry not in there],
            [clause for clause in self.clauses if clause.header not in there],
            [prefix for prefix in self.prefixes if f"network {prefix}" not in there],
        )

    def standing(self, running: str) -> tuple[str, ...]:
        """The undo without what is not there (FRR refuses that) or what another cloud still needs. Raises BadReply."""
        there, shared = frozenset(statements(running)), named_by_others(self, running)
        return self._removed(
            [entry for entry in self.entries if entry in there],
            [clause for clause in self.clauses if clause.header in there],
            [prefix for prefix in self.prefixes if f"network {prefix}" in there and prefix not in shared],
        )

    def _made(self, entries: Sequence[str], made: Sequence[Clause], prefixes: Sequence[str]) -> tuple[str, ...]:
        kept = (line for clause in made for line in (clause.header, *map(str.strip, clause.lines)))
        return (*entries, *kept, *self._originate("network", prefixes))

    def _removed(self, entries: Sequence[str], made: Sequence[Clause], prefixes: Sequence[str]) -> tuple[str, ...]:
        gone = (f"no {each}" for each in (*(clause.header for clause in reversed(made)), *reversed(entries)))
        return (*self._originate("no network", prefixes), *gone)

    def _originate(self, word: str, prefixes: Sequence[str]) -> tuple[str, ...]:
        if not prefixes:
            return ()
        inside = (f"{word} {prefix}" for prefix in prefixes)
        return (f"router bgp {self.asn}", "address-family ipv4 unicast", *inside, "exit-address-family", "exit")


def clause_before(running: str, name: str, seq: int, action: str, lines: Sequence[str], place: int = 0) -> Clause:
    """A new clause of a map at the last free number before `seq`, `place` more left free. Raises NoRoom, BadReply."""
    taken = {number for known, number in clauses(running) if known == name}
    free = [number for number in range(seq - 1, 0, -1) if number not in taken]
    if len(free) <= place:
        raise NoRoom(
            f"route-map {name} has no free number before {seq}",
            where="show running-config",
            do_next="Renumber the map's clauses, ten apart.",
        )
    return Clause(name, action, free[place], tuple(f" {line}" for line in lines))


def first_permit(running: str, name: str) -> int | None:
    """The number of a map's first permitting clause. Raises BadReply."""
    found = clauses(running).values()
    return min((clause.seq for clause in found if clause.name == name and clause.action == "permit"), default=None)


def states(of: Specifics, running: str) -> tuple[set[State], list[str]]:
    """Which parts are there and which are gone, and what somebody else made of them, in words. Raises BadReply.

    An origination that another cloud's list names too is neither: it stands for both. One that stands while nothing
    else of ours does is somebody else's.
    """
    lines, known = frozenset(statements(running)), clauses(running)
    found: set[State] = {"there" if entry in lines else "gone" for entry in of.entries}
    foreign = [f"somebody else's entry in our list: {line}" for line in lines if _strange(of, line)]
    for clause in of.clauses:
        seen = known.get((clause.name, clause.seq))
        found.add("gone" if seen is None else "there")
        if seen is not None and not same_meaning(seen, clause):
            foreign.append(f"somebody else's clause.\nOurs:\n{clause.text}\nOn the router now:\n{seen.text}")
    shared = named_by_others(of, running)
    own = {prefix: f"network {prefix}" in lines for prefix in of.prefixes if prefix not in shared}
    if found == {"gone"}:
        foreign += [f"somebody else originates {prefix}" for prefix, there in own.items() if there]
    found |= {"there" if there else "gone" for there in own.values()}
    return found, foreign


def named_by_others(of: Specifics, running: str) -> frozenset[str]:
    """Which of the prefixes another cloud's list names on this router. Raises BadReply."""
    words = [line.split() for line in statements(running) if line.startswith(f"ip prefix-list {LIST}")]
    return frozenset(each[-1] for each in words if each[2] != of.name and each[-1] in of.prefixes)


def needed_beside(own: Container[str], running: str) -> frozenset[str]:
    """The originations that a list of ours names with a line which is none of `own`. Raises BadReply."""
    others = (line for line in statements(running) if line.startswith(f"ip prefix-list {LIST}") and line not in own)
    return frozenset(f"network {line.split()[-1]}" for line in others)


def in_the_way(prefix: IPv4Network, running: str, known: frozenset[IPv4Network]) -> Iterator[str]:
    """Statements that originate or discard the prefix or a part of it; `known` may be there. Raises BadReply."""
    for line in statements(running):
        words = line.split()
        if words[:1] == ["network"]:
            of, nowhere = words[1], True
        elif words[:2] == ["ip", "route"]:
            of, nowhere = words[2], any(word in _NOWHERE for word in words[3:]) and "table" not in words
        else:
            continue
        try:
            network = IPv4Network(of)
        except ValueError:
            continue
        if nowhere and network not in known and network.subnet_of(prefix):
            yield line


def _strange(of: Specifics, line: str) -> bool:
    return line.startswith(f"ip prefix-list {of.name} ") and line not in of.entries
