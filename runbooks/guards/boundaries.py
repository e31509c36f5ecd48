"""Guards on what must never be crossed: OT ranges by an advertisement, a stateful boundary by one direction alone."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from network.health import CloudHealth
from runbooks.effects import Reading
from runbooks.guards.facts import Facts, Guard, GuardDeclaration, together
from runbooks.proof import no_ot_overlap


class Args(BaseModel):
    """They take none."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def overlap(facts: Facts, args: Args) -> Reading:  # noqa: ARG001 -- one shape for all guards
    """No advertisement reaches into an OT range, as far as every established session's are known."""
    seen = no_ot_overlap(facts.health, facts.view)
    return Reading(seen["ok"], "" if seen["ok"] else f"OT ranges: {seen['now']}", "no overlap" if seen["ok"] else "")


def symmetric(facts: Facts, args: Args) -> Reading:  # noqa: ARG001
    """In every cloud that the run concerns both directions cross the same stateful devices."""
    return together(_symmetric(facts, facts.health.cloud(move.cloud)) for move in facts.moves)


def _symmetric(facts: Facts, cloud: CloudHealth) -> Reading:
    """While an act is not proven, and for a way back that was told before it, nothing can be said."""
    back = cloud.way_back
    ways = f"{cloud.name} out {', '.join(cloud.carried_by)}, back {', '.join(back.paths)}"
    if facts.verifying or not cloud.carried_by or not back.paths or cloud.unseen_routers:
        return Reading(None, f"the ways of {cloud.name} are not all known")
    if facts.acted_at and back.age_s is not None and back.age_s > (facts.moment.now - facts.acted_at).total_seconds():
        return Reading(None, f"the way back of {cloud.name} was last told before the act")
    if cloud.missed:
        return Reading(False, f"{ways}: replies miss {', '.join(cloud.missed)}", ways)
    return Reading(True, margin=ways)


NO_OT_OVERLAP = Guard(
    GuardDeclaration("no-ot-overlap", Args, frozenset({"routers", "azure", "aws"}), policy="undo"), overlap
)
SYMMETRY = Guard(GuardDeclaration("symmetry", Args, frozenset({"routers", "azure", "aws"})), symmetric)
