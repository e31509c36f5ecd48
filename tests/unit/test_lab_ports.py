"""A port that a server of a lab gives up for a while is not given to anybody else."""

from __future__ import annotations

import socket

import pytest

from lab.ports import ADDRESS, Port


def test_a_port_is_the_same_again_and_refuses_everybody_in_between() -> None:
    port = Port()
    with port.taken() as first:
        first.listen()
        socket.create_connection((ADDRESS, port.number)).close()
    port.shut(keep=True)
    port.shut(keep=True)
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((ADDRESS, port.number))
    with socket.socket() as other, pytest.raises(OSError, match="in use"):
        other.bind((ADDRESS, port.number))
    number = port.number
    with port.taken() as again:
        again.listen()
        socket.create_connection((ADDRESS, number)).close()
    assert port.number == number
    port.shut(keep=True)
    port.shut(keep=False)
