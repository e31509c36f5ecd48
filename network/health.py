"""Judgement: what is known, turned into verdicts per path, cloud and site, each with its reason.

Pure: the same snapshot at the same moment always gives the same answer. Unknown, stale and down are three things,
and neither of the first two is healthy.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from network import load
from network.alerts import Alert, alerts_of
from network.bgp import rides
from network.carriage import Egress, Return, egress, holds, way_back
from network.domains import dark_after_loss_of, domains_of
from network.drained import Drain, drained
from network.inventory import Cloud, Path, Site
from network.layers import View, layers_of
from network.measured import ProbeResult
from network.moments import ago, first
from network.observation import Advertised, Kind, SessionHere
from network.snapshot import Snapshot
from network.symmetry import across
from network.verdict import Layer, Overall, Verdict, worst


@dataclass(frozen=True, slots=True)
class Prefixes:
    """Counts on a path's session; None is unknown. Limits are those of our end and of the cloud's."""

    received: int | None
    advertised: int | None
    limit_here: int | None
    limit_there: int | None

    @property
    def room_here(self) -> int | None:
        """How many more the cloud may send before our max-prefix stops the session."""
        return _room(self.received, self.limit_here)

    @property
    def room_there(self) -> int | None:
        """How many more we may advertise before the cloud stops the session."""
        return _room(self.advertised, self.limit_there)


def _room(count: int | None, limit: int | None) -> int | None:
    return None if count is None or limit is None else limit - count


@dataclass(frozen=True, slots=True)
class PathHealth:
    """A path with its layers. `role` is active, standby, backup, down or unknown: from the routes chosen.

    rtt in ms, loss in percent, load and rate in Mbps, ages in seconds; None is unknown. `drained`: it is made not to be
    chosen; its `why` says so though nothing is wrong with it. `since`: when the verdict began, None when that was
    before the watch.
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
    drained: Drain | None = None
    load_age_s: float | None = None
    probe_age_s: float | None = None

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
    `missed`: stateful devices that only one direction crosses.
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
    missed: tuple[str, ...] = ()
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class SiteHealth:
    """The whole site at one moment."""

    verdict: Overall
    clouds: tuple[CloudHealth, ...]
    paths: tuple[PathHealth, ...]
    alerts: tuple[Alert, ...]
    why: str = ""
    since: datetime | None = None

    def path(self, name: str) -> PathHealth:
        return next(path for path in self.paths if path.name == name)

    def cloud(self, name: str) -> CloudHealth:
        return next(cloud for cloud in self.clouds if cloud.name == name)


def judge(site: Site, snapshot: Snapshot, now: datetime) -> SiteHealth:
    """Judge everything. Paths and clouds come in site-file order."""
    view = View(site, snapshot, now)
    ways = {cloud.name: egress(view, cloud) for cloud in site.clouds}
    chosen = {name: frozenset(way.paths) for name, way in ways.items()}
    paths = tuple(_path(view, path, ways[path.cloud], chosen[path.cloud]) for path in site.paths)
    clouds = tuple(_cloud(view, cloud, ways[cloud.name], paths) for cloud in site.clouds)
    worst_of = [cloud for cloud in clouds if cloud.verdict is _site(clouds)]
    return SiteHealth(
        verdict=_site(clouds),
        clouds=clouds,
        paths=paths,
        alerts=alerts_of(view, clouds, paths),
        why="; ".join(f"{cloud.name}: {cloud.why}" for cloud in worst_of if cloud.why),
        since=first(cloud.since for cloud in worst_of),
    )


