"""What holds of every judgement, whatever is known, however old it is, and whatever breaks."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from network import measured as m
from network import observation as o
from network.events import Events, ProviderEvent
from network.health import SiteHealth, judge
from network.inventory import Site
from network.observation import Kind, Observation
from network.snapshot import Snapshot
from network.verdict import Overall, Verdict, rank
from tests.sample import NOW, healthy, reference

SITE = reference()
HEALTHY = healthy(SITE)
KEYS = sorted(HEALTHY.observations, key=str)
ORDER = (Overall.HEALTHY, Overall.UNKNOWN, Overall.DEGRADED, Overall.DOWN)

# -- anything that a connector may say, sense or nonsense

MOMENTS = st.none() | st.datetimes(datetime(1990, 1, 1), datetime(2090, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
COUNTS = st.none() | st.integers(0, 2**63)
FIGURES = st.none() | st.floats(allow_nan=True)
FLAGS = st.booleans()
WORDS = st.sampled_from(["", "up", "down", "Established", "Idle (Admin)", "CHG1", "max-prefix"]) | st.text(max_size=8)
PATHS = st.sampled_from([path.name for path in SITE.paths]) | WORDS
PREFIXES = (
    st.sampled_from(["10.50.0.0/16", "10.10.0.0/16", "10.200.0.0/16", "0.0.0.0/0", "::/0", "x", ""])
    | st.integers(0, 32).map(lambda length: f"10.77.1.1/{length}")
    | st.text(max_size=6)
)
PEERS = st.sampled_from(["10.255.1.2", "10.255.2.2", "10.255.0.1", "10.255.0.2", "10.255.5.2", ""])
AS_PATHS = st.lists(st.sampled_from([12076, 65515, 0]), max_size=10)


def several(of: st.SearchStrategy[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    return st.lists(of, max_size=3).map(tuple)


ADVERTS = st.builds(o.Advertised, several(st.builds(o.Advert, PREFIXES, AS_PATHS.map(tuple))))
ROUTE_PATHS = st.builds(
    o.RoutePath, PEERS, AS_PATHS.map(lambda asns: " ".join(map(str, asns))), COUNTS, FLAGS, FLAGS, FLAGS
)
EVENTS = st.builds(
    ProviderEvent,
    WORDS,
    WORDS,
    st.sampled_from(["maintenance", "outage", "change"]),
    st.sampled_from(["announced", "running", "done", "cancelled"]),
    WORDS,
    MOMENTS.map(lambda moment: moment or NOW),
    MOMENTS,
    several(st.sampled_from(["port-a", "edge-1", "azure", "er-primary", "nothing"])),
    FLAGS,
)
FACTS: dict[Kind, st.SearchStrategy[Any]] = {
    Kind.SESSION_HERE: st.builds(
        o.SessionHere, WORDS, MOMENTS, COUNTS, COUNTS, COUNTS, FLAGS, FLAGS, FLAGS, FLAGS, WORDS, WORDS, COUNTS
    ),
    Kind.BFD: st.builds(o.BfdHere, WORDS, WORDS, COUNTS, COUNTS, COUNTS),
    Kind.ROUTES: st.builds(o.Routes, several(ROUTE_PATHS)),
    Kind.ADVERTISED: ADVERTS,
    Kind.ACCEPTED: ADVERTS,
    Kind.RECEIVED: st.builds(
        o.Received, several(st.builds(o.ReceivedRoute, PREFIXES, AS_PATHS.map(tuple), COUNTS, FLAGS))
    ),
    Kind.LINK: st.builds(o.Link, FLAGS, FLAGS, FIGURES, FIGURES, COUNTS, COUNTS, COUNTS),
    Kind.PORT: st.builds(o.FabricPort, FLAGS, WORDS),
    Kind.VXC: st.builds(o.FabricVxc, FLAGS, FLAGS, WORDS, st.integers(-1, 10**6), FLAGS, WORDS),
    Kind.CIRCUIT: st.builds(o.Circuit, FLAGS, WORDS, FLAGS),
    Kind.SESSION_THERE: st.builds(o.SessionThere, FLAGS, WORDS, COUNTS),
    Kind.ATTACHMENT: st.builds(o.Attachment, FLAGS, WORDS),
    Kind.CLOUD_ROUTES: st.builds(
        o.CloudRoutes,
        several(st.builds(o.CloudRoute, PREFIXES, several(PATHS))),
        st.sampled_from(["table", "inferred"]),
    ),
    Kind.HUB_PREFERENCE: st.builds(o.HubPreference, WORDS),
    Kind.FAILOVER_TESTS: st.builds(
        o.FailoverTests, several(st.builds(o.FailoverTest, PATHS, FLAGS, WORDS, MOMENTS, MOMENTS))
    ),
    Kind.PROBE: st.builds(m.ProbeResult, st.integers(0, 9), st.integers(0, 9), FIGURES, FLAGS, WORDS),
    Kind.RIDES: st.builds(o.Rides, st.sampled_from([None, "vxc-azure-a", "vpn-azure-1", "lo"])),
    Kind.OPTICS: st.builds(o.Optics, FIGURES, FIGURES, st.none() | FLAGS),
    Kind.EVENTS: st.builds(Events, several(EVENTS)),
}


def _names(site: Site) -> dict[Kind, list[str]]:
    """What each kind of fact may be about."""
    paths = [path.name for path in site.paths]
    sessions = [session.name for session in site.sessions]
    clouds = [cloud.name for cloud in site.clouds]
    links = [key[1] for key in KEYS if key[0] is Kind.LINK]
    known = {kind: [key[1] for key in KEYS if key[0] is kind] for kind in Kind}
    more = {Kind.ACCEPTED: paths, Kind.RECEIVED: sessions, Kind.RIDES: sessions, Kind.SESSION_HERE: sessions}
    more |= {Kind.HUB_PREFERENCE: clouds, Kind.FAILOVER_TESTS: clouds, Kind.EVENTS: ["megaport", "azure"]}
    return known | more | {Kind.OPTICS: [*links, *(connection.name for connection in site.connections)]}


NAMES = _names(SITE)
AGES = st.sampled_from([0.1, 1.0, 1.9, 2.1, 60.0, 1e7, -5.0])


@st.composite
def observations(draw: st.DrawFn) -> Observation:
    """A fact of any kind; now and then one that does not belong there."""
    kind = draw(st.sampled_from(list(FACTS)))
    fact = draw(FACTS[draw(st.sampled_from(list(FACTS)))] if draw(st.integers(0, 19)) == 0 else FACTS[kind])
    at = NOW - timedelta(seconds=draw(AGES))
    return Observation(kind, draw(st.sampled_from(NAMES[kind])), fact, "a source", at, 2.0)


@settings(max_examples=150, derandomize=True)
@given(st.lists(observations(), max_size=12), st.sets(st.sampled_from(KEYS), max_size=12), st.booleans())
def test_judging_never_fails_and_no_alert_is_told_twice(
    said: list[Observation], missing: set[tuple[Kind, str]], from_nothing: bool
) -> None:
    kept = {} if from_nothing else {k: v for k, v in HEALTHY.observations.items() if k not in missing}
    earlier = Snapshot(observations=kept, sources=HEALTHY.sources)
    for snapshot in (earlier.with_observations(said), replace(earlier, observations={**kept, **_by_key(said)})):
        health = judge(SITE, snapshot, NOW)
        ids = [alert.id for alert in health.alerts]
        assert len(set(ids)) == len(ids)
        assert [path.name for path in health.paths] == [path.name for path in SITE.paths]
        assert all(path.why for path in health.paths if path.verdict is not Verdict.UP)
        assert judge(SITE, snapshot, NOW) == health or _has_nan(health)


def _by_key(said: list[Observation]) -> dict[tuple[Kind, str], Observation]:
    return {item.key: item for item in said}


def _has_nan(health: SiteHealth) -> bool:
    figures = [figure for path in health.paths for figure in (path.rtt_ms, path.load_mbps, path.loss_pct)]
    return any(figure != figure for figure in figures) or "nan" in repr(health)  # noqa: PLR0124 -- NaN is unlike itself


#: What every healthy verdict rests on; a tunnel's state is the cloud's to tell, its interface only counts its load.
RESTS_ON = [key for key in KEYS if key[0] not in {Kind.ADVERTISED, Kind.CLOUD_ROUTES} and " vpn-" not in key[1]]


@settings(max_examples=120, derandomize=True)
@given(st.sets(st.sampled_from(RESTS_ON), min_size=1, max_size=6), st.booleans())
def test_what_is_not_known_any_more_is_never_healthy(gone: set[tuple[Kind, str]], only_old: bool) -> None:
    kept = {
        key: replace(item, at=item.at - timedelta(seconds=90)) if key in gone else item
        for key, item in HEALTHY.observations.items()
        if only_old or key not in gone
    }
    health = judge(SITE, replace(HEALTHY, observations=kept), NOW)
    assert health.verdict is not Overall.HEALTHY
    for path in health.paths:
        mine = {name for kind, name in gone if kind is not Kind.ROUTES}
        if mine & {path.name, path.path.session, path.path.vxc}:
            assert path.verdict in {Verdict.UNKNOWN, Verdict.STALE}
            assert path.verdict is (Verdict.STALE if only_old else Verdict.UNKNOWN)


FAILING: dict[Kind, list[object]] = {
    Kind.SESSION_HERE: [
        o.SessionHere("Active", None, None, None, None),
        o.SessionHere("Idle (Admin)", None, None, None, None, admin_shut=True),
        o.SessionHere("Established", None, 0, 0, 100, no_policy=True),
    ],
    Kind.BFD: [o.BfdHere("down"), o.BfdHere("unknown")],
    Kind.ROUTES: [o.Routes(())],
    Kind.LINK: [o.Link(True, False, 0.0, 0.0), o.Link(False, False, 0.0, 0.0)],
    Kind.PORT: [o.FabricPort(up=False, status="DOWN")],
    Kind.VXC: [o.FabricVxc(up=False, shutdown=True, status="DOWN", rate_mbps=1000)],
    Kind.CIRCUIT: [o.Circuit(up=False, state="down"), o.Circuit(up=True, state="poor", degraded=True)],
    Kind.SESSION_THERE: [o.SessionThere(up=False, state="down")],
    Kind.ATTACHMENT: [o.Attachment(up=False, state="detached")],
    Kind.PROBE: [m.ProbeResult(3, 0, None), m.ProbeResult(9, 6, 4.0)],
}
FAILURES = [(key, fact) for key in KEYS for fact in FAILING.get(key[0], [])]


@settings(max_examples=120, derandomize=True)
@given(
    st.lists(st.sampled_from(FAILURES), min_size=1, max_size=6, unique_by=lambda failure: failure[0]),
    st.sets(st.sampled_from(KEYS), max_size=3),
)
def test_one_more_failure_never_improves_a_verdict(
    failures: list[tuple[tuple[Kind, str], object]], stale: set[tuple[Kind, str]]
) -> None:
    old = {key for key in stale if key not in {failure[0] for failure in failures} and key[0] is not Kind.ROUTES}
    known = {
        key: replace(item, at=item.at - timedelta(seconds=90)) if key in old else item
        for key, item in HEALTHY.observations.items()
    }
    before = judge(SITE, replace(HEALTHY, observations=known), NOW)
    for key, fact in failures:
        known[key] = replace(known[key], fact=fact)
        after = judge(SITE, replace(HEALTHY, observations=known), NOW)
        for was, now in zip(before.paths, after.paths, strict=True):
            assert rank(now.verdict) >= rank(was.verdict), (key, was.name, was.why, now.why)
        for cloud, then in zip(after.clouds, before.clouds, strict=True):
            assert ORDER.index(cloud.verdict) >= ORDER.index(then.verdict), (key, then.why, cloud.why)
        assert ORDER.index(after.verdict) >= ORDER.index(before.verdict)
        before = after
