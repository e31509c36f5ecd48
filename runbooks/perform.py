"""Effects by verb name: the engine's hands, on a live scene."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from runbooks import onbox
from runbooks.effects import Finding, Seen
from runbooks.leftbehind import left_behind, traces
from runbooks.model import Phase, StepDef
from runbooks.proof import finding
from runbooks.scene import ActVerb, CheckVerb, MeasureVerb, Report, Scene, WaitVerb
from runbooks.verbs import VERBS
from runbooks.view import Timer


class Watchdogs(Protocol):
    """Starts and keeps the watchdogs of this console. `extend` and `disarm` say armed, fired or absent."""

    async def prepare(self, step: StepDef, timer: Timer) -> None: ...
    async def arm(self, step: StepDef, timer: Timer) -> None: ...
    async def extend(self, timer: Timer) -> str: ...
    async def disarm(self, timer: Timer) -> str: ...


class Performer:
    """Looks a step's verb up and lets it work on the scene."""

    def __init__(self, scene: Scene, watchdogs: Watchdogs | None = None) -> None:
        self._scene, self._watchdogs = scene, watchdogs

    async def check(self, step: StepDef) -> Finding:
        verb: CheckVerb = VERBS["check"][step.verb]
        return await verb.check(self._scene, step)

    async def wait(self, step: StepDef, report: Report) -> Finding:
        verb: WaitVerb = VERBS["wait_until"][step.verb]
        return await verb.wait(self._scene, step, report)

    async def measure(self, step: StepDef) -> Finding:
        verb: MeasureVerb = VERBS["measure"][step.verb]
        return await verb.measure(self._scene, step)

    async def act(self, step: StepDef, phase: Phase, token: str, send_allowed: Callable[[], None]) -> Mapping[str, Any]:
        verb: ActVerb = VERBS["act"][step.verb]
        return {**await verb.act(self._scene, step, phase, send_allowed), "idempotency_key": token}

    def places(self, step: StepDef) -> Sequence[str]:
        elsewhere = any("router" not in send for send in step.undo)
        return (*onbox.routers(step), *([onbox.WATCHDOG] if elsewhere and self._watchdogs else []))

    async def prepare(self, step: StepDef, timer: Timer) -> None:
        if dogs := self._dogs(timer):
            await dogs.prepare(step, timer)

    async def arm(self, step: StepDef, timer: Timer) -> None:
        await onbox.arm(self._scene, step, timer, getattr(VERBS["act"][step.verb], "own", None))
        if dogs := self._dogs(timer):
            await dogs.arm(step, timer)

    async def extend(self, step: StepDef, timer: Timer) -> Mapping[str, str]:  # noqa: ARG002 -- the timer says it all
        dogs = self._dogs(timer)
        return {
            **await onbox.extend(self._scene, timer),
            **({onbox.WATCHDOG: await dogs.extend(timer)} if dogs else {}),
        }

    async def disarm(self, step: StepDef, timer: Timer) -> Mapping[str, str]:  # noqa: ARG002
        dogs = self._dogs(timer)
        return {
            **await onbox.disarm(self._scene, timer),
            **({onbox.WATCHDOG: await dogs.disarm(timer)} if dogs else {}),
        }

    def _dogs(self, timer: Timer) -> Watchdogs | None:
        return self._watchdogs if onbox.WATCHDOG in timer.places else None

    async def observe(self, step: StepDef, phase: Phase) -> Seen:  # noqa: ARG002 -- what is there does not depend on it
        verb: ActVerb = VERBS["act"][step.verb]
        return await verb.observe(self._scene, step)

    async def left_behind(self, run_id: str, steps: Sequence[StepDef]) -> Finding:
        lines = await left_behind(self._scene, traces(run_id, (send for step in steps for send in step.commands)))
        return finding(lines) if lines else Finding(True)

    async def verify(self, step: StepDef, phase: Phase) -> Finding:
        verb: ActVerb = VERBS["act"][step.verb]
        return await verb.verify(self._scene, step, phase)
