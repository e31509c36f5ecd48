"""What one router's BMP stream makes known, message by message. Pure: messages and a snapshot in, news out.

BMP says a loss milliseconds after it; SSH says the truth. So a Peer Down or a Peer Up becomes an observation of that
moment and the router is asked at once; what BMP cannot know is left open for the answer. Where the two go on
disagreeing, SSH counts and the feed says of itself that it is not to be relied on.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from connectors.redact import redactor
from connectors.reply import RAW_LIMIT
from connectors.routers.bmp_message import Message, Peer, PeerDown, PeerUp, RouteMonitoring, Update
from connectors.routers.bmp_words import down_words
from connectors.routers.ends import End, ends
from network.inventory import Router, Site
from network.observation import BmpFeed, Kind, Observation, SessionHere
from network.snapshot import Snapshot

#: How an observation that was pushed is told from one that was polled.
EVIDENCE = "BMP"
#: Polls that may contradict the stream in a row: messages under way explain one or two.
PATIENCE = 2
UNMONITORED = 5  # Peer Down reason: told no more about, which is no loss
WAITING = "connected, its tables are coming"
#: After this long without a word a new stream has no session to list.
QUIET = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class News:
    """What to fold in at once, and whether the router should be asked now."""

    seen: tuple[Observation, ...] = ()
    ask: bool = False


class RouterFeed:
    """One router's stream, over all its connections.

    `routes`: (peer, post-policy) to prefix to attributes, of the clouds' prefixes alone: bounded by the site.
    """

    def __init__(self, site: Site, router: Router, now: datetime) -> None:
        self.name = router.name
        self.connected = False
        self.routes: dict[tuple[str, bool], dict[str, Update]] = {}
        self._fresh_s = 2 * router.cadence_s  # as long as a polled session: it is polled again at once
        self._ends = {end.peer: end for end in ends(site, router.name)}
        self._prefixes = frozenset(str(prefix.prefix) for cloud in site.clouds for prefix in cloud.prefixes)
        self._fact = BmpFeed(up=False, state="not connected yet", since=now)
        self._forget(now)

    @property
    def fact(self) -> BmpFeed:
        return self._fact

    def opened(self, now: datetime) -> None:
        """A connection stands and the router has said who it is: its sessions and tables follow."""
        self.connected = True
        self._forget(now)
        self._settle(now)

    def lost(self, why: str, now: datetime) -> None:
        """There is no connection; `why` is what a person reads."""
        self.connected = False
        self._forget(now)
        self._fact = BmpFeed(up=False, state=why, since=self._since(now, up=False))

    def take(self, messages: Iterable[Message], snapshot: Snapshot, now: datetime) -> News:
        """What messages that came together change. A session that went down and up among them counts as it ended."""
        was_ready, moved = self._ready, False
        told: dict[str, PeerUp | PeerDown] = {}
        for message in messages:
            if isinstance(message, PeerUp | PeerDown) and self._mine(message.peer):
                self._session(message, now)
                told[message.peer.address] = message
            elif isinstance(message, RouteMonitoring) and self._mine(message.peer):
                moved |= self._route(message)
        self._settle(now)
        # A new stream begins with every session that is up: that is a list and no event.
        events = [each for each in told.values() if was_ready or isinstance(each, PeerDown)]
        seen = [self._observe(each, snapshot, now) for each in events]
        return News(tuple(item for item in seen if item is not None), ask=bool(events) or (was_ready and moved))

    def compare(self, snapshot: Snapshot, now: datetime) -> None:
        """Hold each polled session, once a poll, against what the stream says; more than PATIENCE polls decide."""
        self._settle(now)
        if not self._ready:
            return
        for peer, end in self._ends.items():
            seen, told = snapshot.get(Kind.SESSION_HERE, end.name), self._up.get(peer, False)
            if seen is None or told is None or not isinstance(seen.fact, SessionHere):
                continue
            asked_after = self._compared.get(end.name, self._moved.get(peer, self._ready_at))
            if seen.evidence.startswith(EVIDENCE) or seen.at <= asked_after:
                continue
            self._compared[end.name] = seen.at
            self._against[end.name] = 0 if seen.fact.established == told else self._against.get(end.name, 0) + 1
        self._settle(now)

    def _forget(self, now: datetime) -> None:
        self.routes.clear()
        self._up: dict[str, bool | None] = {}
        self._ended: set[str] = set()
        self._ready, self._ready_at, self._opened_at = False, now, now
        self._moved: dict[str, datetime] = {}
        self._compared: dict[str, datetime] = {}
        self._against: dict[str, int] = {}

    def _mine(self, peer: Peer) -> bool:
        return peer.kind == 0 and peer.address in self._ends

    def _session(self, message: PeerUp | PeerDown, now: datetime) -> None:
        peer = message.peer.address
        up = isinstance(message, PeerUp)
        unmonitored = isinstance(message, PeerDown) and message.reason == UNMONITORED
        self._up[peer] = None if unmonitored else up
        self._moved[peer] = now
        self._compared.pop(self._ends[peer].name, None)
        for post_policy in (False, True):
            self.routes.pop((peer, post_policy), None)

    def _route(self, message: RouteMonitoring) -> bool:
        """Whether a route of the clouds is another than before."""
        peer, update = message.peer, message.update
        if update.end_of_rib:
            self._ended.add(peer.address)
            return False
        table = self.routes.setdefault((peer.address, peer.post_policy), {})
        bare = replace(update, withdrawn=(), announced=())
        gone = [prefix for prefix in update.withdrawn if table.pop(prefix, None) is not None]
        came = {prefix: bare for prefix in update.announced if prefix in self._prefixes and table.get(prefix) != bare}
        table.update(came)
        return bool(gone or came)

    def _settle(self, now: datetime) -> None:
        """What the feed is now, in words; `since` is of up or not up, whatever the words."""
        ups = {peer for peer, up in self._up.items() if up}
        listed = bool(self._up) or now - self._opened_at >= QUIET
        if self.connected and not self._ready and listed and ups <= self._ended:
            self._ready, self._ready_at = True, now
        if not self.connected:
            return
        state = self._disagreement() or ("up" if self._ready else WAITING)
        up = state == "up"
        self._fact = BmpFeed(up, state, self._since(now, up=up))

    def _since(self, now: datetime, *, up: bool) -> datetime | None:
        return self._fact.since if self._fact.up == up else now

    def _disagreement(self) -> str:
        names = [name for name, polls in self._against.items() if polls > PATIENCE]
        return f"it disagrees with SSH about {', '.join(names)}: SSH counts" if names else ""

    def _observe(self, message: PeerUp | PeerDown, snapshot: Snapshot, now: datetime) -> Observation | None:
        """The session as it is from this moment; None when the poll has said so already, and better."""
        end = self._ends[message.peer.address]
        known = snapshot.fact(Kind.SESSION_HERE, end.name, SessionHere)
        if self._disagreement() or self._up[end.peer] is None:
            return None
        if isinstance(message, PeerDown):
            fact = _down(known, message, now) if known is None or known.established else None
        else:
            fact = self._established(known, end, now) if known is not None and not known.established else None
        return self._observation(end, message, fact, now) if fact is not None else None

    def _observation(self, end: End, message: PeerUp | PeerDown, fact: SessionHere, now: datetime) -> Observation:
        evidence = f"{EVIDENCE} {'Peer Up' if isinstance(message, PeerUp) else 'Peer Down'}"
        raw = redactor.text(repr(message)[:RAW_LIMIT])
        return Observation(Kind.SESSION_HERE, end.name, fact, self.name, now, self._fresh_s, evidence, raw)

    def _established(self, known: SessionHere, end: End, now: datetime) -> SessionHere:
        """Just up: no route has passed yet, or some have and only the router knows how many it took."""
        return replace(
            _bare(known, now), state="Established", received=None if self.routes.get((end.peer, True)) else 0
        )


def _down(known: SessionHere | None, message: PeerDown, now: datetime) -> SessionHere:
    return replace(_bare(known, now), reason=down_words(message))


def _bare(known: SessionHere | None, now: datetime) -> SessionHere:
    """A session of which nothing is known but the moment, and what outlives a reset: its limit, its drops so far."""
    limit, drops = (known.limit, known.drops) if known else (None, None)
    return SessionHere("Idle", since=now, received=None, advertised=None, limit=limit, drops=drops)


def observe(feed: RouterFeed, now: datetime, fresh_s: float) -> Observation:
    """The feed's own state."""
    return Observation(Kind.BMP, feed.name, feed.fact, feed.name, now, fresh_s, EVIDENCE, feed.fact.state)
