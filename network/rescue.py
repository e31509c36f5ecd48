"""Whether forcing the VPN rescues a cloud: off a path that is observed to fail it, onto tunnels that are proven."""

from __future__ import annotations

from network.forced import forecast_forced, private
from network.grey import locate
from network.health import PathHealth, SiteHealth
from network.layers import EARLY_SENT, View
from network.measured import LossCount, ProbeResult
from network.observation import Kind
from network.verdict import Overall, Verdict
from network.vpn import proof


def rescues(view: View, health: SiteHealth, cloud: str) -> str:
    """Why forcing the VPN takes the cloud off a path that fails it, in words; empty where that is not certain.

    A private path that carries it is observed down, or over its loss limit; and the forecast carries the cloud, both
    ways, by tunnels that are each proven. What is unknown on either side makes it no rescue.
    """
    failing = [words for path in _carrying(view, health, cloud) if (words := _failing(view, path))]
    return "; ".join(failing) if failing and _proven(view, health, cloud) else ""


def undecided(view: View, health: SiteHealth, cloud: str, lost: int) -> bool:
    """Whether it is too early to say that no private path which carries the cloud is over its loss limit.

    So many probes were lost of it, at least, and too few were sent to tell.
    """
    return any(not _failing(view, path) and _early(view, path, lost) for path in _carrying(view, health, cloud))


def _early(view: View, path: PathHealth, lost: int) -> bool:
    probe = view.fresh(Kind.PROBE, path.name, ProbeResult)
    count = probe.long if probe and probe.long else LossCount(0, 0, 0)
    return path.path.probe is not None and count.sent < EARLY_SENT and count.lost >= lost


def _carrying(view: View, health: SiteHealth, cloud: str) -> list[PathHealth]:
    now = health.cloud(cloud)
    names = {*now.carried_by, *now.way_back.paths}
    return [health.path(path.name) for path in private(view.site, cloud) if path.name in names]


def _failing(view: View, path: PathHealth) -> str:
    if path.verdict is Verdict.DOWN:
        return f"{path.name} is down: {path.why}"
    grey = locate(view, path.path)
    return f"{path.name}: {grey.text}" if grey and grey.kind == "loss" else ""


def _proven(view: View, health: SiteHealth, cloud: str) -> bool:
    after = forecast_forced(view, health, cloud).after
    if after.verdict is Overall.UNKNOWN or not after.carried_by or not after.return_by:
        return False
    paths = [view.site.path(name) for name in {*after.carried_by, *after.return_by}]
    return all(path.kind == "vpn" and proof(view, path).proven for path in paths)
