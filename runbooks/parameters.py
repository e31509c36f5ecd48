"""The parameters of a book: each value is a thing of the site, or of the kind that its type says."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from network.inventory import Site
from network.located import Fault
from network.sitecheck import nearest
from runbooks.language import Book, BookError, Parameter, seconds
from runbooks.turns import ALL

_TABLES: Mapping[str, str] = {
    "port": "ports",
    "path": "paths",
    "session": "sessions",
    "vxc": "vxcs",
    "edge": "routers",
    "router": "routers",
    "cloud": "clouds",
}
_INCIDENT = re.compile(r"INC[0-9]{3,15}")
_MBPS = re.compile(r"[1-9][0-9]{0,6}")


def bound(book: Book, given: Mapping[str, str], site: Site) -> dict[str, str]:
    """The parameters with their values as given. Raises BookError for every fault at once."""
    faults = [
        Fault(book.runbook, name, f"is not a parameter; {nearest(name, book.parameters)}")
        for name in given
        if name not in book.parameters
    ]
    values: dict[str, str] = {}
    for name, parameter in book.parameters.items():
        value = given.get(name, parameter.default)
        if value is None and not parameter.required:
            values[name] = ""
        elif value is None:
            faults.append(Fault(book.runbook, name, f"is missing: give {name}=…; {expected(parameter, site)}"))
        elif said := objection(parameter, value, site):
            faults.append(Fault(book.runbook, name, f"{value!r} {said}"))
        else:
            values[name] = value
    if faults:
        raise BookError(faults)
    return values


def objection(parameter: Parameter, value: str, site: Site | None = None) -> str:
    """What is wrong with a value, and what is allowed; empty when nothing is. Names are looked up only in a site."""
    kind = parameter.type
    if kind in _TABLES:
        allowed = things(parameter, site) if site else [value]
        return "" if value in allowed else f"is not {'an' if kind == 'edge' else 'a'} {kind}; {nearest(value, allowed)}"
    return "" if _FITS[kind](parameter, value) else f"is not {_WORDS[kind](parameter)}"


def expected(parameter: Parameter, site: Site) -> str:
    """What may be given, in words."""
    if parameter.type in _TABLES:
        return f"allowed: {', '.join(things(parameter, site))}"
    return f"it is {_WORDS[parameter.type](parameter)}"


def things(parameter: Parameter, site: Site) -> list[str]:
    """The names that a parameter may take, in site-file order; none for a type that names no thing."""
    table: Sequence[Any] = getattr(site, _TABLES[parameter.type]) if parameter.type in _TABLES else ()
    every = [thing.name for thing in table]
    return [*every, ALL] if parameter.type == "cloud" and parameter.all else every


def typed(book: Book, values: Mapping[str, str]) -> dict[str, Any]:
    """The values as arguments take them: Mbps as a whole number, a duration in seconds."""
    return {name: _typed(book.parameters[name], value) for name, value in values.items()}


def _typed(parameter: Parameter, value: str) -> Any:
    if parameter.type == "mbps" and value:
        return int(value)
    return seconds(value) if parameter.type == "duration" and value else value


def _text(parameter: Parameter, value: str) -> bool:
    """One line of printable characters, within its length and pattern."""
    fits = parameter.pattern is None or re.fullmatch(parameter.pattern, value) is not None
    return fits and value.isprintable() and len(value) <= parameter.max_length


def _text_words(parameter: Parameter) -> str:
    like = f" like {parameter.pattern}" if parameter.pattern else ""
    return f"one line of at most {parameter.max_length} printable characters{like}"


_FITS: Mapping[str, Callable[[Parameter, str], bool]] = {
    "mbps": lambda _, value: _MBPS.fullmatch(value) is not None,
    "duration": lambda _, value: seconds(value) is not None,
    "incident": lambda _, value: _INCIDENT.fullmatch(value) is not None,
    "text": _text,
}
_WORDS: Mapping[str, Callable[[Parameter], str]] = {
    "mbps": lambda _: "a rate in whole Mbps, such as 500",
    "duration": lambda _: "a duration; write 3s, 5m or 2h",
    "incident": lambda _: "an incident, such as INC0012345",
    "text": _text_words,
}
