"""Dead-men that stand on the routers themselves: each router is armed with the undo lines that are its own."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from connectors.errors import InterlockError
from runbooks.model import StepDef
from runbooks.scene import RouterPort, Scene
from runbooks.view import Timer

#: From a step's inverse lines on a router, and what runs there before the act, those that take away nobody else's.
Own = Callable[[StepDef, str, tuple[str, ...], str], tuple[str, ...]]

WATCHDOG = "watchdog"  # the place of a dead-man for systems that keep no timer: a process beside the console


def routers(step: StepDef) -> tuple[str, ...]:
    """The routers that the step's undo writes to, in its order."""
    return tuple(dict.fromkeys(str(send["router"]) for send in step.undo if "router" in send))


def inverse(step: StepDef, router: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """What puts the step back on one router: its configuration lines, and the soft clears that follow them."""
    own = [send for send in step.undo if send.get("router") == router]
    lines = tuple(str(line) for send in own for line in send.get("configure", ()))
    return lines, tuple(str(send["exec"]) for send in own if "exec" in send)


async def arm(scene: Scene, step: StepDef, timer: Timer, own: Own | None = None) -> None:
    """Arm every router, with what `own` says is the step's alone there. Raises what the first that refuses raises."""
    for name in _boxes(timer):
        lines, clears = inverse(step, name)
        if own is not None and lines:
            lines = own(step, name, lines, await scene.router(name).running_config())
        await scene.router(name).arm(timer.id, timer.seconds, lines, clears)


async def extend(scene: Scene, timer: Timer) -> dict[str, str]:
    """What each router says: armed, fired, absent, or in words why it did not answer."""
    return await _all(scene, timer, lambda router: router.extend(timer.id, timer.seconds))


async def disarm(scene: Scene, timer: Timer) -> dict[str, str]:
    """Confirm on every router; answers as of `extend`."""
    return await _all(scene, timer, lambda router: router.confirm(timer.id))


async def _all(scene: Scene, timer: Timer, ask: Callable[[RouterPort], Awaitable[str]]) -> dict[str, str]:
    async def one(name: str) -> str:
        try:
            return await ask(scene.router(name))
        except InterlockError as error:
            return str(error)

    names = _boxes(timer)
    return dict(zip(names, await asyncio.gather(*map(one, names)), strict=True))


def _boxes(timer: Timer) -> list[str]:
    return [place for place in timer.places if place != WATCHDOG]
