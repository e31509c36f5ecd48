"""The words that the journal, the state machine and the engine share: a step and an event. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from runbooks.exits import fault

StepKind = Literal["check", "confirm", "approve", "act", "wait_until", "measure", "manual", "note"]
Phase = Literal["do", "undo"]
Risk = Literal["reading", "reversible", "restore", "traffic-moving", "last-spare", "irreversible"]
#: What a step does when its driver must leave: stop where it is, put back, or end the atomic group first.
ExitPolicy = Literal["hold", "undo", "finish"]


class UnfitDefinition(ValueError):
    """A run's definition cannot be driven; the message names the step and what is wrong with it."""


class GuardDef(BaseModel):
    """A guard of a step: what must stay so while the step runs, and what happens when it is seen not to be so.

    It trips after `k` of the last `n` samples say so: one bad sample is no harm.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    name: str = Field(min_length=1)  # of a registered guard, such as "usable-domains"
    args: dict[str, Any] = Field(default_factory=dict, alias="with")
    policy: ExitPolicy = "hold"
    k: int = Field(default=2, ge=1)
    n: int = Field(default=3, ge=1)

    @property
    def label(self) -> str:
        """What the log calls it: two guards of one name and different arguments are two guards."""
        words = ", ".join(f"{key}={value}" for key, value in sorted(self.args.items()))
        return f"{self.name}({words})" if words else self.name


class StepDef(BaseModel):
    """One step as it stands in a run's frozen definition. Keys that only the plan needs are ignored here."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    id: str = Field(min_length=1)
    kind: StepKind
    title: str = ""
    group: str | None = None  # neighbouring act steps of one group are one atomic change
    verb: str = ""  # name of the check or action, such as "prefer-standby"
    args: dict[str, Any] = Field(default_factory=dict, alias="with")
    commands: tuple[Any, ...] = ()  # exactly what `do` sends
    undo: tuple[Any, ...] = ()  # exactly what `undo` sends
    expect: tuple[Any, ...] = ()
    risk: Risk = "reading"
    rescues: str = ""  # what was observed that made it a restore, whatever its book says
    text: str = ""  # what a person reads: of a confirm, a manual step or a note
    evidence: tuple[str, ...] = ()  # manual: what the person must give, by name
    timeout_s: float = Field(default=30.0, gt=0)
    samples: int = Field(default=1, ge=1)  # wait_until: so many in a row
    spacing_s: float = Field(default=0.0, ge=0)  # wait_until: at least so long between two that count
    window_s: float = Field(default=5.0, gt=0)  # no send later than this after the intent (CLOCK_BOOTTIME)
    on_failure: Literal["ask", "undo"] = "ask"  # what an *observed* failure after an act does; unknown asks
    guards: tuple[GuardDef, ...] = ()
    exits: dict[str, ExitPolicy] = Field(default_factory=dict)  # by exit path; the table of defaults is runbooks/exits
    deadman_s: float | None = Field(default=None, gt=0)  # act: silence of the console after which it is put back

    @property
    def lasting(self) -> bool:
        """What it changes cannot be put back."""
        return self.kind == "act" and self.risk == "irreversible" and not self.undo

    @field_validator("exits")
    @classmethod
    def _known_exits(cls, exits: dict[str, ExitPolicy]) -> dict[str, ExitPolicy]:
        if faults := [why for path, policy in exits.items() if (why := fault(path, policy))]:
            raise ValueError("; ".join(faults))
        return exits


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of a run's log. `seq` starts at 1 and has no gaps; `ts` is UTC.

    `fence` is None on commands (`cmd.*`), late reports and notes, which need no driver.
    """

    run_id: str
    seq: int
    uid: str
    ts: datetime
    kind: str
    actor: str
    console: str  # host/pid/id/MODE
    fence: int | None = None
    step: str | None = None
    phase: Phase | None = None
    attempt: int | None = None
    reply_to: int | None = None
    data: Mapping[str, Any] = field(default_factory=dict)
    hash: str = ""

    @property
    def mode(self) -> str:
        """LIVE, DRILL or LAB: what the writing console was started for."""
        return self.console.rpartition("/")[2]


def steps_of(definition: Mapping[str, Any]) -> tuple[StepDef, ...]:
    """Read the steps of a frozen definition, in order. Raises UnfitDefinition."""
    try:
        steps = tuple(StepDef.model_validate(step) for step in definition.get("steps", ()))
    except ValidationError as error:
        raise UnfitDefinition(f"the definition has a step that cannot be read: {error}") from error
    _refuse_twins(steps)
    _refuse_torn_groups(steps)
    return steps


def _refuse_twins(steps: tuple[StepDef, ...]) -> None:
    twins = [name for name, times in Counter(step.id for step in steps).items() if times > 1]
    if twins:
        raise UnfitDefinition(f"step id {twins[0]!r} is used twice; every step needs its own")


def _refuse_torn_groups(steps: tuple[StepDef, ...]) -> None:
    """A group is atomic only if nothing can happen between its members: act steps, side by side."""
    for step in steps:
        if step.group is not None and step.kind != "act":
            raise UnfitDefinition(f"step {step.id!r} is a {step.kind}; only act steps may stand in a group")
    starts = Counter(b.group for a, b in pairwise((None, *steps)) if b and b.group != (a.group if a else None))
    torn = [group for group, times in starts.items() if group is not None and times > 1]
    if torn:
        raise UnfitDefinition(f"group {torn[0]!r} is interrupted by another step; put its members side by side")
