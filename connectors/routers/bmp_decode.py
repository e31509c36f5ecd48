"""BMP, bytes in and messages out (RFC 7854). No I/O: the connection feeds what came, however it was cut.

The router's words are not trusted: whatever does not fit ends the stream with one BmpMalformed, and a message that
says it is larger than LARGEST is not waited for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from connectors.routers.bmp_bytes import BmpMalformed, Bytes, words
from connectors.routers.bmp_message import (
    Initiation,
    Message,
    Peer,
    PeerDown,
    PeerUp,
    RouteMirroring,
    RouteMonitoring,
    Statistics,
    Termination,
    Unknown,
)
from connectors.routers.bmp_update import read_notification, read_open, read_update

VERSION = 3
HEADER = 6
LARGEST = 1_000_000  # bytes of one message: a BGP message has 64 KiB at most, a mirror or a report a few of them
IPV6, POST_POLICY, TWO_BYTE = 0x80, 0x40, 0x20
LOC_RIB = 3


class Decoder:
    """One stream. After an error it is of no more use; `buffered` never exceeds LARGEST and one chunk."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    @property
    def buffered(self) -> int:
        return len(self._buffer)

    def feed(self, chunk: bytes) -> Iterator[Message]:
        """Every message that is complete now, one after the other. Raises BmpMalformed at the first that is none."""
        self._buffer += chunk
        at = 0
        try:
            while (length := self._length(at)) and length <= len(self._buffer) - at:
                yield _message(bytes(self._buffer[at : at + length]))
                at += length
        finally:
            del self._buffer[:at]

    def _length(self, at: int) -> int | None:
        """The whole length of the message that begins there; None while its header is not all there."""
        if len(self._buffer) - at < 1:
            return None
        if self._buffer[at] != VERSION:
            raise BmpMalformed(f"version {self._buffer[at]} where BMP has {VERSION}", bytes(self._buffer[at : at + 32]))
        if len(self._buffer) - at < HEADER:
            return None
        length = int.from_bytes(self._buffer[at + 1 : at + 5])
        if not HEADER <= length <= LARGEST:
            raise BmpMalformed(f"a message says that it has {length} bytes", bytes(self._buffer[at : at + 32]))
        return length


def _message(raw: bytes) -> Message:
    kind = raw[HEADER - 1]
    name, read = _READERS.get(kind, ("", None))
    if read is None:
        return Unknown(kind)
    return read(Bytes(raw[HEADER:], name))


def _peer(body: Bytes) -> tuple[Peer, bool]:
    """The per-peer header, and whether its session is one of IPv6."""
    kind, flags = body.number(1), body.number(1)
    ipv6 = bool(flags & IPV6) and kind != LOC_RIB
    distinguisher, address = body.number(8), body.address(ipv6=ipv6)
    asn, router_id = body.number(4), body.ipv4()
    seconds, micros = body.number(4), body.number(4)
    plain = kind != LOC_RIB  # RFC 9069: the flags of a Loc-RIB mean other things
    peer = Peer(
        address,
        asn,
        router_id,
        kind,
        distinguisher,
        post_policy=plain and bool(flags & POST_POLICY),
        two_byte=plain and bool(flags & TWO_BYTE),
        at_s=seconds + micros / 1e6,
    )
    return peer, ipv6


def _tlvs(body: Bytes) -> Iterator[tuple[int, bytes]]:
    while body.left:
        kind = body.number(2)
        yield kind, body.take(body.number(2))


def _initiation(body: Bytes) -> Initiation:
    tlvs = list(_tlvs(body))
    said = {kind: words(value) for kind, value in tlvs}
    return Initiation(said.get(2, ""), said.get(1, ""), tuple(words(value) for kind, value in tlvs if kind == 0))


def _termination(body: Bytes) -> Termination:
    tlvs = list(_tlvs(body))
    reason = next((int.from_bytes(value) for kind, value in tlvs if kind == 1 and len(value) == 2), None)
    return Termination(reason, tuple(words(value) for kind, value in tlvs if kind == 0))


def _peer_up(body: Bytes) -> PeerUp:
    peer, ipv6 = _peer(body)
    local, ports = body.address(ipv6=ipv6), (body.number(2), body.number(2))
    return PeerUp(peer, local, *ports, read_open(body), read_open(body))


def _peer_down(body: Bytes) -> PeerDown:
    peer, _ipv6 = _peer(body)
    reason = body.number(1)
    if reason in {1, 3}:
        return PeerDown(peer, reason, notification=read_notification(body))
    return PeerDown(peer, reason, fsm_event=body.number(2) if reason == 2 else None)


def _route_monitoring(body: Bytes) -> RouteMonitoring:
    peer, _ipv6 = _peer(body)
    return RouteMonitoring(peer, read_update(body, two_byte=peer.two_byte))


def _statistics(body: Bytes) -> Statistics:
    peer, _ipv6 = _peer(body)
    values = []
    for _counter in range(body.number(4)):
        kind = body.number(2)
        value = body.take(body.number(2))
        if len(value) in {4, 8}:
            values.append((kind, int.from_bytes(value)))
    return Statistics(peer, tuple(values))


def _route_mirroring(body: Bytes) -> RouteMirroring:
    peer, _ipv6 = _peer(body)
    tlvs = list(_tlvs(body))
    codes = tuple(int.from_bytes(value) for kind, value in tlvs if kind == 1)
    return RouteMirroring(peer, tuple(value for kind, value in tlvs if kind == 0), codes)


_READERS: dict[int, tuple[str, Callable[[Bytes], Message]]] = {
    0: ("Route Monitoring", _route_monitoring),
    1: ("Statistics Report", _statistics),
    2: ("Peer Down", _peer_down),
    3: ("Peer Up", _peer_up),
    4: ("Initiation", _initiation),
    5: ("Termination", _termination),
    6: ("Route Mirroring", _route_mirroring),
}
