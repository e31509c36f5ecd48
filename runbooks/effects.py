"""What the engine needs from the outside, and what the outside must prove to it.

Whoever implements Effects owes two proofs. NotSent may be raised only when nothing has left the console:
anything less is an ordinary exception, and the engine takes the outcome as unknown. And `send_allowed` is
called directly before *each* send: a fence in a database cannot recall a packet, so a driver that was
frozen between its intent and its effect must find out by itself that its moment has passed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from runbooks.model import Event, GuardDef, Phase, StepDef
from runbooks.view import RunView, Timer

#: What a place says of a dead-man: it was armed, it has put the step back, or there is none. Any other text says why
#: there was no answer.
ARMED, FIRED, ABSENT = "armed", "fired", "absent"
ANSWERS = frozenset({ARMED, FIRED, ABSENT})

UNSEEN_S = 1.0  # between two looks of somebody who cannot see


class NotSent(Exception):
    """Raised by an adapter that can prove that nothing was sent; the message says why."""


class WindowPassed(NotSent):
    """The send came too late after its intent, or the run was taken over: it must not happen any more."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The answer of a check, a wait or a verification. `ok` None is unknown, which is never healthy."""

    ok: bool | None
    reason: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a look at the device shows: the step's effect, its undo, a bit of both, or nothing certain."""

    state: Literal["do", "undo", "mixed", "unknown"]
    evidence: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GateVerdict:
    open: bool
    reason: str = ""
    evidence: Mapping[str, Any] = field(default_factory=dict)


class Effects(Protocol):
    """The verbs of a runbook, performed on real systems. Every method may be cancelled."""

    async def check(self, step: StepDef) -> Finding: ...

    async def wait(self, step: StepDef, report: Callable[[Mapping[str, Any]], None]) -> Finding:
        """Return when the condition holds, or when step.timeout_s is over; `report` shows the way there."""
        ...

    async def measure(self, step: StepDef) -> Finding:
        """Take a measurement; its figures are the finding's evidence. `ok` False: taken, and outside its bound."""
        ...

    async def act(self, step: StepDef, phase: Phase, token: str, send_allowed: Callable[[], None]) -> Mapping[str, Any]:
        """Send what the step says and return evidence; `token` is an idempotency key for this attempt.

        Raises NotSent (WindowPassed from `send_allowed`); anything else is an unknown outcome.
        """
        ...

    def places(self, step: StepDef) -> Sequence[str]:
        """Where a dead-man for the step's undo can stand; empty when nothing but the console could put it back."""
        ...

    async def prepare(self, step: StepDef, timer: Timer) -> None:
        """Get ready to arm, before the act's intent: what takes longer than the act's window."""
        ...

    async def arm(self, step: StepDef, timer: Timer) -> None:
        """Arm every place with what puts the step back there. Whatever is raised: the act is not sent."""
        ...

    async def extend(self, step: StepDef, timer: Timer) -> Mapping[str, str]:
        """What each place says, with `timer.seconds` to go from now on where it says armed."""
        ...

    async def disarm(self, step: StepDef, timer: Timer) -> Mapping[str, str]:
        """What each place says that was to confirm. May be repeated."""
        ...

    async def observe(self, step: StepDef, phase: Phase) -> Seen: ...

    async def left_behind(self, run_id: str, steps: Sequence[StepDef]) -> Finding:
        """Whether nothing is left where these acts were sent, now that they are undone, and no dead-man of the run."""
        ...

    async def verify(self, step: StepDef, phase: Phase) -> Finding: ...


class Gate(Protocol):
    """Asked before every forward act, or before the first of a group; never before an undo."""

    async def permit(self, view: RunView, step: StepDef) -> GateVerdict: ...


class Notes(Protocol):
    """Told of every entry the driver writes. A failure is recorded and never stops the run."""

    async def tell(self, event: Event, view: RunView) -> None: ...


class Operator(Protocol):
    """The person at this console. None: nobody here can answer."""

    async def confirm(self, view: RunView, step: StepDef) -> bool | None: ...

    async def evidence(self, view: RunView, step: StepDef) -> Mapping[str, str] | None:
        """What the person gives for a manual step, by the names in step.evidence; empty: it was not done."""
        ...


class Outage(Protocol):
    """The person at this console while the journal is away."""

    def holding(self, run_id: str, why: str) -> None:
        """Say that the run holds. Told once for each outage."""
        ...

    def returned(self, run_id: str, away_s: float, spooled: int) -> None: ...

    def warn(self, run_id: str, words: str) -> None:
        """Say what has become of the run, or of its results, while it holds."""
        ...

    async def break_glass(self, run_id: str, within_s: float | None) -> str | None:
        """Return the typed reason to act without the journal; None: nobody here will.

        Cancelled when the journal is back, and after `within_s` seconds, when this console's lease is over.
        """
        ...

    async def write_again(self, run_id: str, lost: int) -> bool:
        """Whether to append again entries that the journal had taken and has lost."""
        ...


class Unattended:
    """Nobody is asked and nobody is told: the run holds until the journal is back."""

    def holding(self, run_id: str, why: str) -> None: ...

    def returned(self, run_id: str, away_s: float, spooled: int) -> None: ...

    def warn(self, run_id: str, words: str) -> None: ...

    async def break_glass(self, run_id: str, within_s: float | None) -> str | None:  # noqa: ARG002 - nobody is here
        return None

    async def write_again(self, run_id: str, lost: int) -> bool:  # noqa: ARG002 - same
        return False


@dataclass(frozen=True, slots=True)
class Reading:
    """What a guard says of one look. `ok` None: it cannot see. `margin` in words: how far it is from tripping."""

    ok: bool | None
    reason: str = ""
    margin: str = ""


class Guards(Protocol):
    """The eyes beside a run. Both methods may be cancelled, and neither changes anything."""

    async def look(self, view: RunView, guards: Sequence[GuardDef]) -> Mapping[str, Reading]:
        """Wait for the next look at the network and judge each guard by it, by label.

        It answers within seconds even when nothing new is seen: that is news too.
        """
        ...

    async def baseline(self, view: RunView) -> Finding:
        """Whether going back is proven to be better than staying; `ok` None when that is not known."""
        ...


class Nobody:
    """The guards of a console that sees no network: everything is unknown."""

    async def look(self, view: RunView, guards: Sequence[GuardDef]) -> Mapping[str, Reading]:  # noqa: ARG002
        await asyncio.sleep(UNSEEN_S)
        return {guard.label: Reading(None, "this console watches no network") for guard in guards}

    async def baseline(self, view: RunView) -> Finding:  # noqa: ARG002
        return Finding(None, "this console watches no network")


@dataclass(frozen=True, slots=True)
class Ports:
    effects: Effects
    gate: Gate
    notes: Notes
    operator: Operator
    guards: Guards = field(default_factory=Nobody)
    outage: Outage = field(default_factory=Unattended)


def named(error: Exception) -> str:
    """An error as the log shows it: its class is half of what it says."""
    return f"{type(error).__name__}: {error}"
