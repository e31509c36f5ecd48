"""The data plane: a STAMP reflector for each path, which answers only while the path carries frames both ways."""

from __future__ import annotations

import asyncio
import random
import struct
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import cast

from lab.embedded.world import World
from lab.stamp import NotStampError, reflect
from network.inventory import Path

#: Round trip in milliseconds by kind: of the first path, and how much more each further one has.
BASE_MS = {"expressroute": (4.1, 0.8), "directconnect": (11.0, 0.6), "vpn": (19.0, 2.0)}
JITTER = 0.015
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

    def passage(self, path: Path) -> Passage | None:
        """None when the packet does not reach the reflector."""
        session = self._world.sessions[path.session]
        carriage = self._world.links.of_path(path)
        out, back = self._world.links.grey(path)
        if not session.up or not carriage.out or self._random.random() < out.loss:
            return None
        half = self._base[path.name] / 2 * self._random.uniform(1 - JITTER, 1 + JITTER)
        lost = not carriage.inward or self._random.random() < back.loss
        return Passage(half + out.delay_s, half + back.delay_s, lost)


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
        passage = self._ways.passage(self._path)
        if passage is None or len(data) < 4:
            return
        (theirs,) = struct.unpack_from("!I", data)
        count = 0 if theirs == 0 else self._counts.get(addr, theirs)
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


async def open_reflectors(world: World) -> dict[str, asyncio.DatagramTransport]:
    """A reflector for each path with a probe, by path name."""
    ways, loop = Ways(world), asyncio.get_running_loop()
    opened = {}
    for path in world.site.paths:
        if path.probe:
            transport, _ = await loop.create_datagram_endpoint(
                lambda path=path: PathReflector(ways, path),  # type: ignore[misc]  # the default binds the loop's path
                local_addr=(ADDRESS, 0),
            )
            opened[path.name] = transport
    return opened
