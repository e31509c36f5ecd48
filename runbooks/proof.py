"""Proving that it is so: expected beside actual, from what was seen since the proving began."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

from network.health import SiteHealth
from network.layers import View
from network.observation import Advertised, Kind, SessionHere
from network.snapshot import Snapshot
from runbooks.effects import Finding
from runbooks.scene import Scene

#: How long a newer snapshot is waited for before it is looked again.
LOOK_S = 1.0
#: The clouds are asked anew at the start and then this often: their tables follow an act by seconds.
ASK_S = 10.0

Line = dict[str, Any]
Prove = Callable[[Snapshot], Awaitable[Sequence[Line]]]


def line(what: str, want: str, now: str, *, ok: bool | None) -> Line:
    """Expected beside actual; `ok` None is unknown, which is neither proven nor harm."""
    return {"what": what, "want": want, "now": now, "ok": ok}


def finding(lines: Sequence[Line], word: str = "expected") -> Finding:
    """True when every line is proven, False when one is seen to be otherwise, None when some are only unknown."""
    missing = [f"{each['what']}: {each['now']}, {word} {each['want']}" for each in lines if not each["ok"]]
    seen_otherwise = any(each["ok"] is False for each in lines)
    ok = True if lines and not missing else False if seen_otherwise else None
    return Finding(ok=ok, reason="; ".join(missing), evidence={"expected": list(lines)})


class Paced:
    """What a system is asked for no oftener than it can bear: every `every_s`, however often somebody looks."""

    def __init__(self, every_s: float, read: Callable[[], Awaitable[list[Line]]]) -> None:
        self._every, self._read = timedelta(seconds=every_s), read
        self._at: datetime | None = None
        self._lines: list[Line] = []

    async def lines(self, now: datetime) -> list[Line]:
        """Expected beside actual, as last read."""
        if self._at is None or now - self._at >= self._every:
            self._at, self._lines = now, await self._read()
        return self._lines


async def until_proven(scene: Scene, timeout_s: float, prove: Prove, word: str = "expected") -> Finding:
    """Ask `prove` until every line is so or the time is over.

    It is given only what was seen since the call: a snapshot from before an act must not prove the act.
    """
    began = asked = scene.now()
    scene.look_again()
    while True:
        known = scene.snapshot
        found = finding(await prove(known.since(began)), word)
        now = scene.now()
        left_s = timeout_s - (now - began).total_seconds()
        if found.ok or left_s <= 0:
            return found
        if now - asked >= timedelta(seconds=ASK_S):
            scene.look_again()
            asked = now
        await scene.newer(known.revision, min(LOOK_S, left_s))


def no_ot_overlap(health: SiteHealth, view: View) -> Line:
    """No advertisement reaches into an OT range, as far as every established session's are known."""
    leaks = [f"{alert.path}: {alert.text}" for alert in health.alerts if alert.overlaps_ot]
    unread = [f"what {name} advertises is unknown" for name in _unread(view)]
    now = "; ".join([*leaks, *unread]) or "no overlap"
    return line("OT ranges", "no overlap", now, ok=False if leaks else None if unread else True)


def _unread(view: View) -> list[str]:
    """Sessions that may announce something, and of which it is not known what."""
    paths = (path.session for path in view.site.paths)
    return [session for session in paths if not _silent(view, session) and not _read(view, session)]


def _silent(view: View, session: str) -> bool:
    here = view.snapshot.fresh(Kind.SESSION_HERE, session, SessionHere, view.now)
    return here is not None and not here.established


def _read(view: View, session: str) -> bool:
    return view.snapshot.fresh(Kind.ADVERTISED, session, Advertised, view.now) is not None
