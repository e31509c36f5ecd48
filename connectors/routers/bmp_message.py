"""What a BMP stream says (RFC 7854), as typed messages. Addresses and prefixes are text, as the site file writes them.

A field that the sender left out is None; counts are the router's own.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Peer:
    """The per-peer header: whose message it is, and on which side of the import policy. `at_s` is the router's clock.

    `kind`: 0 global, 1 VRF, 2 local, 3 Loc-RIB. `two_byte` (flag A): AS paths are in the old two-byte form.
    """

    address: str
    asn: int
    router_id: str
    kind: int = 0
    distinguisher: int = 0
    post_policy: bool = False
    two_byte: bool = False
    at_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Initiation:
    """The first message: the router says what it is called. `texts` are free words."""

    name: str
    description: str
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Termination:
    """The router ends the stream: 0 administratively closed, 1 unspecified, 2 out of resources, 3 redundant."""

    reason: int | None
    texts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Open:
    """A BGP OPEN. `asn` is the four-byte one where the speaker has it; `capabilities` are (code, value)."""

    asn: int
    hold_s: int
    router_id: str
    capabilities: tuple[tuple[int, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class PeerUp:
    """A session is established; on a new stream also told once of every session that already is.

    An OPEN that the router has not kept is None.
    """

    peer: Peer
    local: str
    local_port: int
    remote_port: int
    sent: Open | None
    received: Open | None


@dataclass(frozen=True, slots=True)
class Notification:
    """A BGP NOTIFICATION; `text` is what RFC 9003 lets an operator say with a shutdown or reset."""

    code: int
    subcode: int
    data: bytes = b""
    text: str = ""


@dataclass(frozen=True, slots=True)
class PeerDown:
    """A session went down: 1 we notified, 2 we dropped it (`fsm_event`), 3 they notified, 4 they closed.

    5 is no loss: the router will only tell no more about this session. Others are of later documents.
    """

    peer: Peer
    reason: int
    notification: Notification | None = None
    fsm_event: int | None = None


@dataclass(frozen=True, slots=True)
class Update:
    """A BGP UPDATE of IPv4 unicast; None is an attribute that is not there. `others`: (attribute type, its bytes).

    Other families' MP_REACH and MP_UNREACH stay among the others. A confederation or set counts its members.
    """

    withdrawn: tuple[str, ...] = ()
    announced: tuple[str, ...] = ()
    as_path: tuple[int, ...] = ()
    origin: int | None = None
    next_hop: str | None = None
    med: int | None = None
    local_pref: int | None = None
    communities: tuple[str, ...] = ()
    others: tuple[tuple[int, bytes], ...] = ()

    @property
    def end_of_rib(self) -> bool:
        """RFC 4724: an UPDATE without anything ends the table of IPv4 unicast."""
        return self == Update()


@dataclass(frozen=True, slots=True)
class RouteMonitoring:
    """Routes of one session, before or after policy as the peer says."""

    peer: Peer
    update: Update


@dataclass(frozen=True, slots=True)
class Statistics:
    """Counters and gauges by type; a value that is no plain number (per family) is left out."""

    peer: Peer
    values: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class RouteMirroring:
    """BGP messages as they came, whole and untouched, and information codes (0 errored, 1 lost)."""

    peer: Peer
    pdus: tuple[bytes, ...]
    codes: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Unknown:
    """A message of a type that RFC 7854 does not have: a receiver must step over it."""

    kind: int


Message = Initiation | Termination | PeerUp | PeerDown | RouteMonitoring | Statistics | RouteMirroring | Unknown
