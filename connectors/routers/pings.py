"""Pings from a router itself: the leg to its peer, how large a packet takes it, and which hops a way has.

The router's own Linux `ping` over its read channel, bounded in count, time and size, to numeric addresses alone: its
guard lets nothing else pass. (FRR's vtysh has a `ping` too, but that one takes no bounds and runs until interrupted.)
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address
from statistics import median

from connectors.errors import BadReply
from connectors.routers.channel import REFUSED, Reply, judged
from connectors.routers.session import RouterSession
from connectors.stamp_figures import Bisection

COUNT, HOPS, TRIES = 5, 8, 3
#: Bytes of the IPv4 and ICMP headers; a leg's size is found to within so many bytes.
HEADERS, STEP = 28, 8

_STATISTICS = re.compile(r"^(\d+) packets transmitted, (\d+) received", re.MULTILINE)
_TIME = re.compile(r"^\d+ bytes from (\S+?):? .*time=([\d.]+) ms", re.MULTILINE)
_EXCEEDED = re.compile(r"^From (\S+?):? .*Time to live exceeded", re.MULTILINE)
_NO_WAY = re.compile(r"^ping: .*(?:Network is unreachable|Cannot assign requested address)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Pinged:
    """What came of one ping command. `rtt_ms` is the median; `exceeded` is the hop at which the time to live ended."""

    sent: int
    received: int
    rtt_ms: float | None
    answered_by: str | None = None
    exceeded: str | None = None


@dataclass(frozen=True, slots=True)
class TraceHop:
    """One hop of a trace: who answered (None: nobody within a second), and its round trip in ms where it is told."""

    ttl: int
    address: str | None
    rtt_ms: float | None


class Pings:
    """Pings over one session. Raises what reading raises, Denied (the guard's list lacks them) and BadReply."""

    def __init__(self, session: RouterSession) -> None:
        self._session = session

    async def leg(self, source: IPv4Address, peer: IPv4Address) -> Pinged:
        """Five pings within three seconds."""
        return await self._ask(_command(source, peer, count=COUNT, within_s=3))

    async def largest(self, source: IPv4Address, peer: IPv4Address, wanted: int) -> int | None:
        """The largest packet in bytes that passes unfragmented; None when not even the smallest does."""
        search = Bisection(wanted, STEP)
        while search.size is not None:
            search.tell(passed=await self._passes(source, peer, search.size))
        return search.passes

    async def trace(self, source: IPv4Address, target: IPv4Address) -> list[TraceHop]:
        """The hops to a target, the target's answer last if it came."""
        hops = []
        for ttl in range(1, HOPS + 1):
            seen = await self._ask(_command(source, target, more=f"-t {ttl} "))
            hops.append(TraceHop(ttl, seen.answered_by or seen.exceeded, seen.rtt_ms))
            if seen.answered_by:
                break
        return hops

    async def close(self) -> None:
        await self._session.close()

    async def _passes(self, source: IPv4Address, peer: IPv4Address, size: int) -> bool:
        command = _command(source, peer, more=f"-M do -s {size - HEADERS} ")
        for _ in range(TRIES):
            if (await self._ask(command)).received:
                return True
        return False

    async def _ask(self, command: str) -> Pinged:
        (reply,) = await self._session.shows([command])
        return parse(reply, command, self._session.router.name)


def _command(source: IPv4Address, target: IPv4Address, *, count: int = 1, within_s: int = 1, more: str = "") -> str:
    return f"ping -n -c {count} -i 0.2 -w {within_s} {more}-I {source} {target}"


def parse(reply: Reply, command: str, where: str) -> Pinged:
    """What ping said. A router without a way to the address sent nothing. Raises Denied, BadReply."""
    if reply.status == REFUSED:
        judged(reply, command, where)
    counts = _STATISTICS.search(reply.text)
    if counts is None and _NO_WAY.search(reply.text):
        return Pinged(0, 0, None)
    if counts is None:
        do_next = "Check that the router has iputils' ping, and that its read account may use it."
        raise BadReply(f"no statistics from `{command}`", where=where, do_next=do_next, evidence=reply.text)
    times = _TIME.findall(reply.text)
    exceeded = _EXCEEDED.search(reply.text)
    return Pinged(
        int(counts[1]),
        int(counts[2]),
        median(float(time) for _, time in times) if times else None,
        times[0][0] if times else None,
        exceeded[1] if exceeded else None,
    )
