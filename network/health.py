"""Judgement: what is known, turned into verdicts per path, cloud and site, each with its reason.

Pure: the same snapshot at the same moment always gives the same answer. Unknown, stale and down are three things,
and neither of the first two is healthy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from network.alerts import Alert, alerts_of
from network.carriage import Egress, Return, egress, holds, way_back
from network.domains import dark_after_loss_of
from network.inventory import Cloud, Path, Site
from network.layers import View, layers_of
from network.observation import Advertised, Kind, Link, ProbeResult, SessionHere
from network.snapshot import Snapshot
from network.verdict import Layer, Overall, Verdict, worst


@dataclass(frozen=True, slots=True)
class Prefixes:
    """Counts on a path's session; None is unknown. Limits are those of our end and of the cloud's."""

    received: int | None
    advertised: int | None
    limit_here: int | None
    limit_there: int | None


@dataclass(frozen=True, slots=True)
class PathHealth:
    """A path with its layers. `role` is active, standby, backup, down or unknown: from the routes chosen.

    rtt in ms, loss in percent, load and rate in Mbps, ages in seconds; None is unknown.
    """

    path: Path
    role: str
    verdict: Verdict
    why: str
    layers: Mapping[str, Layer]
    prefixes: Prefixes
    rtt_ms: float | None
    loss_pct: float | None
    load_mbps: float | None
    rate_mbps: int
    age_s: float | None
    age_there_s: float | None
    since: datetime | None

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def stale(self) -> bool:
        return any(layer.verdict is Verdict.STALE for layer in self.layers.values())


@dataclass(frozen=True, slots=True)
class CloudHealth:
    """A cloud: who carries it out and back, what is in reserve, which single loss would leave it dark.

    `one_loss_known` is False while paths that could prevent it are unknown or stale. `lost` says in words what has no
    way: "edge-1 10.50.0.0/16" out, "10.10.0.0/16 back". `unseen_routers` may send out by other paths than `carried_by`.
    """

    name: str
    verdict: Overall
    why: str
    carried_by: tuple[str, ...]
    way_back: Return
    symmetric: bool | None
    spares: tuple[str, ...]
    one_loss_from: tuple[str, ...]
    one_loss_known: bool = True
    lost: tuple[str, ...] = ()
    unseen_routers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SiteHealth:
    """The whole site at one moment."""

    verdict: Overall
    clouds: tuple[CloudHealth, ...]
    paths: tuple[PathHealth, ...]
    alerts: tuple[Alert, ...]

    def path(self, name: str) -> PathHealth:
        return next(path for path in self.paths if path.name == name)

    def cloud(self, name: str) -> CloudHealth:
        return next(cloud for cloud in self.clouds if cloud.name == name)


def judge(site: Site, snapshot: Snapshot, now: datetime) -> SiteHealth:
    """Judge everything. Paths and clouds come in site-file order."""
    view = View(site, snapshot, now)
    ways = {cloud.name: egress(view, cloud) for cloud in site.clouds}
    paths = tuple(_path(view, path, ways[path.cloud]) for path in site.paths)
    clouds = tuple(_cloud(view, cloud, ways[cloud.name], paths) for cloud in site.clouds)
    return SiteHealth(_site(clouds), clouds, paths, alerts_of(view, clouds, paths))


def _path(view: View, path: Path, way: Egress) -> PathHealth:
    layers = layers_of(view, path)
    decisive = worst(layers.values())
    session = view.site.session(path.session)
    here = view.snapshot.fact(Kind.SESSION_HERE, session.name, SessionHere)
    link = view.snapshot.fact(Kind.LINK, f"{session.router} {view.site.interface(path)}", Link)
    probe = view.snapshot.fact(Kind.PROBE, path.name, ProbeResult)
    return PathHealth(
        path=path,
        role=_role(view, path, decisive.verdict, way),
        verdict=decisive.verdict,
        why="" if decisive.verdict is Verdict.UP else _why(layers, decisive),
        layers=layers,
        prefixes=Prefixes(
            here.received if here else None,
            _advertised(view, session.name, here),
            session.max_prefix_here,
            session.max_prefix_there,
        ),
        rtt_ms=probe.rtt_ms if probe else None,
        loss_pct=probe.loss_pct if probe and probe.pinned else None,
        load_mbps=max(link.in_mbps, link.out_mbps)
        if link and link.in_mbps is not None and link.out_mbps is not None
        else None,
        rate_mbps=view.site.rate_mbps(path),
        age_s=layers["bgp_here"].age_s,
        age_there_s=layers["bgp_there"].age_s,
        since=view.now - timedelta(seconds=decisive.since_s) if decisive.since_s is not None else None,
    )


def _advertised(view: View, session: str, here: SessionHere | None) -> int | None:
    if here and here.advertised is not None:
        return here.advertised
    sent = view.snapshot.fact(Kind.ADVERTISED, session, Advertised)
    return len(sent.routes) if sent else None


def _why(layers: Mapping[str, Layer], decisive: Layer) -> str:
    """The lowest layer with the deciding verdict speaks; what still works below a fault is said with it."""
    down = [name for name, layer in layers.items() if layer.verdict is decisive.verdict]
    first = down[0]
    text = f"{first}: {layers[first].why}"
    if decisive.verdict is Verdict.DOWN and first in {"bgp_here", "bgp_there", "bfd", "probe"}:
        working = [n for n in ("port", "vxc", "circuit", "bgp_here") if layers[n].verdict is Verdict.UP and n != first]
        if working:
            text += f" ({', '.join(working)} up)"
    return text


def _role(view: View, path: Path, verdict: Verdict, way: Egress) -> str:
    if path.name in way.paths:
        return "active"
    if verdict is Verdict.DOWN:
        return "down"
    if not way.known or (verdict in {Verdict.UNKNOWN, Verdict.STALE} and not holds(view, path)):
        return "unknown"
    return "backup" if path.kind == "vpn" else "standby"


def usable(view: View, path: PathHealth) -> bool:
    """The path could carry: not down, seen, and a router really holds its routes."""
    return path.verdict in {Verdict.UP, Verdict.DEGRADED} and holds(view, path.path)


def _cloud(view: View, cloud: Cloud, way: Egress, paths: tuple[PathHealth, ...]) -> CloudHealth:
    mine = [path for path in paths if path.path.cloud == cloud.name]
    back = way_back(view, cloud)
    spares = tuple(p.name for p in mine if p.name not in way.paths and usable(view, p))
    carrying = [p.path for p in mine if p.name in way.paths and p.verdict is not Verdict.DOWN]
    alive = [*carrying, *(p.path for p in mine if p.name in spares)]
    # A path that is not known may be there: only what no path could prevent is certain.
    unseen = [p.path for p in mine if p.verdict in {Verdict.UNKNOWN, Verdict.STALE} and p.path not in alive]
    dark_after = dark_after_loss_of(view.site, [*alive, *unseen])
    verdict, why = _cloud_verdict(way, mine, dark_after)
    return CloudHealth(
        name=cloud.name,
        verdict=verdict,
        why=why,
        carried_by=way.paths,
        way_back=back,
        symmetric=set(way.paths) == set(back.paths) if way.paths and back.paths else None,
        spares=spares,
        one_loss_from=dark_after,
        one_loss_known=bool(alive) and dark_after == dark_after_loss_of(view.site, alive),
        lost=(*way.holes, *(f"{prefix} back" for prefix in back.lost)),
        unseen_routers=way.unknown_routers,
    )


def _cloud_verdict(way: Egress, mine: list[PathHealth], dark_after: tuple[str, ...]) -> tuple[Overall, str]:
    if not way.paths:
        if way.unknown_routers:
            return Overall.UNKNOWN, f"{', '.join(way.unknown_routers)} cannot be asked"
        if way.unsettled:
            return Overall.UNKNOWN, "the routers' tables are of different moments"
        return Overall.DOWN, "no router has a route"
    down = [p.path.name for p in mine if p.verdict is Verdict.DOWN]
    if way.uncovered:
        return Overall.DEGRADED, f"no route to {', '.join(way.uncovered)}"
    if down:
        return Overall.DEGRADED, f"down: {', '.join(down)}"
    impaired = [p.name for p in mine if p.verdict is Verdict.DEGRADED]
    if impaired:
        return Overall.DEGRADED, f"impaired: {', '.join(impaired)}"
    if dark_after:
        return Overall.DEGRADED, f"dark after one loss: {', '.join(dark_after)}"
    unseen = [p.name for p in mine if p.verdict is not Verdict.UP]
    if unseen or way.unknown_routers:
        return Overall.UNKNOWN, f"not known: {', '.join(unseen) or ', '.join(way.unknown_routers)}"
    return Overall.HEALTHY, ""


_SITE_ORDER = (Overall.HEALTHY, Overall.UNKNOWN, Overall.DEGRADED, Overall.DOWN)


def _site(clouds: tuple[CloudHealth, ...]) -> Overall:
    return max((cloud.verdict for cloud in clouds), key=_SITE_ORDER.index, default=Overall.UNKNOWN)
