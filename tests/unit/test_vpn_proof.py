"""The proof of a VPN path: five marks, each with its own cause; only all of them together prove it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from console import vpn_view
from network.layers import View
from network.measured import ProbeResult
from network.observation import Advert, Advertised, Circuit, Kind, Link, Observation, Rides, SessionHere, SessionThere
from network.verdict import Verdict
from network.vpn import VpnProof, proof
from tests.sample import NOW, healthy, reference, seen

SITE = reference()
PATH = SITE.path("aws/vpn-1")
RIDES = seen(Kind.RIDES, "vpn-aws-1", Rides("vpn-aws-1"), age_s=0.1)


def proved(*facts: Observation) -> VpnProof:
    return proof(View(SITE, healthy(SITE).with_observations([RIDES, *facts]), NOW), PATH)


NO_COUNT = SessionThere(up=False, state="UP", known=False)


def fact(kind: Kind, name: str, what: object) -> Observation:
    return seen(kind, name, what, age_s=0.05)


def test_a_healthy_tunnel_is_proven_with_the_age_of_every_mark() -> None:
    found = proved()
    assert {name: mark.verdict for name, mark in found.marks.items()} == dict.fromkeys(
        ("ike", "bgp", "rides", "coverage", "probe"), Verdict.UP
    )
    assert found.proven
    assert all(mark.age_s is not None for mark in found.marks.values())


@pytest.mark.parametrize(
    ("changed", "mark", "verdict", "why"),
    [
        (fact(Kind.CIRCUIT, "aws/vpn-1", Circuit(up=False, state="IPSEC IS DOWN")), "ike", "down", "IPSEC IS DOWN"),
        (fact(Kind.LINK, "edge-1 vpn-aws-1", Link(admin_up=True, oper_up=False)), "ike", "down", "our end"),
        (fact(Kind.LINK, "edge-1 vpn-aws-1", Link(admin_up=False, oper_up=False)), "ike", "down", "is shut"),
        (fact(Kind.SESSION_THERE, "aws/vpn-1", NO_COUNT), "bgp", "unknown", "the cloud says UP"),
        (fact(Kind.SESSION_THERE, "aws/vpn-1", SessionThere(up=True, state="UP", received=0)), "bgp", "degraded", "no"),
        (fact(Kind.SESSION_HERE, "vpn-aws-1", SessionHere("Active", NOW, None, None, None)), "bgp", "down", "Active"),
        (fact(Kind.RIDES, "vpn-aws-1", Rides("vxc-aws-a")), "rides", "down", "rides vxc-aws-a, not vpn-aws-1"),
        (fact(Kind.RIDES, "vpn-aws-1", Rides(None)), "rides", "down", "no way"),
        (fact(Kind.ADVERTISED, "vpn-aws-1", Advertised(())), "coverage", "down", "back lacks 10.10.0.0/15"),
        (fact(Kind.PROBE, "aws/vpn-1", ProbeResult(3, 0, None)), "probe", "down", "none of 3"),
        (fact(Kind.PROBE, "aws/vpn-1", ProbeResult(3, 3, 4.0, pinned=False)), "probe", "unknown", "unpinned"),
    ],
)
def test_each_mark_fails_by_itself_and_the_path_with_it(
    changed: Observation, mark: str, verdict: str, why: str
) -> None:
    found = proved(changed)
    assert found.marks[mark].verdict == verdict
    assert why in found.marks[mark].why
    assert not found.proven


def test_a_more_specific_announcement_impairs_because_it_carries_already() -> None:
    more = tuple(Advert(p, (65010,)) for p in ("10.10.0.0/16", "10.11.0.0/16", "10.11.1.0/24"))
    found = proved(fact(Kind.ADVERTISED, "vpn-aws-1", Advertised(more)))
    assert found.coverage.verdict is Verdict.DEGRADED
    assert found.coverage.why == "back takes 10.11.1.0/24 by longer match"


def test_without_a_word_of_the_router_how_the_session_rides_nothing_is_proven() -> None:
    found = proof(View(SITE, healthy(SITE), NOW), PATH)
    assert found.rides.verdict is Verdict.UNKNOWN
    assert not found.proven
    assert found.decisive.verdict is Verdict.UNKNOWN


def test_old_figures_prove_nothing() -> None:
    later = proof(View(SITE, healthy(SITE).with_observations([RIDES]), NOW + timedelta(minutes=5)), PATH)
    assert {mark.verdict for mark in later.marks.values()} == {Verdict.STALE, Verdict.UNKNOWN}


def test_a_private_path_has_no_vpn_proof() -> None:
    with pytest.raises(ValueError, match="directconnect"):
        proof(View(SITE, healthy(SITE), NOW), SITE.path("aws/dx-1"))


def test_the_document_and_the_text_say_the_same() -> None:
    found = proved(fact(Kind.RIDES, "vpn-aws-1", Rides("vxc-aws-a")))
    document = vpn_view.document(found)
    assert (document["proven"], document["verdict"]) == (False, "down")
    assert list(document["marks"]) == ["ike", "bgp", "rides", "coverage", "probe"]
    assert document["coverage"]["out"] == {
        "complete": True, "missing": [], "taken": [], "basis": "routes to the declared prefixes", "unknown": "",
    }  # fmt: skip
    text = "\n".join(vpn_view.lines(found))
    assert "not proven" in text
    assert "X   rides      down      the session rides vxc-aws-a, not vpn-aws-1" in text
    rows = [{"name": path.name} for path in SITE.paths]
    with_proof = vpn_view.documents(rows, View(SITE, healthy(SITE), NOW))
    assert [row["name"] for row in with_proof if "vpn" in row] == [p.name for p in SITE.paths if p.kind == "vpn"]
