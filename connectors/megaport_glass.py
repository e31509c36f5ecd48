"""The looking glass and diagnostics of a router of the fabric (MCR), asked when somebody wants to know.

Two contracts are told of it. Everywhere the documented one (`diagnostics`) is tried first, then the other
(`lookingGlass`); an MCR that knows neither is "not available", which says nothing about its BGP.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from ipaddress import IPv4Address, ip_address, ip_network
from typing import Any, Literal
from urllib.parse import quote

import httpx

from connectors.errors import BadReply, InterlockError, NotFound, TimedOut
from connectors.megaport_client import BadRequest, Lane, content
from connectors.megaport_glass_parse import (
    McrBgpRoute,
    McrHop,
    McrPing,
    McrRoute,
    McrSession,
    parse_bgp_routes,
    parse_ip_routes,
    parse_ping,
    parse_sessions,
    parse_traceroute,
)
from connectors.reply import CHECK_VERSION, excerpt, mapping
from network.inventory import Mcr

DEADLINE_S = 60.0
FIRST_PAUSE_S = 0.5  # doubles up to LONGEST_PAUSE_S, which is what the fabric's own SDK waits
LONGEST_PAUSE_S = 3.0
PING_PACKETS = 60
PING_BYTES = 9186

Direction = Literal["received", "advertised"]
_RUNNING = frozenset({"PENDING", "PROCESSING"})
#: What the fabric says with a result; without these words an empty list may be one that is not ready.
_READY = "retrieved"


class GlassNotAvailable(InterlockError):
    """This MCR, or the fabric as it is today, has no looking glass for the question. It says nothing about BGP."""


class NoSuchNeighbour(InterlockError):
    """The MCR lists its sessions and none is with that address."""


class GlassRefused(ValueError):
    """A question that the looking glass cannot take; nothing was sent."""


class LookingGlass:
    """Questions to one MCR. Each ends with a result, an InterlockError, or TimedOut after `deadline_s` seconds."""

    def __init__(self, lane: Lane, deadline_s: float = DEADLINE_S, first_pause_s: float = FIRST_PAUSE_S) -> None:
        self._lane, self._deadline_s, self._first_pause_s = lane, deadline_s, first_pause_s

    async def ip_routes(self, mcr: Mcr, address: str | None = None) -> tuple[McrRoute, ...]:
        """The routing table, or what of it leads to an address or prefix."""
        towards = _address(address)
        rows, where = await self._first_known(
            mcr,
            lambda: self._operation(mcr, "routes/ip", _named("ip_address", towards)),
            lambda: self._job(mcr, "routes", _named("ip", towards)),
        )
        return parse_ip_routes(rows, where)

    async def bgp_routes(self, mcr: Mcr, address: str | None = None) -> tuple[McrBgpRoute, ...]:
        """Every BGP route, or those towards an address or prefix."""
        towards = _address(address)
        rows, where = await self._first_known(
            mcr,
            lambda: self._operation(mcr, "routes/bgp", _named("ip_address", towards)),
            lambda: self._rows(mcr, "bgp", _named("ip", towards)),
        )
        return parse_bgp_routes(rows, where)

    async def sessions(self, mcr: Mcr) -> tuple[McrSession, ...]:
        """The BGP sessions; the documented contract has no such question."""
        rows, where = await self._first_known(mcr, lambda: self._rows(mcr, "bgpSessions", {}))
        return parse_sessions(rows, where)

    async def neighbour_routes(self, mcr: Mcr, peer: IPv4Address, direction: Direction) -> tuple[McrBgpRoute, ...]:
        """What one neighbour announces to the MCR, or the MCR to it."""
        asked = {"direction": direction.upper(), "peer_ip_address": str(peer)}
        rows, where = await self._first_known(
            mcr,
            lambda: self._operation(mcr, "routes/bgp/neighbor", asked),
            lambda: self._of_session(mcr, peer, direction),
        )
        return parse_bgp_routes(rows, where)

    async def ping(
        self, mcr: Mcr, to: IPv4Address, *, source: IPv4Address | None = None, packets: int = 5, size: int = 64
    ) -> McrPing:
        """Ping from the MCR: 1 to 60 packets of 1 to 9186 bytes."""
        if not (1 <= packets <= PING_PACKETS and 1 <= size <= PING_BYTES):
            raise GlassRefused(f"a ping has 1 to {PING_PACKETS} packets of 1 to {PING_BYTES} bytes")
        asked = _between(to, source) | {"packet_count": str(packets), "packet_size": str(size)}
        data, where = await self._first_known(mcr, lambda: self._operation(mcr, "ping", asked))
        return parse_ping(data, where)

    async def traceroute(self, mcr: Mcr, to: IPv4Address, *, source: IPv4Address | None = None) -> tuple[McrHop, ...]:
        """Traceroute from the MCR."""
        data, where = await self._first_known(mcr, lambda: self._operation(mcr, "traceroute", _between(to, source)))
        return parse_traceroute(data, where)

    async def _first_known(self, mcr: Mcr, *ways: Callable[[], Awaitable[tuple[Any, str]]]) -> tuple[Any, str]:
        """The answer by the first contract that the fabric knows; GlassNotAvailable when it knows none."""
        said = []
        try:
            async with asyncio.timeout(self._deadline_s):
                for way in ways:
                    try:
                        return await way()
                    except (NotFound, BadRequest) as error:
                        said.append(error.what)
        except TimeoutError as error:
            raise TimedOut(
                f"no result within {self._deadline_s:g} s",
                where=f"megaport {mcr.name}",
                do_next="It changes nothing there; ask again.",
            ) from error
        raise GlassNotAvailable(
            f"its looking glass is not available ({'; '.join(said)})",
            where=f"megaport {mcr.name}",
            do_next="This says nothing about its BGP: ask the routers and the clouds.",
        )

    async def _operation(self, mcr: Mcr, path: str, asked: Mapping[str, str]) -> tuple[Any, str]:
        """The documented contract: an operation id, polled until its data is there."""
        base = f"/v2/product/mcr2/{mcr.uid}/diagnostics"
        where = self._lane.where(f"{base}/{path}")
        operation = await self._lane.data(f"{base}/{path}", params={**asked, "async": "true"})
        if not isinstance(operation, str) or not operation:
            raise BadReply("no operation id", where=where, do_next=CHECK_VERSION, evidence=excerpt(operation))
        return await self._poll(f"{base}/routes/operation", {"operationId": operation}, _operation_result), where

    async def _rows(self, mcr: Mcr, path: str, asked: Mapping[str, str]) -> tuple[Any, str]:
        """The other contract, where it answers at once."""
        full = f"/v2/product/mcr2/{mcr.uid}/lookingGlass/{path}"
        return await self._lane.data(full, params=asked), self._lane.where(full)

    async def _job(self, mcr: Mcr, path: str, asked: Mapping[str, str]) -> tuple[Any, str]:
        """The other contract, where it begins a job; one that is done at once gives its rows."""
        begun, where = await self._rows(mcr, path, {**asked, "async": "true"})
        if isinstance(begun, list):
            return begun, where
        job = mapping(begun, where).get("jobId")
        if not isinstance(job, str) or not job:
            raise BadReply("neither rows nor a job", where=where, do_next=CHECK_VERSION, evidence=excerpt(begun))
        jobs = f"/v2/product/mcr2/{mcr.uid}/lookingGlass/{path.partition('/')[0]}/async/{quote(job, safe='')}"
        return await self._poll(jobs, {}, _job_result), where

    async def _of_session(self, mcr: Mcr, peer: IPv4Address, direction: Direction) -> tuple[Any, str]:
        rows, where = await self._rows(mcr, "bgpSessions", {})
        for session in parse_sessions(rows, where):
            if session.neighbour == str(peer):
                return await self._job(mcr, f"bgpSessions/{quote(session.id, safe='')}/{direction}", {})
        raise NoSuchNeighbour(f"no session with {peer}", where=where, do_next="Check the neighbour's address.")

    async def _poll(
        self, path: str, asked: Mapping[str, str], result: Callable[[httpx.Response, Any, str], Any]
    ) -> Any:
        """The result, whenever it is there; the deadline is the caller's. Passing faults are asked again."""
        where, pause, faults = self._lane.where(path), self._first_pause_s, 0
        while True:
            try:
                reply = await self._lane.send("GET", path, params=asked)
                body = self._lane.json(reply)
            except BadRequest:
                raise
            except BadReply:
                faults += 1  # a body that is no JSON has been seen while it was not ready
                if faults > 2:
                    raise
            else:
                found = result(reply, body, where)
                if found is not None:
                    return found
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_S)


