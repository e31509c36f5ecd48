"""What a run still relies on once it has begun: of all that its plan covers, what its own hand has not moved. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from runbooks.covered import state
from runbooks.filledin import compiled
from runbooks.language import Book
from runbooks.parameters import bound
from runbooks.scene import Moment
from runbooks.unfold import Filled, unfolded


def still_relied_on(
    book: Book, given: Mapping[str, str], moment: Moment, site_text: str, begun: Collection[str]
) -> dict[str, Any]:
    """The facts, by the names that the plan covers them by, of a run that has begun these acts.

    They are what its other acts rely on, and how the paths stand of each cloud that only those work on.
    Raises BookError, CannotPlan, and what reading may raise.
    """
    steps = list(unfolded(book, bound(book, given, moment.site), moment.site))
    acts, about = _acts(steps), subjects(steps)
    left = [each for each in acts if each.step.id not in begun]
    relied_on = [(about[each.step.id], compiled(each, moment).relied_on) for each in left]
    clouds = set(map(_cloud, left)) - {_cloud(each) for each in acts if each not in left}
    return state(site_text, relied_on, [path for path in moment.health.paths if path.path.cloud in clouds])


def subjects(steps: Sequence[Filled]) -> dict[str, str]:
    """What the facts of each step are named after, by its id: an act's cloud if no other works on it, else itself."""
    ids, clouds = {each.step.id for each in steps}, Counter(map(_cloud, _acts(steps)))
    alone = {cloud for cloud, times in clouds.items() if cloud and times == 1 and cloud not in ids}
    return {name: name for name in ids} | {a.step.id: _cloud(a) for a in _acts(steps) if _cloud(a) in alone}


def _acts(steps: Iterable[Filled]) -> list[Filled]:
    return [each for each in steps if each.step.kind == "act"]


def _cloud(act: Filled) -> str:
    return str(act.args.get("cloud", ""))
