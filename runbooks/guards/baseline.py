"""Whether going back would make it better: asked before an undo that no person asked for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any

from network.health import PathHealth, usable
from network.maintenance import works_on
from network.verdict import Verdict
from runbooks.effects import Finding
from runbooks.guards.facts import Facts, Move
from runbooks.proof import Line, line
from runbooks.scene import Weighing
from runbooks.verbs import VERBS


def baseline(facts: Facts) -> Finding:
    """Every path that the undo would load must be proven: up on all its layers, its routes held, nobody at work on it.

    `ok` False when one is seen not to be so, None when one is not known. The reason has both sides: where the undo
    would lead, and what carries now. An undo that moves no traffic needs no better path, but what its verb asks for.
    """
    moves = [move for move in facts.moves if move.moved]
    lines = [*chain.from_iterable(_back(facts, move) for move in moves), *_weighed(facts)]
    evidence = {"expected": [*lines, *(_now(facts, move) for move in moves)]}
    bad = [f"{each['what']}: {each['now']}" for each in lines if not each["ok"]]
    if not bad:
        words = ", ".join(str(each["what"]) for each in lines)
        return Finding(True, f"proven: {words}" if words else "the undo moves no traffic to another path", evidence)
    ok = False if any(each["ok"] is False for each in lines) else None
    now = "; ".join(f"{each['what']}: {each['now']}" for each in evidence["expected"][len(lines) :])
    both = f"{'; '.join(bad)}; now {now}" if now else "; ".join(bad)
    return Finding(ok, f"the baseline is not proven better ({both})", evidence)


def _back(facts: Facts, move: Move) -> list[Line]:
    works = works_on(facts.view, facts.health.paths, changes=False)
    return [_proven(facts, facts.health.path(name), works.get(name, [])) for name in move.leaving]


def _weighed(facts: Facts) -> Iterator[Mapping[str, Any]]:
    """What those acts ask for that take traffic off no path, as far as they have been begun."""
    for step in facts.run.steps:
        verb = VERBS["act"].get(step.spec.verb) if step.kind == "act" and step.do.attempts else None
        if isinstance(verb, Weighing):
            yield from verb.going_back(facts.moment, step.spec)


def _proven(facts: Facts, path: PathHealth, works: list[str]) -> Line:
    wanted = "up, its routes held, nobody at work"
    if path.verdict in {Verdict.DOWN, Verdict.DEGRADED}:
        return line(path.name, wanted, f"{path.verdict.value}: {path.why}", ok=False)
    if works:
        return line(path.name, wanted, "; ".join(works), ok=False)
    if path.verdict is not Verdict.UP or not usable(facts.view, path):
        return line(path.name, wanted, f"not known: {path.why or 'no route over it is seen'}", ok=None)
    return line(path.name, wanted, "up", ok=True)


def _now(facts: Facts, move: Move) -> Line:
    """What carries the cloud now, as the other side of the question."""
    cloud = facts.health.cloud(move.cloud)
    carried = (
        ", ".join(f"{name} {facts.health.path(name).verdict.value}" for name in cloud.carried_by) or "nothing known"
    )
    healthy = cloud.verdict.value == "healthy"
    return line(f"{move.cloud} by {carried}", "as planned", cloud.why or cloud.verdict.value, ok=healthy or None)
