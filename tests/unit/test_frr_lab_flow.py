"""The plant's traffic: what its two ends count."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from lab.frr import flow
from tests.e2e.embedded_lab import until

HERE = "127.0.5.1"


@pytest.fixture
def channel() -> Iterator[socket.socket]:
    """A sender's socket, with an echo at HERE that listens."""
    echo = subprocess.Popen([sys.executable, "-I", flow.__file__, "echo", HERE])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.settimeout(30)
        channel.connect((HERE, flow.PORT))  # so that an echo that does not listen yet refuses, and at once
        try:
            until("the echo listens", lambda: counted(channel, 1, 0))
            yield channel
        finally:
            echo.terminate()
            echo.wait(10)


def send(channel: socket.socket, epoch: int, sequence: int) -> None:
    channel.send(flow.HEAD.pack(epoch, sequence, 0, 0))


def counted(channel: socket.socket, epoch: int, sequence: int) -> int | None:
    """Send one datagram; what the echo had counted when it answered, None when nobody listens."""
    try:
        send(channel, epoch, sequence)
        theirs, number, count, _ = flow.HEAD.unpack_from(channel.recv(2048))
    except ConnectionRefusedError:
        return None
    assert (theirs, number) == (epoch, sequence), "the answer to another one"
    return int(count)


def test_a_datagram_from_before_the_reset_does_not_begin_the_count_anew(channel: socket.socket) -> None:
    assert [counted(channel, 7, n) for n in range(3)] == [1, 2, 3]
    assert [counted(channel, 8, n) for n in range(2)] == [1, 2]
    send(channel, 7, 3)  # one that was under way: the next answer is not to it
    assert counted(channel, 8, 2) == 3
