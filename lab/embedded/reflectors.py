"""The data plane: a STAMP reflector for each path, which answers only while the path carries frames both ways."""

from __future__ import annotations

import asyncio
import random
import struct
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import cast

from lab.embedded.links import Carriage
from lab.embedded.world import World
from lab.grey import Way
from lab.stamp import NotStampError, reflect
from network.inventory import Path

#: Round trip in milliseconds by kind: of the first path, and how much more each further one has.
BASE_MS = {"expressroute": (4.1, 0.8), "directconnect": (11.0, 0.6), "vpn": (19.0, 2.0)}
JITTER = 0.015
LEG = 0.4  # of the round trip is spent up to the session's peer
HEADERS = 28  # bytes of an IPv4 and a UDP header, or of an ICMP one
ADDRESS, TTL, SENDERS = "127.0.0.1", 255, 256


@dataclass(frozen=True)
class Passage:
    """How one packet fares: seconds out and back; whether the answer is lost on its way back."""

    out_s: float
    back_s: float
    lost_back: bool = False


class Ways:
    """Decides for each packet; the jitter and losses come from a seeded generator."""

    def __init__(self, world: World, seed: int = 7) -> None:
        self._world = world
        self._random = random.Random(seed)
        kinds: dict[str, int] = {}
        self._base: dict[str, float] = {}
        for path in world.site.paths:
            first, more = BASE_MS[path.kind]
            nth = kinds.get(path.kind, 0)
            kinds[path.kind] = nth + 1
            self._base[path.name] = (first + more * nth) / 1000

    def passage(self, path: Path, size: int) -> Passage | None:
        """How a packet of `size` bytes fares; None when it does not reach the reflector."""
        if not self._world.sessions[path.session].up:
            return None
        links = self._world.links
        return self._fare(links.of_path(path), links.grey(links.chain(path)), self._base[path.name], size)

    def leg(self, path: Path, size: int) -> Passage | None:
        """The same from the router to the session's peer and back: it answers whatever BGP does."""
        links = self._world.links
        return self._fare(links.of_leg(path), links.grey(links.leg(path)), self._base[path.name] * LEG, size)

    def _fare(self, carriage: Carriage, grey: tuple[Way, Way], base_s: float, size: int) -> Passage | None:
        out, back = grey
        if not carriage.out or self._lost(out, size):
            return None
        half = base_s / 2 * self._random.uniform(1 - JITTER, 1 + JITTER)
        return Passage(half + out.delay_s, half + back.delay_s, not carriage.inward or self._lost(back, size))

    def _lost(self, way: Way, size: int) -> bool:
        return (way.mtu is not None and size > way.mtu) or self._random.random() < way.loss


class PathReflector(asyncio.DatagramProtocol):
    """One path's reflector on loopback. The reply's times are those the packet would have had at the far end."""

    def __init__(self, ways: Ways, path: Path) -> None:
        self._ways, self._path = ways, path
        self._transport: asyncio.DatagramTransport
        self._counts: OrderedDict[tuple[str, int], int] = OrderedDict()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Python 3.11's own datagram transport does not derive from the public class: it cannot be asserted.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        passage = self._ways.passage(self._path, len(data) + HEADERS)
        if passage is None or len(data) < 4:
            return
        (theirs,) = struct.unpack_from("!I", data)
        count = 0 if theirs == 0 else self._counts.get(addr, 0)
        at = time.time() + passage.out_s
        try:
            reply = reflect(data, TTL, at, count, at)
        except NotStampError:
            return  # a reflector is silent to what is no test packet
        self._counts[addr] = (count + 1) & 0xFFFFFFFF
        self._counts.move_to_end(addr)
        if len(self._counts) > SENDERS:
            self._counts.popitem(last=False)
        if not passage.lost_back:
            asyncio.get_running_loop().call_later(passage.out_s + passage.back_s, self._send, reply, addr)

    def _send(self, reply: bytes, addr: tuple[str, int]) -> None:
        if not self._transport.is_closing():
            self._transport.sendto(reply, addr)


async def open_reflectors(world: World, ways: Ways) -> dict[str, asyncio.DatagramTransport]:
    """A reflector for each path with a probe, by path name."""
    loop = asyncio.get_running_loop()
    opened = {}
    for path in world.site.paths:
        if path.probe:
            transport, _ = await loop.create_datagram_endpoint(
                lambda path=path: PathReflector(ways, path),  # type: ignore[misc]  # the default binds the loop's path
                local_addr=(ADDRESS, 0),
            )
            opened[path.name] = transport
    return opened
