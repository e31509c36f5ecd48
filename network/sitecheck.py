"""What a site file may say and still be wrong: names that point at nothing, values against the law, unwise choices."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from ipaddress import collapse_addresses
from typing import Any

from network.inventory import Site
from network.policy import GUARDED, Policy
from network.surroundings import INTERNET

Location = tuple[str | int, ...]

#: Fields that name a thing of another table.
_POINTERS: dict[str, dict[str, str]] = {
    "ports": {"router": "routers"},
    "vxcs": {"port": "ports"},
    "isps": {"router": "routers"},
    "tunnels": {"cloud": "clouds", "isp": "isps"},
    "connections": {"cloud": "clouds"},
    "sessions": {"router": "routers"},
    "feeds": {"cloud": "clouds"},
    "paths": {
        "cloud": "clouds",
        "session": "sessions",
        "vxc": "vxcs",
        "connection": "connections",
        "tunnel": "tunnels",
    },
}


def nearest(value: str, allowed: Iterable[str]) -> str:
    """', did you mean X?' or the list of what is allowed when nothing is near."""
    names = sorted(set(allowed))
    close = difflib.get_close_matches(value, names, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else f"allowed: {', '.join(names) or 'nothing'}"


def references(site: Site) -> Iterator[tuple[Location, str]]:
    """Names that point at nothing, and names used twice."""
    tables: dict[str, Sequence[Any]] = {
        "routers": site.routers,
        "ports": site.ports,
        "vxcs": site.vxcs,
        "isps": site.isps,
        "tunnels": site.tunnels,
        "clouds": site.clouds,
        "connections": site.connections,
        "sessions": site.sessions,
        "paths": site.paths,
        "mcrs": site.mcrs,
        "feeds": site.feeds,
    }
    names = {table: [item.name for item in items] for table, items in tables.items()}
    for table, found in names.items():
        for index, name in enumerate(found):
            if name in found[:index]:
                yield (table, index, "name"), f"{name!r} is used twice in {table}"
    for table, fields in _POINTERS.items():
        for index, item in enumerate(tables[table]):
            yield from _dangling((table, index), item, fields, names)
    yield from _dangling_lists(site, names)
    way, ways = site.systems.megaport.reached_by, [*names["paths"], INTERNET]
    if way is not None and way not in ways:
        yield ("systems", "megaport", "reached_by"), f"{way!r} is no path and not {INTERNET}; {nearest(way, ways)}"


def _dangling(
    at: Location, item: Any, fields: Mapping[str, str], names: Mapping[str, Sequence[str]]
) -> Iterator[tuple[Location, str]]:
    for field, target in fields.items():
        value = getattr(item, field)
        if value is not None and value not in names[target]:
            yield (*at, field), f"{value!r} is not one of the {target}; {nearest(value, names[target])}"


def _dangling_lists(site: Site, names: Mapping[str, Sequence[str]]) -> Iterator[tuple[Location, str]]:
    lists: list[tuple[Location, tuple[str, ...], str]] = [
        *((("stateful", i, "crosses"), d.crosses, "paths") for i, d in enumerate(site.stateful)),
        *((("on_prem", "prefixes", i, "towards"), p.towards, "clouds") for i, p in enumerate(site.on_prem.prefixes)),
    ]
    for at, values_, target in lists:
        for place, value in enumerate(values_):
            if value not in names[target]:
                yield (*at, place), f"{value!r} is not one of the {target}; {nearest(value, names[target])}"


def values(site: Site) -> Iterator[tuple[Location, str]]:
    """Values that break the law of the network: OT overlap, a policy below production outside the lab."""
    for index, prefix in enumerate(site.on_prem.prefixes):
        for ot in site.on_prem.ot_ranges:
            if prefix.prefix.overlaps(ot):
                yield (
                    ("on_prem", "prefixes", index, "prefix"),
                    f"{prefix.prefix} overlaps the OT range {ot}: OT is never advertised",
                )
    yield from _specifics(site)
    yield from _forced_order(site.policy)
    if site.mode != "lab":
        production = Policy()
        for field in GUARDED:
            value, floor = getattr(site.policy, field), getattr(production, field)
            if value < floor:
                yield (
                    ("policy", field),
                    f"{value} is below the production value {floor}; only mode lab may go below",
                )
    for index, session in enumerate(site.sessions):
        if session.policy and site.policy.drain_local_pref >= session.policy.local_pref > _vpn_pref(site):
            yield (
                ("sessions", index, "policy", "local_pref"),
                f"{session.policy.local_pref} is not above policy.drain_local_pref {site.policy.drain_local_pref}",
            )


def _unsaid(site: Site) -> Iterator[tuple[Location, str]]:
    """How what we change is reached: without it nobody can tell whether a change could cut us off from its undo."""
    for index, router in enumerate(site.routers):
        if router.management is None:
            yield ("routers", index), f"router {router.name}: say `management: out-of-band` or `in-band`"
    if site.systems.megaport.reached_by is None:
        yield ("systems", "megaport"), f"say what carries our calls to it: `reached_by:` a path's name, or {INTERNET}"


def _forced_order(policy: Policy) -> Iterator[tuple[Location, str]]:
    drain, standby, first = (
        policy.forced_drain_local_pref,
        policy.forced_standby_local_pref,
        policy.forced_local_pref,
    )
    if not drain < standby < first:
        order = "forced_drain_local_pref < forced_standby_local_pref < forced_local_pref"
        yield ("policy",), f"{order} must hold, and they are {drain}, {standby}, {first}"


def _specifics(site: Site) -> Iterator[tuple[Location, str]]:
    """Each lies inside one of our prefixes and is longer; together they are all of it, or part would stay behind."""
    declared, ours = site.on_prem.specifics or (), [each.prefix for each in site.on_prem.prefixes]
    for index, each in enumerate(declared):
        if not any(each.subnet_of(own) and each != own for own in ours):
            inside = ", ".join(map(str, ours))
            yield ("on_prem", "specifics", index), f"{each} is not a longer prefix inside one of ours: {inside}"
    for own in ours if declared else ():
        if list(collapse_addresses(each for each in declared if each.subnet_of(own))) != [own]:
            yield ("on_prem", "specifics"), f"{own} is not covered by them: part of it would not come back by the VPN"


def _vpn_pref(site: Site) -> int:
    vpn = {path.session for path in site.paths if path.kind == "vpn"}
    return max((s.policy.local_pref for s in site.sessions if s.name in vpn and s.policy), default=0)


def warnings(site: Site) -> Iterator[tuple[Location, str]]:
    """What is allowed and unwise."""
    yield from _unsaid(site)
    for index, session in enumerate(site.sessions):
        if session.internal and not session.add_path:
            yield (
                ("sessions", index, "add_path"),
                "the standby path is hidden on iBGP: a port loss sends both clouds to VPN for about 100 ms",
            )
        if not session.internal and session.max_prefix_here is None:
            yield (
                ("sessions", index),
                f"session {session.name} has no max_prefix_here: a leak would not be contained",
            )
    if _vpn_pref(site) >= site.policy.drain_local_pref:
        yield (
            ("policy", "drain_local_pref"),
            f"{site.policy.drain_local_pref} is not above the VPN's {_vpn_pref(site)}: a drain would use the VPN",
        )
    for cloud in site.clouds:
        places = {c.location for c in site.connections if c.cloud == cloud.name}
        if len(places) == 1:
            yield (
                ("clouds",),
                f"{cloud.name}: every connection is in {places.pop()}: one location is a shared fate",
            )
