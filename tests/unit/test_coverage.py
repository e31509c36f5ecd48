"""Coverage is decided destination by destination: what covers, what is more specific, what is a gap."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, collapse_addresses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from network.coverage import Direction, coverage, taken, without
from network.layers import View
from network.observation import (
    Advert,
    Advertised,
    Kind,
    Observation,
    Received,
    ReceivedRoute,
    Routes,
    SessionHere,
    SessionThere,
)
from network.snapshot import Snapshot
from tests.sample import NOW, healthy, reference, seen

SITE = reference()


def nets(*prefixes: str) -> tuple[IPv4Network, ...]:
    return tuple(map(IPv4Network, prefixes))


@pytest.mark.parametrize(
    ("wanted", "held", "missing"),
    [
        (nets("10.50.0.0/16"), nets("10.50.0.0/16"), ()),
        (nets("10.50.0.0/16"), nets("10.0.0.0/8"), ()),
        (nets("10.50.0.0/16"), nets("10.50.0.0/17", "10.50.128.0/17"), ()),
        (nets("10.50.0.0/16"), nets("10.50.0.0/17"), nets("10.50.128.0/17")),
        (nets("10.50.0.0/16"), nets("10.50.64.0/18"), nets("10.50.0.0/18", "10.50.128.0/17")),
        (nets("10.50.0.0/16", "10.50.1.0/24"), nets("10.51.0.0/16"), nets("10.50.0.0/16")),
        (nets("0.0.0.0/0"), nets("128.0.0.0/1"), nets("0.0.0.0/1")),
        ((), nets("10.0.0.0/8"), ()),
    ],
)
def test_what_is_wanted_and_not_held(
    wanted: tuple[IPv4Network, ...], held: tuple[IPv4Network, ...], missing: tuple[IPv4Network, ...]
) -> None:
    assert without(wanted, held) == missing


@pytest.mark.parametrize(
    ("private", "other", "expected"),
    [
        (nets("10.50.0.0/16"), nets("10.50.0.0/16"), ()),  # equal: preference decides, not length
        (nets("10.50.0.0/16"), nets("10.0.0.0/8"), ()),
        (nets("10.50.0.0/16"), nets("10.50.1.0/24"), nets("10.50.1.0/24")),
        (nets("10.50.0.0/16", "10.50.1.0/24"), nets("10.50.1.0/24"), ()),
        (nets("10.50.0.0/16", "10.50.1.0/24"), nets("10.50.0.0/23"), nets("10.50.0.0/24")),
        (nets("10.50.0.0/16"), nets("10.99.0.0/24"), ()),  # nobody's private space
    ],
)
def test_where_another_has_the_longer_match(
    private: tuple[IPv4Network, ...], other: tuple[IPv4Network, ...], expected: tuple[IPv4Network, ...]
) -> None:
    assert taken(private, other) == expected


def network(draw_address: int, length: int) -> IPv4Network:
    return IPv4Network((int(IPv4Address("10.50.0.0")) + draw_address, length), strict=False)


#: Prefixes of 24 to 32 bits within one /24: every address of it can be asked.
NETWORKS = st.lists(st.builds(network, st.integers(0, 255), st.integers(24, 32)), max_size=6)
SPACE = [IPv4Address("10.50.0.0") + n for n in range(256)]


def longest(at: IPv4Address, networks: list[IPv4Network]) -> int:
    return max((each.prefixlen for each in networks if at in each), default=-1)


@given(NETWORKS, NETWORKS)
@settings(max_examples=60, derandomize=True)
def test_every_address_is_decided_by_its_own_longest_match(mine: list[IPv4Network], theirs: list[IPv4Network]) -> None:
    missing, lost = list(without(mine, theirs)), list(taken(mine, theirs))
    for at in SPACE:
        wanted, held = longest(at, mine), longest(at, theirs)
        assert (longest(at, missing) >= 0) == (wanted >= 0 > held)
        assert (longest(at, lost) >= 0) == (0 <= wanted < held)


@given(NETWORKS, NETWORKS)
@settings(max_examples=60, derandomize=True)
def test_gaps_are_disjoint_minimal_and_close_when_they_are_held_too(
    mine: list[IPv4Network], theirs: list[IPv4Network]
) -> None:
    gaps = without(mine, theirs)
    assert list(gaps) == list(collapse_addresses(gaps))
    assert without(mine, [*theirs, *gaps]) == ()
    assert without(gaps, theirs) == gaps


@given(NETWORKS, st.integers(1, 3))
@settings(max_examples=40, derandomize=True)
def test_a_covering_prefix_covers_and_more_specifics_of_the_whole_do_too(mine: list[IPv4Network], bits: int) -> None:
    wider = [each.supernet(bits) for each in mine]
    cut = [part for each in mine for part in (each.subnets(1) if each.prefixlen < 32 else [each])]
    assert without(mine, wider) == without(mine, cut) == ()
    assert taken(mine, [each.supernet(bits) for each in collapse_addresses(mine)]) == ()


# -- from facts


def received(session: str, *prefixes: str, accepted: bool = True) -> Observation:
    routes = tuple(ReceivedRoute(prefix, (12076,), accepted=accepted) for prefix in prefixes)
    return seen(Kind.RECEIVED, session, Received(routes), age_s=0.1)


def announced(session: str, *prefixes: str) -> Observation:
    return seen(Kind.ADVERTISED, session, Advertised(tuple(Advert(p, (65010,)) for p in prefixes)), age_s=0.1)


def compared(*facts: Observation, without_kind: Kind | None = None) -> tuple[Direction, Direction]:
    snapshot = healthy(SITE).with_observations(facts)
    kept = {key: value for key, value in snapshot.observations.items() if key[0] is not without_kind}
    view = View(SITE, Snapshot(observations=kept), NOW)
    found = coverage(view, SITE.cloud("azure"), [SITE.path("azure/vpn-1")])
    return found.out, found.back


def test_a_healthy_site_is_covered_both_ways_by_its_routes_and_announcements() -> None:
    out, back = compared()
    assert (out.complete, out.basis, back.complete, back.basis) == (
        True, "routes to the declared prefixes", True, "announced",
    )  # fmt: skip


def test_what_the_private_paths_bring_beyond_the_declared_is_wanted_of_the_vpn_too() -> None:
    vpn = received("vpn-azure-1", "10.50.0.0/16", "10.51.0.0/16")
    private = received("er-primary", "10.50.0.0/16", "10.51.0.0/16", "10.52.0.0/16")
    out, _ = compared(vpn, private)
    assert (out.missing, out.basis) == (nets("10.52.0.0/16"), "received")
    covering = received("vpn-azure-1", "10.48.0.0/13")
    assert compared(covering, private)[0].complete


def test_a_route_that_our_policy_stopped_covers_nothing() -> None:
    out, _ = compared(received("vpn-azure-1", "10.50.0.0/16", "10.51.0.0/16", accepted=False))
    assert out.missing == nets("10.50.0.0/15")


def test_while_the_private_paths_are_down_the_declared_prefixes_are_still_wanted() -> None:
    idle = [
        seen(Kind.SESSION_HERE, name, SessionHere("Idle", NOW, None, None, 100), age_s=0.1)
        for name in ("er-primary", "er-secondary")
    ]
    out, back = compared(*idle, received("vpn-azure-1", "10.50.0.0/16"), announced("vpn-azure-1", "10.10.0.0/16"))
    assert (out.missing, back.missing) == (nets("10.51.0.0/16"), nets("10.11.0.0/16"))


def test_a_vpn_session_that_is_down_covers_nothing() -> None:
    down = seen(Kind.SESSION_HERE, "vpn-azure-1", SessionHere("Active", NOW, None, None, 100), age_s=0.1)
    out, back = compared(down)
    assert (out.missing, back.missing) == (nets("10.50.0.0/15"), nets("10.10.0.0/15"))


def test_what_is_not_known_is_said_and_proves_nothing() -> None:
    out, back = compared(without_kind=Kind.ROUTES)
    assert (out.complete, out.missing) == (False, ())
    assert "what vpn-azure-1 brings is not known" in out.unknown
    assert back.complete
    stale = seen(Kind.ROUTES, "edge-1 10.50.0.0/16", Routes(()), age_s=0.0, fresh_s=-1.0)
    assert not compared(stale)[0].complete


def test_a_longer_match_of_the_vpn_takes_traffic_already_and_probe_addresses_do_not_count() -> None:
    more = announced("vpn-azure-1", "10.10.0.0/16", "10.11.0.0/16", "10.11.128.0/18", "10.10.255.3/32")
    counted = seen(Kind.SESSION_THERE, "azure/vpn-1", SessionThere(up=True, state="up", received=4), age_s=0.1)
    _, back = compared(more, counted)
    assert (back.missing, back.taken) == ((), nets("10.11.128.0/18"))


def test_the_longer_prefixes_that_force_the_vpn_are_taken_on_purpose() -> None:
    halves = announced("vpn-azure-1", "10.10.0.0/16", "10.11.0.0/16", "10.11.0.0/17", "10.11.128.0/17")
    counted = seen(Kind.SESSION_THERE, "azure/vpn-1", SessionThere(up=True, state="up", received=4), age_s=0.1)
    _, back = compared(halves, counted)
    assert (back.missing, back.taken) == ((), ())


def test_what_the_cloud_says_it_accepted_outweighs_what_we_announce() -> None:
    accepted = seen(Kind.ACCEPTED, "azure/vpn-1", Advertised((Advert("10.10.0.0/16", (65010,)),)), age_s=0.1)
    _, back = compared(accepted)
    assert (back.missing, back.basis) == (nets("10.11.0.0/16"), "accepted")


def test_a_cloud_that_counts_fewer_than_we_announce_does_not_say_which() -> None:
    fewer = seen(Kind.SESSION_THERE, "azure/vpn-1", SessionThere(up=True, state="up", received=1), age_s=0.1)
    _, back = compared(fewer)
    assert (back.complete, back.missing) == (False, ())
    assert back.unknown == "the cloud accepted 1 of 2 on vpn-azure-1: which?"
