"""What a router of the fabric (MCR) says, from either of the two contracts under which it is asked.

The rows of the two differ in shape (a next hop is an object or an address, an AS path a text or a list) and agree
in meaning: both become the same records here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import FiniteFloat

from connectors.errors import BadReply
from connectors.reply import CHECK_VERSION, Rows, Shape, Text, excerpt, mappings, read

_AS = re.compile(r"\d+")
_SESSION_STATES: dict[str, Literal["up", "down", "unknown"]] = {"UP": "up", "DOWN": "down", "UNKNOWN": "unknown"}


@dataclass(frozen=True, slots=True)
class McrRoute:
    """A route of the MCR's table. `vxc` is the fabric's name of the VXC that it leaves by."""

    prefix: str
    next_hop: str
    protocol: str
    vxc: str
    metric: int | None


@dataclass(frozen=True, slots=True)
class McrBgpRoute:
    """A BGP route that the MCR holds, received or advertised; what the MCR does not tell is None."""

    prefix: str
    next_hop: str
    as_path: tuple[int, ...]
    vxc: str
    best: bool | None
    valid: bool | None
    local_pref: int | None
    med: int | None
    origin: str
    communities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class McrSession:
    """A BGP session of the MCR. `id` is what the newer contract asks for its routes by."""

    id: str
    neighbour: str
    neighbour_asn: int
    local_asn: int
    state: Literal["up", "down", "unknown"]
    uptime_s: int | None
    received: int | None
    advertised: int | None
    vxc: str


@dataclass(frozen=True, slots=True)
class McrPing:
    """Pings sent by the MCR; milliseconds, None when nothing came back."""

    sent: int
    received: int
    loss_pct: float
    rtt_min_ms: float | None
    rtt_avg_ms: float | None
    rtt_max_ms: float | None


@dataclass(frozen=True, slots=True)
class McrHop:
    """One hop of a traceroute: who answered each probe (no host: nobody), and after how many milliseconds."""

    number: int
    probes: tuple[tuple[str, float | None], ...]


class _VxcRef(Shape):
    name: Text = ""


class _NextHop(Shape):
    ip: Text = ""
    vxc: _VxcRef | None = None


class _Route(Shape):
    prefix: str
    next_hop: _NextHop | str | None = None
    vxc_name: Text = ""

    @property
    def hop(self) -> str:
        return self.next_hop.ip if isinstance(self.next_hop, _NextHop) else self.next_hop or ""

    @property
    def vxc(self) -> str:
        inside = self.next_hop.vxc if isinstance(self.next_hop, _NextHop) else None
        return inside.name if inside else self.vxc_name


class _IpRoute(_Route):
    protocol: Text = ""
    metric: int | None = None


class _BgpRoute(_Route):
    as_path: tuple[int, ...] | str | None = None
    best: bool | None = None
    valid: bool | None = None
    local_pref: int | None = None
    med: int | None = None
    origin: Text = ""
    communities: Rows[str] = ()

    @property
    def ases(self) -> tuple[int, ...]:
        path = self.as_path or ()
        return tuple(int(asn) for asn in _AS.findall(path)) if isinstance(path, str) else path


class _Session(Shape):
    session_id: str
    neighbor_address: str
    neighbor_asn: int
    local_asn: int
    status: str
    uptime: int | None = None
    prefixes_in: int | None = None
    prefixes_out: int | None = None
    vxc_name: Text = ""


class _Statistics(Shape):
    packets_transmitted: int
    packets_received: int
    packet_loss_pct: FiniteFloat
    rtt_min_ms: FiniteFloat | None = None
    rtt_avg_ms: FiniteFloat | None = None
    rtt_max_ms: FiniteFloat | None = None


class _Ping(Shape):
    statistics: _Statistics


class _Probe(Shape):
    host: Text = ""
    rtt_ms: FiniteFloat | None = None


class _Hop(Shape):
    hop: int
    probes: Rows[_Probe] = ()


class _Trace(Shape):
    hops: tuple[_Hop, ...]


def parse_ip_routes(rows: Any, where: str) -> tuple[McrRoute, ...]:
    """The MCR's routing table. Raises BadReply."""
    found = [read(_IpRoute, row, where) for row in mappings(rows, where)]
    return tuple(McrRoute(row.prefix, row.hop, row.protocol, row.vxc, row.metric) for row in found)


def parse_bgp_routes(rows: Any, where: str) -> tuple[McrBgpRoute, ...]:
    """BGP routes: all that the MCR knows, or one neighbour's. Raises BadReply."""
    return tuple(_bgp_route(read(_BgpRoute, row, where)) for row in mappings(rows, where))


def _bgp_route(row: _BgpRoute) -> McrBgpRoute:
    return McrBgpRoute(
        prefix=row.prefix,
        next_hop=row.hop,
        as_path=row.ases,
        vxc=row.vxc,
        best=row.best,
        valid=row.valid,
        local_pref=row.local_pref,
        med=row.med,
        origin=row.origin,
        communities=row.communities,
    )


def parse_sessions(rows: Any, where: str) -> tuple[McrSession, ...]:
    """The MCR's BGP sessions. Raises BadReply, also for a state that is none of UP, DOWN, UNKNOWN."""
    return tuple(_session(read(_Session, row, where), where) for row in mappings(rows, where))


def _session(row: _Session, where: str) -> McrSession:
    state = _SESSION_STATES.get(row.status.upper())
    if state is None:
        what = f"session state {row.status!r} is not one of {', '.join(_SESSION_STATES)}"
        raise BadReply(what, where=where, do_next=CHECK_VERSION, evidence=excerpt(row.model_dump()))
    return McrSession(
        id=row.session_id,
        neighbour=row.neighbor_address,
        neighbour_asn=row.neighbor_asn,
        local_asn=row.local_asn,
        state=state,
        uptime_s=row.uptime,
        received=row.prefixes_in,
        advertised=row.prefixes_out,
        vxc=row.vxc_name,
    )


def parse_ping(data: Any, where: str) -> McrPing:
    """The result of a ping. Raises BadReply."""
    seen = read(_Ping, data, where).statistics
    rtts = (seen.rtt_min_ms, seen.rtt_avg_ms, seen.rtt_max_ms) if seen.packets_received else (None, None, None)
    return McrPing(seen.packets_transmitted, seen.packets_received, seen.packet_loss_pct, *rtts)


def parse_traceroute(data: Any, where: str) -> tuple[McrHop, ...]:
    """The hops of a traceroute. Raises BadReply."""
    hops = read(_Trace, data, where).hops
    return tuple(McrHop(hop.hop, tuple((probe.host, probe.rtt_ms) for probe in hop.probes)) for hop in hops)
