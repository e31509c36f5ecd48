"""Acts that change clauses of route-maps: what was saved, whose change stands there now, and what proves it.

A step keeps its edits in the argument `edits`, each with the router that it is made on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from connectors.errors import InterlockError
from connectors.routers.frr_config import Clause, read_clause
from connectors.routers.frr_render import Edit, foreign_change
from runbooks.actions.sending import Send, commands_of, still_due
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


async def due(scene: Scene, step: StepDef, phase: Phase) -> list[Send]:
    """What of a phase's commands is still to be sent, by a look directly before the sends. Raises NotSent.

    A clause that cannot be read is no licence to write it, and somebody else's work is never written over.
    """
    try:
        found = _found(step, await texts(scene, step))
    except InterlockError as error:
        raise NotSent(str(error)) from error
    if foreign := _foreign(found):
        raise NotSent("\n".join(foreign))
    there = {(each.router, each.edit.before.header) for each in found if _phase(step, each) == phase}

    def lacks(router: str, lines: Sequence[str]) -> list[str]:
        header, kept = "", list[str]()
        for each in lines:
            header = each if each.startswith("route-map ") else header
            kept += [each] if (router, header) not in there else []
        return kept

    return still_due(commands_of(step, phase), lacks)


async def observed(scene: Scene, step: StepDef) -> Seen:
    """Which of ours the clauses are; anybody else's is unknown, and both texts are shown."""
    found = _found(step, await texts(scene, step))
    if foreign := _foreign(found):
        return Seen("unknown", {"foreign": foreign})
    states = {_phase(step, each) for each in found}
    evidence = {"clauses": [each.clause.text for each in found]}
    return Seen(states.pop() if len(states) == 1 else "mixed", evidence)


async def configured(scene: Scene, step: StepDef, phase: Phase) -> Line:
    """The line that says whether the configuration is as the phase leaves it."""
    words = "byte for byte as before" if restores(step, phase) else "as planned"
    try:
        found = _found(step, await texts(scene, step))
    except InterlockError as error:
        return line("configuration", words, f"could not be read: {error}", ok=None)
    as_left = all(_phase(step, each) == phase for each in found)
    now = "changed by somebody else" if _foreign(found) else words if as_left else "not so"
    return line("configuration", words, now, ok=now == words)


@dataclass(frozen=True, slots=True)
class _Found:
    """The clause that stands where an edit was, or is to be, made."""

    router: str
    edit: Edit
    clause: Clause


def _found(step: StepDef, running: Mapping[str, str]) -> list[_Found]:
    edits = [(each["router"], _edit(each)) for each in step.args["edits"]]
    return [
        _Found(router, edit, read_clause(running[router], edit.before.name, edit.before.seq)) for router, edit in edits
    ]


def _edit(each: Mapping[str, Any]) -> Edit:
    before, expected = read_kept(each["before"]), read_kept(each["expected"])
    return Edit(before, tuple(each["lines"]), tuple(each["undo"]), expected)


def _foreign(found: Sequence[_Found]) -> list[str]:
    """Somebody else's changes, in words."""
    strangers = (foreign_change(each.edit, each.clause) for each in found)
    return [str(stranger) for stranger in strangers if stranger]


def _phase(step: StepDef, found: _Found) -> Phase:
    """Which phase leaves the clause so: as saved means byte for byte."""
    saved, moved = phases(step)
    return saved if found.clause == found.edit.before else moved
