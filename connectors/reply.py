"""From a reply to facts: shapes that name the fields they keep, and observations that say where they came from.

A shape keeps only what its parser uses, so a secret field of a reply ends here without being named.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, NamedTuple, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from connectors.errors import BadReply
from connectors.redact import redactor
from network.observation import Kind, Observation

RAW_LIMIT = 4096  # characters of evidence that an observation carries
CHECK_VERSION = "Compare the reply with the API version that this console was built for."


class Shape(BaseModel):
    """A part of a reply: camelCase keys, extra keys dropped, numbers taken where text is expected."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        coerce_numbers_to_str=True,
        hide_input_in_errors=True,
    )


def _none_is(empty: Any) -> BeforeValidator:
    return BeforeValidator(lambda value: empty if value is None else value)


Item = TypeVar("Item")
ShapeT = TypeVar("ShapeT", bound=Shape)
Text = Annotated[str, _none_is("")]  # absent, null and "" all mean that the service has no word for it
Flag = Annotated[bool, _none_is(False)]
Rows = Annotated[tuple[Item, ...], _none_is(())]


def read(shape: type[ShapeT], data: Any, where: str) -> ShapeT:
    """`data` as `shape`; raises BadReply that names the field but never its value."""
    try:
        return shape.model_validate(data)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        field = ".".join(str(part) for part in first["loc"]) or "the reply"
        raise BadReply(f"{field}: {first['msg']}", where=where, do_next=CHECK_VERSION, evidence=excerpt(data)) from None


def mapping(data: Any, where: str) -> Mapping[str, Any]:
    """`data` as a JSON object; raises BadReply."""
    if isinstance(data, Mapping):
        return data
    raise BadReply("expected an object", where=where, do_next=CHECK_VERSION, evidence=excerpt(data))


def mappings(data: Any, where: str) -> tuple[Mapping[str, Any], ...]:
    """`data` as a list of JSON objects; raises BadReply: what is not a list is never an empty one."""
    if isinstance(data, list) and all(isinstance(item, Mapping) for item in data):
        return tuple(data)
    raise BadReply("expected a list of objects", where=where, do_next=CHECK_VERSION, evidence=excerpt(data))


def excerpt(data: Any) -> str:
    """Compact redacted JSON, cut at RAW_LIMIT characters."""
    text = json.dumps(redactor.data(data), separators=(",", ":"), ensure_ascii=False, default=str)
    return redactor.text(text[:RAW_LIMIT])


class Finding(NamedTuple):
    """What a parser found: a fact, what it is about, and the piece of the reply that says so."""

    kind: Kind
    name: str
    fact: Any  # one of the fact types of network.observation, as `kind` says
    raw: Any = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where findings came from. `at` is when the reply arrived, `fresh_s` how long it stays true enough."""

    source: str
    at: datetime
    fresh_s: float
    evidence: str

    def observe(self, findings: Iterable[Finding]) -> list[Observation]:
        return [
            Observation(
                kind=found.kind,
                name=found.name,
                fact=found.fact,
                source=self.source,
                at=self.at,
                fresh_s=self.fresh_s,
                evidence=self.evidence,
                raw=excerpt(found.raw),
            )
            for found in findings
        ]


def fresh_for(cadence_s: float) -> float:
    """Seconds that a polled fact stays fresh: two polls and a second, so that one lost poll is not an alarm."""
    return max(3.0, 2 * cadence_s + 1)
