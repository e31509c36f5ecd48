"""What takes over when a port is emptied, and how far knobs must be turned so that it does: from what is observed."""

from __future__ import annotations

from dataclasses import dataclass

from network.inventory import Path, Site
from network.layers import View
from network.observation import Advertised, Kind

#: One longer than strictly needed, so that the standby still wins when it gains a hop of our own.
MARGIN = 1


@dataclass(frozen=True, slots=True)
class Takeover:
    """One cloud's move: from the path on the port to its private standby elsewhere."""

    cloud: str
    leaving: Path
    survivor: Path


def takeovers(site: Site, port: str) -> tuple[Takeover, ...]:
    """Each cloud on the port with its survivor: the other private path of that cloud, on another port and router."""
    found = []
    for leaving in site.paths_on_port(port):
        others = [p for p in site.paths_of(leaving.cloud) if p.vxc and site.vxc(p.vxc).port != port]
        found += [Takeover(leaving.cloud, leaving, other) for other in others[:1]]
    return tuple(found)


def observed_length(view: View, path: Path) -> int | None:
    """How long the AS path of our sanctioned prefixes is on this session, as its receiver sees it; None if unknown."""
    sent = view.snapshot.fresh(Kind.ADVERTISED, path.session, Advertised, view.now)
    ours = {str(p.prefix) for p in view.site.on_prem.prefixes if path.cloud in p.towards}
    lengths = [len(route.as_path) for route in sent.routes if route.prefix in ours] if sent else []
    return max(lengths, default=None)


def drained_length(own: int, standby: int) -> int:
    """The AS path of a drained session as its receiver sees it: longer than the standby's, never shorter than it is."""
    return 1 + max(standby + MARGIN, own - 1)
