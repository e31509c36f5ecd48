"""Pure selectors for the run screen: a run's log, folded, turned into marks, words and lines.

Everything comes from the journal, so the driver's screen and a follower's show the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from console.view import Cell, mark, overall, short, span
from network.health import SiteHealth
from runbooks.journal import Event, RunRow
from runbooks.view import OPEN, SETTLED, RunView, StepView

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
    "undone": ("<", "up"),
}
_RUNS: Mapping[str, tuple[str, str]] = {
    "COMPLETED": ("=", "up"),
    "ROLLED_BACK": ("<", "plain"),
    "ABANDONED": ("X", "down"),
    "NEEDS_DECISION": ("!", "degraded"),
    "ROLLING_BACK": ("▶", "degraded"),
    "RUNNING": ("▶", "current"),
    "WAITING": ("▶", "degraded"),
    "PAUSED": ("!", "degraded"),
}
#: What an act is doing, in words, by its state.
_DOING = {"intent": "acting", "acted": "verifying", "observe": "looking", "due": "about to undo", "asked": "asking you"}


class Proof(NamedTuple):
    """Expected beside actual. `ok` None: not seen yet, or not known."""

    what: str
    want: str
    now: str
    ok: bool | None


def state_cell(state: str) -> Cell:
    """A run's state: mark and word."""
    mark, tone = _RUNS.get(state, ("·", "dim"))
    return Cell(f"{mark} {state}", tone)


def current(view: RunView) -> StepView | None:
    """The step that is worked on, or was last: what the middle of the screen is about."""
    if view.question:
        return view.step(view.question.step)
    if view.closed:
        return next((step for step in reversed(view.steps) if step.started), None)
    if view.direction == "rollback":
        undoing = [step for step in reversed(view.steps) if step.do.attempts]
        return next((step for step in undoing if step.undo.state not in SETTLED), undoing[-1] if undoing else None)
    return next((step for step in view.steps if step.do.state not in SETTLED), None)


def step_lines(view: RunView, now: datetime, width: int) -> list[Line]:
    """Every step: mark, number, title, and its time or what it is doing; `width` in columns."""
    at = current(view)
    return [_step_line(number, step, now, width, here=step is at) for number, step in enumerate(view.steps, start=1)]


def _step_line(number: int, step: StepView, now: datetime, width: int, *, here: bool) -> Line:
    state = step.state.removeprefix("undo ")
    mark, tone = _MARKS.get(state, ("·", "dim"))
    right = _elapsed(step, now) if state not in {"failed", "unknown", "skipped", "undone"} else state
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
    return list(_shown(step.spec.undo if undo else step.spec.commands))


def _shown(sends: Sequence[Any]) -> Iterator[str]:
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


def detail_lines(
    view: RunView, step: StepView, width: int, height: int, health: SiteHealth | None = None
) -> list[Line]:
    """The current step in full: title, exact commands, expected beside now, and why it does not go on.

    What is too long for `height` lines does without its title and its air.
    """
    undo = view.direction == "rollback"
    shown = live(proofs(step, undo=undo), health)
    parts = [
        sends_lines(step.spec.undo if undo else step.spec.commands) or [[Cell("sends nothing", "dim")]],
        _proof_lines(shown, width) if shown else [],
        waiting_lines(view),
    ]
    lines: list[Line] = [[Cell(step.title, "strong")]]
    for part in parts:
        lines += [*part, []] if part else []
    return lines[:-1] if len(lines) <= height + 1 else [line for line in lines[1:] if line]


def sends_lines(sends: Sequence[Any]) -> list[Line]:
    """Exact commands, each router named once above its own."""
    lines, at = list[Line](), ""
    for line in _shown(sends):
        where, arrow, what = line.partition(" > ")
        if arrow and where != at:
            lines.append([Cell(f"on {where}", "dim")])
            at = where
        lines.append([Cell(f"  {what}" if arrow else f"  {line}")])
    return lines


def _proof_lines(shown: Sequence[Proof], width: int) -> list[Line]:
    """Three columns; where they do not fit, what is meant stands on a line of its own above the other two."""
    what = max(len(p.what) for p in shown)
    want = max(*(len(p.want) for p in shown), len("expected"))
    now = max(len(p.now) for p in shown)
    if what + want + now + 6 > width:
        what = 0
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


