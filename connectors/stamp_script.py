"""STAMP session-sender (RFC 8762, unauthenticated): one UDP socket a path and one for its large packets, one loop.

Runs in two places: in a thread of this process, and as a script on a host behind the edges, sent to its
`python3 -` with nothing installed there. So: standard library only, and nothing newer than Python 3.8.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import selectors
import socket
import struct
import sys
import time
from collections import deque
from itertools import islice
from statistics import median
from typing import Any, Callable, NamedTuple, Sequence  # noqa: UP035 -- collections.abc's need Python 3.9 on the host

from connectors.stamp_figures import Bisection, Probe, Usual, divided, long_count, numbered, typical

PACKET = 44
_SENT = struct.Struct("!IQH30x")  # sequence, timestamp, error estimate, must-be-zero
_REPLY = struct.Struct("!IQHxxQIQHxxBxxx")  # the same three, receive time, then the sender's three and its TTL
_PADDING = struct.Struct("!BBH")  # RFC 8972 extra padding TLV: flags (U), type 1, length
ERROR_ESTIMATE = 1  # clock not synchronised, multiplier 1: only differences of one clock are used
_NTP_EPOCH = 2_208_988_800
#: The fewest recent probes that make a loss figure; as many in the long count (a fast sender remembers less far).
WINDOW_LEAST, LONG_MOST = 3, 1000
#: No answer for this long, and for two probes: the path is dead, which is another thing than lossy.
DEAD_S, DEAD_LEAST = 1.0, 2
#: An answer is overdue after 4 round trips, at least 0.2 s; a late one still counts until the timeout.
OVERDUE_TRIPS, OVERDUE_LEAST_S = 4.0, 0.2
REBIND_S = 5.0
#: Linux stamps a datagram when it arrives, so a thread that wakes late still measures the path and not itself.
SO_TIMESTAMPNS = 35
_TIMESPEC = struct.Struct("@ll")
#: Linux: don't fragment, and never mind what size the kernel believes the path to have.
IP_MTU_DISCOVER, IP_PMTUDISC_PROBE = 10, 3
HEADERS = 28  # bytes of the IPv4 and UDP headers
#: A size has so many packets, so far apart, before it counts as too large.
MTU_TRIES, MTU_GAP_S = 5, 0.03


def ntp(seconds: float) -> int:
    """Unix seconds as a 64-bit NTP timestamp."""
    whole = int(seconds)
    return ((whole + _NTP_EPOCH) & 0xFFFFFFFF) << 32 | int((seconds - whole) * 2**32) & 0xFFFFFFFF


def pack(sequence: int, stamp: int, size: int = 0) -> bytes:
    """A test packet, padded to an IP packet of `size` bytes."""
    packet = _SENT.pack(sequence & 0xFFFFFFFF, stamp, ERROR_ESTIMATE)
    padding = size - HEADERS - PACKET - _PADDING.size
    return packet + _PADDING.pack(0x80, 1, padding) + bytes(padding) if padding >= 0 else packet


class Answer(NamedTuple):
    """A reply: our sequence and timestamp, seconds it stayed there, its own number, seconds out by both clocks.

    The clocks are not each other's: only the change of `out_s` means something.
    """

    sequence: int
    stamp: int
    there_s: float
    number: int
    out_s: float


def unpack(data: bytes) -> Answer | None:
    """The answer in a datagram; None if it is no reply."""
    if len(data) < PACKET:
        return None
    number, left, _, came, sequence, stamp, _, _ = _REPLY.unpack_from(data)
    return Answer(sequence, stamp, max(0.0, (left - came) / 2**32), number, (came - stamp) / 2**32)


def _waited_s(notes: list[tuple[int, int, bytes]]) -> float:
    """How long ago the kernel took a datagram in, by its own stamp; 0 without one, or when the clock was set."""
    for level, kind, data in notes:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS) and len(data) >= _TIMESPEC.size:
            seconds, nanoseconds = _TIMESPEC.unpack_from(data)
            waited = time.time() - (seconds + nanoseconds / 1e9)
            return waited if 0.0 <= waited < REBIND_S else 0.0
    return 0.0


class PathProbe:
    """Probes of one path from its source address; unpinned while that address is not on this machine."""

    def __init__(self, one: dict[str, Any], config: dict[str, Any]) -> None:
        self.name, self.source, self.target = one["path"], one["source"], (one["target"], one["port"])
        self.timeout_s: float = config["timeout_s"]
        interval_s = config["interval_s"]
        self.window_s = config["window_s"]
        self.window = max(WINDOW_LEAST, int(self.window_s / interval_s))
        self.dead = min(self.window, max(DEAD_LEAST, math.ceil(DEAD_S / interval_s)))
        self.socket: socket.socket | None = None
        self.why = ""
        self.bind_at = self.send_at = 0.0
        self.sent = 0
        self.slowest_s = 0.0
        self.counts = False  # the reflector numbers its answers itself
        self.usual = Usual(config["step_ms"], config["step_pct"] / 100)
        self.learn_at = 0.0
        kept = max(self.window, min(LONG_MOST, int(config["grey_s"] / interval_s)))
        self.probes: deque[Probe] = deque(maxlen=kept + int(self.timeout_s / interval_s) + 2)
        self.mtu = MtuProbe(one["mtu"], config["mtu_every_s"])

    def open(self, now: float) -> list[socket.socket]:
        """Bind to the path's source, which is what pins it: without the address there is no probe."""
        try:
            made = self._bound()
            self.mtu.socket = self._bound()
        except OSError as error:
            self.bind_at = now + REBIND_S
            self.why = f"{self.source}: {error.strerror or error}"
            return []
        with contextlib.suppress(OSError):  # not Linux: large packets are then cut, and all sizes pass
            self.mtu.socket.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE)
        self.socket, self.why, self.learn_at = made, "", now + self.window_s
        return [made, self.mtu.socket]

    def _bound(self) -> socket.socket:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            made.setblocking(False)
            with contextlib.suppress(OSError):  # not Linux: the time of waking has to do
                made.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            made.bind((self.source, 0))
            made.connect(self.target)
        except OSError:
            made.close()
            raise
        return made

    def close(self) -> None:
        for each in (self.socket, self.mtu.socket):
            if each is not None:
                each.close()

    def send(self, bound: socket.socket) -> None:
        probe = Probe(self.sent, time.monotonic(), ntp(time.time()))
        self.probes.append(probe)
        # No route, or refused by the target: the probe is lost, and that is what it has to show.
        with contextlib.suppress(OSError):
            bound.send(pack(probe.sequence, probe.stamp))
        self.sent += 1

    def receive(self) -> None:
        """Every waiting reply; one that answers nothing we sent is left out, as is a queued ICMP error."""
        for answer, came in _waiting(self.socket):
            self._take(answer, came)
        for answer, _ in _waiting(self.mtu.socket):
            self.mtu.take(answer)

    def _take(self, answer: Answer, came: float) -> None:
        for probe in reversed(self.probes):
            took = max(came - probe.sent_at, 0.0)
            if took > self.timeout_s:
                return
            if (probe.sequence, probe.stamp, probe.rtt_ms) == (answer.sequence, answer.stamp, None):
                probe.rtt_ms = 1000.0 * (took - answer.there_s if answer.there_s < took else took)
                probe.out_ms, probe.number = 1000.0 * answer.out_s, answer.number
                self.counts = answer.number != answer.sequence
                self.slowest_s = max(took, self.slowest_s * 0.9)
                return

    def result(self, now: float) -> dict[str, Any]:
        """The window's figures; `rtt_ms` is the newest probe's, None when that one is lost.

        When the path is dead the window is just the lost ones (received 0): it shows within a second or two, while
        single losses are measured over the window. `long` looks further back, for what is grey.
        """
        due = [probe for probe in self.probes if probe.rtt_ms is not None or now - probe.sent_at >= self.overdue_s()]
        window = due[-self.window :]
        lost = 0
        while lost < len(window) and window[-1 - lost].rtt_ms is None:
            lost += 1
        if lost >= self.dead:
            window = window[-lost:]
        answered = [probe for probe in window if probe.rtt_ms is not None]
        if now >= self.learn_at and len(answered) >= WINDOW_LEAST:
            self.usual.learn(typical(answered), now, median(probe.out_ms for probe in answered))
            self.learn_at = now + self.window_s
        return {
            "path": self.name,
            "sent": len(window),
            "received": len(answered),
            "rtt_ms": window[-1].rtt_ms if window else None,
            "pinned": self.socket is not None,
            "why": self.why,
            **self._lost(window, bool(answered)),
            **self._latency(answered, now),
            "long": self._long(long_count(due, self.dead), now),
            "mtu": self.mtu.result(now),
        }

    def _lost(self, probes: Sequence[Probe], answered: bool) -> dict[str, Any]:
        out, back = divided(probes) if self.counts and answered else (None, None)
        return {"lost_out": out, "lost_back": back}

    def _latency(self, answered: Sequence[Probe], now: float) -> dict[str, Any]:
        """The window's own and the usual round trip; how much of the difference is on the way out; for how long."""
        known = len(answered) >= WINDOW_LEAST
        usual, usual_out = self.usual.value(), self.usual.value(1)
        out = median(probe.out_ms for probe in answered) - usual_out if known and usual_out is not None else None
        since = self.usual.off_since
        return {
            "median_ms": typical(answered) if known else None,
            "usual_ms": usual,
            "step_out_ms": out,
            "step_age_s": None if since is None else now - since,
        }

    def _long(self, probes: Sequence[Probe], now: float) -> dict[str, Any]:
        lost = [probe for probe in probes if probe.rtt_ms is None]
        return {
            "sent": len(probes),
            "lost": len(lost),
            "times": len({probe.nth - place for place, probe in enumerate(lost)}),  # lost in a row share a difference
            **self._lost(probes, len(lost) < len(probes)),
            "age_s": now - lost[0].sent_at if lost else None,
        }

    def overdue_s(self) -> float:
        if not self.slowest_s:
            return self.timeout_s
        return min(self.timeout_s, max(OVERDUE_LEAST_S, OVERDUE_TRIPS * self.slowest_s))

    def alive(self) -> bool:
        """Something came back of the last `dead` probes that are due an answer by now."""
        return any(probe.rtt_ms is not None for probe in islice(reversed(self.probes), self.dead + 1))


