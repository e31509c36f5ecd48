"""What iputils' ping says, as captured from a router (Debian 12, iputils 20221126)."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.errors import BadReply, Denied
from connectors.routers.channel import Reply
from connectors.routers.pings import Pinged, parse

ANSWERED = """PING 10.255.1.2 (10.255.1.2) from 10.255.1.1 : 56(84) bytes of data.
64 bytes from 10.255.1.2: icmp_seq=1 ttl=64 time=0.216 ms
64 bytes from 10.255.1.2: icmp_seq=2 ttl=64 time=0.044 ms
64 bytes from 10.255.1.2: icmp_seq=4 ttl=64 time=0.045 ms

--- 10.255.1.2 ping statistics ---
4 packets transmitted, 3 received, 25% packet loss, time 612ms
rtt min/avg/max/mdev = 0.044/0.130/0.216/0.086 ms
"""
EXCEEDED = """PING 10.50.255.1 (10.50.255.1) from 10.255.1.1 : 56(84) bytes of data.
From 10.255.1.2 icmp_seq=1 Time to live exceeded

--- 10.50.255.1 ping statistics ---
1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 0ms

"""
TOO_LARGE = """PING 127.0.0.2 (127.0.0.2) from 127.0.0.1 : 65507(65535) bytes of data.

--- 127.0.0.2 ping statistics ---
1 packets transmitted, 0 received, +1 errors, 100% packet loss, time 0ms

ping: sendmsg: Message too long
"""


@pytest.mark.parametrize(
    ("reply", "found"),
    [
        (Reply(0, ANSWERED), Pinged(4, 3, 0.045, "10.255.1.2")),
        (Reply(1, EXCEEDED), Pinged(1, 0, None, None, "10.255.1.2")),
        (Reply(1, TOO_LARGE), Pinged(1, 0, None)),
        (Reply(2, "ping: connect: Network is unreachable\n"), Pinged(0, 0, None)),
        (Reply(2, "ping: bind: Cannot assign requested address\n"), Pinged(0, 0, None)),
    ],
)
def test_what_ping_says_is_read(reply: Reply, found: Pinged) -> None:
    assert parse(reply, "ping", "edge-1") == found


def test_a_refusal_and_unknown_words_are_errors_with_their_evidence() -> None:
    with pytest.raises(Denied, match="not in the list"):
        parse(Reply(77, "refused: not in the list"), "ping", "edge-1")
    with pytest.raises(BadReply, match="command not found"):
        parse(Reply(127, "sh: ping: command not found"), "ping", "edge-1")
    with pytest.raises(BadReply):
        parse(Reply(0, ""), "ping", "edge-1")


@settings(max_examples=100, derandomize=True)
@given(st.text(max_size=200))
def test_any_text_is_counts_or_a_named_error(text: str) -> None:
    try:
        found = parse(Reply(0, text), "ping", "edge-1")
    except BadReply:
        return
    assert found.received >= 0
