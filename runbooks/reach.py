"""Whether what puts an act back is still reached once the act has cut us off, as far as the site file proves it. Pure.

A router that keeps a dead-man of its own needs no reaching. Where there is none, and for the fabric, whose dead-man is
a process on this side, the way there must not ride what is changed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from network.inventory import Site
from network.surroundings import INTERNET
from runbooks import onbox
from runbooks.model import StepDef

#: Platforms that put lines back by themselves when their console falls silent.
ON_BOX = frozenset({"frr"})


def refusals(site: Site, definition: Mapping[str, Any], touches: Sequence[str]) -> list[str]:
    """Why an act must not be done: nothing could put it back. `touches`: the things that its step works on."""
    step = StepDef.model_validate(definition)
    return [*_cut_off_routers(site, step), *_cut_off_fabric(site, step, touches)]


def warnings(site: Site, definition: Mapping[str, Any]) -> list[str]:
    """What the site file leaves open about it: never silently fine."""
    step = StepDef.model_validate(definition)
    open_ = [f"{name}: {_UNSAID_ROUTER}" for name in onbox.routers(step) if site.router(name).management is None]
    if _writes_fabric(step) and site.systems.megaport.reached_by is None:
        open_.append(f"megaport: {_UNSAID_FABRIC}")
    return open_


_UNSAID_ROUTER = (
    "the site file does not say how it is managed (routers[].management): if our SSH rides what is moved, its own timer"
    " alone puts it back"
)
_UNSAID_FABRIC = (
    "the site file does not say what carries our calls to it (systems.megaport.reached_by): if they ride what is"
    " changed, nothing puts it back"
)


def _cut_off_routers(site: Site, step: StepDef) -> Iterator[str]:
    for name in onbox.routers(step):
        router = site.router(name)
        if router.management != "out-of-band" and not (router.platform in ON_BOX and step.deadman_s):
            yield (
                f"{step.id}: {name} is not known to be managed out of band and keeps no timer of its own: what moves a"
                " path that our SSH may ride could not be put back. Prove another way to it (routers[].management)"
            )


def _cut_off_fabric(site: Site, step: StepDef, touches: Sequence[str]) -> Iterator[str]:
    way = site.systems.megaport.reached_by
    if not _writes_fabric(step) or way in {None, INTERNET}:
        return
    vxc = site.path(str(way)).vxc
    if vxc in touches:
        yield (
            f"{step.id}: our calls to the fabric go by {way}, which rides {vxc}: once that is cut off no watchdog could"
            " put it back. Reach the fabric another way (systems.megaport.reached_by) before changing it"
        )


def _writes_fabric(step: StepDef) -> bool:
    return any("put" in send for send in step.undo)
