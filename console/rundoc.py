"""Runs and plans as documents: the JSON of `plan`, `show` and `runs`, and the Markdown report. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from console.status import SCHEMA, stamp
from runbooks.journal import Event, RunRow
from runbooks.plan import Plan, shown
from runbooks.planstep import LASTING
from runbooks.view import GuardSeen, RunView, StepView, Timer

#: A restore that nothing gated waits for its second person.
OWED = "owed"


def plan_document(plan: Plan) -> dict[str, Any]:
    """`plan --json`. Commands are as a person types them, each with its router."""
    return {
        "schema": SCHEMA,
        "hash": plan.hash,
        "book": plan.book,
        "version": plan.version,
        "title": plan.title,
        "parameters": dict(plan.parameters),
        "target": plan.target,
        "steps": [
            {
                "id": step.id,
                "title": step.title,
                "kind": step.kind,
                "commands": list(step.lines),
                "expect": list(step.expect),
                "undo": list(step.undo),
                "guards": list(step.guards),
                "risk": step.risk,
                "approvals": step.approvals,
            }
            for step in plan.steps
        ],
        "forecast": {"before": _clouds(plan.before), "after": _clouds(plan.after)},
        "touches": list(plan.touches),
        "locks": list(plan.locks),
        "warnings": list(plan.warnings),
    }


def _clouds(ways: Mapping[str, Mapping[str, Any]]) -> list[dict[str, Any]]:
    return [{"name": name, **way} for name, way in ways.items()]


def run_document(row: RunRow, view: RunView) -> dict[str, Any]:
    """`show --json` and the end of `run --json`."""
    return {
        "schema": SCHEMA,
        "run": row.run_id,
        "book": row.book,
        "title": row.definition.get("title"),
        "parameters": row.definition.get("parameters"),
        "state": view.state,
        "reason": view.reason,
        "why": view.why or view.refused,
        "disputed": view.disputed,
        "direction": view.direction,
        "change": row.ticket,
        "driver": row.driver_user,
        "driver_alive": row.driver_alive,
        "plan_hash": row.definition.get("plan_hash"),
        "undo_of": row.definition.get("undo_of"),
        "started": stamp(row.created_at),
        "closed": stamp(row.closed_at),
        "question": _question(view),
        "review": review(view),
        "steps": [_step(step) for step in view.steps],
        "guards": [_guard(guard) for guard in view.guards.values()],
        "measures": measures(view),
        "head_seq": row.head_seq,
        "head_hash": row.head_hash,
    }


def run_line(row: RunRow) -> dict[str, Any]:
    """One entry of `runs --json`."""
    return {
        "run": row.run_id,
        "book": row.book,
        "state": row.state,
        "interrupted": row.orphaned,
        "disputed": row.disputed,
        "change": row.ticket,
        "driver": row.driver_user,
        "started": stamp(row.created_at),
        "closed": stamp(row.closed_at),
        "undo_of": row.definition.get("undo_of"),
    }


def measures(view: RunView) -> dict[str, Any]:
    """How long each step took, in seconds, from the journal's own times."""
    took = {
        step.id: round((step.ended - step.started).total_seconds(), 3)
        for step in view.steps
        if step.started and step.ended
    }
    return {"step_s": took}


def _question(view: RunView) -> dict[str, Any] | None:
    asked = view.question
    return None if asked is None else {"seq": asked.seq, "step": asked.step, "kind": asked.kind, "text": asked.text}


def _guard(guard: GuardSeen) -> dict[str, Any]:
    return {
        "name": guard.name,
        "state": guard.state,
        "policy": guard.policy,
        "reason": guard.reason,
        "margin": guard.margin,
        "since": stamp(guard.since),
    }


def _step(step: StepView) -> dict[str, Any]:
    return {
        "id": step.id,
        "title": step.title,
        "kind": step.kind,
        "state": step.state,
        "started": stamp(step.started),
        "ended": stamp(step.ended),
        "attempts": step.attempts,
        "deadman": _deadman(step.armed),
        "evidence": dict(step.evidence),
    }


