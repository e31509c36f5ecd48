"""Which runbook fits what is wrong: offered beside an alert, never started by it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from network.alert import Remedy, remedy
from network.inventory import Path, Site
from network.verdict import Verdict

if TYPE_CHECKING:
    from network.health import PathHealth

_IMPAIRED = frozenset({Verdict.DOWN, Verdict.DEGRADED})


def private_lost(paths: Sequence[PathHealth]) -> frozenset[str]:
    """Clouds whose private paths are all impaired, and that a tunnel could carry."""
    private = [path for path in paths if path.path.kind != "vpn"]
    well = {path.path.cloud for path in private if path.verdict not in _IMPAIRED}
    tunnels = {path.path.cloud for path in paths if path.path.kind == "vpn" and path.verdict is Verdict.UP}
    return frozenset({path.path.cloud for path in private} - well) & tunnels


def for_path(site: Site, path: PathHealth, forced: frozenset[str]) -> tuple[Remedy, ...]:
    """Take traffic off the impaired path; when no private path is well, force the VPN; a full one may be resized."""
    if path.path.vxc is None or path.verdict not in _IMPAIRED:
        return ()
    found = [*off(site, path.path)] if path.role == "active" else []
    if path.path.cloud in forced:
        found.append(remedy("force-vpn", cloud=path.path.cloud))
    if "full: " in path.layers["vxc"].why:
        hosted = site.vxc(path.path.vxc).b_end == "aws-hosted-connection"
        found.append(remedy("replace-vxc" if hosted else "resize-vxc", vxc=path.path.vxc))
    return tuple(found)


def off(site: Site, path: Path) -> Iterable[Remedy]:
    """The ways to move traffic off a private path: its session alone, or all of its port."""
    yield remedy("drain-session", session=path.session)
    if path.vxc:
        yield remedy("drain-port", port=site.vxc(path.vxc).port)


def before(site: Site, things: Iterable[str]) -> tuple[Remedy, ...]:
    """What empties the things that maintenance is about to touch, each drained at its own grain."""
    found: dict[Remedy, None] = {}
    for thing in things:
        if thing in site.index.routers:
            found[remedy("drain-edge", edge=thing)] = None
        elif thing in site.index.ports:
            found[remedy("drain-port", port=thing)] = None
        for path in site.paths:
            if thing in {path.vxc, path.connection}:
                found[remedy("drain-session", session=path.session)] = None
    return tuple(found)


def to_fail_back(cloud: str) -> tuple[Remedy, ...]:
    return (remedy("failback", cloud=cloud),)
