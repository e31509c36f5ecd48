"""What a BMP stream makes known: losses at once, nothing that it cannot know, and SSH has the last word."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from connectors.collector import Collector
from connectors.routers.bmp_feed import PATIENCE, News, RouterFeed
from connectors.routers.bmp_message import (
    Message,
    Notification,
    Open,
    Peer,
    PeerDown,
    PeerUp,
    RouteMonitoring,
    Statistics,
    Update,
)
from network.alerts import BMP_MISSED, Alert
from network.health import judge
from network.inventory import Site
from network.observation import BmpFeed, Kind, Observation, SessionHere
from network.snapshot import Snapshot
from network.verdict import Verdict
from tests.sample import NOW, healthy, reference, seen

SITE = reference()
ER, DX = "10.255.1.2", "10.255.3.2"
OPEN = Open(65010, 30, "1.1.1.1")
BARE = Update(as_path=(12076,), next_hop=ER)


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def up(address: str = ER) -> PeerUp:
    return PeerUp(Peer(address, 12076, "1.1.1.3"), "10.255.1.1", 179, 179, OPEN, OPEN)


def down(address: str = ER, reason: int = 2, note: Notification | None = None) -> PeerDown:
    return PeerDown(Peer(address, 12076, "1.1.1.3"), reason, note, 0 if reason == 2 else None)


def routes(update: Update, address: str = ER, *, post_policy: bool = True) -> RouteMonitoring:
    return RouteMonitoring(Peer(address, 12076, "1.1.1.3", post_policy=post_policy), update)


def listed(*addresses: str) -> list[Message]:
    """How a stream begins: the sessions that are up, and the end of their tables."""
    return [*map(up, addresses), *(routes(Update(), address) for address in addresses)]


def ready(*addresses: str) -> RouterFeed:
    """A feed of edge-1 whose tables have come."""
    feed = RouterFeed(SITE, SITE.router("edge-1"), NOW)
    feed.opened(NOW)
    news = feed.take(listed(*(addresses or (ER, DX))), healthy(SITE), NOW)
    assert news == News(), "what is up already is no event"
    assert feed.fact.up
    return feed


def only(news: News) -> tuple[Observation, SessionHere]:
    (observation,) = news.seen
    assert isinstance(observation.fact, SessionHere)
    return observation, observation.fact


def polled(snapshot: Snapshot, at: datetime, *, established: bool, name: str = "er-primary") -> Snapshot:
    known = snapshot.fact(Kind.SESSION_HERE, name, SessionHere)
    assert known
    fact = replace(known, state="Established" if established else "Active", received=2, reason="BFD went down")
    return snapshot.with_observations([Observation(Kind.SESSION_HERE, name, fact, "edge-1", at, 2, "show bgp")])


def test_a_feed_is_up_when_every_session_that_it_lists_has_sent_its_table() -> None:
    feed = RouterFeed(SITE, SITE.router("edge-1"), NOW)
    assert (feed.fact.up, feed.fact.state) == (False, "not connected yet")
    feed.opened(NOW)
    feed.take([up(ER), up(DX), routes(Update(), ER)], healthy(SITE), NOW)
    assert (feed.fact.up, feed.fact.state) == (False, "connected, its tables are coming")
    feed.take([routes(Update(), DX)], healthy(SITE), after(1))
    assert feed.fact == BmpFeed(up=True, state="up", since=after(1))
    feed.lost("the router closed the connection", after(2))
    assert feed.fact == BmpFeed(up=False, state="the router closed the connection", since=after(2))


def test_a_router_without_any_session_is_believed_after_a_quiet_second() -> None:
    feed = RouterFeed(SITE, SITE.router("edge-1"), NOW)
    feed.opened(NOW)
    feed.compare(healthy(SITE), after(0.5))
    assert not feed.fact.up
    feed.compare(healthy(SITE), after(1.5))
    assert feed.fact.up


def test_a_peer_down_is_the_session_of_that_moment_and_the_router_is_asked() -> None:
    news = ready().take([down(reason=3, note=Notification(6, 2, text="PMA"))], healthy(SITE), after(1))
    observation, fact = only(news)
    assert news.ask
    assert (observation.kind, observation.name, observation.source) == (Kind.SESSION_HERE, "er-primary", "edge-1")
    assert (observation.at, observation.evidence) == (after(1), "BMP Peer Down")
    assert (fact.state, fact.since, fact.reason) == ("Idle", after(1), "shut by the far end: PMA")
    assert (fact.received, fact.advertised, fact.limit) == (None, None, 100), "counts are unknown, the limit is ours"
    health = judge(SITE, healthy(SITE).with_observations(news.seen), after(1))
    assert health.path("azure/er-primary").verdict is Verdict.DOWN


def test_what_the_poll_has_said_already_is_not_said_again_and_worse() -> None:
    snapshot = polled(healthy(SITE), NOW, established=False)
    news = ready().take([down()], snapshot, after(1))
    assert (news.seen, news.ask) == ((), True)


def test_a_peer_up_after_a_loss_claims_no_prefix_and_is_not_shown_down() -> None:
    feed, snapshot = ready(), healthy(SITE)
    snapshot = snapshot.with_observations(feed.take([down()], snapshot, after(1)).seen)
    news = feed.take([up()], snapshot, after(2))
    observation, fact = only(news)
    assert news.ask
    assert observation.evidence == "BMP Peer Up"
    assert (fact.state, fact.since, fact.received) == ("Established", after(2), 0)
    layer = judge(SITE, snapshot.with_observations(news.seen), after(2)).path("azure/er-primary").layers["bgp_here"]
    assert (layer.verdict, layer.why) == (Verdict.DEGRADED, "established, and no prefix received")


def test_with_routes_after_the_peer_up_their_number_is_unknown() -> None:
    feed, snapshot = ready(), healthy(SITE)
    snapshot = snapshot.with_observations(feed.take([down()], snapshot, after(1)).seen)
    route = replace(BARE, announced=("10.50.0.0/16",))
    _, fact = only(feed.take([up(), routes(route)], snapshot, after(2)))
    assert fact.received is None


def test_down_and_up_in_one_breath_is_asked_about_and_not_shown() -> None:
    news = ready().take([down(), up()], healthy(SITE), after(1))
    assert (news.seen, news.ask) == ((), True)


def test_a_route_of_a_cloud_that_moves_makes_the_router_be_asked_and_any_other_does_not() -> None:
    feed, snapshot = ready(), healthy(SITE)
    route = replace(BARE, announced=("10.50.0.0/16",))
    assert feed.take([routes(route)], snapshot, after(1)).ask
    assert not feed.take([routes(route)], snapshot, after(2)).ask, "the same again"
    assert feed.take([routes(replace(route, as_path=(12076,) * 8))], snapshot, after(3)).ask, "a provider's drain"
    assert not feed.take([routes(replace(BARE, announced=("10.50.7.0/24",)))], snapshot, after(4)).ask
    assert feed.routes[ER, True].keys() == {"10.50.0.0/16"}, "what is kept is bounded by the site"
    assert feed.take([routes(Update(withdrawn=("10.50.0.0/16",)))], snapshot, after(5)).ask
    assert not feed.take([Statistics(Peer(ER, 12076, "1.1.1.3"), ((0, 1),))], snapshot, after(6)).ask


def test_sessions_that_are_not_the_sites_are_passed_over() -> None:
    feed = ready()
    strange = [down("192.0.2.1"), PeerDown(Peer(ER, 12076, "1.1.1.3", kind=1), 2, None, 0)]
    assert feed.take(strange, healthy(SITE), after(1)) == News()


def test_a_session_that_is_told_no_more_about_is_not_down() -> None:
    feed, snapshot = ready(), healthy(SITE)
    assert feed.take([down(reason=5)], snapshot, after(1)).seen == ()
    for poll in range(2, 8):
        snapshot = polled(snapshot, after(poll), established=True)
        feed.compare(snapshot, after(poll))
    assert feed.fact.up


def test_ssh_wins_when_the_two_disagree_for_more_than_two_polls_until_they_agree() -> None:
    feed, snapshot = ready(ER), healthy(SITE)
    snapshot = Snapshot(1, {(Kind.SESSION_HERE, "er-primary"): snapshot.observations[Kind.SESSION_HERE, "er-primary"]})
    for poll in range(1, PATIENCE + 2):
        assert feed.fact.up
        snapshot = polled(snapshot, after(poll), established=False)
        feed.compare(snapshot, after(poll))
        feed.compare(snapshot, after(poll))  # the same poll again: it counts once
    assert feed.fact == BmpFeed(up=False, state="it disagrees with SSH about er-primary: SSH counts", since=after(3))
    again = polled(snapshot, after(4), established=True)
    assert feed.take([down()], again, after(4)).seen == (), "a feed that is not relied on claims nothing"
    feed.take([up()], again, after(5))
    feed.compare(polled(again, after(6), established=True), after(6))
    assert feed.fact.up


def test_a_poll_asked_before_an_event_does_not_count_against_it() -> None:
    feed, snapshot = ready(ER), healthy(SITE)
    feed.take([down()], snapshot, after(10))
    for poll in range(1, 9):
        feed.compare(polled(snapshot, after(poll), established=True), after(10 + poll))
    assert feed.fact.up


# -- the collector


class Slow:
    """A router that answers a poll when the test lets it, with what was true when it was asked."""

    name, kind, cadence_s, deadline_s = "edge-1", "router", 3600.0, 5.0

    def __init__(self) -> None:
        self.asked, self.answer = asyncio.Event(), asyncio.Event()
        self.polls = 0
        self.fact = SessionHere("Established", NOW, 2, 3, 100)
        self.now = NOW

    async def collect(self) -> Sequence[Observation]:
        self.polls += 1
        found = Observation(Kind.SESSION_HERE, "er-primary", self.fact, self.name, self.now, 60, "show bgp")
        self.asked.set()
        await self.answer.wait()
        return [found]

    async def close(self) -> None:
        """Nothing is open."""


async def test_a_poll_that_was_asked_before_an_event_and_answered_after_it_does_not_undo_it() -> None:
    source, feed = Slow(), ready()
    collector = Collector([source], lambda: source.now, random.Random(7))
    await collector.start()
    try:
        async with asyncio.timeout(5):
            await source.asked.wait()
            source.now, source.fact = after(1), SessionHere("Active", after(1), 0, 0, 100, reason="BFD went down")
            news = feed.take([down()], collector.snapshot, after(1))
            collector.push(news.seen)
            collector.poke("edge-1")
            source.asked.clear()
            source.answer.set()
            revision = collector.snapshot.revision
            snapshot = await collector.wait(revision, 5)
            fact = snapshot.fact(Kind.SESSION_HERE, "er-primary", SessionHere)
            assert snapshot.sources["edge-1"].ok
            assert fact is not None
            assert fact.state == "Idle", "the late answer of the early poll came, and the event stands"
            while fact.state != "Active":  # the poll that the event asked for
                snapshot = await collector.wait(snapshot.revision, 5)
                fact = snapshot.fact(Kind.SESSION_HERE, "er-primary", SessionHere)
                assert fact is not None
            assert (source.polls, fact.reason) == (2, "BFD went down")
    finally:
        await collector.stop()


# -- the alert


def configured() -> Site:
    routers = tuple(router.model_copy(update={"bmp": "192.0.2.1:11019"}) for router in SITE.routers)
    return SITE.model_copy(update={"routers": routers})


def bmp_alerts(site: Site, *feeds: BmpFeed, fresh_s: float = 15) -> list[Alert]:
    told = [seen(Kind.BMP, f"edge-{n}", feed, fresh_s=fresh_s) for n, feed in enumerate(feeds, 1)]
    alerts = judge(site, healthy(site).with_observations(told), NOW).alerts
    return [alert for alert in alerts if alert.id.startswith("bmp:")]


def test_a_configured_feed_that_is_not_up_is_a_warning_after_a_moment_and_says_why() -> None:
    alive, long_ago = BmpFeed(up=True, state="up", since=NOW), NOW - 2 * BMP_MISSED
    assert bmp_alerts(SITE) == [], "no BMP is configured"
    assert bmp_alerts(configured(), alive, alive) == []
    assert bmp_alerts(configured(), alive, BmpFeed(up=False, state="cut", since=NOW)) == [], "it may be back at once"
    (alert,) = bmp_alerts(configured(), alive, BmpFeed(up=False, state="cut", since=long_ago))
    assert (alert.id, alert.severity, alert.since) == ("bmp:edge-2", "warning", long_ago)
    assert alert.text == "no BMP from edge-2, it is polled alone: cut"
    assert [alert.id for alert in bmp_alerts(configured(), alive)] == ["bmp:edge-2"], "never seen is not well"
    stale = bmp_alerts(configured(), alive, alive, fresh_s=0.1)
    assert [alert.id for alert in stale] == ["bmp:edge-1", "bmp:edge-2"]
    listening = SITE.model_copy(update={"systems": SITE.systems.model_copy(update={"bmp_listen": "127.0.0.1:1"})})
    assert len(bmp_alerts(listening)) == 2
    assert judge(configured(), healthy(SITE), NOW).verdict == judge(SITE, healthy(SITE), NOW).verdict
