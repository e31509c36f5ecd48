"""The exit table, as data: what becomes of a run when its driver must leave it, by the path on which it leaves.

    hold    stop at once: an act in flight is written down as interrupted, and whoever drives next looks at it first
    finish  end the atomic group that is half moved, with its verification, then let the run go
    undo    turn round and undo, then leave

A step may say otherwise with `exits`. An undo is never undone: there, `undo` means `finish`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final, Literal, get_args

if TYPE_CHECKING:
    from runbooks.model import ExitPolicy, GuardDef, StepDef

ExitPath = Literal["ctrl-c", "sigterm", "sighup", "closed-terminal", "exception", "guard", "timeout", "lost-fence"]

#: What each path does unless the step says otherwise. A guard says so itself; a timeout asks, unless on_failure undoes.
DEFAULTS: Final[Mapping[ExitPath, ExitPolicy]] = {
    "ctrl-c": "finish",
    "sigterm": "finish",
    "sighup": "finish",
    "closed-terminal": "finish",
    "exception": "hold",  # an engine that has just failed is not trusted with a further act
    "guard": "hold",
    "timeout": "hold",
    "lost-fence": "hold",  # somebody else drives: there is nothing left to choose
}
#: The paths on which not every policy makes sense.
_ALLOWED: Final[Mapping[str, tuple[ExitPolicy, ...]]] = {
    "exception": ("hold", "undo"),
    "timeout": ("hold", "undo"),
    "lost-fence": ("hold",),
}


def fault(path: str, policy: ExitPolicy) -> str | None:
    """What is wrong with one line of a step's `exits`; None when it can be done."""
    if path not in DEFAULTS:
        return f"exit path {path!r} is not known; allowed: {', '.join(get_args(ExitPath))}"
    allowed = _ALLOWED.get(path, ("hold", "undo", "finish"))
    return None if policy in allowed else f"exit path {path!r} cannot {policy}; allowed: {', '.join(allowed)}"


def policy_of(step: StepDef | None, path: ExitPath, guard: GuardDef | None = None) -> ExitPolicy:
    """What leaving on this path means for a step: its own word, the guard's or on_failure's, else the table's."""
    if step is not None and path in step.exits:
        return step.exits[path]
    if guard is not None:
        return guard.policy
    if step is not None and path == "timeout" and step.on_failure == "undo":
        return "undo"
    return DEFAULTS[path]
