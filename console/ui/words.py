"""What the `:` line understands, read into words; everything else is refused with the nearest valid name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from network.sitecheck import nearest

VERBS = ("plan", "run", "rollback", "abort", "break-glass", "quit")


class BadCommand(ValueError):
    """The line cannot be used; the message says what is wrong and what is allowed."""


@dataclass(frozen=True, slots=True)
class Command:
    """`verb` and what it is about: a book with its parameters and change, or a run."""

    verb: str
    about: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    change: str = ""


def parse(text: str) -> Command:
    """Read one line: a verb of VERBS with what it is about. Raises BadCommand."""
    verb, *words = text.split()
    if verb not in VERBS:
        raise BadCommand(f"{verb!r} is not a command; {nearest(verb, VERBS)}")
    if verb in {"quit", "abort"}:
        return Command(verb)
    if verb == "break-glass":
        if not words:
            raise BadCommand("break-glass: say why; no other console sees what is done while the journal is away")
        return Command(verb, " ".join(words))
    if not words:
        raise BadCommand(f"{verb}: name a {'run' if verb == 'rollback' else 'runbook'}")
    if verb == "rollback":
        return Command(verb, words[0])
    values = dict(_pair(word) for word in words[1:])
    change = values.pop("change", "")
    if verb == "run" and not change:
        raise BadCommand("run: change=CHG… is missing: no change, no run")
    return Command(verb, words[0], values, change)


def _pair(word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not equals or not key or not value:
        raise BadCommand(f"{word!r}: write name=value")
    return key, value
