"""The BMP decoder: a real router's stream to the letter, however it is cut, and whatever a stranger sends."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.errors import InterlockError
from connectors.routers.bmp_bytes import BmpMalformed
from connectors.routers.bmp_decode import LARGEST, Decoder
from connectors.routers.bmp_message import (
    Initiation,
    Message,
    PeerDown,
    PeerUp,
    RouteMonitoring,
    Statistics,
)
from connectors.routers.bmp_update import prefixes

CAPTURE = Path(__file__).parents[1] / "data" / "frr" / "40-bmp"
STREAM = (CAPTURE / "stream.bin").read_bytes()
TOLD = [json.loads(line) for line in (CAPTURE / "decoded.jsonl").read_text().splitlines()]
NAMES = {RouteMonitoring: "RouteMonitoring", Statistics: "StatsReport", PeerDown: "PeerDown", PeerUp: "PeerUp",
         Initiation: "Initiation"}  # fmt: skip


def pieces(stream: bytes) -> list[bytes]:
    """The messages by their own length field."""
    found = []
    while stream:
        length = int.from_bytes(stream[1:5])
        found.append(stream[:length])
        stream = stream[length:]
    return found


def decoded(chunks: Iterable[bytes]) -> list[Message | str]:
    """Every message, and the error's name at the end when there was one."""
    decoder, found = Decoder(), list[Message | str]()
    try:
        for chunk in chunks:
            found += decoder.feed(chunk)
    except InterlockError as error:
        found.append(type(error).__name__)
    return found


def fields(message: Message, raw: bytes) -> dict[str, Any]:
    """A message in the words of the twin that another program made of the same bytes."""
    said: dict[str, Any] = {"type": NAMES[type(message)], "len": len(raw), "ver": 3}
    if isinstance(message, Initiation):
        return {**said, "tlv": [[1, message.description], [2, message.name]]}
    peer = message.peer  # type: ignore[union-attr]  # every other message of the capture has one
    said |= {"peer_type": peer.kind, "post_policy": peer.post_policy, "peer": peer.address, "asn": peer.asn,
             "bgp_id": peer.router_id, "ts": f"{peer.at_s:.6f}"}  # fmt: skip
    if isinstance(message, PeerUp):
        said |= {"lport": message.local_port, "rport": message.remote_port}
    if isinstance(message, Statistics):
        said |= {"stats": [list(value) for value in message.values], "n": len(message.values)}
    if isinstance(message, PeerDown) and message.notification:
        note = message.notification
        said["notif"] = {"code": note.code, "sub": note.subcode, "data": note.data.hex()}
    if isinstance(message, PeerDown):
        said["reason"] = message.reason
        said |= {} if message.fsm_event is None else {"fsm_event": message.fsm_event}
    return said


#: Of the twin alone: when it was read, and lengths of parts that follow from the whole.
LENGTHS = {"t", "flags", "opens", "update_len", "withdrawn_len"}


@pytest.mark.parametrize("number", range(len(TOLD)))
def test_every_message_of_a_real_router_says_what_its_twin_says(number: int) -> None:
    raw = pieces(STREAM)[number]
    (message,) = Decoder().feed(raw)
    twin = TOLD[number]
    assert fields(message, raw) == {key: value for key, value in twin.items() if key not in LENGTHS}
    if isinstance(message, RouteMonitoring):
        assert message.update.end_of_rib == (twin["update_len"] == 23)
        assert len(message.update.withdrawn) == (twin["withdrawn_len"] > 0)


def test_the_whole_stream_gives_as_many_messages_as_it_has() -> None:
    assert len(list(Decoder().feed(STREAM))) == len(TOLD) == 123


