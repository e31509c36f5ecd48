"""The clouds' view of the world, read twice a second from the routers that play them: `Facts` over real FRR."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path as FilePath
from typing import Any

from lab.facts import FarSession, Route
from lab.frr.things import Cut
from lab.frr.topology import Attachment, Topology
from lab.frr.vty import Vty
from network.inventory import Path, Site

EVERY_S = 0.5
WINDOW = 4  # samples of the byte counters: the load is the mean over about 1.5 s
NOT_ANSWERING = (OSError, TimeoutError, ValueError)


@dataclass
class _Seen:
    """What one attachment's bgpd said last."""

    version: int = -1
    best: dict[str, set[str]] = field(default_factory=dict)  # prefix to the peers of its best paths
    received: dict[str, list[Route]] = field(default_factory=dict)  # by peer
    octets: deque[tuple[float, dict[str, tuple[int, int]]]] = field(default_factory=lambda: deque(maxlen=WINDOW))


class FarFacts:
    """Answers from memory; `refresh` renews it. `cuts` is the fabric's own book of its switch ports."""

    def __init__(
        self,
        topology: Topology,
        vtys: Mapping[str, Vty],
        pids: Mapping[str, int],
        cuts: Mapping[str, Cut],
    ) -> None:
        self.site: Site = topology.site
        self._topology, self._vtys, self._pids, self._cuts = topology, vtys, pids, cuts
        self._since = datetime.now(UTC)
        self._seen = {device: _Seen() for device in topology.attachments}
        self._sessions = {path.name: FarSession("Idle", self._since) for path in topology.site.paths}
        self._hubs: dict[str, dict[str, set[str]]] = {cloud: {} for cloud in topology.hubs}

    def port_up(self, port: str) -> bool:
        return self._cut(self.site.port(port).name) != Cut.DOWN

    def vxc_up(self, vxc: str) -> bool:
        wire = self._topology.wires[next(p for p in self.site.paths if p.vxc == vxc).session]
        return self._cut(wire.a.switch_port) != Cut.DOWN

    def connection_up(self, connection: str) -> bool:
        wire = self._topology.wires[next(p for p in self.site.paths if p.connection == connection).session]
        return self._cut(wire.b.switch_port) != Cut.DOWN

    def tunnel_up(self, tunnel: str) -> bool:
        """IKE is not played: a silent loss inside the tunnel leaves it up, a cut of the wire does not."""
        wire = self._topology.wires[next(p for p in self.site.paths if p.tunnel == tunnel).session]
        return Cut.DOWN not in {self._cut(wire.a.switch_port), self._cut(wire.b.switch_port)}

    def far_session(self, path: str) -> FarSession:
        return self._sessions[path]

    def chosen(self, cloud: str) -> Mapping[str, tuple[str, ...]]:
        """Also every probe /32 and whatever else on-prem leaked: all that the hub learned and uses."""
        return {prefix: names for prefix, peers in self._hubs[cloud].items() if (names := self._winners(prefix, peers))}

    def mbps(self, path: str) -> tuple[float, float]:
        attachment = self._attachment(path)
        samples = self._seen[attachment.device].octets
        edge = self._topology.owner(self.site.path(path))
        if len(samples) < 2:
            return 0.0, 0.0
        (start, first), (end, last) = samples[0], samples[-1]
        old, new = first.get(edge, (0, 0)), last.get(edge, (0, 0))
        rate = 8e-6 / (end - start)
        return (new[0] - old[0]) * rate, (new[1] - old[1]) * rate

    async def refresh_forever(self) -> None:
        while True:
            await self.refresh()
            await asyncio.sleep(EVERY_S)

    async def refresh(self) -> None:
        """Ask every provider router once, all at the same time."""
        devices = (self._ask_attachment(a) for a in self._topology.attachments.values())
        hubs = (self._ask_hub(cloud, node) for cloud, node in self._topology.hubs.items())
        await asyncio.gather(*devices, *hubs)

    def _cut(self, port: str) -> Cut:
        return self._cuts.get(port, Cut.NONE)

    def _attachment(self, path: str) -> Attachment:
        return self._topology.attachments[self._topology.session_of(self.site.path(path)).there]

    def _winners(self, prefix: str, peers: set[str]) -> tuple[str, ...]:
        names = []
        for attachment in self._topology.attachments.values():
            if str(attachment.core.a.address) in peers:
                names += self._paths(attachment, self._seen[attachment.device].best.get(prefix, set()))
        return tuple(names)

    def _paths(self, attachment: Attachment, peers: set[str]) -> list[str]:
        return [p.name for p in attachment.paths if str(self._topology.session_of(p).local) in peers]

    async def _ask_hub(self, cloud: str, node: str) -> None:
        try:
            table = await self._vtys[node].json("show bgp ipv4 unicast json")
        except NOT_ANSWERING:
            self._hubs[cloud] = {}
            return
        self._hubs[cloud] = _best(table)

    async def _ask_attachment(self, attachment: Attachment) -> None:
        seen, vty = self._seen[attachment.device], self._vtys[attachment.device]
        self._count(seen, attachment.device)
        try:
            neighbors = await vty.json("show bgp neighbors json")
            table = await vty.json("show bgp ipv4 unicast json")
            if table.get("tableVersion", -1) != seen.version:
                seen.best, seen.received = _best(table), await self._received(vty, attachment, table)
                seen.version = table["tableVersion"]
            for path in attachment.paths:
                await self._session(vty, attachment, path, neighbors)
        except NOT_ANSWERING as error:
            seen.version, seen.best, seen.received = -1, {}, {}
            for path in attachment.paths:
                self._keep(path, "Idle", f"{attachment.device} does not answer: {type(error).__name__}")

    async def _received(self, vty: Vty, attachment: Attachment, table: dict[str, Any]) -> dict[str, list[Route]]:
        edges = {str(self._topology.session_of(p).local) for p in attachment.paths}
        found: dict[str, list[Route]] = {edge: [] for edge in edges}
        for prefix, entries in table.get("routes", {}).items():
            if edges.isdisjoint(entry.get("peerId") for entry in entries):
                continue
            detail = await vty.json(f"show bgp ipv4 unicast {prefix} json")
            for entry in detail.get("paths", []):
                peer = entry["peer"]["peerId"]
                if peer in found:
                    found[peer].append(_route(prefix, entry))
        return found

    async def _session(self, vty: Vty, attachment: Attachment, path: Path, neighbors: dict[str, Any]) -> None:
        peer = str(self._topology.session_of(path).local)
        entry = neighbors.get(peer, {})
        state = entry.get("bgpState", "Idle")
        if state != "Established":
            self._keep(path, state, entry.get("lastNotificationReason") or entry.get("lastResetDueTo", ""))
            return
        command = f"show bgp ipv4 unicast neighbors {peer} advertised-routes json"
        sent = (await vty.json(command)).get("advertisedRoutes", {})
        self._sessions[path.name] = FarSession(
            state,
            datetime.fromtimestamp(entry["bgpTimerUpEstablishedEpoch"], UTC),
            tuple(self._seen[attachment.device].received.get(peer, ())),
            tuple(Route(prefix, (attachment.asn, *_asns(r["path"]))) for prefix, r in sent.items()),
        )

    def _keep(self, path: Path, state: str, reason: str) -> None:
        """A session that is not up: `since` is when it went down, to the reading."""
        before = self._sessions[path.name]
        since = datetime.now(UTC) if before.established else before.since
        self._sessions[path.name] = FarSession(state, since, reason=reason)

    def _count(self, seen: _Seen, device: str) -> None:
        with suppress(OSError):  # the node's process is gone: the load stays as it was
            text = FilePath(f"/proc/{self._pids[device]}/net/dev").read_text()
            seen.octets.append((time.monotonic(), _octets(text.splitlines()[2:])))


def _best(table: dict[str, Any]) -> dict[str, set[str]]:
    """Peers of the best path, and of those it shares the load with, for every prefix learned from a peer."""
    found = {
        prefix: {e["peerId"] for e in entries if e.get("bestpath") or e.get("multipath")}
        for prefix, entries in table.get("routes", {}).items()
    }
    return {prefix: peers for prefix, peers in found.items() if peers and "(unspec)" not in peers}


def _route(prefix: str, entry: dict[str, Any]) -> Route:
    communities = entry.get("community", {}).get("string", "")
    return Route(prefix, _asns(entry["aspath"]["string"]), tuple(communities.split()), entry.get("locPrf", 100))


def _asns(path: str) -> tuple[int, ...]:
    return tuple(int(word) for word in path.split() if word.isdigit())


def _octets(lines: Iterable[str]) -> dict[str, tuple[int, int]]:
    """Received and sent octets by interface, from /proc/net/dev."""
    rows = (line.split(":", 1) for line in lines)
    return {name.strip(): (int((f := rest.split())[0]), int(f[8])) for name, rest in rows}