def _path(view: View, path: Path, way: Egress, chosen: frozenset[str]) -> PathHealth:
    layers = layers_of(view, path)
    verdict = worst(layers.values()).verdict
    drain = drained(view, path) if verdict in USABLE else None
    session = view.site.session(path.session)
    here = view.snapshot.fact(Kind.SESSION_HERE, session.name, SessionHere)
    probe = view.snapshot.fact(Kind.PROBE, path.name, ProbeResult)
    rate = load.now(view, path)
    return PathHealth(
        path=path,
        role="active" if path.name in chosen else _role(view, path, verdict, way),
        verdict=verdict,
        why="; ".join(filter(None, (_why(layers, verdict), drain.words if drain else ""))),
        layers=layers,
        prefixes=Prefixes(
            here.received if here else None,
            _advertised(view, session.name, here),
            session.max_prefix_here,
            session.max_prefix_there,
        ),
        rtt_ms=probe.rtt_ms if probe else None,
        loss_pct=probe.loss_pct if probe and probe.pinned else None,
        load_mbps=rate.mbps,
        rate_mbps=view.site.rate_mbps(path),
        age_s=layers["bgp_here"].age_s,
        age_there_s=layers["bgp_there"].age_s,
        since=_since(view.now, layers, verdict),
        drained=drain,
        load_age_s=rate.age_s,
        probe_age_s=layers["probe"].age_s,
    )


def _since(now: datetime, layers: Mapping[str, Layer], verdict: Verdict) -> datetime | None:
    """When the verdict began: up since the last layer came, otherwise since the first of the layers that decide."""
    spans = [layer.since_s for layer in layers.values() if layer.verdict is verdict and layer.since_s is not None]
    if not spans:
        return None
    return ago(now, min(spans) if verdict is Verdict.UP else max(spans))


def _advertised(view: View, session: str, here: SessionHere | None) -> int | None:
    if here and here.advertised is not None:
        return here.advertised
    sent = view.snapshot.fact(Kind.ADVERTISED, session, Advertised)
    return len(sent.routes) if sent else None


def _why(layers: Mapping[str, Layer], verdict: Verdict) -> str:
    """The lowest layer with the deciding verdict speaks, all of them when it is merely impaired; "" when it is up.

    What still works below a fault is said with it.
    """
    if verdict is Verdict.UP:
        return ""
    deciding = [name for name, layer in layers.items() if layer.verdict is verdict]
    if verdict is Verdict.DEGRADED:
        return "; ".join(f"{name}: {layers[name].why}" for name in deciding)
    first = deciding[0]
    text = f"{first}: {layers[first].why}"
    if verdict is Verdict.DOWN and first in {"bgp_here", "bgp_there", "bfd", "probe"}:
        working = [n for n in ("port", "vxc", "circuit", "bgp_here") if layers[n].verdict is Verdict.UP and n != first]
        if working:
            text += f" ({', '.join(working)} up)"
    return text


def _role(view: View, path: Path, verdict: Verdict, way: Egress) -> str:
    """The role of a path that no router chose."""
    if verdict is Verdict.DOWN:
        return "down"
    if not way.known or (verdict in {Verdict.UNKNOWN, Verdict.STALE} and not holds(view, path)):
        return "unknown"
    return "backup" if path.kind == "vpn" else "standby"


#: A path with such a verdict can carry.
USABLE = frozenset({Verdict.UP, Verdict.DEGRADED})


def usable(view: View, path: PathHealth) -> bool:
    """The path could carry: not down, seen, and a router really holds its routes."""
    return path.verdict in USABLE and holds(view, path.path)


