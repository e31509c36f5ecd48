"""usable-domains: so many failure domains must be left of each cloud, counted as if the target were gone already."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from network.bgp import held
from network.domains import losses_until_dark
from network.health import USABLE, PathHealth, shared_rides
from network.verdict import Verdict
from runbooks.effects import Reading
from runbooks.guards.facts import Facts, Guard, GuardDeclaration, of_cloud, paths_with, together


class Args(BaseModel):
    """`least`: domains that must be left (the policy's); `without`: what counts as gone (the run's target)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    least: int | None = Field(default=None, ge=1)
    without: str | None = None


def judge(facts: Facts, args: Args) -> Reading:
    """What is certainly there is enough, or what may be there is too little; between the two it is unknown."""
    least = args.least if args.least is not None else facts.site.policy.domains_min
    gone = paths_with(facts.site, facts.moment.snapshot, args.without) if args.without else facts.gone
    return together(_cloud(facts, cloud.name, gone, least) for cloud in facts.site.clouds)


def _cloud(facts: Facts, cloud: str, gone: frozenset[str], least: int) -> Reading:
    paths = [path for path in of_cloud(facts.health.paths, cloud) if path.name not in gone]
    certain = [path for path in paths if _usable(facts, path) is True]
    maybe = [path for path in paths if _usable(facts, path) is not False]
    sure, most = _count(facts, certain), _count(facts, maybe)
    margin = f"{cloud}: {sure} of {least} failure domains left"
    if most < least:
        names = ", ".join(path.name for path in maybe) or "nothing"
        return Reading(False, f"{cloud} is left with {names}: {most} of {least} failure domains", margin)
    if sure < least:
        unseen = ", ".join(path.name for path in maybe if path not in certain)
        return Reading(None, f"{cloud}: {unseen} is not known to be usable", margin)
    return Reading(True, margin=margin)


def _count(facts: Facts, paths: list[PathHealth]) -> int:
    of = [path.path for path in paths]
    return losses_until_dark(facts.site, of, shared_rides(facts.view, of))


def _usable(facts: Facts, path: PathHealth) -> bool | None:
    """Up or merely impaired, and its router holds routes over it; None while either is not known."""
    if path.verdict is Verdict.DOWN:
        return False
    routes = held(facts.view, path.path)
    if routes and not any(routes.values()):
        return False
    return True if path.verdict in USABLE and routes else None


USABLE_DOMAINS = Guard(
    GuardDeclaration("usable-domains", Args, frozenset({"routers", "megaport", "azure", "aws"}), policy="hold"), judge
)
