"""The lab's half of STAMP: RFC 8762's layout, byte by byte, and a reflector that answers on loopback."""

from __future__ import annotations

import asyncio
import socket
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab import stamp

TIMES = st.floats(min_value=0, max_value=4_000_000_000, allow_nan=False)
WORDS = st.integers(0, 2**32 - 1)


def test_the_layouts_are_those_of_the_rfc() -> None:
    sent = stamp.encode_sender(stamp.SenderPacket(5, 0.5))
    assert sent == struct.pack("!IIIH", 5, 2_208_988_800, 2**31, 0x8001) + bytes(30)
    reply = stamp.reflect(sent, 63, received=1.0, sequence=9, now=1.25)
    assert len(sent) == len(reply) == 44
    assert struct.unpack_from("!I", reply, 0) == (9,)
    assert struct.unpack_from("!II", reply, 4) == (2_208_988_801, 2**30)
    assert struct.unpack_from("!II", reply, 16) == (2_208_988_801, 0)
    assert reply[24:38] == sent[:14]
    assert reply[40:] == bytes([63, 0, 0, 0])


@settings(max_examples=100)
@given(WORDS, TIMES)
def test_a_senders_packet_survives(sequence: int, sent: float) -> None:
    packet = stamp.decode_sender(stamp.encode_sender(stamp.SenderPacket(sequence, sent)))
    assert packet.sequence == sequence
    assert packet.sent == pytest.approx(sent, abs=1e-6)


@settings(max_examples=100)
@given(WORDS, WORDS, TIMES, TIMES, TIMES, st.integers(0, 255))
def test_a_reflectors_packet_survives(mine: int, theirs: int, a: float, b: float, c: float, ttl: int) -> None:
    packet = stamp.ReflectorPacket(mine, a, b, theirs, c, ttl)
    again = stamp.decode_reflector(stamp.encode_reflector(packet))
    assert (again.sequence, again.sender_sequence, again.sender_ttl) == (mine, theirs, ttl)
    assert (again.sent, again.received, again.sender_sent) == pytest.approx((a, b, c), abs=1e-6)


@settings(max_examples=50)
@given(st.binary(max_size=43))
def test_what_is_too_short_is_named(data: bytes) -> None:
    with pytest.raises(stamp.NotStampError, match="44 octets"):
        stamp.decode_sender(data)
    with pytest.raises(stamp.NotStampError, match="44 octets"):
        stamp.decode_reflector(data)


async def test_the_reflector_counts_each_senders_packets() -> None:
    reflector = stamp.Reflector("127.0.0.1", 0)
    reflector.start()
    loop = asyncio.get_running_loop()
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.setblocking(False)
            sender.connect(reflector.address)
            seen = []
            for sequence in (0, 1, 3, 4):  # 2 was lost on the way out
                await loop.sock_sendall(sender, b"noise")
                await loop.sock_sendall(sender, stamp.encode_sender(stamp.SenderPacket(sequence, 100.0)))
                async with asyncio.timeout(30):
                    reply = stamp.decode_reflector(await loop.sock_recv(sender, 2048))
                seen.append((reply.sender_sequence, reply.sequence, reply.sender_sent, reply.sender_ttl))
    finally:
        reflector.close()
    assert seen == [(0, 0, 100.0, 64), (1, 1, 100.0, 64), (3, 2, 100.0, 64), (4, 3, 100.0, 64)]
