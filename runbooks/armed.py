"""How the log tells of dead-men: armed with an act's intent, until disarmed or fired. Pure.

    act.intent {deadman}        armed: from here on its silence restores, whether or not the console lives to know
    deadman.fired               it has put the step back: look, and ask; never act again by itself
    deadman.disarmed            every place has confirmed that nothing is armed there any more
    deadman.unanswered          a place did not answer: a question, for the timer will fire or has fired
    deadman.lost                a place no longer has it: the step is not protected there

While it is armed and the run would hold, or end, the driver disarms it first (`Disarm`): in a hold the console's
death must mean hold. When it has fired nothing is believed: the step is observed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from runbooks.model import Event
from runbooks.view import Question, RunView, StepView, Timer

UNANSWERED = "deadman.unanswered"


def intended(step: StepView, event: Event) -> StepView:
    """Armed with the intent of a forward act: what it says is all that a later driver has to go by."""
    told: Mapping[str, Any] | None = event.data.get("deadman")
    if event.kind != "act.intent" or not told or event.phase == "undo":
        return step
    places = tuple(str(place) for place in told["places"])
    return replace(step, armed=Timer(str(told["id"]), float(told["seconds"]), places, event.run_id, event.fence or 0))


def disarmed(view: RunView, event: Event) -> RunView:
    return _with_timer(view, event.step, None)


def unanswered(view: RunView, event: Event) -> RunView:
    """Ask what is to be done about a timer that will fire, or has."""
    step = view.step(event.step)
    if step is None or step.armed is None:
        return view
    view = _with_timer(view, step.id, replace(step.armed, unanswered=True))
    text = f"{step.title}: {event.data.get('reason', '')}"
    return view.asking(Question(event.seq, step.id, "do", UNANSWERED, text))


def asked_again(view: RunView) -> RunView:
    """After a decision, and under a new driver, whoever did not answer is asked once more."""
    steps = (replace(step, armed=replace(step.armed, unanswered=False)) if step.armed else step for step in view.steps)
    return replace(view, steps=tuple(steps))


def _with_timer(view: RunView, step_id: str | None, timer: Timer | None) -> RunView:
    return replace(view, steps=tuple(replace(s, armed=timer) if s.id == step_id else s for s in view.steps))
