"""STAMP session-sender (RFC 8762, unauthenticated, 44-byte packets): one UDP socket a path, one loop for all.

Runs in two places: in a thread of this process, and as a script on a host behind the edges, sent to its
`python3 -` with nothing installed there. So: standard library only, and nothing newer than Python 3.8.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import socket
import struct
import sys
import time
from collections import deque
from typing import Any, Callable  # noqa: UP035 -- collections.abc.Callable[...] needs Python 3.9 on the host

PACKET = 44
_SENT = struct.Struct("!IQH30x")  # sequence, timestamp, error estimate, must-be-zero
_REPLY = struct.Struct("!IQHxxQIQHxxBxxx")  # the same three, receive time, then the sender's three and its TTL
ERROR_ESTIMATE = 1  # clock not synchronised, multiplier 1: only differences of one clock are used
_NTP_EPOCH = 2_208_988_800
#: The fewest recent probes that make a loss figure.
WINDOW_LEAST = 3
#: An answer is overdue after 4 round trips, at least 0.2 s; a late one still counts until the timeout.
OVERDUE_TRIPS, OVERDUE_LEAST_S = 4.0, 0.2
REBIND_S = 5.0
#: Linux stamps a datagram when it arrives, so a thread that wakes late still measures the path and not itself.
SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@ll")


def ntp(seconds: float) -> int:
    """Unix seconds as a 64-bit NTP timestamp."""
    whole = int(seconds)
    return ((whole + _NTP_EPOCH) & 0xFFFFFFFF) << 32 | int((seconds - whole) * 2**32) & 0xFFFFFFFF


def pack(sequence: int, stamp: int) -> bytes:
    return _SENT.pack(sequence & 0xFFFFFFFF, stamp, ERROR_ESTIMATE)


def unpack(data: bytes) -> tuple[int, int, float] | None:
    """Our sequence number and timestamp from a reply, and the seconds it stayed there; None if it is no reply."""
    if len(data) < PACKET:
        return None
    _, left, _, came, sequence, stamp, _, _ = _REPLY.unpack_from(data)
    return sequence, stamp, max(0.0, (left - came) / 2**32)


def _waited_s(notes: list[tuple[int, int, bytes]]) -> float:
    """How long ago the kernel took a datagram in, by its own stamp; 0 without one, or when the clock was set."""
    for level, kind, data in notes:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS) and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            waited = time.time() - (seconds + nanoseconds / 1e9)
            return waited if 0.0 <= waited < REBIND_S else 0.0
    return 0.0


class Probe:
    """One probe: when it was sent (monotonic seconds), its stamp, its round trip in ms once answered."""

    __slots__ = ("rtt_ms", "sent_at", "sequence", "stamp")

    def __init__(self, sequence: int, sent_at: float, stamp: int) -> None:
        self.sequence, self.sent_at, self.stamp = sequence, sent_at, stamp
        self.rtt_ms: float | None = None


class PathProbe:
    """Probes of one path from its source address; unpinned while that address is not on this machine."""

    def __init__(self, one: dict[str, Any], interval_s: float, timeout_s: float, window_s: float) -> None:
        self.name, self.source, self.target = one["path"], one["source"], (one["target"], one["port"])
        self.timeout_s = timeout_s
        self.window = max(WINDOW_LEAST, int(window_s / interval_s))
        self.socket: socket.socket | None = None
        self.why = ""
        self.bind_at = self.send_at = 0.0
        self.sequence = 0
        self.slowest_s = 0.0
        self.probes: deque[Probe] = deque(maxlen=self.window + int(timeout_s / interval_s) + 2)

    def open(self, now: float) -> socket.socket | None:
        """Bind to the path's source, which is what pins it: without the address there is no probe."""
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            made.setblocking(False)
            with contextlib.suppress(OSError):  # not Linux: the time of waking has to do
                made.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            made.bind((self.source, 0))
            made.connect(self.target)
        except OSError as error:
            made.close()
            self.bind_at = now + REBIND_S
            self.why = f"{self.source}: {error.strerror or error}"
            return None
        self.socket, self.why = made, ""
        return made

    def send(self, bound: socket.socket) -> None:
        stamp = ntp(time.time())
        self.probes.append(Probe(self.sequence, time.monotonic(), stamp))
        # No route, or refused by the target: the probe is lost, and that is what it has to show.
        with contextlib.suppress(OSError):
            bound.send(pack(self.sequence, stamp))
        self.sequence = (self.sequence + 1) & 0xFFFFFFFF

    def receive(self) -> None:
        """Every waiting reply; one that answers nothing we sent is left out, as is a queued ICMP error."""
        while self.socket is not None:
            try:
                data, notes, _, _ = self.socket.recvmsg(2048, 64)
            except BlockingIOError:
                return
            except OSError:
                continue
            answer = unpack(data)
            if answer is not None:
                self._take(answer, time.monotonic() - _waited_s(notes))

    def _take(self, answer: tuple[int, int, float], came: float) -> None:
        sequence, stamp, there_s = answer
        for probe in self.probes:
            took = max(came - probe.sent_at, 0.0)
            if (probe.sequence, probe.stamp, probe.rtt_ms) == (sequence, stamp, None) and took <= self.timeout_s:
                probe.rtt_ms = 1000.0 * (took - there_s if there_s < took else took)
                self.slowest_s = max(took, self.slowest_s * 0.9)

    def result(self, now: float) -> dict[str, Any]:
        """The window's figures; `rtt_ms` is the newest probe's, None when that one is lost.

        When the newest two or more are lost the window is just these (received 0): a dead path shows at its
        second lost probe, while single losses are measured over the window.
        """
        due = [probe for probe in self.probes if probe.rtt_ms is not None or now - probe.sent_at >= self._overdue_s()]
        window = due[-self.window :]
        lost = 0
        while lost < len(window) and window[-1 - lost].rtt_ms is None:
            lost += 1
        if lost > 1:
            window = window[-lost:]
        return {
            "path": self.name,
            "sent": len(window),
            "received": sum(probe.rtt_ms is not None for probe in window),
            "rtt_ms": window[-1].rtt_ms if window else None,
            "pinned": self.socket is not None,
            "why": self.why,
        }

    def _overdue_s(self) -> float:
        if not self.slowest_s:
            return self.timeout_s
        return min(self.timeout_s, max(OVERDUE_LEAST_S, OVERDUE_TRIPS * self.slowest_s))