class MtuProbe:
    """Looks every `every_s` seconds how large a packet comes back whole, on a STAMP session of its own.

    `lag_s`: so much later once, behind the first look. Large packets of all paths in one second look like a load.
    """

    def __init__(self, wanted: int, every_s: float) -> None:
        self._wanted, self.every_s, self.lag_s = wanted, every_s, 0.0
        self.socket: socket.socket | None = None
        self._search: Bisection | None = None
        self._begin_at = self._next_at = 0.0
        self._sent: list[tuple[int, int]] = []  # sequence and stamp of this size's packets
        self._answered = False
        self._nth = 0
        self._found: tuple[float, int | None] | None = None

    def serve(self, path: PathProbe, now: float) -> float:
        """Send, or give up on a size, if it is time to; when to look again."""
        if self.socket is None:
            return now + REBIND_S
        if not path.alive():
            self._search, self._next_at = None, 0.0  # a dead path has no size: it is asked again when it lives
            return now + DEAD_S
        if self._search is None:
            if now < self._begin_at:
                return self._begin_at
            self._search, self._next_at = Bisection(self._wanted), now
            self._begin_at, self.lag_s = now + self.every_s + self.lag_s, 0.0
            self._next_size()
        if self._answered:
            self._settle(passed=True, now=now)
        elif now >= self._next_at and len(self._sent) < MTU_TRIES:
            self._send(self.socket, self._search.size or 0)
            self._next_at = now + (MTU_GAP_S if len(self._sent) < MTU_TRIES else path.overdue_s())
        elif now >= self._next_at:
            self._settle(passed=False, now=now)
        return self._next_at

    def take(self, answer: Answer) -> None:
        self._answered = self._answered or (answer.sequence, answer.stamp) in self._sent

    def result(self, now: float) -> dict[str, Any] | None:
        """What passed, and how long ago that was found."""
        return None if self._found is None else {"passes": self._found[1], "age_s": now - self._found[0]}

    def _send(self, bound: socket.socket, size: int) -> None:
        packet = numbered(self._nth), ntp(time.time())
        self._sent.append(packet)
        self._nth += 1
        with contextlib.suppress(OSError):  # larger than our own interface takes: it does not pass
            bound.send(pack(*packet, size))

    def _settle(self, *, passed: bool, now: float) -> None:
        assert self._search is not None
        self._search.tell(passed=passed)
        self._next_size()
        self._next_at = now
        if self._search.size is None:
            self._found, self._search, self._next_at = (now, self._search.passes), None, self._begin_at

    def _next_size(self) -> None:
        self._sent, self._answered = [], False


