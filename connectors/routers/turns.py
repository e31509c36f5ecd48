"""What a poll of a router asks beside its standing questions: whose turn it is, and what has moved. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from connectors.routers import frr, frr_config, frr_version
from connectors.routers.ends import End
from connectors.routers.frr_json import BfdRow, NeighborRow, PeerRow

TURN_EVERY = 5  # polls between two readings of a session's long answers
#: Seconds between two readings of the configuration: usually, and when somebody asks to look again. It is the one
#: answer for which FRR starts a process, so a run that looks twice a second does not read it each time.
CONFIG_EVERY_S, CONFIG_ASKED_S = 60.0, 5.0
CAPABILITIES_EVERY_S = 3600.0  # the release is read on every connection, too

#: Prefixes and updates in one direction.
Mark = tuple[int | None, int | None]


@dataclass(frozen=True, slots=True)
class Turn:
    """One poll's long questions: the sessions that are asked in full, and router-wide commands."""

    ends: tuple[End, ...]
    seldom: tuple[str, ...]


class Turns:
    """Keeps what was last seen of each session's counters. The first poll and one after `forget` ask every session."""

    def __init__(self, ends: Sequence[End]) -> None:
        self.polls = 0
        self._ends = tuple(ends)
        self._all = True
        self._rows: dict[str, tuple[object, ...]] = {}
        self._exchanged: dict[str, tuple[Mark, Mark]] = {}
        self._bfd: dict[str, tuple[str, int]] = {}
        self._config_at = self._version_at = float("-inf")
        self._version_over = -1

    def forget(self) -> None:
        self._all = True

    def next(self, at_s: float, connection: int) -> Turn:
        """The next poll's turn, at a moment of a monotonic clock, over the connection of that number."""
        everything, number = self._all, self.polls
        self._all, self.polls = False, number + 1
        seldom: list[str] = []
        if everything or number % TURN_EVERY == 0:
            seldom += [frr.BFD_COUNTERS] if any(end.session.bfd for end in self._ends) else []
        if at_s - self._config_at >= (CONFIG_ASKED_S if everything else CONFIG_EVERY_S):
            self._config_at = at_s
            seldom.append(frr_config.RUNNING)
        if connection != self._version_over or at_s - self._version_at >= CAPABILITIES_EVERY_S:
            self._version_at = at_s
            seldom.append(frr_version.VERSION)
        mine = (end for index, end in enumerate(self._ends) if everything or (number + index) % TURN_EVERY == 0)
        return Turn(tuple(mine), tuple(seldom))

    def release_read(self, connection: int) -> None:
        """The release was told over this connection: a later one may reach another."""
        self._version_over = connection

    def moved(self, peers: Mapping[str, PeerRow]) -> list[End]:
        """Sessions whose row moved since the last poll, and those that are down: their reasons change by the second."""
        rows = {end.peer: _row(peers[end.peer]) for end in self._ends if end.peer in peers}
        before, self._rows = self._rows, rows
        return [
            end
            for end in self._ends
            if end.peer in rows and (before.get(end.peer) != rows[end.peer] or peers[end.peer].state != frr.ESTABLISHED)
        ]

    def exchanged(
        self, peers: Mapping[str, PeerRow], neighbors: Mapping[str, NeighborRow]
    ) -> tuple[set[str], set[str]]:
        """Peers to which an update was sent, and from which one came, since each was last looked at."""
        now = {
            peer: ((peers[peer].pfx_snt, stats.updates_sent), (peers[peer].pfx_rcd, stats.updates_recv))
            for peer, stats in ((peer, row.message_stats) for peer, row in neighbors.items() if peer in peers)
        }
        before, self._exchanged = self._exchanged, now
        known = now.keys() & before.keys()
        return {p for p in known if before[p][0] != now[p][0]}, {p for p in known if before[p][1] != now[p][1]}

    def bfd_moved(self, bfd: Mapping[str, BfdRow]) -> bool:
        """A BFD session changed its state or began anew: its time is shorter than it was."""
        now = {peer: (row.status, row.uptime or row.downtime or 0) for peer, row in bfd.items()}
        before, self._bfd = self._bfd, now
        return any(
            peer in before and (state != before[peer][0] or time < before[peer][1])
            for peer, (state, time) in now.items()
        )


def _row(peer: PeerRow) -> tuple[object, ...]:
    """All that moves when the session does. A router without message counters is asked every time: None is no rest."""
    messages = (peer.msg_sent, peer.msg_rcvd) if None not in (peer.msg_sent, peer.msg_rcvd) else (object(),)
    return (peer.state, peer.peer_state, peer.pfx_rcd, peer.pfx_snt, peer.connections_dropped, *messages)
