"""`for_each`: the turns that a step takes, from what the plan's target is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain, groupby
from typing import Protocol, TypeVar

from network.inventory import Site
from network.takeover import takeovers


def turns(site: Site, kind: str, target: str, each: Sequence[str]) -> Iterator[dict[str, str]]:
    """The words of every turn, in site-file order: one without words for a step that stands once.

    `each` is (), ("cloud",) or ("cloud", "router"): the clouds that the target concerns, and in each cloud the routers
    that have a path to it.
    """
    if not each:
        yield {}
        return
    for cloud in clouds_of(site, kind, target):
        if "router" not in each:
            yield {"cloud": cloud}
            continue
        own = {site.session(path.session).router for path in site.paths_of(cloud)}
        yield from ({"cloud": cloud, "router": router.name} for router in site.routers if router.name in own)


#: In the place of a cloud: every cloud. It is a word and no item, so a change names the clouds instead.
ALL = "all"


class Repeated(Protocol):
    """A step as a book has it, as far as its turns go."""

    @property
    def for_each(self) -> Sequence[str]: ...
    @property
    def group(self) -> str | None: ...


Step = TypeVar("Step", bound=Repeated)


def spread(site: Site, kind: str, target: str, steps: Sequence[Step]) -> Iterator[tuple[Step, dict[str, str]]]:
    """Every step with the words of each of its turns.

    Neighbours of one group take their turns together, or the group of the first turn would be torn by the second's.
    """
    for _, members in groupby(steps, lambda step: (step.group, tuple(step.for_each)) if step.group else id(step)):
        together = list(members)
        for words in turns(site, kind, target, together[0].for_each):
            yield from ((step, words) for step in together)


def clouds_of(site: Site, kind: str, target: str) -> list[str]:
    """The clouds that a plan's target concerns: those that a port can hand over, the one behind a path, or all."""
    match kind:
        case "port":
            return [move.cloud for move in takeovers(site, target)]
        case "cloud":
            return [cloud.name for cloud in site.clouds if target in {cloud.name, ALL}]
        case "edge" | "router":
            own = (path for path in site.paths if site.session(path.session).router == target)
            return list(dict.fromkeys(path.cloud for path in own))
        case _:
            paths = (path for path in site.paths if target in chain((path.name, path.session, path.vxc or "")))
            return list(dict.fromkeys(path.cloud for path in paths))
