"""The plant's traffic, both ends of it. Standard library only: it runs as a child inside a namespace.

`flow.py send SOURCE CLOUD=ADDRESS…` sends 200 numbered datagrams a second to every cloud;
`flow.py echo ADDRESS` answers.
The echo writes how many it has had and its longest silence into each answer, so the sender knows each direction.
A line `report` on stdin is answered by one JSON line on stdout; `reset` starts the counts again.
"""

from __future__ import annotations

import json
import selectors
import socket
import struct
import sys
import time

PORT = 5000
RATE = 200
SIZE = 1000
#: epoch of counting, sequence, count at the echo, longest silence at the echo in microseconds
HEAD = struct.Struct("!IQQQ")


class Flow:
    """One cloud's datagrams as the sender sees them. Gaps in milliseconds."""

    def __init__(self) -> None:
        self.epoch = int(time.time())  # later than any that the echo has had, from a sender before this one too
        self.reset()

    def reset(self) -> None:
        self.epoch += 1
        self.sent = self.received = self.arrived = 0
        self.gap_in = self.gap_out = 0.0
        self.last = time.monotonic()

    def take(self, data: bytes, now: float) -> None:
        epoch, _, arrived, silence_us = HEAD.unpack_from(data)
        if epoch != self.epoch:
            return
        self.received += 1
        self.arrived = max(self.arrived, arrived)
        self.gap_in = max(self.gap_in, silence_us / 1000)
        self.gap_out = max(self.gap_out, (now - self.last) * 1000)
        self.last = now

    def report(self, now: float) -> dict[str, float]:
        open_gap = (now - self.last) * 1000
        return {
            "sent": self.sent,
            "arrived": self.arrived,
            "received": self.received,
            "lost_in": self.sent - self.arrived,
            "lost_out": self.arrived - self.received,
            "longest_gap_in_ms": round(self.gap_in, 1),
            "longest_gap_out_ms": round(max(self.gap_out, open_gap), 1),
        }


def send(source: str, clouds: dict[str, str]) -> None:
    """Send and count until stdin closes."""
    channel = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    channel.bind((source, PORT))
    channel.setblocking(False)
    flows = {name: Flow() for name in clouds}
    names = {address: name for name, address in clouds.items()}
    selector = selectors.DefaultSelector()
    selector.register(channel, selectors.EVENT_READ)
    selector.register(sys.stdin, selectors.EVENT_READ)
    due = time.monotonic()
    padding = bytes(SIZE - HEAD.size)
    while True:
        for key, _ in selector.select(max(0.0, due - time.monotonic())):
            if key.fileobj is channel:
                _drain(channel, flows, names)
            elif not _obey(flows):
                return
        now = time.monotonic()
        if now >= due:
            due = max(due + 1 / RATE, now - 0.1)  # never more than a tenth of a second to catch up
            for name, flow in flows.items():
                flow.sent += 1
                _send(channel, HEAD.pack(flow.epoch, flow.sent, 0, 0) + padding, (clouds[name], PORT))


def _drain(channel: socket.socket, flows: dict[str, Flow], names: dict[str, str]) -> None:
    while True:
        try:
            data, (address, _) = channel.recvfrom(2048)
        except BlockingIOError:
            return
        except OSError:  # an ICMP error of an earlier datagram; the next one may be data
            continue
        if address in names and len(data) == SIZE:
            flows[names[address]].take(data, time.monotonic())


def _obey(flows: dict[str, Flow]) -> bool:
    word = sys.stdin.readline().strip()
    if word == "reset":
        for flow in flows.values():
            flow.reset()
    if word:
        now = time.monotonic()
        print(json.dumps({name: flow.report(now) for name, flow in flows.items()}), flush=True)
    return bool(word)


def _send(channel: socket.socket, data: bytes, to: tuple[str, int]) -> None:
    try:
        channel.sendto(data, to)
    except OSError:  # no way there now: the datagram is lost, which is what is being counted
        return


def echo(address: str) -> None:
    """Answer every datagram at its own size, with our count and longest silence in it."""
    channel = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    channel.bind((address, PORT))
    epoch, count, silence, last = 0, 0, 0.0, 0.0
    while True:
        try:
            data, sender = channel.recvfrom(2048)
        except OSError:  # an ICMP error of an earlier answer
            continue
        if len(data) < HEAD.size:
            continue
        now = time.monotonic()
        theirs, sequence, _, _ = HEAD.unpack_from(data)
        if theirs < epoch:
            continue  # it was under way when the count began anew, and a slower way let others pass it
        if theirs > epoch:
            epoch, count, silence, last = theirs, 0, 0.0, now
        count, silence, last = count + 1, max(silence, now - last), now
        head = HEAD.pack(theirs, sequence, count, int(silence * 1e6))
        _send(channel, head + data[HEAD.size :], sender)


if __name__ == "__main__":
    if sys.argv[1] == "send":
        send(sys.argv[2], dict(item.split("=") for item in sys.argv[3:]))
    else:
        echo(sys.argv[2])
