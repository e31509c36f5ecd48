"""What a run still relies on once it has begun: of all that its plan covers, what its own hand has not moved. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from runbooks.covered import acts_of, cloud_of, moved, state, subjects
from runbooks.filledin import compiled
from runbooks.language import Book
from runbooks.parameters import bound
from runbooks.plan import compile_plan
from runbooks.scene import CannotPlan, Moment
from runbooks.unfold import unfolded


def moved_since(
    frozen: Mapping[str, Any], book: Book, moment: Moment, site_text: str, begun: Collection[str]
) -> list[str]:
    """What a run's frozen plan covers and is not as it was, in words; of a run that has begun, what it still relies on.

    `begun`: the acts of the run that have an intent. Raises BookError, and what reading may raise.
    """
    before, given = frozen["covered"], frozen["parameters"]
    try:
        if not begun:
            return moved(before, compile_plan(book, given, moment, site_text).covered)
        now = still_relied_on(book, given, moment, site_text, begun)
    except CannotPlan as reasons:
        return [f"it cannot be planned any more: {reasons}"]
    known = [name for name in now if name in before]  # a plan that was frozen by an older console may name other facts
    return moved({name: before[name] for name in known}, {name: now[name] for name in known})


def still_relied_on(
    book: Book, given: Mapping[str, str], moment: Moment, site_text: str, begun: Collection[str]
) -> dict[str, Any]:
    """The facts, by the names that the plan covers them by, of a run that has begun these acts.

    They are what its other acts rely on, and how the paths stand of each cloud that only those work on.
    Raises BookError, CannotPlan, and what reading may raise.
    """
    steps = list(unfolded(book, bound(book, given, moment.site), moment.site))
    acts, about = acts_of(steps), subjects(steps)
    left = [each for each in acts if each.step.id not in begun]
    relied_on = [(about[each.step.id], compiled(each, moment).relied_on) for each in left]
    clouds = set(map(cloud_of, left)) - {cloud_of(each) for each in acts if each not in left}
    return state(site_text, relied_on, [path for path in moment.health.paths if path.path.cloud in clouds])
