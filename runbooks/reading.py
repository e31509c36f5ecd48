"""Performing what only reads: checks, waits, measurements, verifications, looks. May be repeated, may be dropped."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Mapping
from typing import Any

from runbooks.effects import Effects, Finding, Seen, named
from runbooks.hold import Hold
from runbooks.journal import JournalError
from runbooks.model import Phase, StepDef
from runbooks.ops import Check, Measure, Verify, Wait

GRACE_S = 5.0  # a verb knows its own deadline; this much later the engine no longer believes that it does
PROGRESS_S = 1.0  # a wait's samples are written at most this often

Reads = Check | Wait | Measure | Verify


class Reader:
    """Reads for one held run. Whatever goes wrong, the answer is unknown: never healthy, and never harm."""

    def __init__(self, hold: Hold, effects: Effects) -> None:
        self._hold, self._effects = hold, effects

    async def read(self, op: Reads) -> None:
        """Perform the operation and write what was found; nothing, when a command made another operation due."""
        step = self._hold.steps[op.step]
        if not isinstance(op, Verify):
            await self._hold.write("step.started", {}, step=op.step)
        finding = await self._hold.while_due(op, self._found(op, step))
        if finding is not None:
            phase: Phase = op.phase if isinstance(op, Verify) else "do"
            data = {"ok": finding.ok, "reason": finding.reason, "evidence": finding.evidence}
            await self._hold.write(_found_as(op, finding), data, step=op.step, phase=phase)

    def _asked(self, op: Reads, step: StepDef) -> Awaitable[Finding]:
        match op:
            case Check():
                return self._effects.check(step)
            case Wait():
                return self._wait(step)
            case Measure():
                return self._effects.measure(step)
            case Verify(phase=phase):
                return self._effects.verify(step, phase)

    async def _found(self, op: Reads, step: StepDef) -> Finding:
        """Whatever goes wrong while reading, the answer is unknown: never healthy, and never harm."""
        deadline_s = step.timeout_s + GRACE_S
        try:
            async with asyncio.timeout(deadline_s):
                return await self._asked(op, step)
        except TimeoutError:
            return Finding(None, f"no answer within {deadline_s:g} s")
        except Exception as error:  # noqa: BLE001 - an adapter may raise anything; none of it may stop a run
            return Finding(None, f"could not be read: {named(error)}")

    async def _wait(self, step: StepDef) -> Finding:
        latest: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue(maxsize=1)
        recorder = asyncio.create_task(self._record(step, latest))
        try:
            return await self._effects.wait(step, lambda sample: _put_latest(latest, sample))
        finally:
            recorder.cancel()
            await asyncio.wait({recorder})

    async def _record(self, step: StepDef, latest: asyncio.Queue[Mapping[str, Any]]) -> None:
        while True:
            sample = await latest.get()
            try:
                await self._hold.append("wait.progress", sample, step=step.id, phase="do")
            except JournalError:
                return  # the entry that ends the wait meets the same error, and there it stops the run
            await asyncio.sleep(PROGRESS_S)

    async def seen(self, step: StepDef, phase: Phase) -> Seen:
        """Look at what an act works on; what cannot be seen is unknown."""
        try:
            async with asyncio.timeout(step.timeout_s):
                return await self._effects.observe(step, phase)
        except TimeoutError:
            return Seen("unknown", {"error": f"no answer within {step.timeout_s:g} s"})
        except Exception as error:  # noqa: BLE001 - what cannot be seen is unknown
            return Seen("unknown", {"error": named(error)})


def _found_as(op: Reads, finding: Finding) -> str:
    match op:
        case Check():
            return "check.passed" if finding.ok else "check.failed"
        case Wait():
            return "wait.passed" if finding.ok else "verify.timeout"
        case Measure():
            return "measure.taken" if finding.ok else "verify.timeout"
        case Verify():
            return "verify.ok" if finding.ok else "verify.timeout"


def _put_latest(queue: asyncio.Queue[Mapping[str, Any]], sample: Mapping[str, Any]) -> None:
    """Keep only the newest sample that has not been written yet."""
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(sample)
