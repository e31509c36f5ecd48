"""After an undo: that the routers hold nothing that this very run could have made, and no dead-man of it is armed."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from connectors.errors import InterlockError
from connectors.routers.frr_config import running_config
from connectors.routers.frr_leftovers import Leftover, leftovers
from connectors.routers.frr_specifics import needed_beside
from runbooks.proof import Line, line
from runbooks.scene import Scene

NONE = "none of this run"
READ_S = 30.0  # for all routers


@dataclass(frozen=True, slots=True)
class Traces:
    """What a run may have left: its id, with which its dead-men begin, and by router every line that its acts send."""

    run: str
    sent: Mapping[str, Sequence[str]]

    def made(self, each: Leftover, router: str) -> bool:
        """Whether this run's acts could have made it: they touched that place, and sent the line that is there."""
        sent = self.sent[router]
        return any(known.startswith(each.mark) for known in sent) and (not each.line or each.line in sent)


def traces(run: str, commands: Iterable[Mapping[str, Any]]) -> Traces:
    """What the run's acts may have left, from everything that they send to routers."""
    sent: dict[str, list[str]] = {}
    for send in commands:
        if "router" in send:
            sent.setdefault(str(send["router"]), []).extend(map(str, send.get("configure", ())))
    return Traces(run, sent)


async def left_behind(scene: Scene, of: Traces) -> list[Line]:
    """Expected beside actual, two lines a router; a router that cannot be asked is unknown.

    What another forced cloud's list still names is not left behind: it stands for that cloud.
    """
    found = await asyncio.gather(*(_of_router(scene, of, router) for router in of.sent))
    return [each for lines in found for each in lines]


async def _of_router(scene: Scene, of: Traces, router: str) -> list[Line]:
    try:
        async with asyncio.timeout(READ_S):
            port = scene.router(router)
            text = await port.running_config()
            config, needed = running_config(text), needed_beside(of.sent[router], text)
            timers = [timer for timer in await port.armed() if timer.startswith(f"{of.run}-")]
    except (InterlockError, TimeoutError) as error:
        return [line(f"{router} leftovers", NONE, f"not known: {error}", ok=None)]
    found = leftovers(scene.site, router, config.lines)
    left = [each for each in found if of.made(each, router) and each.mark not in needed]
    words = "; ".join(f"{each.where}: {each.what}" for each in left)
    return [
        line(f"{router} leftovers", NONE, words or NONE, ok=not left),
        line(f"{router} dead-men", NONE, ", ".join(timers) or NONE, ok=not timers),
    ]
