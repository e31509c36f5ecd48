"""What a path carries now, against what it may."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from network.inventory import Path
from network.observation import FabricVxc, Kind, Link
from network.verdict import Layer, Verdict

if TYPE_CHECKING:
    from network.layers import View


@dataclass(frozen=True, slots=True)
class Rate:
    """The larger direction's load in Mbps, None while two samples are not there yet, and how old it is in seconds."""

    mbps: float | None
    age_s: float | None


def now(view: View, path: Path) -> Rate:
    """The load whatever its age."""
    seen = view.snapshot.get(Kind.LINK, link_of(view, path))
    if seen is None or not isinstance(seen.fact, Link):
        return Rate(None, None)
    link = seen.fact
    both = link.in_mbps is not None and link.out_mbps is not None
    return Rate(max(link.in_mbps or 0.0, link.out_mbps or 0.0) if both else None, seen.age_s(view.now))


def link_of(view: View, path: Path) -> str:
    """The name of the path's interface as its router's observations call it."""
    return view.site.index.link[path.name]


def full(view: View, path: Path) -> list[Layer]:
    """The path carries all that it may: the fabric's rate when it says so, else the site file's."""
    link = view.fresh(Kind.LINK, link_of(view, path), Link)
    if link is None:
        return []
    carried = max(link.in_mbps or 0.0, link.out_mbps or 0.0)
    vxc = view.fresh(Kind.VXC, path.vxc, FabricVxc) if path.vxc else None
    rate = vxc.rate_mbps if vxc else view.site.rate_mbps(path)
    if rate <= 0 or 100 * carried < view.site.policy.rate_reached_pct * rate:
        return []
    return [Layer(Verdict.DEGRADED, f"full: {carried:.0f} of {rate} Mbps")]
