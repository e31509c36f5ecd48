"""The second people that a plan needs: an approval of its own step, before the atomic group that is approved. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

from runbooks.planstep import PlanStep

WHO = "not by who started the run, nor by who drives it"


def with_approvals(steps: Sequence[PlanStep]) -> tuple[PlanStep, ...]:
    """The steps, with as many `approve` steps before each atomic group as its gravest member needs."""
    found: list[PlanStep] = []
    for _, together in groupby(steps, key=lambda step: step.group):
        members = list(together)
        found += [*_approvals(members), *members]
    return tuple(found)


def _approvals(members: Sequence[PlanStep]) -> Iterator[PlanStep]:
    gravest = max(members, key=lambda step: step.approvals)
    for number in range(1, gravest.approvals + 1):
        name = f"approve-{gravest.id}" if gravest.approvals == 1 else f"approve-{number}-{gravest.id}"
        nth = "" if gravest.approvals == 1 else f" {number} of {gravest.approvals}"
        what = "; ".join(step.title for step in members)
        definition = {
            "id": name,
            "title": f"approval{nth}: {what} ({WHO})",
            "kind": "approve",
            "verb": "",
            "risk": gravest.risk,
            "with": {},
            "commands": [],
            "undo": [],
            "expect": [],
        }
        yield PlanStep(name, str(definition["title"]), "approve", "", gravest.risk, 0, definition, ())
