"""The dead-men of one held run: armed before the first send, extended while the driver lives, confirmed in a hold.

No extension is restoration: that is the point of it. So nothing here ever asks whether the console is healthy; a frozen
loop, a lost connection and a dead process all look the same from where the timer stands.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from runbooks.effects import ABSENT, ANSWERS, ARMED, FIRED, Effects, NotSent, WindowPassed, named
from runbooks.hold import Hold
from runbooks.journal import JournalError
from runbooks.model import StepDef
from runbooks.ops import Act, Disarm
from runbooks.view import Timer

PAUSES_S = (0.5, 1.0, 2.0, 4.0)  # between attempts to disarm
PREPARE_S = 60.0
PARTS = 3  # extended so often within its time,
PARTS_WHEN_LOST = 12  # and so often while a place does not answer


class Deadmen:
    """Use it with `async with`, inside the hold; what was armed before, by whichever driver, is kept at once."""

    def __init__(
        self,
        hold: Hold,
        effects: Effects,
        pauses_s: Sequence[float] = PAUSES_S,
        boottime: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hold, self._effects, self._pauses_s, self._boottime = hold, effects, pauses_s, boottime
        self._kept: dict[str, asyncio.Task[None]] = {}
        self._ends: dict[str, dict[str, float]] = {}  # by timer and place: when it restores, if it hears nothing more

    async def __aenter__(self) -> Self:
        await self._hold.catch_up()
        for step in self._hold.view.steps:
            if step.armed and not self._hold.view.closed:
                self._keep(step.spec, step.armed, at_once=True)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in self._kept.values():
            task.cancel()
        await asyncio.gather(*self._kept.values(), return_exceptions=True)

    def fuses(self) -> dict[str, dict[str, float]]:
        """By timer and place: seconds until it restores, if it hears nothing more from here. Never more than it has."""
        now = self._boottime()
        return {timer: {place: end - now for place, end in ends.items()} for timer, ends in self._ends.items()}

    def timer_of(self, op: Act, step: StepDef) -> Timer | None:
        """The dead-man of a forward act; None where there is nothing that could put it back."""
        places = self._effects.places(step) if op.phase == "do" and step.deadman_s else ()
        if not places or step.deadman_s is None:
            return None
        run_id, fence = self._hold.run_id, self._hold.fence
        return Timer(f"{run_id}-{op.step}-a{op.attempt}", step.deadman_s, tuple(places), run_id, fence)

    async def prepare(self, step: StepDef, timer: Timer) -> None:
        """Before the intent: what takes time. Its failure is met, and told, when it is armed."""
        with suppress(Exception):
            async with asyncio.timeout(PREPARE_S):
                await self._effects.prepare(step, timer)

    async def arm(self, step: StepDef, timer: Timer, still_allowed: Callable[[], None]) -> None:
        """Arm every place. Raises NotSent when one cannot be armed, WindowPassed from `still_allowed`."""
        still_allowed()
        said_at = self._boottime()
        try:
            async with asyncio.timeout(step.window_s):
                await self._effects.arm(step, timer)
        except WindowPassed:
            raise
        except Exception as error:
            raise NotSent(f"its dead-man could not be armed ({named(error)})") from error
        self._heard(timer, dict.fromkeys(timer.places, ARMED), said_at)
        self._keep(step, timer)

    async def disarm(self, op: Disarm) -> None:
        """Have every place confirm, and write down what each said; a place without an answer is a question."""
        step, timer = self._hold.steps[op.step], self._timer(op.step)
        answers = await self._hold.while_due(op, self._confirmed(step, timer))
        if answers is None:
            return  # a command made something else due meanwhile
        await self._tell(step, timer, answers)

    async def disarm_all(self) -> None:
        """The driver leaves on purpose, and holds: every place is asked once; what is silent stays a question."""
        for step in self._hold.view.steps:
            if step.armed and not self._hold.view.closed:
                await self._tell(step.spec, step.armed, await self._effects.disarm(step.spec, step.armed))

    async def _tell(self, step: StepDef, timer: Timer, answers: Mapping[str, str]) -> None:
        silent = [f"{place}: {said}" for place, said in answers.items() if said not in ANSWERS]
        burning = self._ends.pop(timer.id, {})
        if silent:
            self._ends[timer.id] = {place: end for place, end in burning.items() if answers.get(place) not in ANSWERS}
        if not silent and (kept := self._kept.pop(timer.id, None)):
            kept.cancel()  # before it can miss what has just been confirmed
        if FIRED in answers.values() and not self._known_to_have_fired(step.id, timer.id):
            await self._hold.write("deadman.fired", {"id": timer.id, "answers": answers}, step=step.id, phase="do")
        if silent:
            reason = (
                f"its dead-man cannot be disarmed ({'; '.join(silent)}): it puts the step back {timer.seconds:g} s "
                "after it last heard from a console. redo: try again; accept: let it be, and look at what is there"
            )
            data: dict[str, Any] = {"id": timer.id, "answers": answers, "reason": reason}
            await self._hold.write("deadman.unanswered", data, step=step.id, phase="do")
            return
        await self._hold.write("deadman.disarmed", {"id": timer.id, "answers": answers}, step=step.id, phase="do")

    def _known_to_have_fired(self, step_id: str, timer: str) -> bool:
        step = self._hold.view.step(step_id)
        told: Mapping[str, Any] = step.evidence.get("deadman.fired", {}) if step else {}
        return told.get("id") == timer

    def _timer(self, step_id: str) -> Timer:
        step = self._hold.view.step(step_id)
        assert step is not None, "an operation names a step of the run"
        assert step.armed is not None, "what is not armed is never due to be disarmed"
        return step.armed

    async def _confirmed(self, step: StepDef, timer: Timer) -> Mapping[str, str]:
        answers: Mapping[str, str] = {}
        for pause_s in (*self._pauses_s, None):
            answers = await self._effects.disarm(step, timer)
            if pause_s is None or all(said in ANSWERS for said in answers.values()):
                break
            await asyncio.sleep(pause_s)
        return answers

    def _keep(self, step: StepDef, timer: Timer, *, at_once: bool = False) -> None:
        pause_s = 0.0 if at_once else timer.seconds / PARTS
        self._kept[timer.id] = asyncio.create_task(self._extend(step, timer, pause_s), name=f"keep {timer.id}")

    async def _extend(self, step: StepDef, timer: Timer, pause_s: float) -> None:
        """Extend until it is gone everywhere, or the run is somebody else's: then it is theirs to extend."""
        told: set[str] = set()
        while not self._hold.lost:
            await asyncio.sleep(pause_s)
            said_at = self._boottime()
            answers = await self._extended(step, timer)
            self._heard(timer, answers, said_at)
            heard = bool(answers) and ANSWERS.issuperset(answers.values())
            pause_s = timer.seconds / (PARTS if heard else PARTS_WHEN_LOST)
            gone = {place: said for place, said in answers.items() if said in {FIRED, ABSENT} and place not in told}
            told |= gone.keys()
            try:
                for place, said in gone.items():
                    kind = "deadman.fired" if said == FIRED else "deadman.lost"
                    await self._hold.append(kind, {"id": timer.id, "place": place}, step=step.id, phase="do")
            except JournalError:
                return  # the driver meets it too, and stops; silence is safe
            if told.issuperset(timer.places):
                return

    def _heard(self, timer: Timer, answers: Mapping[str, str], said_at: float) -> None:
        """`said_at` is from before the places were spoken to: what is shown as left is never more than what is."""
        ends = self._ends.setdefault(timer.id, {})
        for place, said in answers.items():
            if said == ARMED:
                ends[place] = said_at + timer.seconds
            elif said in ANSWERS:
                ends.pop(place, None)

    async def _extended(self, step: StepDef, timer: Timer) -> Mapping[str, str]:
        try:
            async with asyncio.timeout(timer.seconds / PARTS):
                return await self._effects.extend(step, timer)
        except Exception:  # noqa: BLE001 - whatever goes wrong, it is tried again; if it stays wrong the timer restores
            return {}
