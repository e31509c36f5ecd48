"""The figures of probes: usual or not, lost which way, what still counts, which size passes. No I/O.

Goes to the probe host together with `stamp_script`: standard library only, and nothing newer than Python 3.8.
"""

from __future__ import annotations

from collections import deque
from statistics import median
from typing import Sequence  # noqa: UP035 -- collections.abc.Sequence[...] needs Python 3.9 on the host

#: A stretch without loss that had a chance of e^-5 were the path as lossy as before: the loss is over.
CLEAN, LEAST_SEEN = 5.0, 20
#: Every IPv4 path carries 576 bytes.
MTU_LEAST = 576
#: Windows that make the usual figure, the fewest of them, and how long a step stays a step before it is the usual.
USUAL_OF, USUAL_LEAST, STEP_STAYS_S = 100, 3, 900.0


class Probe:
    """One probe: the how-manieth it is, when it was sent (monotonic seconds), its stamp.

    Once answered its round trip and its way out in ms, and the number of its answer.
    """

    __slots__ = ("nth", "number", "out_ms", "rtt_ms", "sent_at", "sequence", "stamp")

    def __init__(self, nth: int, sent_at: float, stamp: int) -> None:
        self.nth, self.sent_at, self.stamp = nth, sent_at, stamp
        self.sequence = numbered(nth)
        self.rtt_ms: float | None = None
        self.out_ms = 0.0
        self.number = 0


def numbered(nth: int) -> int:
    """The sequence number of a session's nth packet.

    They start at 0 (RFC 8762 §4.1) and leap over 1: from then on a reflector that counts for itself answers with other
    numbers, and is told from one that repeats ours.
    """
    return (nth + 1 if nth else 0) & 0xFFFFFFFF


def divided(probes: Sequence[Probe]) -> tuple[int, int]:
    """Lost on the way out and on the way back, where the reflector counts for itself.

    What it did not count did not arrive. What is lost before the first or after the last answer cannot be divided yet,
    nor can what lies beside a probe that may still be answered (it is not in the list).
    """
    out = back = 0
    answered = [(place, probe) for place, probe in enumerate(probes) if probe.rtt_ms is not None]
    for at in range(1, len(answered)):
        (first, before), (second, probe) = answered[at - 1], answered[at]
        asked = probe.nth - before.nth
        counted = (probe.number - before.number) & 0xFFFFFFFF
        # Else one is not due yet, or the reflector began anew, or they came in another order.
        if asked == second - first and 1 <= counted <= asked:
            out, back = out + asked - counted, back + counted - 1
    return out, back


def long_count(probes: Sequence[Probe], dead: int) -> Sequence[Probe]:
    """The newest probes that belong together.

    What lies before an outage (`dead` lost in a row), or before a stretch without loss that proves the loss over, says
    nothing of the path now. But on a path that was lossy before it, `dead` in a row are more of the same: it is not
    sound again with the first answer.
    """
    start = lost = run = clean = 0
    for place, probe in enumerate(probes):
        if probe.rtt_ms is None:
            lost, run, clean = lost + 1, run + 1, 0
            continue
        clean += 1
        over = clean * lost >= CLEAN * max(place + 1 - start - clean, LEAST_SEEN)
        was_sound = (lost - run) * LEAST_SEEN <= place - run - start
        if over or (run >= dead and was_sound):
            start, lost = place, 0
        run = 0
    return probes[len(probes) if run >= dead else start :]


def typical(answered: Sequence[Probe]) -> float:
    """The median round trip in ms."""
    return float(median(probe.rtt_ms for probe in answered if probe.rtt_ms is not None))


class Usual:
    """What a figure usually is: the median of the windows before.

    While the newest is far above, it learns nothing, so that a step is not the usual at once; a step that has stayed
    for STEP_STAYS_S is the new usual. A figure may come with a second one that is learned along with it.
    """

    def __init__(self, step: float, share: float) -> None:
        self._step, self._share = step, share
        self._kept: deque[tuple[float, float]] = deque(maxlen=USUAL_OF)
        self._off: deque[tuple[float, float]] = deque(maxlen=USUAL_OF)
        self.off_since: float | None = None

    def value(self, place: int = 0) -> float | None:
        """None until it is known."""
        return float(median(pair[place] for pair in self._kept)) if len(self._kept) >= USUAL_LEAST else None

    def learn(self, figure: float, now: float, beside: float = 0.0) -> None:
        usual = self.value()
        if usual is None or figure <= usual + max(self._step, usual * self._share):
            self._kept.append((figure, beside))
            self._off.clear()
            self.off_since = None
            return
        self.off_since = now if self.off_since is None else self.off_since
        self._off.append((figure, beside))
        if now - self.off_since >= STEP_STAYS_S:
            self._kept, self.off_since = self._off.copy(), None


class Bisection:
    """The largest size that passes: the whole, then the least, then halves. `size` is the next to try, None at the end.

    `passes` is then the answer, to within `step`: None when not even the least passed.
    """

    def __init__(self, wanted: int, step: int = 1) -> None:
        self._wanted, self._step, self._low, self._high = wanted, step, 0, wanted + 1
        self.size: int | None = wanted

    def tell(self, *, passed: bool) -> None:
        assert self.size is not None
        if passed:
            self._low = self.size
        else:
            self._high = self.size
        if self._low == 0 and self._high > MTU_LEAST:
            self.size = MTU_LEAST
        else:
            self.size = (self._low + self._high) // 2 if self._low and self._high - self._low > self._step else None

    @property
    def passes(self) -> int | None:
        return self._low or None
