"""A router as a status source: one pipelined batch of shows a poll, and the facts that it gives.

Every poll asks what is short and may change at any time: the summary, BFD, the routes that matter, interfaces. What is
long is asked when the summary's counters say that it changed, and by turns: each session has its turn every fifth
poll. No message is sent or received without moving the counters, so nothing that a router says is seen later for it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from connectors.errors import BadReply
from connectors.ports import Clock, PartlySeen, deadline_for
from connectors.routers import frr, frr_config, frr_links, frr_routes, frr_version
from connectors.routers.channel import Reply, judged
from connectors.routers.ends import End, ends, interfaces_of
from connectors.routers.frr_json import BfdRow, NeighborRow, PeerRow
from connectors.routers.latch import Growth, Remembered, settle
from connectors.routers.poll import Kept, Poll
from connectors.routers.session import RouterSession
from connectors.routers.turns import CAPABILITIES_EVERY_S, CONFIG_EVERY_S, TURN_EVERY, Turns
from network.inventory import Router, Site
from network.observation import Kind, Link, Observation, Received, SessionHere

#: Seconds between a first poll's two counter samples: a little more than the shortest that make an honest rate.
FIRST_RATE_S = frr_links.SHORTEST_S + 0.05

Peers = Mapping[str, PeerRow]
Links = Mapping[str, Link]


class RouterSource:
    """Polls one FRR router. Facts turn stale after two of their own intervals."""

    kind = "router"

    def __init__(
        self,
        site: Site,
        router: Router,
        session: RouterSession,
        clock: Clock = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = router.name
        self.cadence_s = router.cadence_s
        self.deadline_s = deadline_for(router.cadence_s)
        self._session, self._clock, self._monotonic = session, clock, monotonic
        self._own_asn = site.on_prem.asn
        self._ends = ends(site, router.name)
        self._interfaces = interfaces_of(site, router.name)
        prefixes = [str(prefix.prefix) for cloud in site.clouds for prefix in cloud.prefixes]
        self._prefixes = {frr_routes.prefix_command(prefix): prefix for prefix in prefixes}
        # A shell is the router's own command line alone: the kernel's counters are out of its reach.
        counters = () if router.channel == "shell" else (frr_links.COUNTERS,)
        self._standing = (frr.SUMMARY, frr.BFD_PEERS, *self._prefixes, frr_links.INTERFACES, *counters)
        self._turns = Turns(self._ends)
        self._kept = Kept()
        self._latched: dict[str, Remembered] = {}
        self._neighbors: dict[str, tuple[NeighborRow, str]] = {}
        self._counters: dict[str, frr_links.Counters] = {}
        self._counted_at = 0.0
        self._bfd_drops: dict[str, int | None] = {}
        self._growth = Growth()
        self._shut_texts: dict[str, str] = {}

    @property
    def polls(self) -> int:
        """Polls begun so far."""
        return self._turns.polls

    async def collect(self) -> Sequence[Observation]:
        """Raises InterlockError when BGP cannot be read, PartlySeen when another part of the router cannot."""
        try:
            poll, seen = await self._poll()
        except BaseException:
            self.forget()  # nobody knows what was missed
            raise
        if poll.errors:
            raise PartlySeen(seen, poll.errors)
        return seen

    async def _poll(self) -> tuple[Poll, list[Observation]]:
        if not self._turns.polls:
            await self._first_sample()
        turn = self._turns.next(self._monotonic(), self._session.connections)
        asked_at = self._clock()  # not the reply's time: a poll that an act overtakes must not count as after it
        replies = await self._ask([*self._standing, *self._questions(turn.ends), *turn.seldom])
        at_s = self._monotonic()
        if frr_version.VERSION in replies:
            self._turns.release_read(self._session.connections)
        poll = Poll(self.name, asked_at, 2 * self.cadence_s, replies, self._kept)
        peers = frr.summary(poll.text(frr.SUMMARY))
        bfd = poll.part(frr.BFD_PEERS, frr.bfd_peers)
        links = poll.part(frr_links.INTERFACES, frr_links.interfaces) or {}
        await self._follow_up(poll, peers, bfd or {}, turn.ends)
        return poll, [
            *self._sessions(poll, peers, bfd, links),
            *self._routes(poll),
            *self._told(poll, [end for end in self._ends if end.peer in peers]),
            *self._links(poll, links, at_s),
            *self._self(poll),
        ]

    def forget(self) -> None:
        """The next poll asks every session in full: something has changed."""
        self._turns.forget()

    async def _first_sample(self) -> None:
        """A rate needs two samples: the first poll takes one beforehand, so that the first look says the load."""
        if frr_links.COUNTERS not in self._standing:
            return
        reply = (await self._ask([frr_links.COUNTERS]))[frr_links.COUNTERS]
        with contextlib.suppress(BadReply):  # the poll itself asks again, and says what is wrong
            self._counters, self._counted_at = frr_links.counters(reply.text), self._monotonic()
            await asyncio.sleep(FIRST_RATE_S)

    async def capture(self, commands: Sequence[str]) -> dict[str, str]:
        """The replies to shows, by command, for a run. Raises Denied, CommandFailed and what reading raises."""
        replies = await self._ask(commands)
        return {command: judged(reply, command, self.name).text for command, reply in replies.items()}

    async def close(self) -> None:
        await self._session.close()

    async def _ask(self, commands: Sequence[str]) -> dict[str, Reply]:
        return dict(zip(commands, await self._session.shows(commands), strict=True))

    def _questions(self, turn: Iterable[End]) -> Iterator[str]:
        """What is asked of the sessions that have their turn."""
        for end in turn:
            yield frr.neighbor_command(end.peer)
            if end.external:
                yield from (_advertised(end), *_received(end))
            if end.tunnel:
                yield frr_routes.way_command(end.peer)

    async def _follow_up(self, poll: Poll, peers: Peers, bfd: Mapping[str, BfdRow], turn: Sequence[End]) -> None:
        """Ask what this poll's answers call for: neighbors that moved, then what was exchanged with them.

        And the counters of a BFD session that came up anew, and the configuration for the text of a new shutdown.
        """
        moved = [end for end in self._turns.moved(peers) if end not in turn]
        shut = [end.peer for end in self._ends if end.peer in peers and frr.admin_shut(peers[end.peer])]
        unread = [peer for peer in shut if peer not in self._shut_texts]
        again = self._turns.bfd_moved(bfd) and frr.BFD_COUNTERS not in poll.replies
        commands = [frr.neighbor_command(end.peer) for end in moved]
        commands += [frr.BFD_COUNTERS] if again else []
        commands += [frr_config.RUNNING] if unread and frr_config.RUNNING not in poll.replies else []
        if commands:
            poll.replies |= await self._ask(commands)
        asked = [end for end in (*turn, *moved) if end.peer in peers]
        sent, got = self._turns.exchanged(peers, self._read_neighbors(poll, asked))
        more = [_advertised(end) for end in moved if end.external and end.peer in sent]
        more += [command for end in moved if end.external and end.peer in got for command in _received(end)]
        if more:
            poll.replies |= await self._ask(more)
        self._read_shut_texts(poll, shut, unread)

    def _read_neighbors(self, poll: Poll, asked: Iterable[End]) -> dict[str, NeighborRow]:
        for end in asked:
            command = frr.neighbor_command(end.peer)
            row = poll.part(command, frr.neighbor, end.peer)
            if row is not None:
                self._neighbors[end.peer] = (row, self._kept.raw(command, poll.replies[command].text))
        return {peer: row for peer, (row, _) in self._neighbors.items()}

    def _read_shut_texts(self, poll: Poll, shut: Iterable[str], unread: Iterable[str]) -> None:
        """A session that is no longer shut is forgotten: its next shutdown has a text of its own."""
        config = poll.part(frr_config.RUNNING, frr_config.running_config) if unread else None
        lines = config.lines if config else ()
        texts = {peer: frr_config.shutdown_text(lines, peer) for peer in unread}
        self._shut_texts = {peer: (self._shut_texts | texts)[peer] for peer in shut}

    def _sessions(
        self, poll: Poll, peers: Peers, bfd: Mapping[str, BfdRow] | None, links: Links
    ) -> Iterator[Observation]:
        self._count_bfd_drops(poll)
        for end in self._ends:
            peer = peers.get(end.peer)
            if peer is None:
                absent = frr.not_configured(self.name, end.peer)
                yield poll.seen(Kind.SESSION_HERE, end.name, absent, frr.SUMMARY)
                continue
            row = bfd.get(end.peer) if bfd is not None else None
            if end.peer in self._neighbors:
                neighbor, raw = self._neighbors[end.peer]
                over = frr.Over(end.interface, links.get(end.interface))
                fact, reason = frr.session_here(peer, neighbor, row, over, poll.at)
                fact, self._latched[end.peer] = settle(fact, reason, self._latched.get(end.peer))
                fact = self._with_shut_text(fact, end.peer)
                yield poll.seen(Kind.SESSION_HERE, end.name, fact, frr.neighbor_command(end.peer), raw=raw)
            if bfd is not None and end.session.bfd is not None:
                seen = frr.bfd_here(bfd, end.peer, self.name, self._bfd_drops.get(end.peer))
                yield poll.seen(Kind.BFD, end.name, seen, frr.BFD_PEERS, raw=poll.row(row))

    def _count_bfd_drops(self, poll: Poll) -> None:
        if frr.BFD_COUNTERS in poll.replies:
            downs = poll.part(frr.BFD_COUNTERS, frr.bfd_downs) or {}
            self._bfd_drops = {peer: self._growth.of(f"bfd {peer}", count) for peer, count in downs.items()}

    def _with_shut_text(self, fact: SessionHere, peer: str) -> SessionHere:
        text = self._shut_texts.get(peer, "") if fact.admin_shut else ""
        return replace(fact, shutdown_text=text, reason=f"{fact.reason}: {text}") if text else fact

    def _routes(self, poll: Poll) -> Iterator[Observation]:
        for command, prefix in self._prefixes.items():
            fact = poll.part(command, frr_routes.routes, prefix)
            if fact is not None:
                yield poll.seen(Kind.ROUTES, f"{self.name} {prefix}", fact, command)

    def _told(self, poll: Poll, known: Iterable[End]) -> Iterator[Observation]:
        """What was asked this time of the sessions' long answers."""
        fresh_s = 2 * self.cadence_s * TURN_EVERY
        for end in known:
            advertised, (accepted, stopped), way = _advertised(end), _received(end), frr_routes.way_command(end.peer)
            if advertised in poll.replies:
                sent = poll.part(advertised, frr_routes.advertised, end.peer, self._own_asn)
                if sent is not None:
                    yield poll.seen(Kind.ADVERTISED, end.name, sent, advertised, fresh_s=fresh_s)
            if accepted in poll.replies:
                taken = poll.part(accepted, frr_routes.accepted, end.peer)
                left = poll.part(stopped, frr_routes.stopped, end.peer)
                if taken is not None and left is not None:
                    got = Received(taken + left.routes, stopped_known=left.known)
                    yield poll.seen(Kind.RECEIVED, end.name, got, accepted, fresh_s=fresh_s)
            if way in poll.replies:
                rides = poll.part(way, frr_routes.rides, end.peer)
                if rides is not None:
                    yield poll.seen(Kind.RIDES, end.name, rides, way, fresh_s=fresh_s)

    def _links(self, poll: Poll, links: Links, at_s: float) -> Iterator[Observation]:
        """Interfaces that the site names and the router has; one that is missing stays unknown."""
        asked = frr_links.COUNTERS in poll.replies
        counters = (poll.part(frr_links.COUNTERS, frr_links.counters) if asked else None) or {}
        for name in self._interfaces:
            if name in links:
                link = self._counted(name, links[name], counters.get(name), at_s - self._counted_at)
                raw = f"{links[name]}\n{counters.get(name)}"  # booleans and numbers: no secret is among them
                evidence = frr_links.COUNTERS if asked else frr_links.INTERFACES
                yield poll.seen(Kind.LINK, f"{self.name} {name}", link, evidence, raw=raw)
        self._counters, self._counted_at = dict(counters), at_s

    def _counted(self, name: str, link: Link, now: frr_links.Counters | None, took_s: float) -> Link:
        into, out = frr_links.rates(self._counters.get(name), now, took_s) or (None, None)
        return replace(
            link,
            in_mbps=into,
            out_mbps=out,
            errors=self._growth.of(f"errors {name}", now.errors if now else None),
            downs=self._growth.of(f"downs {name}", link.downs),
        )

    def _self(self, poll: Poll) -> Iterator[Observation]:
        """What the router is, and its configuration, when they were asked."""
        if frr_version.VERSION in poll.replies:
            able = poll.part(frr_version.VERSION, frr_version.capabilities)
            if able is not None:
                fresh_s = 2 * CAPABILITIES_EVERY_S
                yield poll.seen(Kind.CAPABILITIES, self.name, able, frr_version.VERSION, fresh_s=fresh_s)
        if frr_config.RUNNING in poll.replies:
            config = poll.part(frr_config.RUNNING, frr_config.running_config)
            if config is not None:
                raw = "\n".join(config.lines)
                fresh_s = 2 * CONFIG_EVERY_S
                yield poll.seen(Kind.CONFIG, self.name, config, frr_config.RUNNING, raw=raw, fresh_s=fresh_s)


def _advertised(end: End) -> str:
    return frr_routes.advertised_command(end.peer)


def _received(end: End) -> tuple[str, str]:
    return frr_routes.accepted_command(end.peer), frr_routes.stopped_command(end.peer)
