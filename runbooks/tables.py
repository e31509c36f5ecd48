"""How an event moves one step, as data: a pair that is not in a table changes nothing."""

from __future__ import annotations

from collections.abc import Mapping

from runbooks.view import StepState

StepTable = Mapping[tuple[StepState, str], StepState]

# Both phases of an act step. `do` starts with the act; `undo` starts with a look, because what was never
# done, or was put back by hand, must not be undone.
ACT: StepTable = {
    ("intent", "act.result"): "acted",
    ("intent", "act.not_sent"): "failed",  # proven: nothing left the console
    ("intent", "act.interrupted"): "observe",  # exception, timeout, Ctrl-C: the outcome is unknown
    ("intent", "act.observed"): "acted",  # after a take-over: seen, as wanted
    ("observe", "act.observed"): "acted",
    ("intent", "act.unknown"): "unknown",  # seen, and not as wanted (or not to be seen)
    ("observe", "act.unknown"): "unknown",
    ("acted", "verify.ok"): "done",
    ("acted", "verify.timeout"): "failed",
    ("unknown", "redo"): "pending",
    ("failed", "redo"): "pending",
    ("unknown", "accept"): "acted",  # still to be verified
    ("failed", "accept"): "acted",  # wait longer
    ("unknown", "skip"): "skipped",
    ("failed", "skip"): "skipped",
    # The dead-man has put it back, or may have: look.
    ("acted", "deadman.fired"): "observe",
    ("done", "deadman.fired"): "observe",
    ("acted", "late.deadman.fired"): "observe",  # a watchdog that had no journal, told by who came next
    ("done", "late.deadman.fired"): "observe",
    # A result that arrives from a driver which had lost the run: what we believed is open again.
    ("acted", "late.act.result"): "acted",
    ("done", "late.act.result"): "acted",
    ("unknown", "late.act.result"): "intent",
    ("observe", "late.act.result"): "intent",
    ("failed", "late.act.result"): "intent",
    ("skipped", "late.act.result"): "intent",
    ("pending", "late.act.result"): "intent",
}
UNDO: StepTable = {
    **ACT,
    ("pending", "act.observed"): "done",  # already in the undo state: undone without acting
    ("pending", "undo.due"): "due",
    ("pending", "act.unknown"): "unknown",
}
READ: StepTable = {  # check, wait and measure: they only read, so a crash in the middle just starts them again
    ("pending", "step.started"): "running",
    ("running", "check.passed"): "done",
    ("running", "check.failed"): "failed",
    ("running", "wait.passed"): "done",
    ("running", "measure.taken"): "done",
    ("running", "verify.timeout"): "failed",
    ("failed", "redo"): "pending",
    ("failed", "accept"): "done",
    ("failed", "skip"): "skipped",
}
ASK: StepTable = {  # confirm, approve and manual: a person's word, never the driver's
    ("pending", "step.started"): "asked",
    ("asked", "cmd.confirm"): "done",
    ("asked", "cmd.approve"): "done",
    ("pending", "cmd.approve"): "done",  # an approval may come before it is asked for; a confirmation not
}
NOTE: StepTable = {("pending", "step.noted"): "done"}
CHOICES = ("redo", "accept", "skip", "rollback")  # what a person may decide; the first three move the step
TABLES: Mapping[str, StepTable] = {
    "act": ACT,
    "check": READ,
    "wait_until": READ,
    "measure": READ,
    "confirm": ASK,
    "approve": ASK,
    "manual": ASK,
    "note": NOTE,
}
