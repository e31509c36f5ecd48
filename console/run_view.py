"""Pure selectors for the run screen: a run's log, folded, turned into marks, words and lines.

Everything comes from the journal, so the driver's screen and a follower's show the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from console.driver_view import driver_cell
from console.step_view import live, proof_lines, proofs, sends_lines
from console.view import Cell, mark, overall, short, span
from network.health import SiteHealth
from runbooks.journal import Event, RunRow
from runbooks.orders import ABANDON
from runbooks.view import SETTLED, GuardSeen, GuardState, RunView, StepView

Line = list[Cell]

_GUARDS: Mapping[GuardState, tuple[str, str]] = {
    "clear": ("=", "up"),
    "unknown": ("?", "stale"),
    "tripped": ("X", "down"),
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


def state_cell(state: str) -> Cell:
    """A run's state: mark and word."""
    mark, tone = _RUNS.get(state, ("·", "dim"))
    return Cell(f"{mark} {state}", tone)


def detail_lines(
    view: RunView,
    step: StepView,
    width: int,
    height: int,
    health: SiteHealth | None = None,
    *,
    deadmen: Sequence[Line] = (),
) -> list[Line]:
    """The current step in full: title, exact commands, expected beside now, and why it does not go on.

    `deadmen` are the lines about what restores by itself. What is too long for `height` does without title and air.
    """
    undo = view.direction == "rollback"
    shown = live(proofs(step, undo=undo), health)
    # Why it stands still comes first: at 03:00 in 80x24 that is what is read.
    parts = [
        [*waiting_lines(view), *deadmen],
        sends_lines(step.spec.undo if undo else step.spec.commands) or [[Cell("sends nothing", "dim")]],
        proof_lines(shown, width) if shown else [],
    ]
    lines: list[Line] = [[Cell(step.title, "strong")]]
    for part in parts:
        lines += [*part, []] if part else []
    return lines[:-1] if len(lines) <= height + 1 else [line for line in lines[1:] if line]


def waiting_lines(view: RunView) -> list[Line]:
    """Why the run stands still, and what a person can do about it; empty while it goes on."""
    if view.closed:
        why = view.why or (view.reason if view.reason != "refused" else "")
        return [[state_cell(view.state), Cell(f"  {why}" if why else "")]]
    lines: list[Line] = []
    if view.question:
        lines.append([Cell("! decide: ", "degraded"), Cell(view.question.text)])
    elif view.waiting:
        lines.append([Cell("▶ waits: ", "degraded"), Cell(view.waiting)])
    if view.abandon:
        lines.append([Cell("! asked to be abandoned by ", "degraded"), Cell(view.abandon.actor)])
    if approval := open_approval(view):
        lines.append([Cell(f"  a second person approves {approval}; not ", "dim"), Cell(" or ".join(barred(view)))])
    if view.paused:
        lines.append([Cell("! paused", "degraded")])
    lines += [[Cell("? holds: ", "stale"), Cell(f"{name} cannot see: {why}")] for name, why in view.unsure.items()]
    tripped = [guard for guard in view.guards.values() if guard.state == "tripped"]
    lines += [[Cell("X guard ", "down"), Cell(f"{guard.name}: {guard.reason}")] for guard in tripped]
    if view.unmanned:
        lines.append([Cell("! nobody drives it", "degraded")])
    return lines


def open_approval(view: RunView) -> str:
    """What a second person is asked for: a step, or `abandon`; empty when nothing is."""
    if view.abandon:
        return ABANDON
    return next((step.id for step in view.steps if step.kind == "approve" and step.do.state == "asked"), "")


def barred(view: RunView) -> list[str]:
    """Who may not give the approval that is open: the first of the two people."""
    return [view.abandon.actor] if view.abandon else list(dict.fromkeys(filter(None, (view.creator, view.driver))))


def guard_lines(view: RunView, width: int) -> list[Line]:
    """Every guard: its state, and how far it is from tripping or why it is not clear; `width` in columns."""
    lines: list[Line] = []
    for guard in view.guards.values():
        room = max(width - len(guard.name) - 3, 0)
        margin = guard.margin if len(guard.margin) <= room else guard.margin[: max(room - 1, 0)] + "…" * (room > 0)
        lines.append([_guard_mark(guard), Cell(f" {guard.name} "), Cell(f"{margin:>{room}}", "dim")])
        if guard.state != "clear":
            lines.append([Cell(f"  {guard.reason}", "strong")])
    return lines


def guard_line(view: RunView) -> Line:
    """The same in one line, what is not clear first; empty without guards."""
    if not view.guards:
        return []
    cells: Line = [Cell("guards  ", "dim")]
    for guard in sorted(view.guards.values(), key=lambda guard: guard.state == "clear"):
        cells += [_guard_mark(guard), Cell(f" {guard.name}  ", "dim" if guard.state == "clear" else "strong")]
    return cells


def _guard_mark(guard: GuardSeen) -> Cell:
    return Cell(*_GUARDS[guard.state])


def title_line(row: RunRow, view: RunView, events: Sequence[Event] = (), held: Cell | None = None) -> Line:
    """Which run this is: book, target, state (or `held` in its place), driver, change, plan."""
    target = str(row.definition.get("target", ""))
    plan = str(row.definition.get("plan_hash", row.definition_sha))[:8]
    undo = [Cell(f"  undo of {view.undo_of}", "degraded")] if view.undo_of else []
    return [
        *(Cell(row.book, "strong"), Cell(f" {target}  "), held or state_cell(view.state), *undo),
        *(Cell(f"  {row.ticket or 'no change'}", "dim"), driver_cell(row, view, events), Cell(f"  plan {plan}", "dim")),
    ]


def countdown_line(
    view: RunView, window_s: float | None, lease_s: float | None, width: int, deadman: Line | None = None
) -> Line:
    """Progress as a bar and in words, and what is running out; `deadman` says what restores by itself."""
    total, armed = len(view.steps), deadman or []
    done = sum(step.do.state in SETTLED for step in view.steps)
    bar = min(max(width - 52 - sum(len(cell.text) for cell in armed), 8), 40)
    full = round(bar * done / total) if total else 0
    words = f"  step {min(done + 1, total)} of {total}" if not view.closed else f"  {done} of {total} steps"
    return [
        Cell("━" * full, "up"),
        Cell("━" * (bar - full), "dim"),
        Cell(words),
        *_left("window", window_s, 600),
        *_left("lease", lease_s, 120),
        *armed,
    ]


def _left(name: str, seconds: float | None, scarce_s: float) -> Line:
    if seconds is None:
        return [Cell(f"  {name} ", "dim"), Cell("--", "unknown")]
    tone = "down" if seconds <= 0 else "degraded" if seconds < scarce_s else "strong"
    return [Cell(f"  {name} ", "dim"), Cell("closed" if seconds <= 0 else span(seconds), tone)]


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
    """A past or open run as a table row; an interrupted one, and one whose outcome is disputed, say so."""
    state = Cell("! interrupted", "degraded") if row.orphaned else state_cell(row.state)
    if row.disputed:
        state = Cell("X disputed", "down")
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
    ways = (("resume ", "t"), (" / roll back ", "b"), (" / abandon ", "A"))
    keys = [cell for does, key in ways for cell in (Cell(does), Cell(key, "key"))]
    return [[Cell(f" ! {count}{names} ", "frozen"), Cell("  ")], [*keys, Cell(", two people", "dim")]]
