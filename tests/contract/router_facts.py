"""What the product must be able to read from any edge of the reference site, modelled or real."""

from __future__ import annotations

from collections.abc import Sequence

from connectors.routers.source import RouterSource
from network.inventory import Site
from network.observation import (
    Advertised,
    BfdHere,
    Capabilities,
    Kind,
    Link,
    Observation,
    Received,
    Rides,
    RunningConfig,
)

Seen = dict[tuple[Kind, str], Observation]


async def polled(sources: Sequence[RouterSource]) -> Seen:
    return {item.key: item for source in sources for item in await source.collect()}


def everything_is_told(site: Site, seen: Seen) -> None:
    """Every kind of fact of a first poll, for every session and router, in a site where all is well."""
    for path in site.paths:
        session = site.session(path.session)
        wanted = [str(prefix.prefix) for prefix in site.cloud(path.cloud).prefixes]
        got = seen[Kind.RECEIVED, session.name].fact
        assert isinstance(got, Received)
        assert got.stopped_known
        taken = [route for route in got.routes if route.accepted]
        assert sorted(route.prefix for route in taken) == wanted, session.name
        assert {route.as_path[0] for route in taken} == {session.peer_asn}
        assert isinstance(seen[Kind.ADVERTISED, session.name].fact, Advertised)
        link = seen[Kind.LINK, f"{session.router} {site.interface(path)}"].fact
        assert isinstance(link, Link)
        assert (link.errors, link.downs, link.mtu) == (0, 0, 1500)
        if path.kind == "vpn":
            assert seen[Kind.RIDES, session.name].fact == Rides(site.interface(path))
        if session.bfd:
            bfd = seen[Kind.BFD, session.name].fact
            assert isinstance(bfd, BfdHere)
            assert (bfd.status, bfd.drops) == ("up", 0)
    for router in site.routers:
        able, config = seen[Kind.CAPABILITIES, router.name].fact, seen[Kind.CONFIG, router.name].fact
        assert isinstance(able, Capabilities)
        assert isinstance(config, RunningConfig)
        assert able.version.startswith("8.4")
        assert "bmp" in able.flags
        assert not {"per_neighbor_gshut", "bfd_strict", "mgmtd"} & able.flags
        assert f"router bgp {site.on_prem.asn}" in config.lines
        assert config.lines[-1] == "end"
