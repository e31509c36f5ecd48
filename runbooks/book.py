"""A runbook as its author writes it: YAML, checked when it is read, with file:line for every fault."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from network.inventory import Site
from network.located import Fault, Located, NotYaml, reason
from network.sitecheck import nearest
from runbooks.model import Risk
from runbooks.putback import PUT_BACK


class BookError(Exception):
    """The runbook, or what it was called with, cannot be used. Every fault says where and what is allowed."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in faults))


class Parameter(BaseModel):
    """A parameter: its type is the kind of thing it names in the site file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: Literal["port", "cloud", "session", "router"]
    help: str = ""
    default: str | None = None


class BookStep(BaseModel):
    """A step as written. `${name}` stands for a parameter, `${cloud}` and `${router}` for the turn of `for_each`."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    id: str
    kind: Literal["check", "confirm", "wait_until", "act", "measure"]
    verb: str = ""
    title: str
    risk: Risk
    for_each: tuple[Literal["cloud", "router"], ...] = ()
    group: str | None = None
    args: dict[str, str] = Field(default_factory=dict, alias="with")
    timeout_s: float | None = Field(default=None, gt=0)


class Book(BaseModel):
    """A runbook. `text` is the file as read: it is part of the plan's hash."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    runbook: str
    version: int
    title: str
    purpose: str
    undoes: str | None = None  # the book whose newest run this one puts back
    target: str
    parameters: dict[str, Parameter]
    steps: tuple[BookStep, ...]
    text: str = Field(default="", exclude=True)


def names() -> tuple[str, ...]:
    """The runbooks that come with Interlock."""
    files = (resources.files("runbooks") / "library").iterdir()
    return tuple(sorted(f.name.removesuffix(".yaml") for f in files if f.name.endswith(".yaml")))


def shipped(name: str) -> Book:
    """A runbook of the library by name. Raises BookError with the nearest name."""
    if name not in names():
        raise BookError([Fault("runbook", name, f"is not in the library; {nearest(name, names())}")])
    file = resources.files("runbooks") / "library" / f"{name}.yaml"
    return parse(file.read_text(), f"{name}.yaml")


def parse(text: str, source: str) -> Book:
    """Read a runbook. Raises BookError."""
    from runbooks.verbs import VERBS

    try:
        lines = Located(text, source)
        book = Book.model_validate(lines.document | {"text": text})
    except NotYaml as error:
        raise BookError([error.fault]) from None
    except ValidationError as error:
        faults = [lines.fault(e["loc"], reason(e, Book.model_json_schema)) for e in error.errors()]
        raise BookError(faults) from None
    faults = [
        lines.fault(
            ("steps", index, "verb"), f"{step.verb!r} is no {step.kind}; {nearest(step.verb, VERBS[step.kind])}"
        )
        for index, step in enumerate(book.steps)
        if step.kind in VERBS and step.verb not in VERBS[step.kind] and not (book.undoes and step.verb == PUT_BACK)
    ]
    if book.target not in book.parameters:
        known = nearest(book.target, book.parameters)
        faults.append(lines.fault(("target",), f"{book.target!r} is not a parameter; {known}"))
    if faults:
        raise BookError(faults)
    return book


def bound(book: Book, given: Mapping[str, str], site: Site) -> dict[str, str]:
    """The parameters with their values, each one a thing of the site. Raises BookError for every fault at once."""
    faults = [
        Fault(book.runbook, name, f"is not a parameter; {nearest(name, book.parameters)}")
        for name in given
        if name not in book.parameters
    ]
    values: dict[str, str] = {}
    for name, parameter in book.parameters.items():
        value = given.get(name, parameter.default)
        allowed = _things(parameter.type, site)
        if value is None:
            faults.append(Fault(book.runbook, name, f"is missing: give {name}=…; allowed: {', '.join(allowed)}"))
        elif value not in allowed:
            faults.append(Fault(book.runbook, name, f"{value!r} is not a {parameter.type}; {nearest(value, allowed)}"))
        else:
            values[name] = value
    if faults:
        raise BookError(faults)
    return values


def _things(kind: str, site: Site) -> list[str]:
    tables: dict[str, Sequence[Any]] = {
        "port": site.ports,
        "cloud": site.clouds,
        "session": site.sessions,
        "router": site.routers,
    }
    return [thing.name for thing in tables[kind]]
