"""Room for what is carried while a run sets a VXC's rate: on the VXC itself, and after the loss of either path."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from network.demand import loads_after
from network.inventory import Path
from runbooks.effects import Reading
from runbooks.guards.facts import Facts
from runbooks.resizing import history

RATE_VERB = "set-vxc-rate"


@dataclass(frozen=True, slots=True)
class RateChange:
    """What a run sets: the path that rides the VXC, and its rates before and after in Mbps."""

    path: Path
    before: int
    after: int


def rate_changes(facts: Facts) -> tuple[RateChange, ...]:
    """The rates that the run sets, or has set."""
    acts = [step.spec.args for step in facts.run.steps if step.spec.verb == RATE_VERB]
    return tuple(
        RateChange(path, int(args["from"]), int(args["to"]))
        for args in acts
        for path in facts.site.paths
        if path.vxc == args["vxc"]
    )


def room(facts: Facts, change: RateChange, limit_pct: float) -> Iterator[Reading]:
    """By the load histories, as the rate will be: more room is never too little, whatever it is carried beside."""
    own, policy = change.path, facts.site.policy
    if change.after >= change.before:
        yield Reading(True, margin=f"{own.name} gets more room: {change.after} Mbps")
        return
    carried = history(facts.moment, facts.site.vxc(str(own.vxc)))
    yield against(own.name, carried, change.after, policy.resize_p95_pct, "carries (p95)")
    survivors = (name for move in facts.moves if own.name in move.leaving for name in move.survivors)
    for name in survivors:
        (load,) = loads_after(facts.view, (own.name,), {own.name: frozenset({name})})
        yield against(own.name, load.mbps, change.after, limit_pct, f"would carry without {name} (p95)")


def against(name: str, mbps: float | None, rate: int, limit_pct: float, verb: str) -> Reading:
    """A load in Mbps against a percentage of a rate; one that is not known is unknown."""
    if mbps is None:
        return Reading(None, f"what {name} {verb} is unknown")
    words = f"{name} {verb} {mbps:.0f} of {rate} Mbps"
    if mbps > rate * limit_pct / 100:
        return Reading(False, f"{words}: more than {limit_pct:g} %", words)
    return Reading(True, margin=words)
