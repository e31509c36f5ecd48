"""Alerts: what a person must know now. Ids are stable, so an alert does not repeat and clears itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from network import accepted, flaps, leaks, maintenance, remedies, standby
from network.alert import Alert, Remedy
from network.bgp import shut_for_a_change
from network.calendar import overlaps
from network.layers import View
from network.measured import FeedResult
from network.observation import BmpFeed, HubPreference, Kind, SessionHere
from network.symmetry import BASIS
from network.verdict import Verdict

if TYPE_CHECKING:
    from network.health import CloudHealth, PathHealth

__all__ = ["Alert", "Remedy", "alerts_of"]

#: A BMP stream that is back within this time was not missed: polling went on.
BMP_MISSED = timedelta(seconds=2)
#: Seconds from which on the age of the way back is worth saying.
OLD_S = 10.0

_RANK = {"critical": 0, "warning": 1, "info": 2}


def alerts_of(view: View, clouds: Sequence[CloudHealth], paths: Sequence[PathHealth]) -> tuple[Alert, ...]:
    """Every alert, the gravest first, otherwise in site-file order; one for each id."""
    found = [
        *leaks.alerts(view),
        *accepted.alerts(view),
        *flaps.alerts(view),
        *_paths(view, paths),
        *_drained(paths),
        *_feeds(view),
        *_inside(view),
        *_bmp(view),
        *standby.alerts(view),
        *_clouds(clouds, paths),
        *_preferences(view),
        *maintenance.alerts(view, paths),
        *_calendar(view),
    ]
    first: dict[str, Alert] = {}
    for alert in sorted(found, key=lambda alert: _RANK[alert.severity]):
        first.setdefault(alert.id, alert)
    return tuple(first.values())


def _paths(view: View, paths: Sequence[PathHealth]) -> Iterator[Alert]:
    severity = {Verdict.DOWN: "critical", Verdict.DEGRADED: "warning", Verdict.STALE: "warning"}
    forced = remedies.private_lost(paths)
    works = maintenance.works_on(view, paths)
    for path in paths:
        if path.verdict in severity:
            here = view.fresh(Kind.SESSION_HERE, path.path.session, SessionHere)
            grave = "warning" if shut_for_a_change(here) else severity[path.verdict]
            fitting = remedies.for_path(view.site, path, forced)
            text = "; ".join((path.why, *works.get(path.name, ())))
            yield Alert(f"path:{path.name}", grave, path.name, text, path.since, fitting)


def _drained(paths: Sequence[PathHealth]) -> Iterator[Alert]:
    """Nothing is wrong with a drained path, and nobody may forget it."""
    for path in paths:
        drain = path.drained
        if drain is None:
            continue
        grave = "warning" if drain.left else "info"
        if drain.provider:
            yield Alert(f"maintenance:{path.name}", grave, path.name, f"provider maintenance: {drain.words}")
        else:
            fitting = remedies.to_fail_back(path.path.cloud)
            yield Alert(f"drained:{path.name}", grave, path.name, drain.words, runbooks=fitting)


def _inside(view: View) -> Iterator[Alert]:
    """A session between our own routers is on no path; without it neither holds what the other would take over by."""
    for session in view.site.sessions:
        ends = (session.name, f"{session.name}@{session.there}") if session.internal else ()
        facts = (view.fresh(Kind.SESSION_HERE, end, SessionHere) for end in ends)
        lost = next((here for here in facts if here and not here.established), None)
        if lost:
            text = f"{session.router} and {session.there} do not exchange routes: {lost.reason or lost.state}"
            yield Alert(f"session:{session.name}", "warning", session.name, text, lost.since)


def _bmp(view: View) -> Iterator[Alert]:
    """A BMP stream that the site configures and that is not there: losses show a poll later, and nothing else."""
    for router in view.site.routers:
        if router.bmp is None and view.site.systems.bmp_listen is None:
            continue
        feed = view.fresh(Kind.BMP, router.name, BmpFeed)
        if feed is None or not (feed.up or (feed.since and view.now - feed.since < BMP_MISSED)):
            text = f"no BMP from {router.name}, it is polled alone: {feed.state if feed else 'nothing is known of it'}"
            yield Alert(f"bmp:{router.name}", "warning", router.name, text, feed.since if feed else None)


def _feeds(view: View) -> Iterator[Alert]:
    """What the network exists for does not arrive."""
    for feed in view.site.feeds:
        seen = view.fresh(Kind.FEED, feed.name, FeedResult)
        if seen and not seen.ok:
            yield Alert(f"feed:{feed.name}", "critical", feed.cloud, f"feed {feed.name}: {seen.why}")


def _clouds(clouds: Sequence[CloudHealth], paths: Sequence[PathHealth]) -> Iterator[Alert]:
    for cloud in clouds:
        if cloud.one_loss_from:
            names = ", ".join(cloud.one_loss_from)
            yield Alert(f"dark:{cloud.name}", "warning", cloud.name, f"goes dark if {names} is lost", cloud.since)
        if cloud.symmetric is False:
            yield _asymmetry(cloud)
        yield from _on_vpn(cloud, [path for path in paths if path.path.cloud == cloud.name])


def _calendar(view: View) -> Iterator[Alert]:
    """Planned work of two systems at once that the diversity of a cloud's paths does not survive."""
    for overlap in overlaps(view):
        severity = "warning" if overlap.left else "critical"
        yield Alert(overlap.id, severity, overlap.cloud, overlap.text)


def _asymmetry(cloud: CloudHealth) -> Alert:
    """Red across a stateful boundary; a note when both directions cross the same devices."""
    back = cloud.way_back
    age = f", {back.age_s:.0f} s ago" if back.age_s is not None and back.age_s >= OLD_S else ""
    basis = f" ({BASIS[back.basis]}{age})" if back.basis else ""
    ways = f"out by {', '.join(cloud.carried_by)}, back by {', '.join(back.paths)}{basis}"
    if cloud.missed:
        text = f"{ways}: replies miss {', '.join(cloud.missed)}"
        return Alert(f"asymmetry:{cloud.name}", "critical", cloud.name, text)
    return Alert(f"asymmetry:{cloud.name}", "info", cloud.name, f"{ways}, inside one stateful boundary")


def _on_vpn(cloud: CloudHealth, mine: Sequence[PathHealth]) -> Iterator[Alert]:
    """The backup carries although a private path could: somebody forced it, or nobody has failed back."""
    carrying = [path for path in mine if path.name in cloud.carried_by]
    better = [path.name for path in mine if path.path.kind != "vpn" and path.name in cloud.spares]
    if carrying and better and all(path.path.kind == "vpn" for path in carrying):
        text = f"carried by {', '.join(cloud.carried_by)} although {', '.join(better)} could"
        yield Alert(f"backup:{cloud.name}", "warning", cloud.name, text, runbooks=remedies.to_fail_back(cloud.name))


def _preferences(view: View) -> Iterator[Alert]:
    """A hub that prefers otherwise than declared comes back by another way than every plan says."""
    for cloud in view.site.clouds:
        side = cloud.azure
        seen = view.fresh(Kind.HUB_PREFERENCE, cloud.name, HubPreference) if side else None
        if side and seen and seen.preference != side.hub_preference:
            text = f"{side.hub} prefers {seen.preference}; the site file says {side.hub_preference}"
            yield Alert(f"preference:{cloud.name}", "warning", cloud.name, text)