def waiting_lines(view: RunView) -> list[Line]:
    """Why the run stands still, and what a person can do about it; empty while it goes on."""
    if view.question:
        return [[Cell("! decide: ", "degraded"), Cell(view.question.text)]]
    if view.waiting:
        return [[Cell("▶ waits: ", "degraded"), Cell(view.waiting)]]
    if view.paused:
        return [[Cell("! paused", "degraded")]]
    if view.closed:
        why = view.why or (view.reason if view.reason != "refused" else "")
        return [[state_cell(view.state), Cell(f"  {why}" if why else "")]]
    return []


def title_line(row: RunRow, view: RunView) -> Line:
    """Which run this is: book, target, state, change, driver, plan."""
    target = str(row.definition.get("target", ""))
    plan = str(row.definition.get("plan_hash", row.definition_sha))[:8]
    dim = (f"  {row.ticket or 'no change'}", f"  driver {view.driver}", f"  plan {plan}")
    undo = [Cell(f"  undo of {view.undo_of}", "degraded")] if view.undo_of else []
    return [
        *(Cell(row.book, "strong"), Cell(f" {target}  "), state_cell(view.state), *undo),
        *(Cell(text, "dim") for text in dim),
    ]


def countdown_line(view: RunView, window_s: float | None, lease_s: float | None, width: int) -> Line:
    """Progress as a bar and in words, and what is running out."""
    total = len(view.steps)
    done = sum(step.do.state in SETTLED for step in view.steps)
    bar = min(max(width - 52, 8), 40)
    full = round(bar * done / total) if total else 0
    words = f"  step {min(done + 1, total)} of {total}" if not view.closed else f"  {done} of {total} steps"
    return [
        Cell("━" * full, "up"),
        Cell("━" * (bar - full), "dim"),
        Cell(words),
        *_left("window", window_s, 600),
        *_left("lease", lease_s, 120),
    ]


def _left(name: str, seconds: float | None, scarce_s: float) -> Line:
    if seconds is None:
        return [Cell(f"  {name} ", "dim"), Cell("--", "unknown")]
    tone = "down" if seconds <= 0 else "degraded" if seconds < scarce_s else "strong"
    return [Cell(f"  {name} ", "dim"), Cell("closed" if seconds <= 0 else span(seconds), tone)]


def undo_lines(view: RunView) -> list[Line]:
    """What an abort will undo, in the order in which it will: each act that has an intent, its exact lines."""
    lines: list[Line] = []
    for step in reversed(view.steps):
        if step.do.attempts and step.undo.state not in SETTLED:
            lines.append([Cell(f"{step.id}  ", "strong"), Cell(step.title, "dim")])
            lines += sends_lines(step.spec.undo)
    return lines or [[Cell("nothing was sent yet: the run only ends")]]


def unclear(view: RunView) -> bool:
    """An act is out and its end not known: it is looked at before anything is undone."""
    return any(step.do.state in OPEN or step.do.state == "unknown" for step in view.steps)


def journal_lines(events: Sequence[Event]) -> list[Line]:
    """The log's end: time, step, kind, what it says."""
    return [_journal_line(event) for event in events if event.kind != "wait.progress"]


def _journal_line(event: Event) -> Line:
    stamp = f"{event.ts:%H:%M:%S}.{event.ts.microsecond // 1000:03d}"
    tone = "strong" if event.kind in {"act.intent", "rollback.begin", "run.closed"} else "plain"
    return [
        Cell(f"{stamp}  {event.mode:<5}", "dim"),
        Cell(f"{(event.step or event.actor)[:17]:<18}"),
        Cell(f"{event.kind:<16}", tone),
        Cell(_said(event), "dim"),
    ]


def _said(event: Event) -> str:
    data = event.data
    if event.kind == "act.intent":
        sent = sum(1 for _ in _shown(data.get("commands", ())))
        return f"{event.phase}: {sent} lines, attempt {event.attempt}"
    if event.kind == "run.created":
        return f"{data.get('book', '')} for {data.get('ticket') or 'no change'}"
    if event.kind == "run.closed":
        return " ".join(str(data[key]) for key in ("outcome", "reason", "why") if data.get(key))
    return str(data.get("reason") or _first_proofs(data))


