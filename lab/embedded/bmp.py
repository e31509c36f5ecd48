"""An edge's BMP speaker on loopback: it accepts stations and tells each of them what the edge sees, as it happens."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network

from lab import bmp
from lab.embedded import resets
from lab.embedded.policy import Route
from lab.embedded.resets import Reset
from lab.embedded.shows.view import EdgeView, Neighbor
from lab.ports import Port

DESCRIPTION = "FRRouting 8.4.4"
STATISTICS_S = 5.0
#: Counters of FRR 8.4.4: rejected, duplicate withdraws, loops (cluster, path, originator), treat-as-withdraw.
COUNTERS = (0, 2, 3, 4, 5, 11)
BGP_PORT = 179
BACKLOG_BYTES = 1_000_000  # a station that does not read is let go, as a router would do

Held = dict[IPv4Network, Route]


@dataclass
class Told:
    """What a station has been told: by peer the routes before and after policy; no entry is a session that is down."""

    routes: dict[str, tuple[Held, Held]] = field(default_factory=dict)


class BmpSpeaker:
    """One edge's speaker. It keeps its port when it is shut and opened again."""

    def __init__(self, view: EdgeView) -> None:
        self._view = view
        self._port = Port()
        self._server: asyncio.Server | None = None
        self._stations: dict[asyncio.StreamWriter, Told] = {}
        self._ticking: asyncio.Task[None] | None = None
        view.world.watchers.append(self.look)

    @property
    def port(self) -> int:
        return self._port.number

    async def open(self) -> None:
        """Listen; the port is drawn the first time and kept afterwards."""
        self._server = await asyncio.start_server(self._station, sock=self._port.taken())
        self._ticking = asyncio.create_task(self._report(), name=f"bmp of {self._view.router}")

    async def shut(self, *, keep_port: bool = False) -> None:
        """The router is dead: nobody listens, stations that were there are cut off. `keep_port`: it will live again."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        self._port.shut(keep=keep_port)
        if server is None or self._ticking is None:
            return
        self._ticking.cancel()
        self.cut()
        await server.wait_closed()
        await asyncio.gather(self._ticking, return_exceptions=True)

    def cut(self) -> None:
        """Every connection breaks; new ones are welcome."""
        for writer in list(self._stations):
            writer.transport.abort()
        self._stations.clear()

    def look(self) -> None:
        """Something has changed: tell every station what is new to it."""
        for writer, told in list(self._stations.items()):
            self._send(writer, self._changes(told))

    async def _station(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """A station connects: it is told everything, then what changes, until it goes."""
        self._stations[writer] = told = Told()
        self._send(writer, [bmp.initiation(self._view.router, DESCRIPTION), *self._everything(told)])
        with contextlib.suppress(OSError):
            await reader.read()  # a station sends nothing: this ends when it goes
        self._stations.pop(writer, None)
        writer.close()

    async def _report(self) -> None:
        while True:
            await asyncio.sleep(STATISTICS_S)
            up = [neighbor for neighbor in self._view.neighbors().values() if neighbor.mine.up]
            reports = [bmp.statistics(self._peer(neighbor), ((kind, 0) for kind in COUNTERS)) for neighbor in up]
            for writer in list(self._stations):
                self._send(writer, reports)

    def _send(self, writer: asyncio.StreamWriter, messages: Iterable[bytes]) -> None:
        writer.write(b"".join(messages))
        if writer.transport.get_write_buffer_size() > BACKLOG_BYTES:
            self._stations.pop(writer, None)
            writer.transport.abort()

    def _everything(self, told: Told) -> Iterator[bytes]:
        """As FRR begins: every session that is up, all routes, then an End-of-RIB for each table."""
        up = [neighbor for neighbor in self._view.neighbors().values() if neighbor.mine.up]
        yield from map(self._up, up)
        for neighbor in up:
            yield from self._routes(neighbor, told)
        for post_policy in (True, False):
            for neighbor in up:
                yield bmp.monitoring(self._peer(neighbor, post_policy=post_policy), bmp.end_of_rib())

    def _changes(self, told: Told) -> Iterator[bytes]:
        for address, neighbor in self._view.neighbors().items():
            if address in told.routes and not neighbor.mine.up:
                del told.routes[address]
                yield self._down(neighbor)
            elif neighbor.mine.up:
                if address not in told.routes:
                    yield self._up(neighbor)
                yield from self._routes(neighbor, told)

    def _up(self, neighbor: Neighbor) -> bytes:
        ours, theirs = self._view.speaker, self._view.world.speakers[neighbor.name]
        hold_s = neighbor.peer.hold_s
        sent = bmp.bgp_open(ours.asn, hold_s, ours.router_id)
        received = bmp.bgp_open(theirs.asn, hold_s, theirs.router_id)
        return bmp.peer_up(self._peer(neighbor), neighbor.local, (BGP_PORT, BGP_PORT), sent, received)

    def _down(self, neighbor: Neighbor) -> bytes:
        return bmp.peer_down(self._peer(neighbor), *_reason(neighbor.mine.reset))

    def _routes(self, neighbor: Neighbor, told: Told) -> Iterator[bytes]:
        """What is new on a session that is up, before and after policy."""
        address, table = neighbor.peer.address, self._view.table
        before = told.routes.get(address, ({}, {}))
        exchanging = neighbor.session.exchanging
        now = tuple(
            {route.prefix: route for route in side.get(address, ())} if exchanging else dict[IPv4Network, Route]()
            for side in (table.received, table.accepted)
        )
        told.routes[address] = (now[0], now[1])
        for old, new, post_policy in zip(before, now, (False, True), strict=True):
            peer = self._peer(neighbor, post_policy=post_policy)
            for prefix in old.keys() - new.keys():
                yield bmp.monitoring(peer, bmp.withdraw([prefix]))
            for prefix, route in new.items():
                if _attributes(route) != (_attributes(old[prefix]) if prefix in old else None):
                    yield bmp.monitoring(peer, bmp.announce([prefix], _attributes(route)))

    def _peer(self, neighbor: Neighbor, *, post_policy: bool = False) -> bmp.Peer:
        router_id = self._view.world.speakers[neighbor.name].router_id
        return bmp.Peer(neighbor.peer.address, neighbor.peer.asn, router_id, self._view.now, post_policy)


def _attributes(route: Route) -> bmp.Attributes:
    return bmp.Attributes(route.as_path, route.next_hop, route.med, route.local_pref, route.communities)


def _reason(reset: Reset) -> tuple[int, bytes]:
    """As FRR 8.4.4 does: what it did itself, a lost BFD session too, is an FSM event 0; what came is told whole."""
    if reset.subcode is None or reset in {resets.BFD_DOWN, resets.ADMIN_HERE}:
        return 2, bytes(2)
    code = bytes.fromhex(reset.subcode)
    return 3 if reset.due_to.endswith("received") else 1, bmp.notification(code[0], code[1], reset.text)
