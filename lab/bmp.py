"""BMP as a router writes it (RFC 7854): the lab's own codec, for the routers that are a model.

It shares nothing with the connector that reads it; test vectors tie the two.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

ROUTE_MONITORING, STATISTICS, PEER_DOWN, PEER_UP, INITIATION, TERMINATION = range(6)
OPEN, UPDATE, NOTIFICATION = 1, 2, 3
POST_POLICY = 0x40
AS_TRANS = 23456
CEASE = 6


@dataclass(frozen=True, slots=True)
class Peer:
    """The per-peer header: a session's far end, and the moment (seconds since the epoch)."""

    address: str
    asn: int
    router_id: str
    at: float = 0.0
    post_policy: bool = False


@dataclass(frozen=True, slots=True)
class Attributes:
    """What an UPDATE says of its routes; None is not sent."""

    as_path: tuple[int, ...] = ()
    next_hop: str = "0.0.0.0"
    med: int | None = None
    local_pref: int | None = None
    communities: tuple[str, ...] = ()


def initiation(name: str, description: str) -> bytes:
    return _message(INITIATION, _tlv(1, description.encode()) + _tlv(2, name.encode()))


def termination(reason: int) -> bytes:
    return _message(TERMINATION, _tlv(1, struct.pack("!H", reason)))


def peer_up(peer: Peer, local: str, ports: tuple[int, int], sent: bytes, received: bytes) -> bytes:
    """`ports` are ours and theirs; `sent` and `received` the two OPENs."""
    return _message(PEER_UP, _peer(peer) + _wide(local) + struct.pack("!HH", *ports) + sent + received)


def peer_down(peer: Peer, reason: int, detail: bytes = b"") -> bytes:
    """Reasons 1 and 3 carry a NOTIFICATION, 2 an FSM event of two bytes."""
    return _message(PEER_DOWN, _peer(peer) + bytes([reason]) + detail)


def monitoring(peer: Peer, update: bytes) -> bytes:
    return _message(ROUTE_MONITORING, _peer(peer) + update)


def statistics(peer: Peer, counters: Iterable[tuple[int, int]]) -> bytes:
    values = list(counters)
    rows = b"".join(_tlv(kind, struct.pack("!I", value)) for kind, value in values)
    return _message(STATISTICS, _peer(peer) + struct.pack("!I", len(values)) + rows)


def bgp_open(asn: int, hold_s: int, router_id: str) -> bytes:
    """With the capability of four-byte AS numbers (RFC 6793)."""
    capability = bytes([65, 4]) + struct.pack("!I", asn)
    parameter = bytes([2, len(capability)]) + capability
    short = asn if asn < 65536 else AS_TRANS
    body = struct.pack("!BHH4sB", 4, short, hold_s, IPv4Address(router_id).packed, len(parameter))
    return _bgp(OPEN, body + parameter)


def announce(prefixes: Iterable[IPv4Network], attributes: Attributes) -> bytes:
    path = b"".join(struct.pack("!I", asn) for asn in attributes.as_path)
    segment = bytes([2, len(attributes.as_path)]) + path if attributes.as_path else b""
    found = _attribute(0x40, 1, b"\0") + _attribute(0x40, 2, segment)
    found += _attribute(0x40, 3, IPv4Address(attributes.next_hop).packed)
    if attributes.med is not None:
        found += _attribute(0x80, 4, struct.pack("!I", attributes.med))
    if attributes.local_pref is not None:
        found += _attribute(0x40, 5, struct.pack("!I", attributes.local_pref))
    if attributes.communities:
        pairs = (map(int, community.split(":")) for community in attributes.communities)
        found += _attribute(0xC0, 8, b"".join(struct.pack("!HH", *pair) for pair in pairs))
    nlri = b"".join(map(_prefix, prefixes))
    return _bgp(UPDATE, struct.pack("!HH", 0, len(found)) + found + nlri)


def withdraw(prefixes: Iterable[IPv4Network]) -> bytes:
    gone = b"".join(map(_prefix, prefixes))
    return _bgp(UPDATE, struct.pack("!H", len(gone)) + gone + bytes(2))


def end_of_rib() -> bytes:
    return _bgp(UPDATE, bytes(4))


def notification(code: int, subcode: int, text: str = "") -> bytes:
    """`text` as RFC 9003 has it, for a shutdown or a reset."""
    said = text.encode()[:255]
    data = bytes([len(said)]) + said if said else b""
    return _bgp(NOTIFICATION, bytes([code, subcode]) + data)


def _message(kind: int, body: bytes) -> bytes:
    return struct.pack("!BIB", 3, 6 + len(body), kind) + body


def _peer(peer: Peer) -> bytes:
    seconds, rest = divmod(peer.at, 1)
    flags = POST_POLICY if peer.post_policy else 0
    head = struct.pack("!BBQ", 0, flags, 0) + _wide(peer.address)
    router_id = IPv4Address(peer.router_id).packed
    return head + struct.pack("!I4sII", peer.asn, router_id, int(seconds), int(rest * 1e6))


def _wide(address: str) -> bytes:
    return bytes(12) + IPv4Address(address).packed


def _tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!HH", kind, len(value)) + value


def _bgp(kind: int, body: bytes) -> bytes:
    return b"\xff" * 16 + struct.pack("!HB", 19 + len(body), kind) + body


def _attribute(flags: int, kind: int, value: bytes) -> bytes:
    if len(value) > 255:
        return struct.pack("!BBH", flags | 0x10, kind, len(value)) + value
    return bytes([flags, kind, len(value)]) + value


def _prefix(network: IPv4Network) -> bytes:
    return bytes([network.prefixlen]) + network.network_address.packed[: (network.prefixlen + 7) // 8]
