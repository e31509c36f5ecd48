"""Sending a step's commands: each asked for before it leaves, and "not sent" only while nothing has left."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from connectors.errors import Denied
from connectors.errors import NotSent as ConnectorNotSent
from runbooks.effects import NotSent
from runbooks.scene import Scene

Send = Mapping[str, Any]

#: As long as an act on one router has (StepDef.window_s).
EACH_ROUTER_S = 5.0


def sends(router: str, lines: Sequence[str], *clears: str) -> tuple[dict[str, Any], ...]:
    """The configuration as one group, then the soft clears without which FRR waits 5 s to act."""
    return ({"router": router, "configure": list(lines)}, *({"router": router, "exec": clear} for clear in clears))


def window_s(commands: Sequence[Send]) -> float:
    """How long after the intent the last send may come: each router is read and written over its own login."""
    return EACH_ROUTER_S * len({command["router"] for command in commands})


async def send(scene: Scene, commands: Sequence[Send], send_allowed: Callable[[], None]) -> int:
    """Send each command to its router, and return how many were sent.

    Raises NotSent when the first one provably did not leave; later ones raise what the connector raises.
    """
    sent = 0
    for command in commands:
        router = scene.router(command["router"])
        send_allowed()
        try:
            if "configure" in command:
                await router.configure(tuple(command["configure"]))
            else:
                await router.execute(command["exec"])
        except (ConnectorNotSent, Denied) as error:
            if sent:
                raise
            raise NotSent(str(error)) from error
        sent += 1
    return sent
