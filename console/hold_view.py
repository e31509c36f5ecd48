"""Pure selectors: a run that holds because the journal is away: what waits, what is kept, what can be done."""

from __future__ import annotations

from datetime import datetime, timedelta

from console.view import Cell, whole
from runbooks.standing import Away
from runbooks.view import RunView

Line = list[Cell]

#: Kept entries that are named; of more only the number is said.
NAMED = 2


def hold_title(away: Away) -> str:
    """The head of the box: the run holds, or goes on without the journal."""
    return "GLASS BROKEN: acting without the journal" if away.glass == "broken" else "HOLD: nothing new is sent"


def hold_state(away: Away) -> Cell:
    """In place of the run's state, which no journal knows now."""
    return Cell("! NO JOURNAL" if away.glass == "broken" else "! HOLD", "degraded")


def hold_lines(view: RunView, away: Away, now: datetime, *, asked: bool, writing: bool) -> list[Line]:
    """The box. `asked`: a typed reason is being waited for; `writing`: this console may give one."""
    since = f"since {now - timedelta(seconds=away.for_s):%H:%M:%S}, {whole(away.for_s)}"
    return [
        _line("journal", Cell(f"away {since}: ", "degraded"), Cell(away.why)),
        _line("waits", Cell(away.waits or "nothing yet: what is under way goes on to its end")),
        _line("kept", *_kept(away)),
        _line("tries", Cell(_tries(away)), *_then(view, away)),
        _line("you", *_may(away, now, asked=asked, writing=writing)),
        _line("others", Cell(_others(away, now))),
    ]


def _line(label: str, *cells: Cell) -> Line:
    return [Cell(f"{label:<8}", "dim"), *cells]


def _kept(away: Away) -> Line:
    if not away.kept:
        return [Cell("nothing has happened since that it does not know", "dim")]
    named = ", ".join(away.kept[-NAMED:])
    count = f"{len(away.kept)} here: {'… ' if len(away.kept) > NAMED else ''}"
    kept = [Cell(f"{count}{named}")]
    return [*kept, Cell("  in memory only: let this console run", "down")] if away.in_memory else kept


def _tries(away: Away) -> str:
    return "now" if away.retry_s is None else f"again in {whole(away.retry_s + 1)}"


def _then(view: RunView, away: Away) -> Line:
    if away.lost:
        return [Cell(f"; it lost {away.lost} entries: --prompt can give them back", "down")]
    if view.direction == "rollback":
        return [Cell("; then goes on by itself: an undo looks before each act", "dim")]
    if away.for_s > away.asks_after_s:
        return [Cell(f"; then asks before it goes on: away over {whole(away.asks_after_s)}", "degraded")]
    return [Cell(f"; goes on by itself if back within {whole(away.asks_after_s - away.for_s + 1)}, else asks", "dim")]


def _may(away: Away, now: datetime, *, asked: bool, writing: bool) -> Line:
    if away.glass == "broken":
        return [Cell("broke the glass: what is done is kept here; only the close waits", "degraded")]
    if away.glass == "shut":
        return [Cell("wait, or act by hand: too late to act from here without the journal", "degraded")]
    if not asked:
        return [Cell("wait: nothing is due that could be done without it", "dim")]
    key = [Cell("b", "key"), Cell(" break the glass: act without the journal")]
    if not writing:
        key.append(Cell(" (R first: READ-ONLY)", "degraded"))
    if away.lease_s is None:
        return key
    return [*key, Cell(f", until {now + timedelta(seconds=away.lease_s):%H:%M:%S}, {whole(away.lease_s)}", "degraded")]


def _others(away: Away, now: datetime) -> str:
    if away.lease_s is None:
        return "see nothing of this; only by force could one take the run over"
    if away.lease_s > 0:
        return f"see nothing of this; may take the run over from {now + timedelta(seconds=away.lease_s):%H:%M:%S} on"
    return "see nothing of this, and may drive the run by now"
