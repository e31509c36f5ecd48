"""A run and its ServiceNow change: the gate before each act, and a work note for each step's result."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Protocol

from network.policy import Policy
from runbooks.effects import GateVerdict
from runbooks.inforce import group_of
from runbooks.model import Event, StepDef
from runbooks.policy import ChangeFacts, objections
from runbooks.view import RunView


class Tickets(Protocol):
    """The ticket system, as a run needs it."""

    async def change(self, number: str) -> ChangeFacts: ...
    async def note(self, number: str, text: str, marker: str) -> object: ...


class ChangeGate:
    """Asks the change again before every act; `last` is what it said.

    What restores is never gated: an undo, and an act that was planned as a restore because of what was observed, for as
    long as that is (`rescues` says it).

    `moved` says what the plan covers and is not as it was: an approval is for that plan and no other, so that one which
    came late may be void. It is told the acts that were begun: what they work on moves by the run's own hand.
    """

    def __init__(
        self,
        tickets: Callable[[], Awaitable[Tickets]],
        number: str,
        target: str,
        touches: Sequence[str],
        policy: Policy,
        now: Callable[[], datetime],
        moved: Callable[[Sequence[str]], Awaitable[Sequence[str]]] | None = None,
        rescues: Callable[[StepDef], str] = lambda _step: "",
    ) -> None:
        self._tickets, self._number, self._target = tickets, number, target
        self._touches, self._policy, self._now, self._moved = touches, policy, now, moved
        self._rescues = rescues
        self.last: ChangeFacts | None = None

    async def objections(self) -> list[str]:
        """Every reason against, now. Raises what the ticket system's connector raises."""
        if not self._number:
            return ["no change: a routing change needs an approved one (--change CHG)"]
        self.last = await (await self._tickets()).change(self._number)
        return objections(self.last, self._target, self._touches, self._policy, self._now())

    async def permit(self, view: RunView, step: StepDef) -> GateVerdict:
        if view.undo_of is not None:
            return GateVerdict(open=True, reason="an undo is never gated")
        if (verdict := self._rescue(view, step)) is not None:
            return verdict
        found = [*await self._void(view), *await self.objections()]
        return GateVerdict(open=not found, reason="; ".join(found), evidence={"change": self._number})

    def _rescue(self, view: RunView, step: StepDef) -> GateVerdict | None:
        """The word on an atomic group that was planned as a restore: open while it still is one. None: it was not."""
        leader = view.step(step.id)
        group = [member.spec for member in group_of(view, leader)] if leader else []
        if not group or not all(each.rescues for each in group):
            return None
        observed = [self._rescues(each) for each in group]
        if all(observed):
            return GateVerdict(open=True, reason=f"a restore is never gated: {'; '.join(dict.fromkeys(observed))}")
        return GateVerdict(open=False, reason=f"no restore any more, not observed now: {step.rescues}; plan again")

    async def _void(self, view: RunView) -> list[str]:
        approved = any(step.kind == "approve" and step.do.state == "done" for step in view.steps)
        acts = [step for step in view.steps if step.kind == "act"]
        begun = [step.id for step in acts if step.do.attempts]
        if not approved or len(begun) == len(acts) or self._moved is None:
            return []
        moved = await self._moved(begun)
        return [f"the approval is void, what it covers has moved: {'; '.join(moved)}"] if moved else []


#: Results that a person on the ticket wants to read; the rest is in the journal.
_TOLD = {
    "check.passed": "verified",
    "check.failed": "FAILED",
    "wait.passed": "done",
    "verify.ok": "done and verified",
    "verify.timeout": "NOT PROVEN",
    "step.noted": "note",
    "act.unknown": "OUTCOME UNKNOWN",
    "act.not_sent": "not sent",
    "gate.closed": "gate closed",
    "guard.tripped": "GUARD TRIPPED",
    "guard.unknown": "a guard cannot see: no new act",
    "undo.held": "UNDO HELD: A PERSON MUST DECIDE",
    "rollback.begin": "rolling back",
    "run.closed": "run closed",
}


class WorkNotes:
    """One note for each result. The marker makes a repeated telling find the first one."""

    def __init__(self, tickets: Callable[[], Awaitable[Tickets]], number: str | None) -> None:
        self._tickets, self._number = tickets, number

    async def tell(self, event: Event, view: RunView) -> None:
        if self._number is None or event.kind not in _TOLD:
            return
        text = note_text(event, view)
        await (await self._tickets()).note(self._number, text, f"[{event.run_id} #{event.seq}]")


def note_text(event: Event, view: RunView) -> str:
    """What the note says: which step, how it ended, expected beside actual, and at the close the journal's anchor."""
    step = view.step(event.step)
    subject = step.title if step else event.run_id
    lines = [f"Interlock {event.mode}: {subject}: {_TOLD[event.kind]}"]
    if said := event.data.get("reason") or event.data.get("text"):
        lines.append(str(said))
    lines += [_line(line) for line in (event.data.get("evidence") or {}).get("expected", ())]
    if event.kind == "run.closed":
        lines += [f"outcome {event.data.get('outcome')}", f"journal head {event.hash}"]
    return "\n".join(lines)


def _line(proof: dict[str, Any]) -> str:
    mark = "=" if proof.get("ok") else "X"
    return f"{mark} {proof['what']}: {proof['now']} (expected {proof['want']})"
