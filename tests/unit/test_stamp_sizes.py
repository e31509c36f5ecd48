"""When the sender looks how large a packet passes."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, cast

from connectors.stamp_script import Answer, MtuProbe, PathProbe, Sender, unpack

EVERY_S = 15.0
STEP_S = 0.05


class Far:
    """A path that carries every size, and a socket of it: each packet sent is answered at once."""

    def __init__(self, lag_s: float) -> None:
        self.probe = MtuProbe(1500, EVERY_S)
        self.probe.lag_s, self.probe.socket = lag_s, cast("Any", self)
        self.now, self.looked = 0.0, list[float]()

    def alive(self) -> bool:
        return True

    def overdue_s(self) -> float:
        return 1.0

    def send(self, data: bytes) -> None:
        assert unpack(data) is not None
        self.looked.append(self.now)
        self.probe.take(Answer(*self.probe._sent[-1], 0.0, 0, 0.0))

    def until(self, end_s: float) -> list[float]:
        while self.now < end_s:
            self.probe.serve(cast("PathProbe", self), self.now)
            self.now += STEP_S
        return self.looked


def test_sizes_are_all_looked_at_at_once_and_then_one_path_after_the_other() -> None:
    one = {"source": "127.0.0.1", "target": "127.0.0.2", "port": 862, "mtu": 1500}
    config = {"interval_s": 1.0, "timeout_s": 1.0, "window_s": 5.0, "grey_s": 60.0, "mtu_every_s": EVERY_S}
    config |= {"step_ms": 5.0, "step_pct": 20.0, "report_s": 0.5}
    sender = Sender({**config, "paths": [{**one, "path": f"p{n}"} for n in range(4)]}, lambda _: False)
    sender.spread(0.0)
    looked = [Far(path.mtu.lag_s).until(4 * EVERY_S) for path in sender.paths]
    assert [each[0] for each in looked] == [0.0] * 4
    later = sorted(moment for each in looked for moment in each[1:])
    assert len(later) >= 4 * 2
    assert min(after - before for before, after in pairwise(later)) > EVERY_S / 4 - 2 * STEP_S
