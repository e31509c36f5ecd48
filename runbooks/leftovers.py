"""What is still in place that should not be: on routers, dead-men included, and locks of runs nobody drives. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from connectors.routers.deadmen import Armed
from connectors.routers.frr_leftovers import Leftover, leftovers
from network.inventory import Site
from network.observation import Kind, RunningConfig
from network.snapshot import Snapshot
from runbooks.journal import RunRow
from runbooks.putback import acts, remaining


@dataclass(frozen=True, slots=True)
class Left:
    """A leftover with the run that made it, as far as the journal tells; `since` is when that run began."""

    kind: str
    where: str
    what: str
    undo: tuple[str, ...]
    run: str | None = None
    since: datetime | None = None


Timers = Mapping[str, Sequence[Armed] | None]


def found(
    site: Site, snapshot: Snapshot, runs: Sequence[RunRow], timers: Timers | None = None
) -> tuple[list[Left], list[str]]:
    """Everything that is left, and the routers of which it is not known.

    `timers`: the dead-men of each router, None for one that did not list them.
    """
    left, unread = [], []
    for router in site.routers:
        config = snapshot.fact(Kind.CONFIG, router.name, RunningConfig)
        armed = (timers or {}).get(router.name, ())
        if config is None or armed is None:
            unread.append(router.name)
        if config is not None:
            left += [_owned(each, router.name, runs) for each in leftovers(site, router.name, config.lines)]
        left += [each for timer in armed or () if (each := _timer(timer, router.name, runs))]
    return [*left, *_locks(runs)], unread


def in_place(runs: Sequence[RunRow]) -> Iterator[tuple[RunRow, Mapping[str, Any]]]:
    """Runs whose effects may be there, newest first, each with that part of its definition.

    Open ones whole; of those that were COMPLETED what no undo has put back.
    """
    undos = [run for run in runs if run.state == "COMPLETED" and run.definition.get("undo_of")]
    for run in runs:
        if run.closed_at is None:
            yield run, run.definition
        elif run.state == "COMPLETED":
            part = remaining(run.definition, [u.definition for u in undos if u.definition["undo_of"] == run.run_id])
            if acts(part):
                yield run, part


def _owned(each: Leftover, router: str, runs: Sequence[RunRow]) -> Left:
    for run, part in in_place(runs):
        if any(line.startswith(each.mark) for line in _sent(part, router)):
            return Left(each.kind, each.where, each.what, each.undo, run.run_id, run.created_at)
    return Left(each.kind, each.where, each.what, each.undo)


def _timer(timer: Armed, router: str, runs: Sequence[RunRow]) -> Left | None:
    """A dead-man that is armed while nobody drives its run; that of a run under way belongs there."""
    run = next((run for run in runs if timer.id.startswith(f"{run.run_id}-")), None)
    if run is not None and run.closed_at is None and run.driver_alive:
        return None
    what = f"dead-man {timer.id} puts its lines back in {timer.left_s:.0f} s"
    if not timer.alive:
        what = f"dead-man {timer.id} stands in the list, but its process is gone: it will never fire"
    undo = (
        f"interlock rollback {run.run_id} --write" if run and run.closed_at is None else f"deadman confirm {timer.id}"
    )
    return Left("timer", router, what, (undo,), run.run_id if run else None, run.created_at if run else None)


def _sent(definition: Mapping[str, Any], router: str) -> set[str]:
    """Every configuration line that a run's acts send to a router, or took back when it was itself an undo."""
    sends: Iterable[Mapping[str, Any]] = (send for step in definition["steps"] for send in step.get("commands", ()))
    return {line for send in sends if send.get("router") == router for line in send.get("configure", ())}


def _locks(runs: Sequence[RunRow]) -> Iterator[Left]:
    """An interrupted run keeps its locks until somebody decides what becomes of it."""
    for run in runs:
        if run.orphaned:
            undo = (f"interlock rollback {run.run_id} --write",)
            for resource in run.definition.get("locks", ()):
                yield Left("lock", resource, f"held by interrupted run {run.run_id}", undo, run.run_id, run.created_at)
