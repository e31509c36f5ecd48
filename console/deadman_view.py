"""Pure selectors: what restores by itself when the console falls silent: where, when, and what became of it.

How long is left only the driving console knows, since it alone hears the routers answer; every other one has the log.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime

from console.driver_view import last_word, nobody_drives
from console.view import Cell, span, whole
from runbooks.effects import ARMED, FIRED
from runbooks.journal import Event, RunRow
from runbooks.view import RunView, StepView, Timer

Line = list[Cell]
Fuses = Mapping[str, Mapping[str, float]]  # by timer and place: seconds, as of Standing.fuses

LABEL, UNLESS = Cell("dead-man ", "strong"), Cell(" unless we speak", "dim")
SCARCE = 1 / 2  # of its time: it is extended three times within it, so by then one extension was missed


def deadman_lines(
    row: RunRow, view: RunView, here: StepView, events: Sequence[Event], fuses: Fuses, now: datetime, width: int
) -> list[Line]:
    """Every dead-man that is armed, and what became of the one of the step in hand; empty when there was none."""
    lines: list[Line] = []
    for step, timer, places in _armed(view, events):
        what = "" if step is here else f" {step.id}"
        if left := fuses.get(timer.id):
            lines += [_burning(together, what, seconds, timer) for seconds, together in _together(left)]
        else:
            lines.append([LABEL, _unheard(row, view, timer, ", ".join(places), what, events, now)])
    if len(lines) > 1 or any(sum(len(cell.text) for cell in line) > width for line in lines):
        lines = [[cell for cell in line if cell is not UNLESS] for line in lines]  # it goes without saying
    return lines + _became(here, events)


def deadman_cell(view: RunView, events: Sequence[Event], fuses: Fuses) -> Line:
    """For the line of what runs out: the shortest silence that restores something; empty when nothing is armed."""
    timers = [timer for _, timer, _ in _armed(view, events)]
    if not timers:
        return []
    left, full = min(
        ((left, timer.seconds) for timer in timers for left in fuses.get(timer.id, {}).values()), default=(None, 0.0)
    )
    told = Cell("armed", "strong") if left is None else Cell(whole(left), _tone(left, full))
    return [Cell("  dead-man ", "dim"), told]


def _armed(view: RunView, events: Sequence[Event]) -> Iterator[tuple[StepView, Timer, list[str]]]:
    """What may still restore, and where: the places of which the log does not tell that it is over."""
    for step in view.steps:
        if timer := step.armed:
            over = _told(step.id, timer.id, events)
            if places := [place for place in timer.places if place not in over]:
                yield step, timer, places


def _together(left: Mapping[str, float]) -> list[tuple[float, str]]:
    """Places that were last heard together are told together, the most urgent first."""
    ends: dict[int, list[str]] = {}
    for place, seconds in left.items():
        ends.setdefault(round(seconds), []).append(place)
    return [(min(left[place] for place in places), ", ".join(places)) for _, places in sorted(ends.items())]


def _burning(places: str, what: str, left: float, timer: Timer) -> Line:
    """This console hears it, or has heard it."""
    if timer.unanswered or left <= 0:
        when = f"restores{what} in {whole(left)}, or has" if left > 0 else "should have fired"
        return [LABEL, Cell(f"{places} does not answer: {when}", "degraded")]
    return [LABEL, Cell(f"{places}: restores{what} in "), Cell(whole(left), _tone(left, timer.seconds)), UNLESS]


def _unheard(
    row: RunRow, view: RunView, timer: Timer, places: str, what: str, events: Sequence[Event], now: datetime
) -> Cell:
    """Only the log tells of it."""
    if timer.unanswered:
        return Cell(f"{places} does not answer: what is armed there fires, or has", "degraded")
    heard = last_word(events)
    ago_s = (now - heard).total_seconds() if heard else 0.0
    if nobody_drives(row, view, events):
        # Who let go of the run spoke to it for the last time before that; of who died only the log's end is known.
        left = timer.seconds - ago_s if view.unmanned else timer.seconds
        when = f"restores{what} within {whole(left)}, or has" if left > 0 else f"must have restored{what} by now"
        return Cell(f"{places}: nobody speaks, {when}", "degraded")
    ago = f"; {view.driver} last heard {whole(ago_s)} ago" if heard else ""
    return Cell(f"{places}: armed{what}, {span(timer.seconds)} of silence{ago}", "dim")


def _became(here: StepView, events: Sequence[Event]) -> list[Line]:
    """What became of the dead-man of a step's last act."""
    intent = here.do.intent
    armed = intent.data.get("deadman") if intent else None
    told = _told(here.id, str(armed["id"]), events) if armed else {}
    words = {
        "fired": Cell(f"has fired on {{}}: {here.id} is put back there", "degraded"),
        "lost": Cell("is gone on {}: nothing restores there by itself", "degraded"),
        "disarmed": Cell("disarmed on {}", "dim"),
    }
    lines: list[Line] = []
    for word, (text, tone) in words.items():
        if places := ", ".join(place for place, each in told.items() if each == word):
            lines.append([LABEL, Cell(text.format(places), tone)])
    return lines


def _told(step: str, timer: str, events: Sequence[Event]) -> dict[str, str]:
    """Where a dead-man is over, and how: fired, lost or disarmed, by place."""
    told: dict[str, str] = {}
    for event in events:
        if event.step == step and event.data.get("id") == timer:
            told |= _said(event)
    return told


def _said(event: Event) -> dict[str, str]:
    kind, place = event.kind.removeprefix("late."), event.data.get("place")
    if kind == "deadman.lost":
        return {str(place): "lost"}
    if kind not in {"deadman.fired", "deadman.disarmed", "deadman.unanswered"}:
        return {}
    answers = event.data.get("answers") or {place: FIRED}
    over = {ARMED: "disarmed", FIRED: "fired"}  # what a place says that is asked to confirm
    return {str(place): over[answer] for place, answer in answers.items() if answer in over}


def _tone(left: float, full: float) -> str:
    return "strong" if left > full * SCARCE else "degraded"