def _operation_result(reply: httpx.Response, body: Any, where: str) -> Any:
    """None while it is not ready: 202, or no data, or an empty list that is not called a result."""
    envelope = mapping(body, where)
    data = envelope.get("data")
    if reply.status_code == httpx.codes.ACCEPTED or data in (None, "", {}):
        return None
    ready = _READY in str(envelope.get("message", "")).lower()
    return data if data or ready else None


def _job_result(_reply: httpx.Response, body: Any, where: str) -> Any:
    job = mapping(content(body, where), where)
    status, routes = job.get("status"), job.get("routes")
    if status == "COMPLETE" and routes is not None:
        return routes
    if status in _RUNNING:
        return None
    raise BadReply(f"the job ended {status} without routes", where=where, do_next="Ask again.", evidence=excerpt(body))


def _address(text: str | None) -> str | None:
    if text is None:
        return None
    try:
        return str(ip_network(text) if "/" in text else ip_address(text))
    except ValueError as error:
        raise GlassRefused(f"{text!r} is neither an address nor a prefix") from error


def _named(name: str, value: str | None) -> dict[str, str]:
    return {} if value is None else {name: value}


def _between(to: IPv4Address, source: IPv4Address | None) -> dict[str, str]:
    return {"destination_address": str(to)} | _named("source_address", None if source is None else str(source))
