"""STAMP (RFC 8762), unauthenticated: the packets of both ends, and a reflector. Standard library only.

The lab's half of the codec; the prober has its own, tied to this one by test vectors.
Run as a program, it reflects on the addresses given until it is ended: `python3 stamp.py PORT ADDRESS…`.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import sys
import time
from collections import OrderedDict
from dataclasses import dataclass

PORT = 862
LENGTH = 44
LARGEST = 65535
#: Seconds from the NTP epoch (1900) to the Unix epoch (1970).
NTP_OFFSET = 2_208_988_800
#: Z=0 (NTP format), S=1 (synchronised: one clock here), scale 0, multiplier 1; a multiplier of 0 is forbidden.
ERROR_ESTIMATE = 0x8001
SESSIONS = 4096
#: Not in Python's socket module before 3.14: the option, and the kind of the message that it brings.
IP_RECVTTL, TTL_MESSAGE = (24, 24) if sys.platform == "darwin" else (12, socket.IP_TTL)

_SENDER = struct.Struct("!IQH30x")
_REFLECTOR = struct.Struct("!IQHxxQIQHxxB3x")


class NotStampError(ValueError):
    """The datagram is too short to be a STAMP test packet."""


@dataclass(frozen=True, slots=True)
class SenderPacket:
    """What a session-sender sends. `sent` is Unix time in seconds."""

    sequence: int
    sent: float
    error_estimate: int = ERROR_ESTIMATE


@dataclass(frozen=True, slots=True)
class ReflectorPacket:
    """What a session-reflector answers: its own sequence and times, and the sender's words repeated.

    `sequence` counts the packets this reflector has sent in the session (stateful mode, RFC 8762 §4.3), so a gap
    between it and `sender_sequence` is loss on the way out; the rest is loss on the way back.
    """

    sequence: int
    sent: float
    received: float
    sender_sequence: int
    sender_sent: float
    sender_ttl: int
    error_estimate: int = ERROR_ESTIMATE
    sender_error_estimate: int = ERROR_ESTIMATE


def to_ntp(unix_s: float) -> int:
    """64-bit NTP timestamp: 32 bits of seconds since 1900 (era wraps in 2036), 32 bits of fraction."""
    whole, fraction = divmod(unix_s, 1)
    return ((int(whole) + NTP_OFFSET) & 0xFFFFFFFF) << 32 | int(fraction * 2**32)


def from_ntp(ntp: int) -> float:
    """Unix time of an NTP timestamp; seconds below 2^31 are taken as the era that begins in 2036."""
    seconds = ntp >> 32
    era = 0 if seconds & 0x80000000 else 2**32
    return seconds + era - NTP_OFFSET + (ntp & 0xFFFFFFFF) / 2**32


def encode_sender(packet: SenderPacket) -> bytes:
    return _SENDER.pack(packet.sequence, to_ntp(packet.sent), packet.error_estimate)


def decode_sender(data: bytes) -> SenderPacket:
    """Raises NotStampError when shorter than 44 octets; longer ones carry TLVs and are read from the front."""
    if len(data) < LENGTH:
        raise NotStampError(f"a STAMP test packet has {LENGTH} octets, got {len(data)}")
    sequence, sent, estimate = _SENDER.unpack_from(data)
    return SenderPacket(sequence, from_ntp(sent), estimate)


def encode_reflector(packet: ReflectorPacket) -> bytes:
    return _REFLECTOR.pack(
        packet.sequence,
        to_ntp(packet.sent),
        packet.error_estimate,
        to_ntp(packet.received),
        packet.sender_sequence,
        to_ntp(packet.sender_sent),
        packet.sender_error_estimate,
        packet.sender_ttl,
    )


def decode_reflector(data: bytes) -> ReflectorPacket:
    """Raises NotStampError when shorter than 44 octets."""
    if len(data) < LENGTH:
        raise NotStampError(f"a STAMP reply has {LENGTH} octets, got {len(data)}")
    sequence, sent, estimate, received, theirs, theirs_sent, theirs_estimate, ttl = _REFLECTOR.unpack_from(data)
    return ReflectorPacket(
        sequence,
        from_ntp(sent),
        from_ntp(received),
        theirs,
        from_ntp(theirs_sent),
        ttl,
        estimate,
        theirs_estimate,
    )


def reflect(data: bytes, ttl: int, received: float, sequence: int, now: float) -> bytes:
    """The reply to a test packet. The sender's fields are copied bit by bit, not through floats."""
    if len(data) < LENGTH:
        raise NotStampError(f"a STAMP test packet has {LENGTH} octets, got {len(data)}")
    theirs, theirs_sent, theirs_estimate = _SENDER.unpack_from(data)
    head = _REFLECTOR.pack(
        sequence,
        to_ntp(now),
        ERROR_ESTIMATE,
        to_ntp(received),
        theirs,
        theirs_sent,
        theirs_estimate,
        ttl,
    )
    return head + data[LENGTH:]  # the reply is as long as the question (RFC 8762 §4.3)


class Reflector:
    """A session-reflector on one UDP address. `sequence` counts a session's replies: (sender address, port)."""

    def __init__(self, address: str, port: int = PORT) -> None:
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self._socket.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        self._socket.bind((address, port))
        self._counts: OrderedDict[tuple[str, int], int] = OrderedDict()

    @property
    def address(self) -> tuple[str, int]:
        host, port = self._socket.getsockname()
        return host, port

    def start(self) -> None:
        asyncio.get_running_loop().add_reader(self._socket, self._readable)

    def close(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _readable(self) -> None:
        try:
            data, ancillary, _, sender = self._socket.recvmsg(LARGEST, 64)
        except OSError:  # nothing there after all, or an ICMP error of an earlier reply
            return
        received = time.time()
        ttl = next((struct.unpack("=i", value)[0] for _, kind, value in ancillary if kind == TTL_MESSAGE), 255)
        if len(data) >= LENGTH:
            self._reply(data, ttl, received, sender)

    def _reply(self, data: bytes, ttl: int, received: float, sender: tuple[str, int]) -> None:
        (theirs,) = struct.unpack_from("!I", data)
        # A sender that starts again at its first number starts a new session.
        count = 0 if theirs == 0 else self._counts.get(sender, 0)
        with contextlib.suppress(OSError):  # no way back: that is loss, and the sender will see it as such
            self._socket.sendto(reflect(data, ttl, received, count, time.time()), sender)
        self._counts[sender] = (count + 1) & 0xFFFFFFFF
        self._counts.move_to_end(sender)
        if len(self._counts) > SESSIONS:
            self._counts.popitem(last=False)


async def _serve(port: int, addresses: list[str]) -> None:
    for address in addresses:
        Reflector(address, port).start()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), sys.argv[2:]))
