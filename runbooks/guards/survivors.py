"""Guards on the survivors, the paths that carry what the run moves: their load, their loss, flaps, maintenance."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import chain

from pydantic import BaseModel, ConfigDict, Field

from network import load
from network.demand import loads_after
from network.events import Events
from network.health import PathHealth
from network.inventory import Path
from network.load import link_of
from network.maintenance import works_on
from network.measured import ProbeResult
from network.moments import ago
from network.observation import BfdHere, FabricVxc, Kind, Link, SessionHere
from network.verdict import Verdict
from runbooks.effects import Reading
from runbooks.guards.facts import Facts, Guard, GuardDeclaration, Move, together
from runbooks.guards.rates import against, rate_changes, room


class NoArgs(BaseModel):
    """It takes none."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class AlsoArgs(BaseModel):
    """`also`: a thing that the run changes and leaves in use; its paths must carry on like the survivors."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    also: str | None = None


class LoadArgs(BaseModel):
    """Percent of a survivor's rate.

    `foretold_pct`: for the load histories before the move (the policy's for a survivor); `carried_pct`: for what it
    carries after it (the policy's for a path that is full).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    foretold_pct: float | None = Field(default=None, gt=0, le=100)
    carried_pct: float | None = Field(default=None, gt=0, le=100)


def load_left(facts: Facts, args: LoadArgs) -> Reading:
    """Before the move by the load histories together, after it by what the survivor really carries.

    A run that sets a rate moves nothing: a higher one needs no room anywhere, a lower one here and on the other path.
    """
    policy = facts.site.policy
    foretold = args.foretold_pct or policy.survivor_p95_pct
    carried = args.carried_pct or policy.rate_reached_pct
    if changes := rate_changes(facts):
        lowered = any(change.after < change.before for change in changes)
        others = (each for move in facts.moves for each in _foretold(facts, move, foretold)) if lowered else ()
        return together(chain(*(room(facts, change, foretold) for change in changes), others))
    return together(
        each
        for move in facts.moves
        for each in (_carried(facts, move, carried) if move.moved else _foretold(facts, move, foretold))
    )


def _carried(facts: Facts, move: Move, limit_pct: float) -> Iterable[Reading]:
    for name in move.survivors:
        path = facts.site.path(name)
        fresh = facts.view.fresh(Kind.LINK, link_of(facts.view, path), Link)
        mbps = load.now(facts.view, path).mbps if fresh else None
        yield against(name, mbps, _rate(facts, path), limit_pct, "carries")


def _foretold(facts: Facts, move: Move, limit_pct: float) -> Iterable[Reading]:
    taken = dict.fromkeys(move.survivors, frozenset(move.leaving))
    for each in loads_after(facts.view, move.survivors, taken):
        yield against(each.path, each.mbps, _rate(facts, facts.site.path(each.path)), limit_pct, "would carry (p95)")


def _rate(facts: Facts, path: Path) -> int:
    """The fabric's word for the rate, else the site file's."""
    vxc = facts.view.fresh(Kind.VXC, path.vxc, FabricVxc) if path.vxc else None
    return vxc.rate_mbps if vxc else facts.site.rate_mbps(path)


def loss(facts: Facts, args: NoArgs) -> Reading:  # noqa: ARG001 -- one shape for all guards
    """A survivor that is down loses everything; one that is up is lossy when its probes say so."""
    return together(_loss(path, facts) for path in facts.survivors())


def _loss(path: PathHealth, facts: Facts) -> Reading:
    if path.verdict is Verdict.DOWN:
        return Reading(False, f"{path.name} is down: {path.why}")
    probe = path.layers["probe"]
    if path.path.probe is None or probe.verdict not in {Verdict.UP, Verdict.DEGRADED}:
        return Reading(None, f"the loss on {path.name} is not known{': ' + probe.why if probe.why else ''}")
    seen = facts.view.fresh(Kind.PROBE, path.name, ProbeResult)
    percent = f"{path.name} loses {seen.loss_pct:.1f} %" if seen and seen.loss_pct is not None else ""
    if probe.verdict is Verdict.DEGRADED:
        return Reading(False, f"{path.name} is lossy: {probe.why}", percent)
    return Reading(True, margin=percent)


def flap(facts: Facts, args: AlsoArgs) -> Reading:
    """Since the run began nothing of a survivor has come and gone, by its own word or by when it was seen to change."""
    if facts.run.started is None:
        return Reading(None, "the run has not begun")
    began = facts.run.started
    return together(_flap(facts, path, began) for path in facts.survivors(args.also))


def _flap(facts: Facts, path: PathHealth, began: datetime) -> Reading:
    session = facts.site.session(path.path.session)
    here = facts.view.fresh(Kind.SESSION_HERE, session.name, SessionHere)
    if here is None or here.since is None:
        return Reading(None, f"since when {session.name} has been as it is is unknown")
    if here.since > began:
        return Reading(False, f"{session.name} is {here.state} since {here.since:%H:%M:%S}, after the run began")
    if session.bfd:
        bfd = facts.view.fresh(Kind.BFD, session.name, BfdHere)
        if bfd is None:
            return Reading(None, f"BFD of {session.name} is unknown")
        if _changed(facts, Kind.BFD, session.name, began) or _later(ago(facts.moment.now, bfd.since_s), began):
            return Reading(False, f"BFD of {session.name} changed after the run began: it is {bfd.status}")
    if _changed(facts, Kind.LINK, link_of(facts.view, path.path), began):
        return Reading(False, f"the link of {path.name} changed after the run began")
    return Reading(True, margin=f"{path.name} stands since {here.since:%d %b %H:%M}")


def _changed(facts: Facts, kind: Kind, name: str, began: datetime) -> bool:
    return _later(facts.moment.snapshot.changed.get((kind, name)), began)


def _later(moment: datetime | None, began: datetime) -> bool:
    return moment is not None and moment > began


def maintenance(facts: Facts, args: AlsoArgs) -> Reading:
    """No provider works on a survivor now; unknown while one of its providers does not say what it does."""
    works = works_on(facts.view, facts.health.paths, changes=False)
    return together(_work(facts, path, works.get(path.name, [])) for path in facts.survivors(args.also))


def _work(facts: Facts, path: PathHealth, works: list[str]) -> Reading:
    drained = [f"its provider drains it: {path.drained.how}"] if path.drained and path.drained.provider else []
    if found := [*works, *drained]:
        return Reading(False, f"{path.name}: {'; '.join(found)}")
    if silent := [name for name in _providers(facts, path.path) if not _heard(facts, name)]:
        return Reading(None, f"what {', '.join(silent)} plans for {path.name} is unknown")
    return Reading(True, margin=f"{path.name}: no work")


def _providers(facts: Facts, path: Path) -> list[str]:
    """The systems that announce work on the path; AWS Health does so only with the support plan for it."""
    cloud = facts.site.cloud(path.cloud)
    quiet = cloud.aws is not None and not cloud.aws.health
    return [*(["megaport"] if path.vxc else []), *([] if quiet else [cloud.provider])]


def _heard(facts: Facts, system: str) -> bool:
    return facts.view.fresh(Kind.EVENTS, system, Events) is not None


SURVIVOR_LOAD = Guard(GuardDeclaration("survivor-load", LoadArgs, frozenset({"routers", "megaport"})), load_left)
SURVIVOR_LOSS = Guard(GuardDeclaration("survivor-loss", NoArgs, frozenset({"routers", "probes"}), policy="undo"), loss)
NO_FRESH_FLAP = Guard(GuardDeclaration("no-fresh-flap", AlsoArgs, frozenset({"routers"})), flap)
NO_MAINTENANCE = Guard(
    GuardDeclaration("no-maintenance", AlsoArgs, frozenset({"megaport", "azure", "aws"})), maintenance
)
