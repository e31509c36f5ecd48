"""The guards port of a live run: looks at the scene's snapshots as they come, and judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from runbooks.effects import Finding, Reading, named
from runbooks.guards.baseline import baseline
from runbooks.guards.facts import Facts
from runbooks.guards.registry import GUARDS
from runbooks.model import GuardDef
from runbooks.scene import Scene, moment_of
from runbooks.view import RunView

BASELINE_S = 5.0  # for a baseline that is not known: within its asker's patience
SAMPLE_S = 1.0  # between two samples: sources answer at their own times, and ten snapshots a second are one look


class GuardWatch:
    """The eyes of one run. `definition` is the run's frozen one: it says what the plan moves."""

    def __init__(self, scene: Scene, definition: Mapping[str, Any]) -> None:
        self._scene, self._definition = scene, definition
        self._pace = Pace(scene)

    async def look(self, view: RunView, guards: Sequence[GuardDef]) -> Mapping[str, Reading]:
        """Judge the newest snapshot, `SAMPLE_S` after the last look at the soonest; when nothing new came, the old."""
        await self._pace.next()
        facts = Facts(moment_of(self._scene), self._definition, view)
        return {guard.label: _judged(facts, guard) for guard in guards}

    async def baseline(self, view: RunView) -> Finding:
        """Look on while it is only not known: between two polls a figure may be too old for a moment."""
        ends = self._scene.now() + timedelta(seconds=BASELINE_S)
        while True:
            moment = moment_of(self._scene)
            found, left_s = baseline(Facts(moment, self._definition, view)), (ends - moment.now).total_seconds()
            if found.ok is not None or left_s <= 0:
                return found
            await self._scene.newer(moment.snapshot.revision, min(SAMPLE_S, left_s))


class Pace:
    """Waits for the next look: the first at once, every other a sample's time later, whatever came meanwhile."""

    def __init__(self, scene: Scene) -> None:
        self._scene = scene
        self._due: float | None = None

    async def next(self) -> None:
        while self._due is not None and (left_s := self._due - self._now()) > 0:
            await self._scene.newer(self._scene.snapshot.revision, left_s)
        self._due = self._now() + SAMPLE_S

    def _now(self) -> float:
        return self._scene.now().timestamp()


def _judged(facts: Facts, guard: GuardDef) -> Reading:
    """Whatever goes wrong in a guard, its answer is unknown, and the others still answer."""
    known = GUARDS.get(guard.name)
    if known is None:
        return Reading(None, f"this console has no guard {guard.name!r}")
    try:
        return known.judge(facts, known.declares.args.model_validate(guard.args))
    except Exception as error:  # noqa: BLE001 - a guard that fails is blind, and blindness is no harm
        return Reading(None, f"could not be judged: {named(error)}")
