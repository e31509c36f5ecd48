"""`for_each`: the turns that a step takes, from what the plan's target is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

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


def clouds_of(site: Site, kind: str, target: str) -> list[str]:
    """The clouds that a plan's target concerns: those that a port can hand over, the one behind a path, or all."""
    match kind:
        case "port":
            return [move.cloud for move in takeovers(site, target)]
        case "cloud":
            return [cloud.name for cloud in site.clouds if target in {cloud.name, "all"}]
        case "edge" | "router":
            own = (path for path in site.paths if site.session(path.session).router == target)
            return list(dict.fromkeys(path.cloud for path in own))
        case _:
            paths = (path for path in site.paths if target in chain((path.name, path.session, path.vxc or "")))
            return list(dict.fromkeys(path.cloud for path in paths))
