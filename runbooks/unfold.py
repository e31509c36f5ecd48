"""A book with its parameters, step by step: words filled in, turns taken, called books in their place. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from network.inventory import Site
from network.located import Fault
from runbooks.language import Book, BookError, BookGuard, BookStep, seconds
from runbooks.parameters import bound, typed
from runbooks.texts import POLICY, UnfitText, filled, rendered
from runbooks.turns import spread


@dataclass(frozen=True, slots=True)
class Filled:
    """A step with every word filled in. `target` is that of the book it comes from: type and name."""

    step: BookStep
    args: Mapping[str, Any]
    guards: tuple[BookGuard, ...]
    target: tuple[str, str]
    timeout_s: float | None = None
    spacing_s: float = 0.0
    samples: int = 1
    deadman_s: float | None = None


@dataclass(frozen=True, slots=True)
class Words:
    """What the words of one turn mean: `exact` in ids and arguments, `told` to a person."""

    exact: Mapping[str, Any]
    told: Mapping[str, Any]


def unfolded(book: Book, parameters: Mapping[str, str], site: Site) -> Iterator[Filled]:
    """Every step in order. Raises BookError: a word that cannot be filled in, or parameters of a called book."""
    kind, target = book.parameters[book.target].type, parameters[book.target]
    armed = False
    for step, turn in spread(site, kind, target, book.steps):
        words = _words(book, {**parameters, **turn}, turn, site)
        if step.kind == "call":
            yield from _inlined(book, step, words, site, armed=armed)
        else:
            armed = armed or step.kind == "act"
            guards = book.guards if armed and step.kind in {"act", "wait_until"} else ()
            yield _filled(book, step, words, guards, (kind, target))
        armed = armed or step.kind == "call"


def _words(book: Book, values: Mapping[str, str], turn: Mapping[str, str], site: Site) -> Words:
    policy = site.policy.model_dump(exclude={"approvals"})
    given = {name: value for name, value in values.items() if name in book.parameters}
    exact = {**typed(book, given), **turn, **{f"{POLICY}.{name}": value for name, value in policy.items()}}
    return Words(exact, {**values, POLICY: policy})


def _inlined(book: Book, step: BookStep, words: Words, site: Site, *, armed: bool) -> Iterator[Filled]:
    """The called book's steps, named `parent/child`; the caller's guards hold for its acts too."""
    called = book.called[step.book]
    spoken = {**words.exact, **{name: value for name, value in words.told.items() if name != POLICY}}
    given = {name: str(filled(value, spoken)) for name, value in step.args.items()}
    parent = str(filled(step.id, words.exact))
    for each in unfolded(called, bound(called, given, site), site):
        group = f"{parent}/{each.step.group}" if each.step.group else None
        inner = each.step.model_copy(update={"id": f"{parent}/{each.step.id}", "group": group})
        armed = armed or inner.kind == "act"
        wide = book.guards if armed and inner.kind in {"act", "wait_until"} else ()
        yield replace(each, step=inner, guards=_merged(wide, each.guards))


def _filled(book: Book, step: BookStep, words: Words, guards: tuple[BookGuard, ...], target: tuple[str, str]) -> Filled:
    def exact(value: Any) -> Any:
        return filled(value, words.exact)

    def told(text: str) -> str:
        try:
            return rendered(text, words.told)
        except UnfitText as error:
            raise BookError([Fault(book.runbook, step.id, f"{text!r} cannot be filled in: {error}")]) from error

    def duration(field: str) -> float | None:
        return _seconds(book, step, field, exact(getattr(step, field)))

    update = {
        "id": exact(step.id),
        "group": exact(step.group),
        "title": told(step.title) or exact(step.id),
        "text": told(step.text),
        "expect": {told(what): told(want) for what, want in step.expect.items()},
    }
    own = tuple(guard.model_copy(update={"args": exact(guard.args)}) for guard in step.guards)
    wide = tuple(guard.model_copy(update={"args": exact(guard.args)}) for guard in guards)
    return Filled(
        step.model_copy(update=update),
        exact(step.args),
        _merged(wide, own),
        target,
        timeout_s=duration("timeout"),
        spacing_s=duration("spacing") or 0.0,
        samples=_samples(book, step, exact(step.samples)),
        deadman_s=duration("deadman"),
    )


def _merged(wide: tuple[BookGuard, ...], own: tuple[BookGuard, ...]) -> tuple[BookGuard, ...]:
    """A step's own word about a guard is the one that counts."""
    named = {guard.name: guard for guard in (*wide, *own)}
    return tuple(named.values())


def _seconds(book: Book, step: BookStep, field: str, value: Any) -> float | None:
    """A duration as written, or the seconds that a parameter or the policy gave in its place."""
    if value is None:
        return None
    found = float(value) if isinstance(value, int | float) else seconds(str(value))
    if found is None or (found <= 0 and field != "spacing"):
        raise BookError([Fault(book.runbook, f"{step.id}.{field}", f"{value!r} is not a duration; write 3s, 5m or 2h")])
    return found


def _samples(book: Book, step: BookStep, value: Any) -> int:
    if str(value).isdecimal() and int(value) >= 1:
        return int(value)
    raise BookError([Fault(book.runbook, f"{step.id}.samples", f"{value!r} is not a count of samples")])