def _deadman(armed: Timer | None) -> dict[str, Any] | None:
    """What restores the step by itself, as the log has it; null: nothing is armed."""
    if armed is None:
        return None
    return {
        "id": armed.id,
        "seconds": armed.seconds,
        "places": list(armed.places),
        "unanswered": armed.unanswered,
    }


def event_line(event: Event, view: RunView) -> str | None:
    """An event as one line of a run's output; None for what only the journal needs."""
    if event.kind in {"wait.progress", "step.started"}:
        return None
    step = view.step(event.step)
    words = [f"{event.ts:%H:%M:%S}.{event.ts.microsecond // 1000:03d}", event.mode, event.kind]
    if step:
        words.append(f"{step.id}{' (undo)' if event.phase == 'undo' else ''}")
    words += [str(event.data[key]) for key in ("guard", "reason", "margin", "text") if event.data.get(key)]
    return "  ".join(words)


def event_document(event: Event, view: RunView) -> dict[str, Any]:
    """One line of `follow --json`; `state` is the run's, this entry included."""
    where = {"step": event.step, "phase": event.phase, "attempt": event.attempt, "reply_to": event.reply_to}
    who = {"actor": event.actor, "mode": event.mode, "fence": event.fence}
    head = {"schema": SCHEMA, "run": event.run_id, "seq": event.seq, "at": stamp(event.ts), "kind": event.kind}
    return {**head, "state": view.state, **who, **where, "data": dict(event.data)}


def order_document(
    command: str, event: Event | None, row: RunRow, view: RunView, ways: Sequence[str]
) -> dict[str, Any]:
    """What became of an order. `seq` is its entry; null when it was so already. `next`: how the run goes on."""
    return {
        "schema": SCHEMA,
        "run": row.run_id,
        "command": command,
        "seq": event.seq if event else None,
        "state": view.state,
        "driver": row.driver_user,
        "driver_alive": row.driver_alive,
        "question": _question(view),
        "next": list(ways),
    }


def approval_lines(row: RunRow, view: RunView, step_id: str) -> list[str]:
    """What a second person approves: the definition, and what it will send from there on."""
    step = view.step(step_id)
    lines = [f"{row.run_id}  {row.book}  {row.ticket or ''}  plan {row.definition.get('plan_hash')}"]
    if step is None:
        left = [s for s in view.steps if s.do.attempts and s.undo.state != "done"]
        return [*lines, "given up as it stands; left in place:", *(f"  {s.id}: {s.title}" for s in left)]
    lines.append(f"{step.id}: {step.spec.text or step.title}")
    begins = next(number for number, each in enumerate(view.steps) if each.id == step_id)
    for act in (each for each in view.steps[begins:] if each.kind == "act"):
        lines += [f"  {act.id}: {act.title}", *(f"    {line}" for line in shown(act.spec.commands))]
    return lines


def undo_lines(row: RunRow, view: RunView) -> list[str]:
    """What an abort undoes, in its order; each act is looked at before anything is sent."""
    if view.closed or view.direction == "rollback":
        return [f"{row.run_id} is {view.state}"]
    begun = [step for step in reversed(view.steps) if step.do.attempts]
    lines = [f"abort of {row.run_id} undoes, in this order:" if begun else f"{row.run_id} has sent nothing yet"]
    for step in begun:
        stays = [LASTING] if step.spec.lasting else shown(step.spec.undo)
        lines += [f"  {step.id}: {step.title}", *(f"    {line}" for line in stays)]
    return lines


def proof_lines(event: Event) -> list[str]:
    """Expected beside actual, where an event carries them."""
    expected = (event.data.get("evidence") or {}).get("expected", ())
    return [f"    {'=' if p['ok'] else 'X'} {p['what']}: {p['now']}  (expected {p['want']})" for p in expected]


