"""Encoded queries (`a=b^c!=d^ORe=f^NQ…^ORDERBYx`), read as ServiceNow reads them.

A part that makes no sense is dropped without a word, which *widens* the result: so does the real thing.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass

_PART = re.compile(
    r"(?P<field>[a-z0-9_.]+)"
    r"(?P<op>!=|>=|<=|=|>|<|NOT LIKE|LIKE|STARTSWITH|ENDSWITH|NOT IN|IN|ISNOTEMPTY|ISEMPTY)(?P<arg>.*)",
    re.DOTALL,
)
_TESTS: dict[str, Callable[[str, str], bool]] = {
    "=": lambda have, arg: have == arg,
    "!=": lambda have, arg: have != arg,
    ">": lambda have, arg: have > arg,
    "<": lambda have, arg: have < arg,
    ">=": lambda have, arg: have >= arg,
    "<=": lambda have, arg: have <= arg,
    "LIKE": lambda have, arg: arg in have,
    "NOT LIKE": lambda have, arg: arg not in have,
    "STARTSWITH": lambda have, arg: have.startswith(arg),
    "ENDSWITH": lambda have, arg: have.endswith(arg),
    "IN": lambda have, arg: have in arg.split(","),
    "NOT IN": lambda have, arg: have not in arg.split(","),
    "ISEMPTY": lambda have, _: not have,
    "ISNOTEMPTY": lambda have, _: bool(have),
}


@dataclass(frozen=True)
class Condition:
    field: str
    op: str
    arg: str

    def holds(self, value: str) -> bool:
        """Compare without regard to case, as the database behind ServiceNow does."""
        return _TESTS[self.op](value.casefold(), self.arg.casefold())


@dataclass(frozen=True)
class Query:
    """`sets` (any of) of `groups` (all of) of conditions (any of); `order` is (field, descending)."""

    sets: tuple[tuple[tuple[Condition, ...], ...], ...]
    order: tuple[tuple[str, bool], ...]

    def matches(self, value_of: Callable[[str], str]) -> bool:
        return any(
            all(any(each.holds(value_of(each.field)) for each in group) for group in groups) for groups in self.sets
        )


def parse_query(text: str, known: Callable[[str], bool]) -> Query:
    """Read an encoded query. `known` tells whether a (dot-walked) field exists in the table."""
    order: list[tuple[str, bool]] = []
    sets = tuple(_parse_set(part.split("^"), known, order) for part in text.split("^NQ"))
    return Query(sets, tuple(order))


def _parse_set(
    parts: Iterable[str], known: Callable[[str], bool], order: list[tuple[str, bool]]
) -> tuple[tuple[Condition, ...], ...]:
    groups: list[list[Condition]] = []
    for part in parts:
        if part.startswith("ORDERBY"):
            descending = part.startswith("ORDERBYDESC")
            name = part.removeprefix("ORDERBYDESC" if descending else "ORDERBY")
            order.extend([(name, descending)] if known(name) else [])
            continue
        alternative = part.startswith("OR")
        found = _PART.fullmatch(part.removeprefix("OR"))
        if found is None or not known(found["field"]):
            continue
        condition = Condition(found["field"], found["op"], found["arg"])
        if alternative and groups:
            groups[-1].append(condition)
        else:
            groups.append([condition])
    return tuple(tuple(group) for group in groups)
