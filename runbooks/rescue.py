"""Acts of class `restore` by what is observed: needed at once, by one person; a second is told, and reviews after.

The class is the plan's, and its hash covers it; the gate asks again, so that nothing is let through on old evidence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from runbooks.language import Book
from runbooks.planstep import PlanStep
from runbooks.scene import Moment, Rescuing
from runbooks.verbs import VERBS


def rescues(verb: str, moment: Moment, args: Mapping[str, Any]) -> str:
    """What is observed that makes an act of this verb a restore now; empty while nothing does."""
    act = VERBS["act"].get(verb)
    return act.rescues(moment, args) if isinstance(act, Rescuing) else ""


def may_rescue(book: Book) -> bool:
    """Whether a run of the book may need no change: it has an act that can be a restore."""
    own = any(step.kind == "act" and isinstance(VERBS["act"].get(step.verb), Rescuing) for step in book.steps)
    return own or any(may_rescue(called) for called in book.called.values())


def with_word(steps: Sequence[PlanStep]) -> tuple[PlanStep, ...]:
    """The steps, with a word for the second person before the first act that is a restore by what is observed."""
    first = next((place for place, step in enumerate(steps) if step.rescues), len(steps))
    return (*steps[:first], *_word(steps), *steps[first:])


def _word(steps: Sequence[PlanStep]) -> Iterator[PlanStep]:
    observed = dict.fromkeys(step.rescues for step in steps if step.rescues)
    if not observed:
        return
    text = (
        f"observed: {'; '.join(observed)}. One person does this, and nothing gates it. "
        "A second person is told now, and reviews it when it is done: `interlock review RUN`."
    )
    definition = {
        "id": "restore-told",
        "title": "a restore: a second person is told, and reviews it after",
        "kind": "note",
        "verb": "",
        "risk": "reading",
        "with": {},
        "commands": [],
        "undo": [],
        "expect": [],
        "text": text,
    }
    yield PlanStep("restore-told", str(definition["title"]), "note", "", "reading", 0, definition, ())
