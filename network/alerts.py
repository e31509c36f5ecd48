"""Alerts: what a person must know now. Ids are stable, so an alert does not repeat and clears itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from network.layers import View
from network.observation import Advertised, FeedResult, Kind, SessionHere
from network.verdict import Verdict

if TYPE_CHECKING:
    from network.health import CloudHealth, PathHealth

#: Drops within the console's watch that make a session flapping rather than merely lost once.
FLAP_DROPS = 2
#: A session that has held for this long flaps no more.
FLAP_CLEARS = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Alert:
    """`id` is stable for one cause at one place; `severity` is critical, warning or info."""

    id: str
    severity: str
    path: str
    text: str
    since: datetime | None = None

    @property
    def overlaps_ot(self) -> bool:
        """An advertisement reaches into the plant floor's ranges: no change may begin, or count as proven."""
        return self.id.startswith("ot:")


_RANK = {"critical": 0, "warning": 1, "info": 2}


def alerts_of(view: View, clouds: Sequence[CloudHealth], paths: Sequence[PathHealth]) -> tuple[Alert, ...]:
    """Every alert, the gravest first, otherwise in site-file order."""
    found = [*_leaks(view), *_flaps(view), *_paths(paths), *_inside(view), *_clouds(view, clouds), *_feeds(view)]
    return tuple(sorted(found, key=lambda alert: _RANK[alert.severity]))


def _paths(paths: Sequence[PathHealth]) -> Iterator[Alert]:
    severity = {Verdict.DOWN: "critical", Verdict.DEGRADED: "warning", Verdict.STALE: "warning"}
    for path in paths:
        if path.verdict in severity:
            yield Alert(f"path:{path.name}", severity[path.verdict], path.name, path.why, path.since)


def _inside(view: View) -> Iterator[Alert]:
    """A session between our own routers is on no path; without it neither holds what the other would take over by."""
    for session in view.site.sessions:
        here = view.snapshot.fresh(Kind.SESSION_HERE, session.name, SessionHere, view.now)
        if session.internal and here and not here.established:
            text = f"{session.router} and {session.there} do not exchange routes: {here.reason or here.state}"
            yield Alert(f"session:{session.name}", "warning", session.name, text, here.since)


def _feeds(view: View) -> Iterator[Alert]:
    """What the network exists for does not arrive."""
    for feed in view.site.feeds:
        seen = view.snapshot.fresh(Kind.FEED, feed.name, FeedResult, view.now)
        if seen and not seen.ok:
            yield Alert(f"feed:{feed.name}", "critical", feed.cloud, f"feed {feed.name}: {seen.why}")


def _clouds(view: View, clouds: Sequence[CloudHealth]) -> Iterator[Alert]:
    for cloud in clouds:
        if cloud.one_loss_from:
            names = ", ".join(cloud.one_loss_from)
            yield Alert(f"dark:{cloud.name}", "warning", cloud.name, f"goes dark if {names} is lost")
        if cloud.symmetric is False:
            yield _asymmetry(view, cloud)


def _asymmetry(view: View, cloud: CloudHealth) -> Alert:
    """Red across a stateful boundary; a note when both directions cross the same devices."""
    out, back = set(cloud.carried_by), set(cloud.way_back.paths)
    split = [d.name for d in view.site.stateful if bool(out & set(d.crosses)) != bool(back & set(d.crosses))]
    ways = f"out by {', '.join(cloud.carried_by)}, back by {', '.join(cloud.way_back.paths)}"
    if split:
        text = f"{ways}: replies miss {', '.join(split)}"
        return Alert(f"asymmetry:{cloud.name}", "critical", cloud.name, text)
    return Alert(f"asymmetry:{cloud.name}", "info", cloud.name, f"{ways} (inside one stateful boundary)")


def _leaks(view: View) -> Iterator[Alert]:
    """OT overlap on any session, from our own reports and from what the cloud accepted; unsanctioned prefixes."""
    for path in view.site.paths:
        session = path.session
        ours = view.snapshot.fact(Kind.ADVERTISED, session, Advertised)
        theirs = view.snapshot.fact(Kind.ACCEPTED, path.name, Advertised)
        prefixes = {route.prefix for seen in (ours, theirs) if seen for route in seen.routes}
        for prefix in sorted(prefixes):
            network = IPv4Network(prefix)
            ot = next((ot for ot in view.site.on_prem.ot_ranges if network.overlaps(ot)), None)
            if ot:
                yield Alert(
                    f"ot:{path.name}:{prefix}",
                    "critical",
                    path.name,
                    f"{prefix} is advertised and overlaps OT {ot}",
                )
            elif not _sanctioned(view, network, path.cloud, path.name):
                yield Alert(
                    f"leak:{path.name}:{prefix}",
                    "critical",
                    path.name,
                    f"{prefix} is advertised and not sanctioned",
                )


def _sanctioned(view: View, network: IPv4Network, cloud: str, path: str) -> bool:
    if any(network == p.prefix and cloud in p.towards for p in view.site.on_prem.prefixes):
        return True
    probe = view.site.path(path).probe
    return probe is not None and network == IPv4Network(f"{probe.source}/32")


def _flaps(view: View) -> Iterator[Alert]:
    for path in view.site.paths:
        here = view.snapshot.fact(Kind.SESSION_HERE, path.session, SessionHere)
        held = here.established and here.since is not None and view.now - here.since >= FLAP_CLEARS if here else False
        if here and not held and here.drops is not None and here.drops >= FLAP_DROPS:
            text = f"{path.session} dropped {here.drops} times while watched"
            yield Alert(f"flap:{path.name}", "warning", path.name, text, here.since)
