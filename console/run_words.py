"""Pure selectors: what the dialogs about a run say before anything is done to it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from console.run_view import barred, state_cell
from console.rundoc import approval_lines as approved
from console.step_view import command_lines, proof_lines, proofs, sends_lines
from console.view import Cell, span
from runbooks.journal import Event, RunRow
from runbooks.planstep import LASTING
from runbooks.view import OPEN, SETTLED, Question, RunView

Line = list[Cell]


def undo_lines(view: RunView) -> list[Line]:
    """What an abort will undo, in the order in which it will: each act that has an intent, its exact lines."""
    lines: list[Line] = []
    for step in reversed(view.steps):
        if step.do.attempts and step.undo.state not in SETTLED:
            lines.append([Cell(f"{step.id}  ", "strong"), Cell(step.title, "dim")])
            lines += [[Cell(f"  {LASTING}", "degraded")]] if step.spec.lasting else sends_lines(step.spec.undo)
    return lines or [[Cell("nothing was sent yet: the run only ends")]]


def unclear(view: RunView) -> bool:
    """An act is out and its end not known: it is looked at before anything is undone."""
    return any(step.do.state in OPEN or step.do.state == "unknown" for step in view.steps)


def abort_lines(view: RunView) -> list[Line]:
    """What the abort dialog says first."""
    if view.direction == "rollback":
        return [[Cell("It is being undone already; aborting again changes nothing.")]]
    look = [[Cell("An act is out: it is looked at first, then undone.", "degraded")]] if unclear(view) else []
    return [*look, [Cell("It undoes, in this order:")], *undo_lines(view)]


def rollback_lines(row: RunRow, state: str) -> list[Line]:
    """What putting a past run back will send, from its frozen definition: its acts' undo in strict reverse."""
    acts = [step for step in reversed(row.definition.get("steps", ())) if step.get("kind") == "act"]
    lines: list[Line] = [[Cell(f"{row.book}  {row.ticket or ''}  {state}", "dim")]]
    for step in acts:
        lines.append([Cell(f"{step['id']}  ", "strong"), Cell(str(step.get("title", "")), "dim")])
        lines += sends_lines(step.get("undo", ()))
    return lines if acts else [*lines, [Cell("it changed nothing")]]


#: What each answer to a question means for the step that asks.
_CHOICES = {
    "redo": "do this step once more",
    "accept": "take what is there as wanted, and go on",
    "skip": "leave this step as it is, and go on without it",
    "rollback": "undo everything that this run did",
}


def question_lines(view: RunView, asked: Question, width: int) -> list[Line]:
    """The open question, what was expected beside what is there, the exact commands, and what each answer does."""
    lines: list[Line] = [[Cell(asked.text, "strong")], []]
    if step := view.step(asked.step):
        undo = asked.phase == "undo"
        if seen := proofs(step, undo=undo):
            lines += [*proof_lines(seen, width), []]
        if command_lines(step, undo=undo):
            lines += [*sends_lines(step.spec.undo if undo else step.spec.commands), []]
    return [*lines, *([Cell(f"{choice:<9} ", "key"), Cell(does)] for choice, does in _CHOICES.items())]


def approval_lines(row: RunRow, view: RunView, step: str) -> list[Line]:
    """What a second person says yes to: the plan's hash, the step, the exact commands; and who may not say it."""
    head, *rest = approved(row, view, step)
    not_by = [Cell("not by ", "dim"), Cell(" or ".join(barred(view)), "strong")]
    return [[Cell(head, "strong")], not_by, [], *([Cell(line)] for line in rest)]


def takeover_lines(row: RunRow, view: RunView | None, events: Sequence[Event], now: datetime) -> list[Line]:
    """Who drives, or drove last, and since when; how it left, and what going on begins with."""
    lines: list[Line] = [[state_cell(row.state), Cell(f"  {row.book}  {row.ticket or 'no change'}", "dim")], []]
    claims = [event for event in events if event.kind in {"run.created", "driver.claimed"}]
    who = claims[-1].actor if claims else row.driver_user or row.created_by
    where = (claims[-1].console if claims else row.driver or row.created_host).split("/")[0]
    since = f", since {claims[-1].ts:%H:%M:%S}, {span((now - claims[-1].ts).total_seconds())} ago" if claims else ""
    verb = "drives it" if row.driver_alive else "drove it last"
    lines.append([Cell(f"{who} on {where}", "strong"), Cell(f" {verb}{since}")])
    lines += left_lines(events)
    if row.driver_alive:
        lines.append([Cell("! it may live: it sends nothing more once you have the run;", "degraded")])
        lines.append([Cell("  what it may be sending now must end first", "degraded")])
    if view and unclear(view):
        lines.append([Cell("An act is out: it is looked at before anything else.")])
    return lines


def left_lines(events: Sequence[Event]) -> list[Line]:
    """On which path the last driver left, and what its step said to that; empty while somebody drives on."""
    for event in reversed(events):
        if event.kind == "driver.claimed":
            break
        if event.kind == "driver.left":
            path, policy = event.data.get("path", ""), event.data.get("policy", "")
            why = f": {event.data['reason']}" if event.data.get("reason") else ""
            return [[Cell(f"{event.actor} left by {path}, {policy}{why}")]]
    return []


def paused_lines(events: Sequence[Event]) -> list[Line]:
    """Who or what paused a run last, and when; a guard that did says so itself."""
    for event in reversed(events):
        if event.kind == "cmd.pause":
            return [[Cell(f"paused by {event.actor} at {event.ts:%H:%M:%S}", "dim")]]
        if event.kind == "journal.returned" and event.data.get("ask"):
            return [[Cell(str(event.data.get("reason", "")))]]
        if event.kind == "guard.tripped":
            break
    return []


def abandon_lines(row: RunRow, view: RunView | None) -> list[Line]:
    """What stays in place when a run is given up, and that it takes two."""
    begun = [step for step in view.steps if step.do.attempts and step.undo.state != "done"] if view else []
    lines: list[Line] = [[Cell(f"{row.book}  {row.ticket or 'no change'}", "dim")]]
    lines.append([Cell("Given up as it stands: nothing is undone, its locks are freed.", "degraded")])
    lines += [[Cell("stays  ", "dim"), Cell(f"{step.id}  ", "strong"), Cell(step.title)] for step in begun]
    if view and not begun:
        lines.append([Cell("nothing of it is in place")])
    return [*lines, [Cell("It counts once a second person approves it.")]]