def _waiting(bound: socket.socket | None) -> list[tuple[Answer, float]]:
    """The replies that wait on a socket, and when each came (monotonic seconds)."""
    found = []
    while bound is not None:
        try:
            data, notes, _, _ = bound.recvmsg(65535, 64)
        except BlockingIOError:
            break
        except OSError:
            continue
        answer = unpack(data)
        if answer is not None:
            found.append((answer, time.monotonic() - _waited_s(notes)))
    return found


class Sender:
    """All paths in one loop. `report` gets their results every `report_s` seconds and says whether to go on.

    `config`: interval_s, timeout_s, window_s, grey_s (how far the long count looks back), mtu_every_s, step_ms and
    step_pct (what is no longer usual), report_s, paths [{path, source, target, port, mtu}]. `stop` is a descriptor that
    becomes readable to end the loop.
    """

    def __init__(
        self, config: dict[str, Any], report: Callable[[list[dict[str, Any]]], bool], stop: int | None = None
    ) -> None:
        self.interval_s, self.report_s = config["interval_s"], config["report_s"]
        self.paths = [PathProbe(one, config) for one in config["paths"]]
        self.report, self.stop = report, stop

    def run(self) -> None:
        with selectors.DefaultSelector() as selector:
            if self.stop is not None:
                selector.register(self.stop, selectors.EVENT_READ, None)
            try:
                self._loop(selector)
            finally:
                for path in self.paths:
                    path.close()

    def spread(self, start: float) -> None:
        """Probes over their interval: eight at once would queue behind each other. Looks at sizes over theirs."""
        for place, path in enumerate(self.paths):
            path.send_at = start + place * self.interval_s / len(self.paths)
            path.mtu.lag_s = place * path.mtu.every_s / len(self.paths)

    def _loop(self, selector: selectors.BaseSelector) -> None:
        start = time.monotonic()
        self.spread(start)
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
            for made in path.open(now):
                selector.register(made, selectors.EVENT_READ, path)
        if path.socket is None:
            return path.bind_at
        if now >= path.send_at:
            path.send(path.socket)
            path.send_at = max(path.send_at + self.interval_s, now)
        return min(path.send_at, path.mtu.serve(path, now))


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
