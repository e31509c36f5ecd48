"""Pure selectors: a compiled plan as lines."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from console.step_view import sends_lines
from console.view import Cell, short
from runbooks.planstep import LASTING

if TYPE_CHECKING:
    from runbooks.plan import Plan, PlanStep

Line = list[Cell]


def lines(plan: Plan, change: str) -> list[Line]:
    """Everything that is approved with the plan: who carries before and after, commands, undo, hash."""
    found: list[Line] = [*_head(plan, change), *_forecast(plan)]
    found += [[Cell("! ", "degraded"), Cell(warning)] for warning in plan.warnings]
    found.append([])
    for number, step in enumerate(plan.steps, start=1):
        found += _step(number, step)
    return found


def _head(plan: Plan, change: str) -> list[Line]:
    words = "  ".join(f"{key}={value}" for key, value in plan.parameters.items())
    ticket = Cell(f"  {change}") if change else Cell("  no change named: this only shows", "dim")
    return [[Cell(plan.book, "strong"), Cell(f"  {words}"), ticket, Cell(f"  plan {plan.hash[:12]}", "dim")]]


def _forecast(plan: Plan) -> list[Line]:
    found: list[Line] = []
    for cloud, before in plan.before.items():
        now, then = _ways(before), _ways(plan.after[cloud])
        tone = "dim" if now == then else "strong"
        found.append([Cell(f"{cloud.upper():<6} ", "strong"), Cell(now), Cell("  →  ", "accent"), Cell(then, tone)])
    return found


def _ways(way: Mapping[str, Any]) -> str:
    out, back = (", ".join(map(short, way[key])) or "nothing" for key in ("carried_by", "return_by"))
    return f"out and back {out}" if out == back else f"out {out}, back {back}"


def _step(number: int, step: PlanStep) -> list[Line]:
    found: list[Line] = [[Cell(f"{number} {step.title}", "strong"), Cell(f"  {step.risk}", "dim")]]
    found += [[Cell("  "), *line] for line in sends_lines(step.definition["commands"])]
    found += [[Cell("  expect  ", "dim"), Cell(line)] for line in step.expect]
    found += [[Cell("  guard   ", "dim"), Cell(line)] for line in step.guards]
    undo = sends_lines(step.definition["undo"])
    if step.kind == "act" and not undo:
        return [*found, [Cell("  undo    ", "dim"), Cell(LASTING, "degraded")]]
    return [*found, [Cell("  undo", "dim")], *([Cell("  "), *line] for line in undo)] if undo else found
