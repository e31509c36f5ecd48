"""Whether the words of a book mean something: verbs, arguments, guards, fields of a kind, names in `${…}`. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import ValidationError

from network.policy import Policy
from network.sitecheck import Location, nearest
from runbooks.guardnames import GUARD_NAMES
from runbooks.language import EVERY, FIELDS, Book, BookGuard, BookStep
from runbooks.parameters import objection
from runbooks.putback import PUT_BACK
from runbooks.texts import POLICY, UnfitText, needed, words
from runbooks.verbs import VERBS, BrokenVerb

Finding = tuple[Location, str]
#: Verbs that people write when they mean "give it a while". None exists.
SLEEPS = frozenset({"sleep", "wait", "pause", "delay"})
#: The ways in which a driver leaves a run.
EXIT_PATHS = ("ctrl-c", "sigterm", "sighup", "closed-terminal", "exception", "guard", "timeout", "lost-fence")
_EXACT = ("id", "group", "timeout", "samples", "spacing", "deadman")


def findings(book: Book) -> Iterator[Finding]:
    """Every word that means nothing, with its place in the book."""
    yield from _parameters(book)
    yield from _guards(("guards",), book.guards)
    for index, step in enumerate(book.steps):
        at: Location = ("steps", index)
        yield from (((*at, *where), said) for where, said in _step(book, step))


def _parameters(book: Book) -> Iterator[Finding]:
    if book.target not in book.parameters:
        yield ("target",), f"{book.target!r} is not a parameter; {nearest(book.target, book.parameters)}"
    for name, parameter in book.parameters.items():
        if not name.isidentifier() or name == POLICY:
            yield (
                ("parameters", name),
                f"{name!r} cannot be a parameter's name: letters, digits and _, and not `policy`",
            )
        if parameter.default is not None and (said := objection(parameter, parameter.default)):
            yield ("parameters", name, "default"), f"{parameter.default!r} {said}"
        if parameter.all and parameter.type != "cloud":
            yield ("parameters", name, "all"), f"only a cloud can be `all`, not a {parameter.type}"


def _step(book: Book, step: BookStep) -> Iterator[Finding]:
    yield from _fields(step)
    yield from _names(book, step)
    yield from _texts(book, step)
    yield from _guards(("guards",), step.guards)
    if "verb" in FIELDS[step.kind]:
        yield from _verb(book, step)


def _fields(step: BookStep) -> Iterator[Finding]:
    """A key that its kind does not have would be read by nobody."""
    written = {"with" if key == "args" else key for key in step.model_fields_set}
    allowed = EVERY | FIELDS[step.kind]
    for key in sorted(written - allowed):
        yield (key,), f"a {step.kind} has no {key!r}; {nearest(key, allowed)}"
    for path in step.exits:
        if path not in EXIT_PATHS:
            yield ("exits", path), f"{path!r} is not a way of leaving; {nearest(path, EXIT_PATHS)}"
    if step.kind == "manual" and not step.text:
        yield ("kind",), "a manual step needs `text`: what the person must do"
    if step.kind == "note" and not step.text:
        yield ("kind",), "a note needs `text`"
    if step.kind == "call" and not step.book:
        yield ("kind",), "a call needs `book`: which runbook stands here"


def _names(book: Book, step: BookStep) -> Iterator[Finding]:
    """Every `${name}` of what is filled in exactly."""
    known = {*book.parameters, *step.for_each, *(f"{POLICY}.{name}" for name in Policy.model_fields)}
    exact: dict[str, Any] = {name: getattr(step, name) for name in _EXACT}
    exact |= {"with": step.args, "guards": [guard.args for guard in step.guards]}
    for field, value in exact.items():
        for name in words(value):
            if name not in known:
                yield (field,), f"${{{name}}} is not a parameter here; {nearest(name, known)}"


def _texts(book: Book, step: BookStep) -> Iterator[Finding]:
    known = {*book.parameters, *step.for_each, POLICY}
    texts: list[tuple[Location, str]] = [(("title",), step.title), (("text",), step.text)]
    texts += [(("expect", what), text) for what, want in step.expect.items() for text in (what, want)]
    for where, text in texts:
        try:
            lacking = sorted(needed(text) - known)
        except UnfitText as error:
            yield where, f"{text!r} cannot be filled in: {error}"
        else:
            yield from ((where, f"{name!r} is not a parameter here; {nearest(name, known)}") for name in lacking)


def _guards(at: Location, guards: tuple[BookGuard, ...]) -> Iterator[Finding]:
    for index, guard in enumerate(guards):
        if guard.name not in GUARD_NAMES:
            yield (*at, index), f"{guard.name!r} is not a guard; {nearest(guard.name, GUARD_NAMES)}"
        if guard.k > guard.n:
            yield (*at, index), f"{guard.k} of the last {guard.n} samples can never be: k is at most n"


def _verb(book: Book, step: BookStep) -> Iterator[Finding]:
    if step.verb in SLEEPS:
        yield (
            ("verb",),
            f"{step.verb!r} is a bare sleep: time alone proves nothing; use a wait_until with a verb that looks",
        )
        return
    if step.verb == PUT_BACK and step.kind == "act":
        if book.undoes is None:
            yield ("verb",), "put-back stands only in a book that `undoes` another: there is nothing to put back"
        return
    try:
        verb = VERBS[step.kind][step.verb]
    except BrokenVerb as broken:
        yield ("verb",), str(broken)
    except KeyError:
        yield ("verb" if step.verb else "kind",), _no_verb(step)
    else:
        yield from arguments(verb.declares.args, step.args)


def _no_verb(step: BookStep) -> str:
    if not step.verb:
        what = "looks at nothing: it is a bare sleep" if step.kind == "wait_until" else "does nothing"
        return f"a {step.kind} without a verb {what}; {nearest('', VERBS[step.kind])}"
    other = next((kind for kind in VERBS if step.verb in VERBS[kind]), None)
    return f"{step.verb!r} is no {step.kind}; {f'it is a {other}' if other else nearest(step.verb, VERBS[step.kind])}"


def arguments(model: Any, args: Mapping[str, Any]) -> Iterator[Finding]:
    """What is wrong with a verb's arguments; what is still to be filled in is not looked at."""
    try:
        model.model_validate(dict(args))
    except ValidationError as error:
        known = [field.alias or name for name, field in model.model_fields.items()]
        for each in error.errors():
            where: Location = ("with", *each["loc"])
            if each["type"] == "extra_forbidden":
                yield where, f"unknown argument {each['loc'][-1]!r}; {nearest(str(each['loc'][-1]), known)}"
            elif each["type"] == "missing":
                yield ("with",), f"the argument {each['loc'][-1]!r} is missing"
            elif not any(words(each["input"])):
                yield where, f"{each['input']!r}: {each['msg'].removeprefix('Value error, ')}"
