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
ASKED = 1  # the epoch of those that only ask whether it listens


@pytest.fixture
def channel() -> Iterator[socket.socket]:
    """A sender's socket, with an echo at HERE that listens."""
    echo = subprocess.Popen([sys.executable, "-I", flow.__file__, "echo", HERE])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        try:
            channel.settimeout(0.2)
            until("the echo listens", lambda: listens(channel))
            channel.settimeout(30)
            yield channel
        finally:
            echo.terminate()
            echo.wait(10)


def send(channel: socket.socket, epoch: int, sequence: int) -> None:
    channel.sendto(flow.HEAD.pack(epoch, sequence, 0, 0), (HERE, flow.PORT))


def listens(channel: socket.socket) -> bool:
    send(channel, ASKED, 0)
    try:
        return bool(channel.recv(2048))
    except TimeoutError:
        return False


def answered(channel: socket.socket) -> tuple[int, int, int]:
    """Epoch and sequence of the next answer, and what the echo had counted; late ones to `listens` are passed over."""
    while True:
        epoch, sequence, count, _ = flow.HEAD.unpack_from(channel.recv(2048))
        if epoch != ASKED:
            return epoch, sequence, count


def test_a_datagram_from_before_the_reset_does_not_begin_the_count_anew(channel: socket.socket) -> None:
    under_way = (7, 3)
    for sent in ((7, 0), (7, 1), (7, 2), (8, 0), (8, 1), under_way, (8, 2)):
        send(channel, *sent)
    counted = [answered(channel) for _ in range(6)]
    assert counted == [(7, 0, 1), (7, 1, 2), (7, 2, 3), (8, 0, 1), (8, 1, 2), (8, 2, 3)]
