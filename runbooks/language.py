"""The runbook language as data: what an author may write. What the words mean is checked in runbooks/grammar.py."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from network.located import Fault
from runbooks.model import ExitPolicy, Risk

ParameterType = Literal[
    "port", "path", "session", "vxc", "edge", "router", "cloud", "mbps", "duration", "incident", "text"
]
BookKind = Literal["check", "confirm", "approve", "act", "wait_until", "measure", "manual", "note", "call"]

#: The classes of risk, the mildest first.
RISKS: tuple[Risk, ...] = ("reading", "reversible", "restore", "traffic-moving", "last-spare", "irreversible")
#: Seconds of each unit in which a duration is written.
UNITS: Mapping[str, float] = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)([smhd])")


class BookError(Exception):
    """The runbook, or what it was called with, cannot be used. Every fault says where and what is allowed."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in faults))


def seconds(text: str) -> float | None:
    """Seconds of a duration such as 3s, 5m or 2h; None for anything else, and for no time at all."""
    found = _DURATION.fullmatch(text)
    return (float(found[1]) * UNITS[found[2]] or None) if found else None


def _duration(value: object) -> object:
    """A duration as written, or one that a parameter or the policy gives: `${hold}`."""
    if isinstance(value, str) and ("${" in value or seconds(value) is not None):
        return value
    raise ValueError("is not a duration; write 3s, 5m or 2h, or ${policy.…} or ${parameter}")


def _named(value: object) -> object:
    return {"name": value} if isinstance(value, str) else value


def _count(value: object) -> object:
    """How often, as a number or as one that a parameter or the policy gives."""
    if (isinstance(value, int) and not isinstance(value, bool) and value >= 1) or (
        isinstance(value, str) and "${" in value
    ):
        return value
    raise ValueError("is not a count; write a whole number from 1 on, or ${policy.…} or ${parameter}")


Count = Annotated[int | str, BeforeValidator(_count)]
Duration = Annotated[str, BeforeValidator(_duration)]


class Written(BaseModel):
    """A part of a runbook."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Parameter(Written):
    """A parameter: its type is the kind of thing it names in the site file, or the kind of value it is."""

    type: ParameterType
    help: str = ""
    default: str | None = None
    required: bool = True  # with a default it is never missing; without one and not required it is empty
    all: bool = Field(default=False, description="cloud: the word `all` stands for every cloud")
    pattern: str | None = Field(default=None, description="text: a regular expression for the whole of it")
    max_length: int = Field(default=200, ge=1, le=2000, description="text: in characters")


class BookGuard(Written):
    """What must stay so while a step runs. It trips after `k` of the last `n` samples say otherwise."""

    name: str
    args: dict[str, Any] = Field(default_factory=dict, alias="with")
    policy: ExitPolicy = "hold"
    k: int = Field(default=2, ge=1, le=100)
    n: int = Field(default=3, ge=1, le=100)


Guards = tuple[Annotated[BookGuard, BeforeValidator(_named)], ...]


class BookStep(Written):
    """A step as written. `${name}` stands for a parameter, `${cloud}` and `${router}` for the turn of `for_each`."""

    id: str = Field(pattern=r"^[a-z0-9$][a-z0-9${}._/-]*$", max_length=80)
    kind: BookKind
    title: str = ""
    verb: str = ""
    args: dict[str, Any] = Field(default_factory=dict, alias="with")
    book: str = Field(default="", description="call: the runbook that stands here")
    risk: Risk | None = None
    text: str = ""
    evidence: tuple[str, ...] = ()
    for_each: tuple[Literal["cloud", "router"], ...] = ()
    group: str | None = None
    expect: dict[str, str] = Field(default_factory=dict, description="further results that a person may expect")
    timeout: Duration | None = None
    samples: Count = 1
    spacing: Duration | None = None
    on_failure: Literal["ask", "undo"] = "ask"
    then: Literal["ask", "undo"] | None = Field(default=None, description="wait_until: when its time is over")
    guards: Guards = ()
    exits: dict[str, ExitPolicy] = Field(default_factory=dict)
    deadman: Duration | None = None


class Script(Written):
    """A runbook as it stands in its file."""

    runbook: str = Field(pattern=r"^[a-z][a-z0-9-]*$")
    version: int = Field(ge=1)
    title: str
    purpose: str
    undoes: str | None = Field(default=None, description="the book whose newest run this one puts back")
    target: str
    parameters: dict[str, Parameter]
    guards: Guards = Field(default=(), description="of every act and wait_until from the first act on")
    steps: tuple[BookStep, ...] = Field(min_length=1)


class Book(Script):
    """A runbook that has been read: its text, which is part of the plan's hash, and the books that it calls."""

    text: str = ""
    called: Mapping[str, Book] = Field(default_factory=dict)

    @property
    def risk(self) -> Risk:
        """The gravest risk of its steps, those of called books among them."""
        own = [step.risk or "reading" for step in self.steps]
        return max([*own, *(book.risk for book in self.called.values())], key=RISKS.index)

    @property
    def texts(self) -> tuple[str, ...]:
        """Everything that was read for it."""
        return (self.text, *(text for _, book in sorted(self.called.items()) for text in book.texts))


#: What each kind of step may say beside what every step may.
EVERY = frozenset({"id", "kind", "title", "risk", "for_each", "expect"})
_VERBAL = frozenset({"verb", "with", "timeout", "on_failure", "guards", "exits"})
FIELDS: Mapping[str, frozenset[str]] = {
    "check": _VERBAL,
    "measure": _VERBAL,
    "wait_until": _VERBAL | {"samples", "spacing", "then"},
    "act": _VERBAL | {"group", "deadman"},
    "confirm": frozenset({"text"}),
    "approve": frozenset({"text"}),
    "manual": frozenset({"text", "evidence"}),
    "note": frozenset({"text"}),
    "call": frozenset({"book", "with"}),
}