def _first_proofs(data: Mapping[str, Any]) -> str:
    evidence = data.get("evidence")
    lines = evidence.get("expected", ()) if isinstance(evidence, Mapping) else ()
    return ", ".join(f"{line['what']} {line.get('now', '')}" for line in lines if isinstance(line, Mapping))


def live_lines(health: SiteHealth | None) -> list[Line]:
    """The clouds and the private paths while a run works on them."""
    if health is None:
        return [[Cell("connecting …", "unknown")]]
    lines: list[Line] = []
    for cloud in health.clouds:
        out = ", ".join(map(short, cloud.carried_by)) or "nothing"
        back = ", ".join(map(short, cloud.way_back.paths)) or "unknown"
        lines.append([Cell(f"{cloud.name.upper()} ", "strong"), overall(cloud.verdict)])
        same = [[Cell("out and back ", "dim"), Cell(out)]]
        ways = [[Cell("out  ", "dim"), Cell(out)], [Cell("back ", "dim"), Cell(back, "degraded")]]
        lines += same if out == back else ways
        for path in health.paths:
            if path.path.cloud == cloud.name:
                load = f"{path.load_mbps:>6.0f}" if path.load_mbps is not None else "    --"
                tone = "strong" if path.role == "active" else "dim"
                lines.append([mark(path.verdict), Cell(f" {short(path.name):<14}{load} Mb", tone)])
    return lines


def live_line(health: SiteHealth | None) -> Line:
    """The same in one line, where there is no room."""
    if health is None:
        return [Cell("connecting …", "unknown")]
    cells: Line = []
    for cloud in health.clouds:
        out = ", ".join(map(short, cloud.carried_by)) or "nothing"
        back = ", ".join(map(short, cloud.way_back.paths)) or "unknown"
        verdict = overall(cloud.verdict)
        ways = out if out == back else f"out {out} back {back}"
        cells += [Cell(f"{cloud.name.upper()} ", "strong"), Cell(verdict.text[0], verdict.tone), Cell(f" {ways}   ")]
    return cells


def run_cells(row: RunRow, now: datetime) -> dict[str, Cell]:
    """A past or open run as a table row; an interrupted one says so."""
    state = Cell("! interrupted", "degraded") if row.orphaned else state_cell(row.state)
    return {
        "run": Cell(row.run_id, "strong"),
        "book": Cell(row.book),
        "target": Cell(str(row.definition.get("target", ""))),
        "state": state,
        "change": Cell(row.ticket or "--", "dim"),
        "by": Cell(row.created_by),
        "ago": Cell(span((now - row.created_at).total_seconds()), "dim"),
    }


def in_order(rows: Sequence[RunRow]) -> list[RunRow]:
    """Interrupted runs first, otherwise as they come (newest first)."""
    return sorted(rows, key=lambda row: not row.orphaned)


def interrupted_lines(rows: Sequence[RunRow]) -> list[Line]:
    """What a restart after a crash opens on; empty when nothing is open."""
    found = [row for row in rows if row.orphaned]
    if not found:
        return []
    names = ", ".join(row.run_id for row in found)
    count = f"{len(found)} interrupted run{'s' if len(found) > 1 else ''}: "
    return [[Cell(f" ! {count}{names} ", "frozen"), Cell("  resume later / roll back with "), Cell("b", "key")]]


def abort_lines(view: RunView) -> list[Line]:
    """What the abort dialog says first."""
    if view.direction == "rollback":
        return [[Cell("It is being undone already; aborting again changes nothing.")]]
    look = [[Cell("An act is out: it is looked at first, then undone.", "degraded")]] if unclear(view) else []
    return [*look, [Cell("It undoes, in this order:")], *undo_lines(view)]


def rollback_lines(row: RunRow) -> list[Line]:
    """What putting a past run back will send, from its frozen definition: its acts' undo in strict reverse."""
    acts = [step for step in reversed(row.definition.get("steps", ())) if step.get("kind") == "act"]
    lines: list[Line] = [[Cell(f"{row.book}  {row.ticket or ''}  {row.state}", "dim")]]
    for step in acts:
        lines.append([Cell(f"{step['id']}  ", "strong"), Cell(str(step.get("title", "")), "dim")])
        lines += sends_lines(step.get("undo", ()))
    return lines if acts else [*lines, [Cell("it changed nothing")]]
