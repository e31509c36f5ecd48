"""Load: the site's offered demand on the paths that routing chose, and the interface counters that follow from it."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from lab.embedded.links import Links
from lab.embedded.speaker import Table
from lab.embedded.start import attachments, hub_name
from network.inventory import Cloud, Path, Session, Site

#: Kilobits a second that an up session's own packets make: BGP keepalives, and BFD at 100 ms.
KEEPALIVE_KBPS, BFD_KBPS = 0.5, 5.5
WOBBLE, WOBBLE_S = 0.02, 7.0
HOPS = 4

Interface = tuple[str, str]
Pair = tuple[float, float]


@dataclass
class Load:
    """Megabits a second now: by path (offered to the cloud, offered to us), by interface (sent, received)."""

    paths: dict[str, Pair] = field(default_factory=dict)
    interfaces: dict[Interface, Pair] = field(default_factory=lambda: defaultdict(lambda: (0.0, 0.0)))

    def add(self, interface: Interface, sent: float, received: float) -> None:
        before = self.interfaces[interface]
        self.interfaces[interface] = (before[0] + sent, before[1] + received)


class Flows:
    """Follows the demand through the routers' tables, hop by hop."""

    def __init__(self, site: Site, links: Links, tables: Mapping[str, Table]) -> None:
        self.site, self.links, self.tables = site, links, tables
        self._path_at = {(site.session(p.session).router, str(site.session(p.session).peer)): p for p in site.paths}
        self._from_device = {(site.session(p.session).there, str(site.session(p.session).local)): p for p in site.paths}
        self._device_at = {(hub_name(a.cloud), a.address): a.device for a in attachments(site)}

    def load(self, up: Mapping[str, bool]) -> Load:
        """The load now; `up` tells which sessions are Established and so keep themselves alive."""
        load = Load()
        out: dict[str, float] = defaultdict(float)
        into: dict[str, float] = defaultdict(float)
        for cloud in self.site.clouds:
            demand = float(self.site.on_prem.demand_mbps.get(cloud.name, 0))
            for share, path in self._egress(cloud, demand, load):
                out[path.name] += share
            for share, path in self._return(cloud, demand):
                into[path.name] += share
        for path in self.site.paths:
            self._carry(load, path, out[path.name], into[path.name])
        for session in self.site.sessions:
            self._keepalive(load, session, up[session.name])
        self._sum_ports(load)
        return load

    def _egress(self, cloud: Cloud, demand: float, load: Load) -> Iterator[tuple[float, Path]]:
        entry = next((r.name for r in self.site.routers if self.links.router_up(r.name)), None)
        samples = [address for p in cloud.prefixes for address in _samples(p.prefix)]
        for address in samples if entry else []:
            load.add((entry or "", "lan"), 0.0, demand / len(samples))
            yield from self._hop(entry or "", address, demand / len(samples), load, HOPS)

    def _hop(
        self, router: str, address: IPv4Address, mbps: float, load: Load, left: int
    ) -> Iterator[tuple[float, Path]]:
        choice = self.tables[router].lookup(address)
        if choice is None or choice.best.peer is None or left == 0:
            return
        for winner in choice.winners:
            share = mbps / len(choice.winners)
            peer = winner.peer.address if winner.peer else ""
            if (router, peer) in self._path_at:
                yield share, self._path_at[router, peer]
                continue
            session = next(s for s in self.site.sessions if s.internal and peer in (str(s.peer), str(s.local)))
            other = session.there if router == session.router else session.router
            carries = self.links.of_session(session).both
            load.add((router, session.name), share, 0.0)
            if carries:
                load.add((other, session.name), 0.0, share)
                yield from self._hop(other, address, share, load, left - 1)

    def _return(self, cloud: Cloud, demand: float) -> Iterator[tuple[float, Path]]:
        ours = [p.prefix for p in self.site.on_prem.prefixes if not p.towards or cloud.name in p.towards]
        samples = [address for prefix in ours for address in _samples(prefix)]
        for address in samples:
            yield from self.chosen(cloud.name, address, demand / len(samples))

    def chosen(self, cloud: str, address: IPv4Address, mbps: float) -> Iterator[tuple[float, Path]]:
        """The cloud's way to one of our addresses: each winning path with its share."""
        hub = self.tables[hub_name(cloud)].lookup(address)
        for winner in hub.winners if hub and hub.best.peer else ():
            device = self._device_at[hub_name(cloud), winner.peer.address if winner.peer else ""]
            choice = self.tables[device].lookup(address)
            if choice is None or choice.best.peer is None or hub is None:
                continue
            for exit_ in choice.winners:
                path = self._from_device.get((device, exit_.peer.address if exit_.peer else ""))
                if path:
                    yield mbps / len(hub.winners) / len(choice.winners), path

    def _carry(self, load: Load, path: Path, out: float, into: float) -> None:
        rate = float(self.links.rate_mbps(path))
        out, into = min(out, rate), min(into, rate)
        router = self.site.session(path.session).router
        carriage = self.links.of_path(path)
        load.paths[path.name] = (out if carriage.out else 0.0, into if carriage.inward else 0.0)
        load.add((router, self.site.interface(path)), out if carriage.light else 0.0, load.paths[path.name][1])
        load.add((router, "lan"), load.paths[path.name][1], 0.0)

    def _keepalive(self, load: Load, session: Session, up: bool) -> None:
        mbps = (KEEPALIVE_KBPS + (BFD_KBPS if session.bfd else 0)) / 1000 if up else 0.0
        path = self.site.path_of_session(session.name)
        load.add((session.router, self.site.interface(path) if path else session.name), mbps, mbps)
        if session.internal:
            load.add((session.there, session.name), mbps, mbps)

    def _sum_ports(self, load: Load) -> None:
        for vxc in self.site.vxcs:
            port = self.site.port(vxc.port)
            load.add((port.router, port.interface), *load.interfaces[port.router, vxc.interface])


def _samples(prefix: IPv4Network) -> tuple[IPv4Address, IPv4Address]:
    """One address in each half, so that more specific halves are seen."""
    return prefix[1], prefix[-2]


class Counters:
    """Byte counters that integrate the load, with a small deterministic wobble; no task runs for it."""

    def __init__(self, now: float) -> None:
        self._at = now
        self._load = Load()
        self._bytes: dict[Interface, Pair] = defaultdict(lambda: (0.0, 0.0))

    def change(self, load: Load, now: float) -> None:
        """From now on the load is this one."""
        self._integrate(now)
        self._load = load

    def read(self, interface: Interface, now: float) -> tuple[int, int]:
        """Bytes (sent, received) since the start."""
        self._integrate(now)
        sent, received = self._bytes[interface]
        return int(sent), int(received)

    def mbps(self, path: str, now: float) -> Pair:
        """What arrives: (at the cloud, at our edge)."""
        out, into = self._load.paths.get(path, (0.0, 0.0))
        factor = 1 + WOBBLE * math.sin(2 * math.pi * now / WOBBLE_S)
        return out * factor, into * factor

    def _integrate(self, now: float) -> None:
        turn = 2 * math.pi / WOBBLE_S
        span = now - self._at + WOBBLE / turn * (math.cos(turn * self._at) - math.cos(turn * now))
        for interface, (sent, received) in self._load.interfaces.items():
            before = self._bytes[interface]
            self._bytes[interface] = (before[0] + sent * 125000 * span, before[1] + received * 125000 * span)
        self._at = now
