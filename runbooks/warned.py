"""What guards say, as the view keeps it: blindness holds, a trip follows its policy, an undo may be held. Pure."""

from __future__ import annotations

from dataclasses import replace

from runbooks.model import Event
from runbooks.stepping import undo_by_policy
from runbooks.view import GuardSeen, GuardState, Question, RunView


def undo_held(view: RunView, event: Event) -> RunView:
    """The undo that a policy asked for would not make it better, as far as is known: a person decides."""
    if not view.turn_auto or view.step(event.step) is None:
        return view
    text = f"{view.turn_back}; not undone by itself: {event.data.get('reason', '')}"
    question = Question(event.seq, str(event.step), "do", event.kind, text)
    return replace(view, turn_back="", turn_auto=False).asking(question)


def unknown(view: RunView, event: Event) -> RunView:
    """What a guard cannot see is neither healthy nor harm: no new act until it sees again, and then the gate anew."""
    seen = replace(_guard(view, event, "unknown"), gate_passed="")
    return replace(seen, unsure={**view.unsure, str(event.data.get("guard")): str(event.data.get("reason", ""))})


def clear(view: RunView, event: Event) -> RunView:
    return _sure(_guard(view, event, "clear"), event)


def tripped(view: RunView, event: Event) -> RunView:
    """The step's policy: hold, undo or finish. Only what was observed may undo; that is the guard's proof.

    Before anything was begun there is nothing to undo: the run is refused.
    """
    policy, reason = event.data.get("policy"), f"guard: {event.data.get('reason', '')}"
    view = _sure(_guard(view, event, "tripped"), event)
    if policy == "undo":
        return undo_by_policy(view, reason) if view.begun else replace(view, refused=reason)
    return replace(view, paused=True) if policy == "hold" else view


def _guard(view: RunView, event: Event, state: GuardState) -> RunView:
    data = event.data
    words = {key: str(data.get(key, "")) for key in ("reason", "margin", "policy")}
    seen = GuardSeen(str(data.get("guard")), state, since=event.ts, **words)
    return replace(view, guards={**view.guards, seen.name: seen})


def _sure(view: RunView, event: Event) -> RunView:
    return replace(view, unsure={name: why for name, why in view.unsure.items() if name != event.data.get("guard")})