def plan_text(plan: Plan) -> str:
    """The plan for a person: what carries before and after, and every step with its commands and undo."""
    lines = [
        f"{plan.book} {' '.join(f'{k}={v}' for k, v in plan.parameters.items())}   plan {plan.hash}",
        plan.title,
        "",
    ]
    for name, way in plan.before.items():
        after = plan.after[name]
        lines.append(f"  {name:<6} out {_names(way['carried_by'])} -> {_names(after['carried_by'])}")
        lines.append(f"  {'':<6} back {_names(way['return_by'])} -> {_names(after['return_by'])}")
    lines += [f"  ! {warning}" for warning in plan.warnings]
    for number, step in enumerate(plan.steps, 1):
        lines += ["", f"{number} {step.title}   [{step.kind}, {step.risk}]"]
        lines += [f"    {line}" for line in step.lines]
        lines += [f"    expect  {line}" for line in step.expect]
        lines += [f"    guard   {line}" for line in step.guards]
        lines += [f"    undo    {line}" for line in step.undo or ([LASTING] if step.kind == "act" else [])]
        lines += [f"    {step.text}"] if step.text else []
    return "\n".join(lines)


def review(view: RunView) -> str | None:
    """Who has reviewed a restore that nothing gated, OWED, or None for any other run."""
    return view.reviewed or (OWED if view.review_owed else None)


def _review(view: RunView) -> list[str]:
    if not (view.reviewed or view.review_owed):
        return []
    why = dict.fromkeys(step.spec.rescues for step in view.steps if step.spec.rescues)
    return [f"- a restore, never gated: {'; '.join(why)}", f"- reviewed by: {view.reviewed or 'nobody yet'}"]


def _names(paths: Iterable[str]) -> str:
    return ", ".join(paths) or "unknown"


DISPUTED = "disputed: a driver reported something after the close; look at what is there"


def run_text(row: RunRow, view: RunView) -> str:
    """A run for a person."""
    lines = [f"{row.run_id}  {row.book}  {view.state}  {row.ticket or ''}  {view.reason} {view.why}".rstrip()]
    lines += [f"  {step.state:<10} {step.id:<22} {step.title}" for step in view.steps]
    lines += [f"  {seen.state:<10} guard {seen.name}  {seen.reason or seen.margin}" for seen in view.guards.values()]
    lines += [
        f"  {'armed':<10} dead-man {step.id}  {', '.join(timer.places)}: {timer.seconds:g} s of silence restore"
        for step in view.steps
        if (timer := step.armed)
    ]
    if view.question:
        lines.append(f"  ? {view.question.text}")
    if view.review_owed:
        lines.append(f"  ! a restore that nothing gated: a second person reviews it, `interlock review {row.run_id}`")
    if view.disputed:
        lines.append(f"  X {DISPUTED}")
    return "\n".join(lines)


def report(row: RunRow, view: RunView, events: list[Event]) -> str:
    """The run as Markdown: what, who, when, every command, expected beside actual, the whole log, the anchor."""
    lines = [
        f"# {row.run_id}: {row.definition.get('title', row.book)}",
        "",
        f"- outcome: **{view.state}** {view.reason}".rstrip(),
        *([f"- **{DISPUTED}**"] if view.disputed else []),
        f"- change: {row.ticket or 'none'}",
        f"- by: {row.created_by} on {row.created_host}",
        *_review(view),
        f"- from {stamp(row.created_at)} to {stamp(row.closed_at) or 'now'}",
        f"- plan: `{row.definition.get('plan_hash')}`",
        f"- journal head: `{row.head_hash}` after {row.head_seq} entries",
        "",
        "## Steps",
    ]
    for step in view.steps:
        lines += ["", f"### {step.id}: {step.title}", "", f"State: {step.state}"]
        if step.spec.commands:
            lines += ["", "```", *shown(step.spec.commands), "```"]
        for data in step.evidence.values():
            inner = (data.get("evidence") or {}) if isinstance(data, Mapping) else {}
            lines += [
                f"- {'=' if p['ok'] else 'X'} {p['what']}: {p['now']} (expected {p['want']})"
                for p in inner.get("expected", ())
            ]
    lines += ["", "## Log", "", "| # | time | who | what | step |", "| --- | --- | --- | --- | --- |"]
    lines += [f"| {e.seq} | {stamp(e.ts)} | {e.actor} | {e.kind} | {e.step or ''} |" for e in events]
    return "\n".join(lines)
