"""Pure selectors: a run's log as lines, its end last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from console.step_view import shown
from console.view import Cell
from runbooks.journal import Event

Line = list[Cell]


def journal_lines(events: Sequence[Event]) -> list[Line]:
    """The log's end: time, step, kind, what it says."""
    return [_journal_line(event) for event in events if event.kind != "wait.progress"]


def _journal_line(event: Event) -> Line:
    stamp = f"{event.ts:%H:%M:%S}.{event.ts.microsecond // 1000:03d}"
    tone = "strong" if event.kind in {"act.intent", "rollback.begin", "run.closed"} else "plain"
    return [
        Cell(f"{stamp}  {event.mode:<5}", "dim"),
        Cell(f"{(event.step or event.actor)[:17]:<18}"),
        Cell(f"{event.kind:<15} ", tone),
        Cell(_said(event), "dim"),
    ]


def _said(event: Event) -> str:
    data = event.data
    if event.kind == "act.intent":
        sent = sum(1 for _ in shown(data.get("commands", ())))
        return f"{event.phase}: {sent} lines, attempt {event.attempt}"
    if event.kind == "run.created":
        return f"{data.get('book', '')} for {data.get('ticket') or 'no change'}"
    if event.kind == "run.closed":
        return " ".join(str(data[key]) for key in ("outcome", "reason", "why") if data.get(key))
    if event.kind == "driver.left":
        words = (data.get("path"), data.get("policy"), data.get("reason"))
        return ", ".join(str(word) for word in words if word)
    if event.kind.startswith("guard."):
        return " ".join(str(data[key]) for key in ("guard", "reason", "margin") if data.get(key))
    if event.kind == "cmd.decide":
        return str(data.get("choice", ""))
    return str(data.get("reason") or _first_proofs(data))


def _first_proofs(data: Mapping[str, Any]) -> str:
    evidence = data.get("evidence")
    lines = evidence.get("expected", ()) if isinstance(evidence, Mapping) else ()
    return ", ".join(f"{line['what']} {line.get('now', '')}" for line in lines if isinstance(line, Mapping))
