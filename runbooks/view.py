"""What is known of a run at one moment, as frozen records. runbooks/machine.py makes them from the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from runbooks.model import Event, Phase, StepDef

RunState = Literal[
    "NEW",
    "RUNNING",
    "WAITING",
    "PAUSED",
    "NEEDS_DECISION",
    "ROLLING_BACK",
    "COMPLETED",
    "ROLLED_BACK",
    "ABANDONED",
]
Outcome = Literal["COMPLETED", "ROLLED_BACK", "ABANDONED"]
Direction = Literal["forward", "rollback"]
StepState = Literal[
    "pending",
    "running",  # a check, wait or measurement has been started
    "asked",  # a confirm, approve or manual step stands before a person
    "intent",  # about to act, or acting, or died while acting
    "observe",  # the act ended without a clear answer: look
    "due",  # undo only: looked, and there is something to undo
    "acted",  # the effect is there, its verification is not
    "unknown",  # looked, and what is there is not what was wanted
    "failed",
    "done",
    "skipped",
]

GuardState = Literal["clear", "unknown", "tripped"]

OPEN: frozenset[StepState] = frozenset({"intent", "observe"})
SETTLED: frozenset[StepState] = frozenset({"done", "skipped"})


@dataclass(frozen=True, slots=True)
class PhaseView:
    """How far one phase of a step is. `intent` is the last act.intent; `settle_until` see _claimed."""

    state: StepState = "pending"
    attempts: int = 0
    intent: Event | None = None
    settle_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Timer:
    """A dead-man: from its act's intent on, silence of the console for `seconds` puts the step back.

    `unanswered`: it could not be disarmed, so that it may fire, or may have fired.
    """

    id: str
    seconds: float
    places: tuple[str, ...]  # where it is armed: routers, or the watchdog
    run_id: str = ""
    fence: int = 0  # of the driver that armed it
    unanswered: bool = False


@dataclass(frozen=True, slots=True)
class StepView:
    spec: StepDef
    do: PhaseView = field(default_factory=PhaseView)
    undo: PhaseView = field(default_factory=PhaseView)
    started: datetime | None = None
    ended: datetime | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)  # last data of each kind; "undo." before undo's
    progress: Mapping[str, Any] = field(default_factory=dict)  # a wait's latest sample
    armed: Timer | None = None
    by: str = ""  # confirm, approve, manual: the person who answered it

    @property
    def id(self) -> str:
        return self.spec.id

    @property
    def kind(self) -> str:
        return self.spec.kind

    @property
    def title(self) -> str:
        return self.spec.title or self.spec.id

    @property
    def attempts(self) -> int:
        return self.do.attempts

    @property
    def state(self) -> str:
        """One word for a list: the phase that was last worked on, undo's words told apart."""
        if self.undo.state == "pending":
            return self.do.state
        if self.stays:
            return "left"
        return "undone" if self.undo.state == "done" else f"undo {self.undo.state}"

    @property
    def stays(self) -> bool:
        """It was seen to be in place, and nothing puts it back: that was known and approved before it was done."""
        return self.undo.state == "due" and self.spec.lasting

    def phase(self, phase: Phase) -> PhaseView:
        return self.do if phase == "do" else self.undo

    @property
    def settled_at(self) -> datetime | None:
        """When a look can be believed: what a lost driver had under way, forth or back, must have ended."""
        return max(filter(None, (self.do.settle_until, self.undo.settle_until)), default=None)


@dataclass(frozen=True, slots=True)
class Question:
    """What a person must decide. A decision names `seq` (reply_to), else it answers the wrong question."""

    seq: int
    step: str
    phase: Phase
    kind: str  # act.unknown, act.not_sent, verify.timeout, check.failed, undo.held or deadman.unanswered
    text: str

    @property
    def about(self) -> tuple[str, Phase, bool]:
        """What it is about: a step in a phase, or the dead-man of one."""
        return self.step, self.phase, self.kind == "deadman.unanswered"


@dataclass(frozen=True, slots=True)
class GuardSeen:
    """What a guard last said and why; `margin` in words: how far it is from tripping."""

    name: str
    state: GuardState
    reason: str = ""
    margin: str = ""
    policy: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Rejection:
    """A command in the log that does not count, and why. The driver answers it once, with cmd.rejected."""

    seq: int
    why: str


@dataclass(frozen=True, slots=True)
class RunView:
    """Everything that the log says about a run: the one source of screen, --json, resume and evidence."""

    run_id: str = ""
    seq: int = 0
    steps: tuple[StepView, ...] = ()
    direction: Direction = "forward"
    outcome: Outcome | None = None
    questions: tuple[Question, ...] = ()  # all that are open: answering one must not lose another
    paused: bool = False
    waiting: str = ""  # what the run waits for: a person, or the gate
    refused: str = ""  # why nothing was begun
    unsure: Mapping[str, str] = field(default_factory=dict)  # guards that cannot see, and why: no new act meanwhile
    guards: Mapping[str, GuardSeen] = field(default_factory=dict)  # what the guards said since the last intent
    turn_back: str = ""  # rollback has been asked for, and why; the driver has not turned yet
    turn_auto: bool = False  # nobody asked for it, a policy did: the baseline is judged first
    gate_passed: str = ""  # the step that the gate has let through
    abandon: Event | None = None  # cmd.abandon, waiting for a second person
    handover: bool = False  # the driver lets go at the next safe place
    unmanned: bool = False  # the last driver has let it go, and nobody has claimed it since
    reason: str = ""  # why the run turned back or was closed: "refused", or the words of who asked
    why: str = ""
    reviewed: str = ""  # of a restore that nothing gated: the second person who has reviewed it
    disputed: bool = False  # something landed after the close
    rejections: tuple[Rejection, ...] = ()
    creator: str = ""
    driver: str = ""  # the user who drives, or drove last
    definition_sha: str = ""
    ticket: str | None = None
    undo_of: str | None = None
    started: datetime | None = None
    ended: datetime | None = None

    @property
    def state(self) -> RunState:
        """Derived from what happened, strongest first, so that no order of events can hide one."""
        if not self.seq:
            return "NEW"
        if self.outcome:
            return self.outcome
        if self.question:
            return "NEEDS_DECISION"
        if self.paused:
            return "PAUSED"
        if self.direction == "rollback":
            return "ROLLING_BACK"
        return "WAITING" if self.waiting or self.unsure else "RUNNING"

    @property
    def question(self) -> Question | None:
        """The newest open question; the others come up again when it has been answered."""
        return self.questions[-1] if self.questions else None

    def asking(self, question: Question) -> RunView:
        """The view with one question more; a step's newer question of a kind takes its older one's place."""
        others = (each for each in self.questions if each.about != question.about)
        return replace(self, questions=(*others, question))

    @property
    def review_owed(self) -> bool:
        """It was begun as a restore, by one person, and no second one has said yet that they looked at it."""
        return not self.reviewed and any(step.spec.rescues and step.do.attempts for step in self.steps)

    @property
    def closed(self) -> bool:
        return self.outcome is not None

    @property
    def phase(self) -> Phase:
        """The phase in which the run now works."""
        return "do" if self.direction == "forward" else "undo"

    @property
    def begun(self) -> bool:
        """True from the first intent on: from there, stopping means to undo."""
        return any(step.do.attempts for step in self.steps)

    def step(self, step_id: str | None) -> StepView | None:
        return next((step for step in self.steps if step.id == step_id), None)
