"""A wire with grey trouble in it, since the kernel has no netem. Standard library only: it runs inside the fabric.

`wire.py TAP_A TAP_B` makes the two interfaces, says `ready`, and carries frames between them. A line on stdin says how:
`{"to_a": [loss, delay_s, mtu], "to_b": […]}`, answered by `ok`; the end of stdin ends it, and the interfaces with it.
What is marked as network control (CS6, CS7: BGP, BFD) and what is no IPv4 passes untouched, as on a carrier that
queues control apart: that is why a session stays up over such a link and does not show it.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import selectors
import struct
import sys
import time
from collections import deque

TUNSETIFF, IFF_TAP, IFF_NO_PI = 0x400454CA, 0x0002, 0x1000
ETHERTYPE, IPV4, HEADER = slice(12, 14), b"\x08\x00", 14
CONTROL = 0xC0  # the lowest traffic class of CS6 and CS7
FRAME = 65535
FRAMES = 64  # read at once, before the other side has its turn


def tap(name: str) -> int:
    """A new interface and the descriptor that its frames pass through; it is gone when that is closed."""
    descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return descriptor


class Direction:
    """Frames on their way out of one descriptor; the delay is one figure for all, so they stay in order."""

    def __init__(self, out: int, dice: random.Random) -> None:
        self._out, self._dice = out, dice
        self._loss, self._delay_s, self._mtu = 0.0, 0.0, FRAME
        self.waiting: deque[tuple[float, bytes]] = deque()

    def set(self, loss: float, delay_s: float, mtu: int | None) -> None:
        self._loss, self._delay_s, self._mtu = loss, delay_s, mtu or FRAME

    def take(self, frame: bytes, now: float) -> None:
        if spared(frame):
            self._write(frame)
        elif self._dice.random() >= self._loss and int.from_bytes(frame[16:18], "big") <= self._mtu:
            if self._delay_s or self.waiting:
                self.waiting.append((now + self._delay_s, frame))
            else:
                self._write(frame)

    def release(self, now: float) -> None:
        while self.waiting and self.waiting[0][0] <= now:
            self._write(self.waiting.popleft()[1])

    def _write(self, frame: bytes) -> None:
        try:
            os.write(self._out, frame)
        except OSError:  # the interface is down or its queue full: a wire loses such frames
            return


def spared(frame: bytes) -> bool:
    """Network control, and what is no IPv4 (ARP)."""
    return len(frame) < HEADER + 20 or frame[ETHERTYPE] != IPV4 or frame[15] >= CONTROL


def carry(a: int, b: int) -> None:
    """Until stdin ends."""
    dice = random.Random(862)
    towards = {"to_a": Direction(a, dice), "to_b": Direction(b, dice)}
    source = {a: towards["to_b"], b: towards["to_a"]}
    with selectors.DefaultSelector() as selector:
        for descriptor in (a, b, sys.stdin.fileno()):
            selector.register(descriptor, selectors.EVENT_READ)
        while True:
            due = min((way.waiting[0][0] for way in source.values() if way.waiting), default=None)
            for key, _ in selector.select(None if due is None else max(0.0, due - time.monotonic())):
                if key.fd in source:
                    _read(key.fd, source[key.fd])
                elif not _obey(towards):
                    return
            now = time.monotonic()
            for way in source.values():
                way.release(now)


def _read(descriptor: int, way: Direction) -> None:
    for _ in range(FRAMES):
        try:
            frame = os.read(descriptor, FRAME)
        except OSError:  # nothing more, or the interface is not up yet
            return
        way.take(frame, time.monotonic())


def _obey(towards: dict[str, Direction]) -> bool:
    line = sys.stdin.readline()
    if line:
        for name, figures in json.loads(line).items():
            towards[name].set(*figures)
        print("ok", flush=True)
    return bool(line)


if __name__ == "__main__":
    ends = [tap(name) for name in sys.argv[1:]]
    print("ready", flush=True)
    carry(*ends)