def _cloud(view: View, cloud: Cloud, way: Egress, paths: tuple[PathHealth, ...]) -> CloudHealth:
    mine = [path for path in paths if path.path.cloud == cloud.name]
    back = way_back(view, cloud)
    chosen = frozenset(way.paths)
    spares = tuple(p.name for p in mine if p.name not in chosen and usable(view, p))
    could = frozenset(spares)
    alive = [
        *(p.path for p in mine if p.name in chosen and p.verdict is not Verdict.DOWN),
        *(p.path for p in mine if p.name in could),
    ]
    counted = {path.name for path in alive}
    # A path that is not known may be there: only what no path could prevent is certain.
    unseen = [p.path for p in mine if p.verdict in {Verdict.UNKNOWN, Verdict.STALE} and p.name not in counted]
    riding = shared_rides(view, alive)
    dark_after = dark_after_loss_of(view.site, [*alive, *unseen], riding)
    missed = across(view.site, chosen, frozenset(back.paths)) if way.paths and back.paths else ()
    said = _said(view, way, mine, dark_after, missed)
    return CloudHealth(
        name=cloud.name,
        verdict=said.verdict,
        why=said.why,
        carried_by=way.paths,
        way_back=back,
        symmetric=chosen == set(back.paths) if way.paths and back.paths else None,
        spares=spares,
        one_loss_from=dark_after,
        one_loss_known=bool(alive) and dark_after == dark_after_loss_of(view.site, alive, riding),
        lost=(*way.holes, *(f"{prefix} back" for prefix in back.lost)),
        unseen_routers=way.unknown_routers,
        missed=missed,
        since=said.since,
    )


def shared_rides(view: View, paths: Iterable[Path]) -> dict[str, frozenset[str]]:
    """The domains of the path that another one's session rides, by the rider's name."""
    ridden = {path.name: rides(view, path) for path in paths}
    return {name: domains_of(view.site, below) for name, below in ridden.items() if below}


@dataclass(frozen=True, slots=True)
class _Said:
    verdict: Overall
    why: str
    since: datetime | None = None


def _said(
    view: View, way: Egress, mine: list[PathHealth], dark_after: tuple[str, ...], missed: tuple[str, ...]
) -> _Said:
    """The cloud's verdict, why, and since when; the gravest reason first."""
    if not way.paths:
        return _without_a_way(view, way, mine)
    if way.uncovered:
        return _Said(Overall.DEGRADED, f"no route to {', '.join(way.uncovered)}", _last_route(view, mine))
    if missed:
        return _Said(Overall.DEGRADED, f"replies miss {', '.join(missed)}")
    for word, verdict in (("down", Verdict.DOWN), ("impaired", Verdict.DEGRADED)):
        if found := [path for path in mine if path.verdict is verdict]:
            return _of(Overall.DEGRADED, word, found)
    if dark_after:
        return _Said(Overall.DEGRADED, f"dark after one loss: {', '.join(dark_after)}")
    if unseen := [path for path in mine if path.verdict is not Verdict.UP]:
        return _of(Overall.UNKNOWN, "not known", unseen)
    if way.unknown_routers:
        return _Said(Overall.UNKNOWN, f"not known: {', '.join(way.unknown_routers)}")
    return _Said(Overall.HEALTHY, "", max((p.since for p in mine if p.since), default=None))


def _without_a_way(view: View, way: Egress, mine: list[PathHealth]) -> _Said:
    if way.unknown_routers:
        return _Said(Overall.UNKNOWN, f"{', '.join(way.unknown_routers)} cannot be asked")
    if way.unsettled:
        return _Said(Overall.UNKNOWN, "the routers' tables are of different moments")
    return _Said(Overall.DOWN, "no router has a route", _last_route(view, mine))


def _of(verdict: Overall, word: str, paths: list[PathHealth]) -> _Said:
    return _Said(verdict, f"{word}: {', '.join(p.name for p in paths)}", first(p.since for p in paths))


def _last_route(view: View, mine: list[PathHealth]) -> datetime | None:
    """When the routers' tables for this cloud last changed."""
    clouds = {p.path.cloud for p in mine}
    prefixes = [str(prefix.prefix) for name in clouds for prefix in view.site.cloud(name).prefixes]
    keys = ((Kind.ROUTES, f"{router.name} {prefix}") for router in view.site.routers for prefix in prefixes)
    return max((view.snapshot.changed[key] for key in keys if key in view.snapshot.changed), default=None)


_SITE_ORDER = (Overall.HEALTHY, Overall.UNKNOWN, Overall.DEGRADED, Overall.DOWN)


def _site(clouds: tuple[CloudHealth, ...]) -> Overall:
    return max((cloud.verdict for cloud in clouds), key=_SITE_ORDER.index, default=Overall.UNKNOWN)
