"""Pure selectors: the steps of a run, and the one in hand with its exact commands and expected beside now."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from console.view import Cell, span
from network.health import SiteHealth
from runbooks.view import SETTLED, RunView, StepView

Line = list[Cell]

#: Step state to mark and tone; the state itself is the word beside it.
_MARKS: Mapping[str, tuple[str, str]] = {
    "pending": ("·", "dim"),
    "running": ("▶", "current"),
    "asked": ("▶", "degraded"),
    "intent": ("▶", "current"),
    "observe": ("?", "stale"),
    "due": ("▶", "current"),
    "acted": ("▶", "current"),
    "unknown": (".", "unknown"),
    "failed": ("X", "down"),
    "done": ("=", "up"),
    "skipped": ("-", "dim"),
    "left": ("!", "degraded"),
    "undone": ("<", "up"),
}


#: What an act is doing, in words, by its state.
_DOING = {"intent": "acting", "acted": "verifying", "observe": "looking", "due": "about to undo", "asked": "asking you"}


class Proof(NamedTuple):
    """Expected beside actual. `ok` None: not seen yet, or not known."""

    what: str
    want: str
    now: str
    ok: bool | None


def current(view: RunView) -> StepView | None:
    """The step that is worked on, or was last: what the middle of the screen is about."""
    if view.question:
        return view.step(view.question.step)
    if view.closed:
        return next((step for step in reversed(view.steps) if step.started), None)
    if view.direction == "rollback":
        undoing = [step for step in reversed(view.steps) if step.do.attempts]
        left = (step for step in undoing if step.undo.state not in SETTLED and not step.stays)
        return next(left, undoing[-1] if undoing else None)
    return next((step for step in view.steps if step.do.state not in SETTLED), view.steps[-1] if view.steps else None)


def step_lines(view: RunView, now: datetime, width: int) -> list[Line]:
    """Every step: mark, number, title, and its time or what it is doing; `width` in columns."""
    at = current(view)
    return [_step_line(number, step, now, width, here=step is at) for number, step in enumerate(view.steps, start=1)]


def _step_line(number: int, step: StepView, now: datetime, width: int, *, here: bool) -> Line:
    state = step.state.removeprefix("undo ")
    mark, tone = _MARKS.get(state, ("·", "dim"))
    right = _elapsed(step, now) if state not in {"failed", "unknown", "skipped", "undone", "left"} else state
    room = max(width - 3 - len(right), 4)
    title = step.title if len(step.title) + 2 <= room else step.id
    shown = f"{number} {title}" if len(title) + 2 <= room else title[:room]
    strong = "current" if here and tone in {"current", "dim"} else "dim" if state == "pending" else "plain"
    return [Cell(f"{mark} ", tone), Cell(f"{shown:<{room}} ", strong), Cell(right, "dim" if not here else strong)]


def _elapsed(step: StepView, now: datetime) -> str:
    if step.started is None:
        return ""
    return span(((step.ended or now) - step.started).total_seconds())


def step_title(view: RunView, step: StepView) -> str:
    """`2 move azure · verifying`."""
    number = 1 + [each.id for each in view.steps].index(step.id)
    state = step.phase(view.phase).state
    undo = "undo: " if view.direction == "rollback" else ""
    return f"{number} {step.id} · {undo}{_DOING.get(state, state)}"


def command_lines(step: StepView, *, undo: bool) -> list[str]:
    """Exactly what is sent, one line each, with its router."""
    return list(shown(step.spec.undo if undo else step.spec.commands))


def shown(sends: Sequence[Any]) -> Iterator[str]:
    for send in sends:
        if not isinstance(send, Mapping):
            yield str(send)
        elif "configure" in send:
            yield from (f"{send['router']} > {line}" for line in send["configure"])
        elif "put" in send:
            yield f"{send['system']} > PUT {send['put']} {json.dumps(send['json'])}"
        else:
            yield f"{send.get('router', '')} > {send.get('exec', '')}"


def proofs(step: StepView, *, undo: bool) -> list[Proof]:
    """Expected beside actual: from the newest of the step's evidence; before there is any, what is expected."""
    for source in _newest(step, undo=undo):
        lines = source.get("expected")
        if isinstance(lines, list) and lines:
            return [Proof(str(x["what"]), str(x["want"]), str(x.get("now", "")), x.get("ok")) for x in lines]
    if undo:
        return []
    return [
        Proof(str(line.get("what", "")), str(line.get("want", "")), "", None)
        if isinstance(line, Mapping)
        else Proof(str(line), "", "", None)
        for line in step.spec.expect
    ]


def live(shown: Sequence[Proof], health: SiteHealth | None) -> list[Proof]:
    """Fill in what the network shows now where the step itself has not looked yet: `azure out`, `aws back`."""
    ways = {}
    for cloud in health.clouds if health else ():
        ways[f"{cloud.name} out"], ways[f"{cloud.name} back"] = cloud.carried_by, cloud.way_back.paths
    return [
        proof._replace(now=", ".join(way), ok=", ".join(way) == proof.want or None)
        if not proof.now and (way := ways.get(proof.what))
        else proof
        for proof in shown
    ]


def _newest(step: StepView, *, undo: bool) -> Iterator[Mapping[str, Any]]:
    before = "undo." if undo else ""
    for kind in ("verify.ok", "verify.timeout", "check.passed", "check.failed", "wait.passed"):
        seen = step.evidence.get(before + kind)
        if isinstance(seen, Mapping) and isinstance(seen.get("evidence"), Mapping):
            yield seen["evidence"]
    if not undo:
        yield step.progress


def sends_lines(sends: Sequence[Any]) -> list[Line]:
    """Exact commands, each router named once above its own."""
    lines, at = list[Line](), ""
    for line in shown(sends):
        where, arrow, what = line.partition(" > ")
        if arrow and where != at:
            lines.append([Cell(f"on {where}", "dim")])
            at = where
        lines.append([Cell(f"  {what}" if arrow else f"  {line}")])
    return lines


def proof_lines(shown: Sequence[Proof], width: int) -> list[Line]:
    """Three columns; where they do not fit, what is meant stands above the other two, and these side by side."""
    what = max(len(p.what) for p in shown)
    want = max(*(len(p.want) for p in shown), len("expected"))
    now = max(len(p.now) for p in shown)
    if what + want + now + 6 > width:
        what = 0
    if want + now + 7 > width:
        want = 0  # nor can the two be aligned: what is short keeps to one line all the same
    lines: list[Line] = [[Cell(f"{'':<{what or 1}}  {'expected':<{want}}    now", "dim")]]
    for proof in shown:
        cells = [Cell(f"{proof.want:<{want}}  "), *_now(proof)]
        lines += (
            [[Cell(f"{proof.what:<{what}}  ", "dim"), *cells]]
            if what
            else [[Cell(proof.what, "dim")], [Cell("   "), *cells]]
        )
    return lines


def _now(proof: Proof) -> Line:
    if not proof.now:
        return [Cell("… not seen yet", "dim")]
    mark, tone = ("=", "up") if proof.ok else (".", "unknown") if proof.ok is None else ("!", "degraded")
    return [Cell(f"{mark} ", tone), Cell(proof.now)]
