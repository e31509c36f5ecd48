"""What one edge can say: the world from where it stands."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from lab.embedded.sessions import BgpSession, End
from lab.embedded.speaker import Peer, Speaker, Table
from lab.embedded.world import World

Json = dict[str, Any]


@dataclass(frozen=True)
class Neighbor:
    """A peer of this edge: its configuration, the session, and which end of it is ours."""

    peer: Peer
    session: BgpSession
    mine: End
    local: str
    name: str

    @property
    def internal(self) -> bool:
        return self.session.site.internal

    @property
    def state(self) -> str:
        """The word of the summary's `state`."""
        if self.peer.shutdown is not None:
            return "Idle (Admin)"
        return "Idle (PfxCt)" if self.mine.over_limit else self.mine.state


@dataclass(frozen=True)
class EdgeView:
    """One edge of the world."""

    world: World
    router: str

    @property
    def speaker(self) -> Speaker:
        return self.world.speakers[self.router]

    @property
    def table(self) -> Table:
        return self.world.tables[self.router]

    @property
    def now(self) -> float:
        return self.world.clock.now()

    def neighbors(self) -> dict[str, Neighbor]:
        """Every configured peer that has a session in the site, by address in numeric order."""
        found = {}
        for session in self.world.sessions.values():
            site = session.site
            for router, end, peer, local, name in (
                (site.router, session.here, site.peer, site.local, site.there),
                (site.there, session.there, site.local, site.peer, site.router),
            ):
                known = self.speaker.peers.get(str(peer))
                if router == self.router and known:
                    found[str(peer)] = Neighbor(known, session, end, str(local), name)
        return {address: found[address] for address in self.speaker.peers if address in found}

    def interface(self, neighbor: Neighbor) -> str:
        path = self.world.site.path_of_session(neighbor.session.site.name)
        return self.world.site.interface(path) if path else neighbor.session.site.name


def number(*words: str) -> int:
    """A stable 32-bit number for identifiers that a router would draw at random."""
    return zlib.crc32(" ".join(words).encode())


def clock(seconds: float) -> str:
    """FRR's uptime: 00:01:17, 1d02h03m, 03w4d05h."""
    whole = int(seconds)
    days, rest = divmod(whole, 86400)
    hours, minutes, left = rest // 3600, rest % 3600 // 60, rest % 60
    if days == 0:
        return f"{hours:02}:{minutes:02}:{left:02}"
    return f"{days}d{hours:02}h{minutes:02}m" if days < 7 else f"{days // 7:02}w{days % 7}d{hours:02}h"


def stamp(at: float) -> str:
    """`Mon Nov 23 01:34:32 2026` and a line feed, as FRR prints a time in JSON."""
    return datetime.fromtimestamp(at, UTC).strftime("%a %b %e %H:%M:%S %Y\n")
