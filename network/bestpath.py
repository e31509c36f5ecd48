"""The decision process: which of several routes to one prefix a party uses, and at which comparison it was decided.

The processes themselves are data (`network.preferences`); here are the comparisons that they are made of. A step keeps
the routes that are best by it; the process ends when one is left, or with several that are equal and share.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

from network.preferences import DEFAULT_CLASS, Process, Step

_ORIGINS = {"IGP": 0, "EGP": 1, "incomplete": 2}


class Undecidable(Exception):
    """What the next comparison needs is not known: the message says what."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A route as a party would compare it. `via` is our session, or in a cloud the path that it came in by.

    `communities` None: not known. `selected`: in use now. `copy`: learned from our other router, of that name.
    """

    via: str
    as_path: tuple[int, ...] = ()
    kind: str = ""
    weight: int = 0
    local_pref: int = 100
    originated: bool = False
    origin: str = "IGP"
    med: int | None = None
    external: bool = True
    igp_metric: int = 0
    selected: bool = False
    router_id: str = ""
    address: str = ""
    communities: tuple[str, ...] | None = None
    copy: str = ""


@dataclass(frozen=True, slots=True)
class Choice:
    """What is used, in the order it was given, and the step that decided ("" when there was nothing to compare)."""

    winners: tuple[Candidate, ...]
    step: str = ""


NOTHING = Choice(())


def decide(process: Process, candidates: Sequence[Candidate]) -> Choice:
    """The routes that the party uses. Raises Undecidable when the answer depends on what is not known."""
    left, decided = list(candidates), ""
    for step in process.steps:
        if len(left) < 2:
            break
        kept = _STEPS[step.name](left, step)
        if len(kept) < len(left):
            left, decided = kept, step.name
    if left and not process.shares:
        left = left[:1]
    return Choice(tuple(left), decided) if left else NOTHING


def _least(key: Callable[[Candidate], object]) -> Callable[[list[Candidate], Step], list[Candidate]]:
    def kept(left: list[Candidate], _: Step) -> list[Candidate]:
        keys = [key(each) for each in left]
        best = min(keys)  # type: ignore[type-var]  # every key below is comparable with its own kind
        return [each for each, its in zip(left, keys, strict=True) if its == best]

    return kept


def _by_kind(left: list[Candidate], step: Step) -> list[Candidate]:
    strangers = [each.via for each in left if each.kind not in step.order]
    if strangers:
        raise Undecidable(f"how {', '.join(strangers)} ranks among {', '.join(step.order)} is not known")
    best = min(step.order.index(each.kind) for each in left)
    return [each for each in left if each.kind == step.order[best]]


def _by_community(left: list[Candidate], step: Step) -> list[Candidate]:
    """Direct Connect's classes; the highest of several counts. Other kinds of path have none."""
    if any(each.kind != "directconnect" for each in left):
        return left
    ranks = [_rank(each, step.order) for each in left]
    return [each for each, rank in zip(left, ranks, strict=True) if rank == min(ranks)]


def _rank(candidate: Candidate, order: Sequence[str]) -> int:
    if candidate.communities is None:
        raise Undecidable(f"which communities {candidate.via} was accepted with is not known")
    return min(
        (order.index(name) for name in candidate.communities if name in order), default=order.index(DEFAULT_CLASS)
    )


def _by_med(left: list[Candidate], _: Step) -> list[Candidate]:
    """Only among routes of the same neighbouring AS; none counts as 0."""
    lowest: dict[tuple[int, ...], int] = {}
    for each in left:
        neighbour = each.as_path[:1]
        lowest[neighbour] = min(each.med or 0, lowest.get(neighbour, each.med or 0))
    return [each for each in left if (each.med or 0) == lowest[each.as_path[:1]]]


def _by_selected(left: list[Candidate], _: Step) -> list[Candidate]:
    """Of external routes that are equal so far the one in use stays; internal ones go on to the router's id."""
    if not all(each.external for each in left):
        return left
    return [each for each in left if each.selected] or left


def _number(address: str) -> int:
    return int(IPv4Address(address)) if address else 0


_STEPS: Mapping[str, Callable[[list[Candidate], Step], list[Candidate]]] = {
    "weight": _least(lambda each: -each.weight),
    "local_pref": _least(lambda each: -each.local_pref),
    "originated": _least(lambda each: not each.originated),
    "as_path": _least(lambda each: len(each.as_path)),
    "origin": _least(lambda each: _ORIGINS.get(each.origin, len(_ORIGINS))),
    "med": _by_med,
    "external": _least(lambda each: not each.external),
    "igp_metric": _least(lambda each: each.igp_metric),
    "selected": _by_selected,
    "router_id": _least(lambda each: _number(each.router_id)),
    "address": _least(lambda each: _number(each.address)),
    "kind": _by_kind,
    "community": _by_community,
}