class Sender:
    """All paths in one loop. `report` gets their results every `report_s` seconds and says whether to go on.

    `config`: interval_s, timeout_s, window_s, report_s, paths [{path, source, target, port}]. `stop` is a descriptor
    that becomes readable to end the loop.
    """

    def __init__(
        self, config: dict[str, Any], report: Callable[[list[dict[str, Any]]], bool], stop: int | None = None
    ) -> None:
        self.interval_s, self.report_s = config["interval_s"], config["report_s"]
        self.paths = [
            PathProbe(one, self.interval_s, config["timeout_s"], config["window_s"]) for one in config["paths"]
        ]
        self.report, self.stop = report, stop

    def run(self) -> None:
        with selectors.DefaultSelector() as selector:
            if self.stop is not None:
                selector.register(self.stop, selectors.EVENT_READ, None)
            try:
                self._loop(selector)
            finally:
                for path in self.paths:
                    if path.socket is not None:
                        path.socket.close()

    def _loop(self, selector: selectors.BaseSelector) -> None:
        start = time.monotonic()
        for place, path in enumerate(self.paths):
            # Spread over the interval: eight probes at once would queue behind each other.
            path.send_at = start + place * self.interval_s / len(self.paths)
        report_at = start + self.report_s
        while True:
            now = time.monotonic()
            wake_at = min([self._serve(path, selector, now) for path in self.paths], default=report_at)
            if now >= report_at:
                for path in self.paths:
                    path.receive()  # what has come must not count as lost because this loop was late
                if not self.report([path.result(now) for path in self.paths]):
                    return
                report_at = max(report_at + self.report_s, now)
            for key, _ in selector.select(max(0.0, min(wake_at, report_at) - time.monotonic())):
                if key.data is None:
                    return
                key.data.receive()

    def _serve(self, path: PathProbe, selector: selectors.BaseSelector, now: float) -> float:
        """Bind or send if it is time to; when to look again."""
        if path.socket is None and now >= path.bind_at:
            made = path.open(now)
            if made is not None:
                selector.register(made, selectors.EVENT_READ, path)
        if path.socket is None:
            return path.bind_at
        if now >= path.send_at:
            path.send(path.socket)
            path.send_at = max(path.send_at + self.interval_s, now)
        return path.send_at


def main(config: dict[str, Any]) -> None:
    """On the probe host: one JSON line a report. Ends when nobody reads it any more or its parent is gone."""
    parent = os.getppid()

    def report(results: list[dict[str, Any]]) -> bool:
        try:
            sys.stdout.write(json.dumps(results) + "\n")
            sys.stdout.flush()
        except (OSError, ValueError):
            return False
        return os.getppid() == parent

    Sender(config, report).run()
