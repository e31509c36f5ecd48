"""Propagation: every speaker sends, accepts and chooses until nothing changes any more."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from lab.embedded.policy import Route
from lab.embedded.speaker import Speaker, Table

ROUNDS = 40


@dataclass(frozen=True)
class Adjacency:
    """A session between two speakers over which routes are exchanged: names and addresses of its ends."""

    one: str
    one_address: str
    other: str
    other_address: str


class PropagationError(Exception):
    """The policies oscillate: no stable outcome exists."""


def converge(
    speakers: Mapping[str, Speaker],
    adjacencies: Iterable[Adjacency],
    before: Mapping[str, Table] | None = None,
    now: float = 0.0,
    extra: Mapping[tuple[str, str], tuple[Route, ...]] | None = None,
) -> dict[str, Table]:
    """The tables at rest. `extra` is sent besides, by (speaker, peer address): it is how a leak is injected.

    A route that was already there with the same attributes keeps the time at which it was learned.
    Raises PropagationError when no rest is reached in 40 rounds.
    """
    links = list(adjacencies)
    tables = {name: Table() for name in speakers}
    ends = [end for link in links for end in (link, _turned(link))]
    router_ids = {end.other_address: speakers[end.other].router_id for end in ends}
    for _ in range(ROUNDS):
        changed = False
        for name, speaker in speakers.items():
            tables[name].choices = speaker.choose(tables[name].accepted, router_ids)
        for end in ends:
            changed |= _send(speakers, tables, end, (extra or {}).get((end.one, end.other_address), ()))
        if not changed:
            _keep_ages(tables, before or {}, now)
            _accept_all(speakers, tables)
            for name, speaker in speakers.items():
                tables[name].choices = speaker.choose(tables[name].accepted, router_ids)
            return tables
    raise PropagationError(f"no stable routes after {ROUNDS} rounds: two policies prefer each other's path")


def changed(before: Mapping[str, Table], after: Mapping[str, Table]) -> Iterator[tuple[str, str, bool]]:
    """Every (router, peer address, sent) whose routes differ: on that session an update went that way."""
    for name, table in after.items():
        old = before.get(name, Table())
        for sent, now, then in ((True, table.sent, old.sent), (False, table.received, old.received)):
            yield from ((name, peer, sent) for peer in now if _ageless(now[peer]) != _ageless(then.get(peer, ())))


def _ageless(routes: tuple[Route, ...]) -> list[Route]:
    return [replace(route, learned=0.0) for route in routes]


def _turned(link: Adjacency) -> Adjacency:
    return Adjacency(link.other, link.other_address, link.one, link.one_address)


def _send(speakers: Mapping[str, Speaker], tables: dict[str, Table], end: Adjacency, extra: tuple[Route, ...]) -> bool:
    sender, receiver = speakers[end.one], speakers[end.other]
    peer = sender.peers[end.other_address]
    routes = (*sender.send(peer, tables[end.one].choices, end.one_address), *extra)
    tables[end.one].sent[end.other_address] = routes
    table = tables[end.other]
    if table.received.get(end.one_address) == routes:
        return False
    table.received[end.one_address] = routes
    table.accepted[end.one_address] = receiver.accept(end.one_address, routes)
    return True


def _keep_ages(tables: Mapping[str, Table], before: Mapping[str, Table], now: float) -> None:
    for name, table in tables.items():
        old = before.get(name, Table()).received
        for address, routes in table.received.items():
            known = {(r.prefix, r.path_id): r for r in old.get(address, ())}
            table.received[address] = tuple(_aged(r, known.get((r.prefix, r.path_id)), now) for r in routes)


def _aged(route: Route, old: Route | None, now: float) -> Route:
    same = old is not None and replace(old, learned=0.0) == replace(route, learned=0.0)
    return replace(route, learned=old.learned if same and old else now)


def _accept_all(speakers: Mapping[str, Speaker], tables: Mapping[str, Table]) -> None:
    for name, table in tables.items():
        table.accepted = {address: speakers[name].accept(address, routes) for address, routes in table.received.items()}
