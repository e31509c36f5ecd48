"""Vectors written from RFC 7854 and 4271 by hand, which the lab's writer and the connector's reader both must meet."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.routers.bmp_decode import Decoder
from connectors.routers.bmp_message import (
    Initiation,
    Message,
    Notification,
    Open,
    Peer,
    PeerDown,
    PeerUp,
    RouteMirroring,
    RouteMonitoring,
    Statistics,
    Termination,
    Unknown,
    Update,
)
from connectors.routers.bmp_words import down_words
from lab import bmp

MARKER = "ff" * 16
#: type 0, flags, distinguisher, 10.255.1.2 in the last four of 16, AS 12076, id 1.1.1.3, 2.5 s
HEAD = "00 {flags} 0000000000000000 000000000000000000000000 0aff0102 00002f2c 01010103 00000002 0007a120"
PRE, POST = HEAD.format(flags="00"), HEAD.format(flags="40")
WHOLE = Peer("10.255.1.2", 12076, "1.1.1.3", at_s=2.5)
AFTER = Peer("10.255.1.2", 12076, "1.1.1.3", at_s=2.5, post_policy=True)
LAB = bmp.Peer("10.255.1.2", 12076, "1.1.1.3", at=2.5)
LAB_AFTER = bmp.Peer("10.255.1.2", 12076, "1.1.1.3", at=2.5, post_policy=True)
CAPABILITY = (65, bytes.fromhex("0000fdf2"))

OPEN_US = MARKER + "0025 01 04 fdf2 001e 01010101 08 02 06 41 04 0000fdf2"
OPEN_BIG = MARKER + "0025 01 04 5ba0 00b4 01010103 08 02 06 41 04 00010000"
#: What FRR sends in the place of an OPEN that it has not kept.
BARE_OPEN = MARKER + "0013 01"
UPDATE = (
    MARKER
    + "0047 02 0000 002d"
    + "40 01 01 00"
    + "40 02 0a 02 02 00002f2c 00010000"
    + "40 03 04 0aff0102"
    + "80 04 04 00000007"
    + "40 05 04 000000c8"
    + "c0 08 04 1c38 1c84"
    + "10 0a32"
)

VECTORS: list[tuple[str, str, bytes | None, Message]] = [
    (
        "initiation",
        "03 00000016 04 0001 0002 7631 0002 0006 656467652d31",
        bmp.initiation("edge-1", "v1"),
        Initiation("edge-1", "v1"),
    ),
    ("termination", "03 0000000c 05 0001 0002 0002", bmp.termination(2), Termination(2)),
    (
        "peer up",
        f"03 0000008e 03 {PRE} 000000000000000000000000 0aff0101 00b3 c001 {OPEN_US} {OPEN_BIG}",
        bmp.peer_up(LAB, "10.255.1.1", (179, 49153), bmp.bgp_open(65010, 30, "1.1.1.1"),
                    bmp.bgp_open(65536, 180, "1.1.1.3")),
        PeerUp(WHOLE, "10.255.1.1", 179, 49153, Open(65010, 30, "1.1.1.1", (CAPABILITY,)),
               Open(65536, 180, "1.1.1.3", ((65, bytes.fromhex("00010000")),))),
    ),
    (
        "peer up of a router that has kept neither OPEN",
        f"03 0000006a 03 {PRE} 000000000000000000000000 0aff0101 00b3 c001 {BARE_OPEN} {BARE_OPEN}",
        bmp.peer_up(LAB, "10.255.1.1", (179, 49153), bytes.fromhex(BARE_OPEN), bytes.fromhex(BARE_OPEN)),
        PeerUp(WHOLE, "10.255.1.1", 179, 49153, None, None),
    ),
    (
        "peer down that we notified: hold timer",
        f"03 00000046 02 {PRE} 01 {MARKER} 0015 03 04 00",
        bmp.peer_down(LAB, 1, bmp.notification(4, 0)),
        PeerDown(WHOLE, 1, Notification(4, 0)),
    ),
    ("peer down by an event", f"03 00000033 02 {PRE} 02 0012", bmp.peer_down(LAB, 2, bytes([0, 18])),
     PeerDown(WHOLE, 2, fsm_event=18)),
    (
        "peer down by the far end, with its words",
        f"03 0000004b 02 {PRE} 03 {MARKER} 001a 03 06 02 04 504d4121",
        bmp.peer_down(LAB, 3, bmp.notification(6, 2, "PMA!")),
        PeerDown(WHOLE, 3, Notification(6, 2, b"\x04PMA!", "PMA!")),
    ),
    (
        "peer down by a hard reset, which holds the real cause",
        f"03 00000048 02 {PRE} 03 {MARKER} 0017 03 06 09 06 04",
        None,
        PeerDown(WHOLE, 3, Notification(6, 4)),
    ),
    ("peer down, closed", f"03 00000031 02 {PRE} 04", bmp.peer_down(LAB, 4), PeerDown(WHOLE, 4)),
    ("peer that is told no more about", f"03 00000031 02 {PRE} 05", bmp.peer_down(LAB, 5), PeerDown(WHOLE, 5)),
    (
        "routes after policy",
        f"03 00000077 00 {POST} {UPDATE}",
        bmp.monitoring(LAB_AFTER, bmp.announce(
            [IPv4Network("10.50.0.0/16")], bmp.Attributes((12076, 65536), "10.255.1.2", 7, 200, ("7224:7300",)))),
        RouteMonitoring(AFTER, Update((), ("10.50.0.0/16",), (12076, 65536), 0, "10.255.1.2", 7, 200, ("7224:7300",))),
    ),
    (
        "routes in the old form of two-byte AS numbers",
        f"03 00000050 00 {HEAD.format(flags='20')} {MARKER} 0020 02 0000 0007 40 02 04 02 01 2f2c 08 0a",
        None,
        RouteMonitoring(Peer("10.255.1.2", 12076, "1.1.1.3", two_byte=True, at_s=2.5),
                        Update((), ("10.0.0.0/8",), (12076,))),
    ),
    ("routes withdrawn", f"03 0000004e 00 {PRE} {MARKER} 001e 02 0007 10 0a32 18 0a3307 0000",
     bmp.monitoring(LAB, bmp.withdraw([IPv4Network("10.50.0.0/16"), IPv4Network("10.51.7.0/24")])),
     RouteMonitoring(WHOLE, Update(("10.50.0.0/16", "10.51.7.0/24")))),
    (
        "another family's routes, kept as they are",
        f"03 00000056 00 {PRE} {MARKER} 0026 02 0000 000f 80 0e 0c 0002 01 04 0a000001 00 10 2001",
        None,
        RouteMonitoring(WHOLE, Update(others=((14, bytes.fromhex("000201040a00000100102001")),))),
    ),
    ("end of rib", f"03 00000047 00 {PRE} {MARKER} 0017 02 0000 0000", bmp.monitoring(LAB, bmp.end_of_rib()),
     RouteMonitoring(WHOLE, Update())),
    (
        "statistics, a per-family one left out",
        f"03 0000004f 01 {PRE} 00000003 0000 0004 00000001 0007 0008 0000000000000009 0009 0003 000101",
        None,
        Statistics(WHOLE, ((0, 1), (7, 9))),
    ),
    ("statistics", f"03 0000003c 01 {PRE} 00000001 000b 0004 00000002", bmp.statistics(LAB, [(11, 2)]),
     Statistics(WHOLE, ((11, 2),))),
    ("mirror", f"03 0000003d 06 {PRE} 0001 0002 0001 0000 0003 aabbcc", None,
     RouteMirroring(WHOLE, (b"\xaa\xbb\xcc",), (1,))),
    ("a type of a later document", "03 00000008 63 0102", None, Unknown(99)),
]  # fmt: skip


def exact(text: str) -> bytes:
    return bytes.fromhex(text.replace(" ", ""))


@pytest.mark.parametrize(("text", "message"), [(v[1], v[3]) for v in VECTORS], ids=[v[0] for v in VECTORS])
def test_the_reader_understands_the_vector(text: str, message: Message) -> None:
    raw = exact(text)
    assert int.from_bytes(raw[1:5]) == len(raw), f"the vector itself has {len(raw):#x} bytes"
    assert list(Decoder().feed(raw)) == [message]


WRITTEN = [vector for vector in VECTORS if vector[2] is not None]


@pytest.mark.parametrize(("text", "written"), [(v[1], v[2]) for v in WRITTEN], ids=[v[0] for v in WRITTEN])
def test_the_lab_writes_the_vector(text: str, written: bytes) -> None:
    assert written.hex(" ") == exact(text).hex(" ")


networks = st.builds(
    lambda address, length: IPv4Network((address & (0xFFFFFFFF << (32 - length)), length)),
    st.integers(0, 2**32 - 1),
    st.integers(0, 32),
)
numbers = st.integers(0, 2**32 - 1)


@settings(max_examples=100)
@given(
    st.lists(networks, min_size=1, max_size=8, unique=True),
    st.lists(numbers, max_size=80),
    st.none() | numbers,
    st.none() | numbers,
    st.lists(st.tuples(st.integers(0, 65535), st.integers(0, 65535)), max_size=70),
)
def test_what_the_lab_announces_is_what_the_reader_finds(
    prefixes: list[IPv4Network], path: list[int], med: int | None, pref: int | None, pairs: list[tuple[int, int]]
) -> None:
    communities = tuple(f"{high}:{low}" for high, low in pairs)
    attributes = bmp.Attributes(tuple(path), "10.255.1.2", med, pref, communities)
    (message,) = Decoder().feed(bmp.monitoring(LAB, bmp.announce(prefixes, attributes)))
    announced = tuple(map(str, prefixes))
    assert message == RouteMonitoring(
        WHOLE, Update((), announced, tuple(path), 0, "10.255.1.2", med, pref, communities)
    )


@pytest.mark.parametrize(
    ("down", "words"),
    [
        (PeerDown(WHOLE, 1, Notification(4, 0)), "hold timer expired: nothing heard from the far end's BGP"),
        (PeerDown(WHOLE, 2, fsm_event=0), "our router dropped it and is being asked why"),
        (PeerDown(WHOLE, 2, fsm_event=18), "our router dropped it and is being asked why (BGP event 18)"),
        (PeerDown(WHOLE, 3, Notification(6, 2, text="provider PMA")), "shut by the far end: provider PMA"),
        (PeerDown(WHOLE, 3, Notification(6, 7)), "far end sent BGP notification 0607"),
        (PeerDown(WHOLE, 4), "down: the far end closed the connection"),
    ],
)
def test_a_peer_down_has_words_for_a_person(down: PeerDown, words: str) -> None:
    assert down_words(down) == words


def test_a_shutdown_text_cannot_steer_a_terminal() -> None:
    (message,) = Decoder().feed(bmp.peer_down(LAB, 3, bmp.notification(6, 2, "\x1b[2Jgone\nnow")))
    assert isinstance(message, PeerDown)
    assert message.notification
    assert message.notification.text == "[2Jgone now"
