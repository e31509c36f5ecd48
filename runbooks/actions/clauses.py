"""Acts that change clauses of route-maps: what was saved, whose change stands there now, and what proves it.

A step keeps its edits in the argument `edits`, each with the router that it is made on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from connectors.errors import InterlockError
from connectors.routers.frr_config import Clause, read_clause
from connectors.routers.frr_render import Edit, foreign_change
from runbooks.effects import NotSent, Seen
from runbooks.model import Phase, StepDef
from runbooks.proof import Line, line
from runbooks.scene import Scene


def changes(edit: Edit) -> bool:
    """A clause that already says what it should is left alone: before and after could not be told apart."""
    return foreign_change(replace(edit, before=edit.expected), edit.before) is not None


def kept(router: str, edit: Edit) -> dict[str, Any]:
    """An edit as the journal keeps it."""
    return {
        "router": router,
        "before": kept_clause(edit.before),
        "expected": kept_clause(edit.expected),
        "lines": list(edit.lines),
        "undo": list(edit.undo),
    }


def kept_clause(clause: Clause) -> dict[str, Any]:
    return {"name": clause.name, "action": clause.action, "seq": clause.seq, "lines": list(clause.lines)}


def read_kept(clause: Mapping[str, Any]) -> Clause:
    return Clause(clause["name"], clause["action"], clause["seq"], tuple(clause["lines"]))


def restores(step: StepDef, phase: Phase) -> bool:
    """Whether a phase puts back what was saved: an undo does, and the `do` of a run that undoes another."""
    return (phase == "undo") != bool(step.args.get("inverse"))


def phases(step: StepDef) -> tuple[Phase, Phase]:
    """The phase that leaves what was saved, and the one that leaves our change."""
    return ("undo", "do") if restores(step, "undo") else ("do", "undo")


async def texts(scene: Scene, step: StepDef) -> dict[str, str]:
    """The running configuration of each router that the step's commands name."""
    names = list(dict.fromkeys(command["router"] for command in (*step.commands, *step.undo)))
    read = await asyncio.gather(*(scene.router(name).running_config() for name in names))
    return dict(zip(names, read, strict=True))


async def refuse_foreign(scene: Scene, step: StepDef) -> None:
    """A look directly before the sends. A clause that cannot be read is no licence to write it. Raises NotSent."""
    try:
        foreign = _states(step, await texts(scene, step))[1]
    except InterlockError as error:
        raise NotSent(str(error)) from error
    if foreign:
        raise NotSent("\n".join(foreign))


async def observed(scene: Scene, step: StepDef) -> Seen:
    """Which of ours the clauses are; anybody else's is unknown, and both texts are shown."""
    running = await texts(scene, step)
    states, foreign = _states(step, running)
    if foreign:
        return Seen("unknown", {"foreign": foreign})
    evidence = {"clauses": [clause.text for _, clause in _found(step, running)]}
    return Seen(states.pop() if len(states) == 1 else "mixed", evidence)


async def configured(scene: Scene, step: StepDef, phase: Phase) -> Line:
    """The line that says whether the configuration is as the phase leaves it."""
    words = "byte for byte as before" if restores(step, phase) else "as planned"
    try:
        states, foreign = _states(step, await texts(scene, step))
    except InterlockError as error:
        return line("configuration", words, f"could not be read: {error}", ok=None)
    now = "changed by somebody else" if foreign else words if states == {phase} else "not so"
    return line("configuration", words, now, ok=now == words)


def _found(step: StepDef, running: Mapping[str, str]) -> list[tuple[Edit, Clause]]:
    edits = [(each["router"], _edit(each)) for each in step.args["edits"]]
    return [(edit, read_clause(running[router], edit.before.name, edit.before.seq)) for router, edit in edits]


def _edit(each: Mapping[str, Any]) -> Edit:
    before, expected = read_kept(each["before"]), read_kept(each["expected"])
    return Edit(before, tuple(each["lines"]), tuple(each["undo"]), expected)


def _states(step: StepDef, running: Mapping[str, str]) -> tuple[set[Phase], list[str]]:
    """Which phase each clause is in: as saved means byte for byte; and foreign changes in words."""
    saved, moved = phases(step)
    states, foreign = set[Phase](), []
    for edit, found in _found(step, running):
        stranger = foreign_change(edit, found)
        if stranger:
            foreign.append(str(stranger))
        states.add(saved if found == edit.before else moved)
    return states, foreign
