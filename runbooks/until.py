"""Waiting until it is so: k samples in a row, newer than the wait, spaced, with a deadline. One loop for all verbs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from network.inventory import Site
from runbooks.cadence import cadence_s
from runbooks.declares import System
from runbooks.effects import Finding
from runbooks.model import StepDef
from runbooks.proof import LOOK_S, Line
from runbooks.scene import CannotPlan, Report, Scene


@dataclass(frozen=True, slots=True)
class Sample:
    """One look of a predicate. `at`: when the oldest fact in it was read, None while there is none.

    `ok` None is unknown. `lines`: expected beside actual, one at least; `against`: in words, what speaks against it.
    `never`: what was seen can never become so any more, however long the wait.
    """

    at: datetime | None
    ok: bool | None
    lines: tuple[Line, ...]
    against: str = ""
    never: bool = False


Look = Callable[[Scene, StepDef], Sample]


async def until(scene: Scene, step: StepDef, look: Look, report: Report) -> Finding:
    """Wait until `step.samples` samples in a row are so, at least `step.spacing_s` apart, or step.timeout_s is over.

    What was read before the wait began proves nothing, and one reading counts once. A sample that is not so, or not
    known, starts the count again. Only what was last *seen* not to be so is a fact against it; what can never be so
    ends the wait at once.
    """
    began = last = scene.now()
    deadline, spacing = began + timedelta(seconds=step.timeout_s), timedelta(seconds=step.spacing_s)
    revision, count, sample = scene.snapshot.revision, 0, None
    while (now := scene.now()) < deadline:
        pause_s = min(step.spacing_s or LOOK_S, (deadline - now).total_seconds())
        revision = (await scene.newer(revision, pause_s)).revision
        seen = look(scene, step)
        if seen.ok is not None and seen.at is not None:
            if seen.at <= began or (count and seen.at - last < spacing and not seen.never):
                continue  # from before the wait, or too soon after the last one that counts
            last = seen.at
        sample, count = seen, count + 1 if seen.ok else 0
        report(_proof(seen, count, step.samples))
        if seen.never:
            return Finding(ok=False, reason=seen.against, evidence=_proof(seen, 0, step.samples))
        if count >= step.samples:
            return Finding(ok=True, evidence=_proof(seen, count, step.samples))
    return _late(step, sample, count)


def _late(step: StepDef, sample: Sample | None, count: int) -> Finding:
    if sample is None:
        return Finding(None, f"nothing was seen within {step.timeout_s:g} s")
    missing = f"only {count} of {step.samples} in a row" if sample.ok else sample.against
    ok = None if sample.ok else sample.ok
    return Finding(ok, f"{missing}, after {step.timeout_s:g} s", _proof(sample, count, step.samples))


def _proof(sample: Sample, count: int, wanted: int) -> dict[str, list[Line]]:
    """The lines, the first with how far the count is: only all of its samples are a proof."""
    first, *rest = sample.lines
    now = first["now"] if sample.ok is None else f"{first['now']}, {count} of {wanted}"
    return {
        "expected": [first | {"want": f"{first['want']}, {wanted} times", "now": now, "ok": count >= wanted}, *rest]
    }


def refuse_too_slow(site: Site, step: str, reads: frozenset[System], wait: tuple[float, int, float]) -> None:
    """Refuse a wait that its sources cannot feed in time. `wait`: timeout in s, samples, spacing in s.

    Raises CannotPlan when so many samples from a source of that cadence take longer than the step's timeout.
    """
    timeout_s, samples, spacing_s = wait
    every = {system: cadence_s(system, site) for system in sorted(reads)}
    slow = [(name, s) for name, s in every.items() if s is not None and _needs_s(s, samples, spacing_s) > timeout_s]
    if slow:
        raise CannotPlan("\n".join(_words(step, timeout_s, samples, *each) for each in slow))


def _needs_s(every_s: float, samples: int, spacing_s: float) -> float:
    """The first sample comes within one cadence of the beginning, each further one within a spacing or a poll."""
    return every_s + (samples - 1) * max(every_s, spacing_s)


def _words(step: str, timeout_s: float, samples: int, name: str, every_s: float) -> str:
    times = f"{samples} samples" if samples > 1 else "one sample"
    return f"{step}: waits {timeout_s:g} s for {times} of {name}, which is asked every {every_s:g} s: give it longer"
