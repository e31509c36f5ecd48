"""Failure domains: what each path would fall with. Redundancy is counted over these, not over paths."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import combinations

from network.inventory import Path, Site


def domains_of(site: Site, path: Path) -> frozenset[str]:
    """Every domain whose loss takes the path, by the site file alone; see `_domains`."""
    known = site.index.domains
    if path.name not in known:
        known[path.name] = _domains(site, path)
    return known[path.name]


def _domains(site: Site, path: Path) -> frozenset[str]:
    """Every domain whose loss takes the path: router, port, PoP, carrier, VXC, device, location, circuit, gateway, ISP.

    The hub and the TGW are the cloud's own end and not a domain. An AWS VPN has no gateway of its own to lose: each
    connection ends on its own endpoints, so its tunnel stands for it.
    """
    found = {site.session(path.session).router}
    if path.vxc:
        port = site.port(site.vxc(path.vxc).port)
        found |= {path.vxc, port.name, port.pop, port.carrier}
    if path.connection:
        connection = site.connection(path.connection)
        found |= {connection.name, connection.device, connection.location}
    if path.tunnel:
        found |= {path.tunnel, site.tunnel(path.tunnel).isp}
    return frozenset(found | _gateways(site, path))


def _gateways(site: Site, path: Path) -> set[str]:
    cloud = site.cloud(path.cloud)
    if cloud.azure:
        side = cloud.azure
        return {side.vpn_gateway} if path.kind == "vpn" else {side.er_gateway, side.circuit}
    if cloud.aws and path.kind == "directconnect":
        return {cloud.aws.dx_gateway}
    return set()


def dark_after_loss_of(
    site: Site, usable: Iterable[Path], riding: Mapping[str, frozenset[str]] | None = None
) -> tuple[str, ...]:
    """Domains that every usable path shares: the loss of any one leaves the cloud dark.

    `riding`: what a path falls with beside its own, by name, for a tunnel whose session rides another path.
    """
    sets = [_with(domains_of(site, path), riding.get(path.name) if riding else None) for path in usable]
    return tuple(sorted(frozenset.intersection(*sets))) if sets else ()


def losses_until_dark(site: Site, usable: Iterable[Path], riding: Mapping[str, frozenset[str]] | None = None) -> int:
    """How many domains must be lost, at the least, until none of the paths is left; 0 without a path.

    `riding` as above. It is 1 exactly when the paths share a domain.
    """
    sets = [_with(domains_of(site, path), riding.get(path.name) if riding else None) for path in usable]
    takes = {frozenset(i for i, domains in enumerate(sets) if each in domains) for each in frozenset().union(*sets)}
    widest = [one for one in takes if not any(one < other for other in takes)]
    everything = frozenset(range(len(sets)))
    return next(n for n in range(len(sets) + 1) if any(_all(each) == everything for each in combinations(widest, n)))


def _all(taken: Iterable[frozenset[int]]) -> frozenset[int]:
    return frozenset().union(*taken)


def _with(own: frozenset[str], more: frozenset[str] | None) -> frozenset[str]:
    return own | more if more else own  # a union with nothing is a copy, and there are thousands
