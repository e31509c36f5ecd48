"""Forcing the VPN: how far the private paths' preferences go down, and what carries a cloud then.

Return first: our prefixes in longer pieces on the VPN alone win by longest match in both clouds, whatever is preferred
between equal prefixes. Then egress: every private path below the VPN. Nothing is withdrawn, so when the VPN fails its
longer prefixes go with it and both directions fall back together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from network.forecast import NOBODY, Both, CloudForecast, doubts_of
from network.health import SiteHealth
from network.inventory import Path, Site
from network.layers import View
from network.outcome import Edit, edited, outcome, pieces_of
from network.space import Space
from network.tables import Tables, read_tables


def private(site: Site, cloud: str) -> tuple[Path, ...]:
    """The cloud's private paths, the one that carries at rest first."""
    paths = [path for path in site.paths_of(cloud) if path.kind != "vpn"]
    return tuple(sorted(paths, key=lambda path: -_at_rest(site, path)))


def tunnels(site: Site, cloud: str) -> tuple[Path, ...]:
    return tuple(path for path in site.paths_of(cloud) if path.kind == "vpn")


def preferences(site: Site, cloud: str) -> Mapping[str, int]:
    """By session, the local preference of each private path while the VPN is forced: their order stays."""
    first, *others = private(site, cloud)
    return {first.session: site.policy.forced_local_pref} | {
        other.session: site.policy.forced_standby_local_pref for other in others
    }


def forecast_forced(view: View, health: SiteHealth, cloud: str) -> CloudForecast:
    """Who carries the cloud, and how much, when its VPN is forced; unknown, with why, where that would be a guess."""
    tables, sessions = read_tables(view), {path.name: path.session for path in view.site.paths}
    edits = {session: Edit(local_pref=pref) for session, pref in preferences(view.site, cloud).items()}
    changed = _announced(view.site, edited(tables, edits, sessions), cloud)
    pieces = pieces_of(view.site, changed)
    present = outcome(view.site, tables, pieces)
    doubts = doubts_of(view, tables, outcome(view.site, tables, pieces_of(view.site, tables)))
    future = outcome(view.site, changed, pieces)
    return Both(view, health, NOBODY, pieces, present, future, doubts).cloud(cloud, touched=True)


def _announced(site: Site, tables: Tables, cloud: str) -> Tables:
    """The tables with the longer prefixes added: by each tunnel that brings the prefix that they lie in."""
    table = tables.theirs[cloud]
    space, more = Space(table), dict(table)
    for prefix in map(str, site.specifics(cloud)):
        covering = next(iter(space.matches(prefix)), None)
        by_tunnel = tuple(each for each in table.get(covering or "", ()) if each.kind == "vpn")
        if by_tunnel:
            more[prefix] = by_tunnel
    return replace(tables, theirs={**tables.theirs, cloud: more})


def _at_rest(site: Site, path: Path) -> int:
    policy = site.session(path.session).policy
    return policy.local_pref if policy else 0
