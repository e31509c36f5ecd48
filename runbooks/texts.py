"""Filling in a book: `${x}` exactly, in ids and arguments; Jinja2, sandboxed and strict, in texts for a person."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jinja2.sandbox import SandboxedEnvironment

_WORD = re.compile(r"\$\{([^{}]*)\}")
#: What a template may take from the site beside the book's own parameters: `policy.empty_timeout_s`.
POLICY = "policy"


class UnfitText(ValueError):
    """A text cannot be filled in; the message says why."""


def words(value: Any) -> Iterator[str]:
    """The names of every `${name}` in an argument, however deep."""
    if isinstance(value, str):
        yield from _WORD.findall(value)
    elif isinstance(value, Mapping):
        for part in value.values():
            yield from words(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from words(part)


def filled(value: Any, values: Mapping[str, Any]) -> Any:
    """An argument with every `${name}` replaced. One that is nothing but `${name}` takes the value with its type."""
    if isinstance(value, str):
        whole = _WORD.fullmatch(value)
        return values[whole[1]] if whole else _WORD.sub(lambda found: str(values[found[1]]), value)
    if isinstance(value, Mapping):
        return {key: filled(part, values) for key, part in value.items()}
    return [filled(part, values) for part in value] if isinstance(value, list | tuple) else value


def rendered(text: str, values: Mapping[str, Any]) -> str:
    """A text with its templates filled in. What a value contains is never read as a template. Raises UnfitText."""
    if "{" not in text:
        return text
    try:
        return _environment().from_string(_WORD.sub(r"{{ \1 }}", text)).render(values)
    except Exception as error:
        raise UnfitText(f"{type(error).__name__}: {error}") from error


def needed(text: str) -> frozenset[str]:
    """The names that a text needs; those of the policy as `policy.name` are not told apart. Raises UnfitText."""
    if "{" not in text:
        return frozenset()
    from jinja2 import TemplateError, meta

    try:
        return frozenset(meta.find_undeclared_variables(_environment().parse(_WORD.sub(r"{{ \1 }}", text))))
    except (TemplateError, RecursionError) as error:
        raise UnfitText(f"{type(error).__name__}: {error}") from error


@cache
def _environment() -> SandboxedEnvironment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import SandboxedEnvironment

    return SandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