def test_routes_opens_and_shutdown_texts_of_a_real_router_are_read_whole() -> None:
    messages = list(Decoder().feed(STREAM))
    ups = [message for message in messages if isinstance(message, PeerUp)]
    opens = [(up.peer.address, up.received, up.sent) for up in ups]
    assert {(peer, there.asn, there.hold_s, here.asn) for peer, there, here in opens if there and here} >= {
        ("169.254.10.2", 64512, 30, 65010),
        ("10.0.0.2", 65010, 180, 65010),
    }
    updates = [m.update for m in messages if isinstance(m, RouteMonitoring) and m.peer.address == "169.254.10.2"]
    announced = {update.announced[0]: update for update in updates if update.announced}
    assert announced
    # FRR 8.4 writes the path as it would send it on: with our own AS before the neighbor's.
    assert all(update.as_path[:2] == (65010, 64512) for update in announced.values())
    assert {update.next_hop for update in announced.values()} == {"169.254.10.2"}
    downs = [message for message in messages if isinstance(message, PeerDown)]
    assert [(down.reason, down.notification.text if down.notification else "") for down in downs] == [
        (2, ""),
        (2, ""),
        (3, "provider PMA"),
        (3, "provider PMA"),
    ]


@settings(max_examples=40)
@given(st.lists(st.integers(1, 900), min_size=1, max_size=40))
def test_however_the_bytes_are_cut_the_messages_are_the_same(sizes: list[int]) -> None:
    chunks, rest = [], STREAM
    for size in sizes:
        chunks.append(rest[:size])
        rest = rest[size:]
    assert decoded([*chunks, rest]) == decoded([STREAM])


def test_byte_by_byte_gives_the_same_messages_too() -> None:
    assert decoded(STREAM[at : at + 1] for at in range(len(STREAM))) == decoded([STREAM])


@settings(max_examples=150)
@given(st.binary(max_size=400))
def test_arbitrary_bytes_give_messages_or_the_one_error(data: bytes) -> None:
    decoded([data])
    for kind in range(7):  # behind a valid header, where a stranger's bytes reach every reader
        whole = bytes([3]) + (6 + len(data)).to_bytes(4) + bytes([kind]) + data
        assert len(decoded([whole])) == 1


@settings(max_examples=150)
@given(st.data())
def test_a_twisted_real_stream_gives_the_same_in_one_chunk_and_in_many(data: st.DataObject) -> None:
    twisted = bytearray(STREAM[: data.draw(st.integers(100, 4000))])
    for _ in range(data.draw(st.integers(1, 6))):
        twisted[data.draw(st.integers(0, len(twisted) - 1))] = data.draw(st.integers(0, 255))
    size = data.draw(st.integers(1, 700))
    chunks = [bytes(twisted[at : at + size]) for at in range(0, len(twisted), size)]
    assert decoded(chunks) == decoded([bytes(twisted)])


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "version 71"),
        (b"\x03\x00\x00\x00\x02\x04", "says that it has 2 bytes"),
        (b"\x03" + (LARGEST + 1).to_bytes(4) + b"\x00", f"says that it has {LARGEST + 1} bytes"),
        (b"\x03\x00\x00\x00\x07\x04\x00", "Initiation is cut"),
        (b"\x03\x00\x00\x00\x08\x02\x00\x00", "Peer Down is cut"),
    ],
)
def test_what_is_no_bmp_is_told_with_its_evidence(bad: bytes, words: str) -> None:
    with pytest.raises(BmpMalformed, match=words):
        list(Decoder().feed(bad))


def test_the_buffer_never_holds_more_than_one_message() -> None:
    decoder = Decoder()
    header = b"\x03" + LARGEST.to_bytes(4) + b"\x07"
    assert list(decoder.feed(header)) == []
    for _ in range(LARGEST // 65536):
        assert list(decoder.feed(bytes(65536))) == []
    assert decoder.buffered <= LARGEST
    with pytest.raises(BmpMalformed, match="version 0"):
        list(decoder.feed(bytes(65536)))


def test_prefixes_with_and_without_path_ids_are_told_apart() -> None:
    plain = bytes([16, 10, 50, 16, 10, 51])
    with_ids = bytes([0, 0, 0, 1, 16, 10, 50, 0, 0, 0, 2, 16, 10, 50])
    assert prefixes(plain) == ("10.50.0.0/16", "10.51.0.0/16")
    assert prefixes(with_ids) == ("10.50.0.0/16", "10.50.0.0/16")
    assert prefixes(bytes([15, 10, 51])) == ("10.50.0.0/15",), "bits beyond the length mean nothing"
    assert prefixes(bytes([0])) == ("0.0.0.0/0",)
    with pytest.raises(BmpMalformed):
        prefixes(bytes([33, 1, 2, 3, 4, 5]))
