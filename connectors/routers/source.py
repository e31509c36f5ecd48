"""A router as a status source: one pipelined batch of shows a poll, and the facts that it gives."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from connectors.errors import BadReply
from connectors.ports import Clock, PartlySeen, deadline_for
from connectors.redact import redactor
from connectors.routers import frr, frr_config, frr_links, frr_routes
from connectors.routers.channel import Reply, judged
from connectors.routers.ends import End, ends, interfaces_of
from connectors.routers.frr_json import BfdRow, NeighborRow, PeerRow
from connectors.routers.latch import Remembered, settle
from connectors.routers.poll import Poll
from connectors.routers.session import RouterSession
from network.inventory import Router, Site
from network.observation import Kind, Link, Observation, SessionHere

#: Seconds between a first poll's two counter samples: a little more than the shortest that make an honest rate.
FIRST_RATE_S = frr_links.SHORTEST_S + 0.05
ADVERTISED_EVERY = 5  # polls; at once when the router has sent an update on the session

Peers = Mapping[str, PeerRow]
Neighbors = Mapping[str, tuple[NeighborRow, object]]
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
        self._prefixes = tuple(str(prefix.prefix) for cloud in site.clouds for prefix in cloud.prefixes)
        self._polls = 0
        self._kept: dict[str, Remembered] = {}
        self._updates: dict[str, tuple[int | None, int | None]] = {}
        self._samples: dict[str, frr_links.Sample] = {}
        self._shut_texts: dict[str, str] = {}

    async def collect(self) -> Sequence[Observation]:
        """Raises InterlockError when BGP cannot be read, PartlySeen when another part of the router cannot."""
        if self._polls == 0:
            await self._first_sample()
        due = [end for end in self._ends if end.external] if self._polls % ADVERTISED_EVERY == 0 else []
        asked_at = self._clock()  # not the reply's time: a poll that an act overtakes must not count as after it
        replies = await self._ask([*self._standing(), *map(_advertised, due)])
        at_s = self._monotonic()
        poll = Poll(self.name, asked_at, 2 * self.cadence_s, replies)
        peers = frr.summary(poll.text(frr.SUMMARY))
        neighbors = frr.neighbors(poll.text(frr.NEIGHBORS))
        due += await self._follow_up(poll, peers, neighbors, due)
        bfd = poll.part(frr.BFD_PEERS, frr.bfd_peers)
        links = poll.part(frr_links.INTERFACES, frr_links.interfaces) or {}
        seen = [
            *self._sessions(poll, peers, neighbors, bfd, links),
            *self._routes(poll),
            *self._advertisements(poll, [end for end in due if end.peer in peers]),
            *self._links(poll, links, at_s),
        ]
        self._polls += 1
        if poll.errors:
            raise PartlySeen(seen, poll.errors)
        return seen

    async def _first_sample(self) -> None:
        """A rate needs two samples: the first poll takes one beforehand, so that the first look says the load."""
        reply = (await self._ask([frr_links.COUNTERS]))[frr_links.COUNTERS]
        with contextlib.suppress(BadReply):  # the poll itself asks again, and says what is wrong
            self._samples = frr_links.counters(reply.text, self._monotonic())
            await asyncio.sleep(FIRST_RATE_S)

    async def capture(self, commands: Sequence[str]) -> dict[str, str]:
        """The replies to shows, by command, for a run. Raises Denied, CommandFailed and what reading raises."""
        replies = await self._ask(commands)
        return {command: judged(reply, command, self.name).text for command, reply in replies.items()}

    async def close(self) -> None:
        await self._session.close()

    async def _ask(self, commands: Sequence[str]) -> dict[str, Reply]:
        return dict(zip(commands, await self._session.shows(commands), strict=True))

    def _standing(self) -> tuple[str, ...]:
        """What every poll asks."""
        prefixes = (frr_routes.prefix_command(prefix) for prefix in self._prefixes)
        return (frr.SUMMARY, frr.NEIGHBORS, frr.BFD_PEERS, *prefixes, frr_links.INTERFACES, frr_links.COUNTERS)

    async def _follow_up(self, poll: Poll, peers: Peers, neighbors: Neighbors, due: Sequence[End]) -> list[End]:
        """Ask what this poll's answers call for; gives the ends whose advertisements were asked for here.

        That is: advertisements of a session on which an update was sent, and the text of a new shutdown of ours.
        """
        marks = {
            end.peer: (peers[end.peer].pfx_snt, neighbors[end.peer][0].message_stats.updates_sent)
            for end in self._ends
            if end.external and end.peer in peers and end.peer in neighbors
        }
        moved = {peer for peer, mark in marks.items() if self._updates.get(peer, mark) != mark}
        changed = [end for end in self._ends if end.external and end.peer in moved and end not in due]
        shut = [end.peer for end in self._ends if end.peer in peers and frr.admin_shut(peers[end.peer])]
        unread = [peer for peer in shut if peer not in self._shut_texts]
        commands = [*map(_advertised, changed), *([frr_config.RUNNING] if unread else [])]
        if commands:
            poll.replies |= await self._ask(commands)
        self._updates = marks
        texts = {
            peer: redactor.text(poll.part(frr_config.RUNNING, frr_config.shutdown_text, peer) or "") for peer in unread
        }
        # A session that is no longer shut is forgotten: its next shutdown has a text of its own.
        self._shut_texts = {peer: (self._shut_texts | texts)[peer] for peer in shut}
        return changed

    def _sessions(
        self, poll: Poll, peers: Peers, neighbors: Neighbors, bfd: Mapping[str, BfdRow] | None, links: Links
    ) -> Iterator[Observation]:
        for end in self._ends:
            peer, known = peers.get(end.peer), neighbors.get(end.peer)
            if peer is None or known is None:
                absent = frr.not_configured(self.name, end.peer)
                yield poll.seen(Kind.SESSION_HERE, end.name, absent, frr.SUMMARY)
                continue
            row = bfd.get(end.peer) if bfd is not None else None
            over = frr.Over(end.interface, links.get(end.interface))
            fact, reason = frr.session_here(peer, known[0], row, over, poll.at)
            fact, self._kept[end.peer] = settle(fact, reason, self._kept.get(end.peer))
            fact = self._with_shut_text(fact, end.peer)
            yield poll.seen(Kind.SESSION_HERE, end.name, fact, frr.NEIGHBORS, raw=known[1])
            if bfd is not None and end.session.bfd is not None:
                raw = row.model_dump(by_alias=True) if row is not None else None
                yield poll.seen(Kind.BFD, end.name, frr.bfd_here(bfd, end.peer, self.name), frr.BFD_PEERS, raw=raw)

    def _with_shut_text(self, fact: SessionHere, peer: str) -> SessionHere:
        text = self._shut_texts.get(peer, "") if fact.admin_shut else ""
        return replace(fact, shutdown_text=text, reason=f"{fact.reason}: {text}") if text else fact

    def _routes(self, poll: Poll) -> Iterator[Observation]:
        for prefix in self._prefixes:
            command = frr_routes.prefix_command(prefix)
            fact = poll.part(command, frr_routes.routes, prefix)
            if fact is not None:
                yield poll.seen(Kind.ROUTES, f"{self.name} {prefix}", fact, command)

    def _advertisements(self, poll: Poll, asked: Sequence[End]) -> Iterator[Observation]:
        for end in asked:
            fact = poll.part(_advertised(end), frr_routes.advertised, end.peer, self._own_asn)
            if fact is not None:
                yield poll.seen(Kind.ADVERTISED, end.name, fact, _advertised(end), intervals=ADVERTISED_EVERY)

    def _links(self, poll: Poll, links: Links, at_s: float) -> Iterator[Observation]:
        """Interfaces that the site names and the router has; one that is missing stays unknown."""
        samples = poll.part(frr_links.COUNTERS, frr_links.counters, at_s) or {}
        for name in self._interfaces:
            if name in links:
                link = frr_links.with_rates(links[name], self._samples.get(name), samples.get(name))
                raw = {"counters": str(samples.get(name)), "state": str(links[name])}
                yield poll.seen(Kind.LINK, f"{self.name} {name}", link, frr_links.COUNTERS, raw=raw)
        self._samples = samples


def _advertised(end: End) -> str:
    return frr_routes.advertised_command(end.peer)
