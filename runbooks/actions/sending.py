"""Sending a step's commands: each asked for before it leaves, and "not sent" only while nothing has left."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from connectors.errors import Denied
from connectors.errors import NotSent as ConnectorNotSent
from runbooks.effects import NotSent
from runbooks.model import Phase, StepDef
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


def commands_of(step: StepDef, phase: Phase) -> Sequence[Send]:
    return step.commands if phase == "do" else step.undo


def still_due(commands: Sequence[Send], lacks: Callable[[str, Sequence[str]], Sequence[str]]) -> list[Send]:
    """The commands without what is in place: `lacks` says which of a router's lines are not yet as wanted there.

    A change that lacks nothing is left out with the clears behind it. When none lacks anything, the clears are what is
    left to be tried: the configuration stands, and whether a router has begun to act on it, it does not say.
    """
    return list(_lacking(commands, lacks)) or [command for command in commands if "exec" in command]


def _lacking(commands: Sequence[Send], lacks: Callable[[str, Sequence[str]], Sequence[str]]) -> Iterator[Send]:
    lines: Sequence[str] = ()
    for command in commands:
        if "configure" in command:
            lines = lacks(command["router"], command["configure"])
        if lines:
            yield {**command, "configure": list(lines)} if "configure" in command else command


async def send_due(
    scene: Scene, step: StepDef, phase: Phase, due: Sequence[Send], send_allowed: Callable[[], None]
) -> dict[str, Any]:
    """Send what is due of a phase's commands; the evidence names it where it is not all of them. Raises as `send`."""
    sent = await send(scene, due, send_allowed)
    return {"sent": sent} if list(due) == list(commands_of(step, phase)) else {"sent": sent, "commands": list(due)}


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
