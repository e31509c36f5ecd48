"""What the `:` line understands, read into words; everything else is refused with the nearest valid name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from network.sitecheck import nearest

#: Orders to a run: the one that is named, or the one in view.
ORDERS = ("pause", "resume", "handover", "decide", "approve", "abandon", "abort", "rollback")
VERBS = ("plan", "run", "follow", *ORDERS, "break-glass", "quit")


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
    if verb == "break-glass" and not words:
        raise BadCommand("break-glass: say why; no other console sees what is done while the journal is away")
    if verb in {"follow", "rollback"} and not words:
        raise BadCommand(f"{verb}: name a run")
    if verb in {"plan", "run"} and not words:
        raise BadCommand(f"{verb}: name a runbook")
    if verb == "break-glass":
        return Command(verb, " ".join(words))
    if verb not in {"plan", "run"}:
        if len(words) > 1:
            raise BadCommand(f"{verb} takes a run and nothing else: what it asks, it asks in a dialog")
        return Command(verb, words[0] if words else "")
    values = dict(_pair(word) for word in words[1:])
    change = values.pop("change", "")
    if verb == "run" and not change and not _needs_no_change(words[0]):
        raise BadCommand("run: change=CHG… is missing: no change, no run")
    return Command(verb, words[0], values, change)


def _pair(word: str) -> tuple[str, str]:
    key, equals, value = word.partition("=")
    if not equals or not key or not value:
        raise BadCommand(f"{word!r}: write name=value")
    return key, value


def _needs_no_change(book: str) -> bool:
    """What restores is never gated: an undo, or perhaps an act that is a restore by what is observed."""
    from runbooks.book import BookError, shipped
    from runbooks.rescue import may_rescue

    try:
        return shipped(book).undoes is not None or may_rescue(shipped(book))
    except BookError:
        return False
