"""The laws of a book that its words alone can prove or break. Each finding says where, and what to write instead. Pure.

A gate is a step that proves or decides something before anything is changed: check, confirm, approve, wait_until,
manual, or a called book (which has its own). An unreachable step is one behind a wait that can never pass.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from network.inventory import Site
from network.sitecheck import Location
from runbooks.cadence import cadence_s
from runbooks.declares import Declaration
from runbooks.grammar import Finding
from runbooks.language import Book, BookStep, seconds
from runbooks.putback import PUT_BACK
from runbooks.texts import words
from runbooks.verbs import VERBS, BrokenVerb

GATES = frozenset({"check", "confirm", "approve", "wait_until", "manual", "call"})


def laws(book: Book) -> Iterator[Finding]:
    """What no site is needed for."""
    yield from _twins(book)
    yield from _torn_groups(book.steps)
    yield from _ungated(book.steps)
    for index, step in enumerate(book.steps):
        at: Location = ("steps", index)
        yield from (((*at, *where), said) for where, said in (*_undo(step), *_wait(step)))


def unfed(book: Book, site: Site) -> Iterator[Finding]:
    """Predicates that nothing at this site feeds, and waits whose source is asked too seldom to answer in time."""
    for index, step in enumerate(book.steps):
        declares = declared(step)
        if declares is None or step.kind == "act":
            continue
        at: Location = ("steps", index, "verb")
        for system in sorted(declares.reads):
            every_s = cadence_s(system, site)
            if every_s is None:
                yield at, f"{step.verb!r} reads {system}, and nothing at site {site.name} feeds that"
            elif step.kind == "wait_until" and (limit_s := _constant_s(step.timeout)) and every_s >= limit_s:
                asked = f"{system} is asked every {every_s:g} s"
                yield at, f"{step.verb!r} cannot answer in time: {asked}, and the wait ends after {step.timeout}"


def declared(step: BookStep) -> Declaration | None:
    """What the verb of a step says of itself; None where there is none to ask."""
    if not step.verb or step.verb == PUT_BACK or step.kind not in VERBS:
        return None
    try:
        found: Declaration = VERBS[step.kind][step.verb].declares
    except (KeyError, BrokenVerb):
        return None
    return found


def _twins(book: Book) -> Iterator[Finding]:
    """Every step needs its own id, in every turn."""
    times = Counter(step.id for step in book.steps)
    for index, step in enumerate(book.steps):
        if times[step.id] > 1 and any(earlier.id == step.id for earlier in book.steps[:index]):
            yield ("steps", index, "id"), f"step id {step.id!r} is used twice; every step needs its own"
        lacking = [word for word in step.for_each if word not in words(step.id)]
        if lacking:
            yield (
                ("steps", index, "id"),
                f"{step.id!r} would be used once for each {lacking[0]}: write ${{{lacking[0]}}} in it",
            )


def _torn_groups(steps: Sequence[BookStep]) -> Iterator[Finding]:
    """A group is atomic only if nothing can happen between its members."""
    ended, last = set[str](), None
    for index, step in enumerate(steps):
        if last is not None and last != step.group:
            ended.add(last)
        if step.group in ended:
            said = f"group {step.group!r} is torn: another step stands between its acts; put them side by side"
            yield ("steps", index, "group"), said
        last = step.group


def _ungated(steps: Sequence[BookStep]) -> Iterator[Finding]:
    first = next((index for index, step in enumerate(steps) if step.kind == "act"), None)
    if first is not None and not any(step.kind in GATES for step in steps[:first]):
        yield (
            ("steps", first),
            f"act {steps[first].id!r} stands before its gate: put a check, a confirm or another gate before it",
        )


def _undo(step: BookStep) -> Iterator[Finding]:
    if step.kind != "act":
        return
    if step.risk in {None, "reading"}:
        yield ("risk",) if step.risk else ("id",), "an act needs its `risk`, and that is not reading"
    declares = declared(step)
    if declares is not None and not declares.undoes and step.risk != "irreversible":
        yield ("verb",), f"{step.verb!r} has no undo: write `risk: irreversible`, or use a verb that can be put back"


def _wait(step: BookStep) -> Iterator[Finding]:
    if step.kind != "wait_until":
        return
    if step.timeout is None:
        yield ("kind",), "an unbounded wait: give its `timeout`, such as 10m"
    if step.then is not None and "on_failure" in step.model_fields_set:
        yield ("then",), "`then` is the on_failure of a wait: write one of the two"
    limit_s, spacing_s = _constant_s(step.timeout), _constant_s(step.spacing)
    if limit_s and spacing_s and isinstance(step.samples, int) and (step.samples - 1) * spacing_s >= limit_s:
        needs = f"{step.samples} samples {step.spacing} apart do not fit into {step.timeout}"
        yield ("timeout",), f"this wait can never pass ({needs}): what stands behind it is unreachable"


def _constant_s(written: str | None) -> float | None:
    return seconds(written) if written else None
