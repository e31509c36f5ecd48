"""The decision processes, case by case, each with its source: what a vendor says, or what we believe ([M])."""

from __future__ import annotations

import pytest

from network.bestpath import Candidate, Undecidable, decide
from network.preferences import AWS_TGW, AWS_VGW, AZURE_HUB, INERT, ROUTER, Process
from network.space import Space, joined

OWN = 65010
ER, VPN, DX = "expressroute", "vpn", "directconnect"
ER_FIRST, VPN_FIRST, BY_PATH = (AZURE_HUB[word] for word in ("ExpressRoute", "VpnGateway", "ASPath"))
LOW, MEDIUM, HIGH = "7224:7100", "7224:7200", "7224:7300"


def er(via: str, length: int = 1, **more: object) -> Candidate:
    return Candidate(via, (12076, *(OWN,) * length), kind=ER, **more)  # type: ignore[arg-type]


def drained_er(via: str, length: int = 1) -> Candidate:
    return Candidate(via, (*(12076,) * 9, *(OWN,) * length), kind=ER)


def azure_vpn(via: str, length: int = 1, **more: object) -> Candidate:
    return Candidate(via, (65515, *(OWN,) * length), kind=VPN, **more)  # type: ignore[arg-type]


def dx(via: str, length: int = 1, *communities: str, **more: object) -> Candidate:
    return Candidate(via, (OWN,) * length, kind=DX, communities=communities, **more)  # type: ignore[arg-type]


def aws_vpn(via: str, length: int = 1, **more: object) -> Candidate:
    return Candidate(via, (OWN,) * length, kind=VPN, **more)  # type: ignore[arg-type]


def of(kind: str, via: str, length: int = 1, **more: object) -> Candidate:
    return Candidate(via, (OWN,) * length, kind=kind, **more)  # type: ignore[arg-type]


P1 = "procedures 1"
CASES: list[tuple[str, Process, list[Candidate], set[str], str]] = [
    # -- Azure, one circuit's two legs
    ("equal legs share", ER_FIRST, [er("p"), er("s")], {"p", "s"}, f"{P1}: equal = ECMP"),
    ("the shorter leg wins", ER_FIRST, [er("p"), er("s", 3)], {"p"}, f"{P1}: prepend, if strictly longer"),
    ("prepend x2 only ties with x2", ER_FIRST, [er("p", 3), er("s", 3)], {"p", "s"}, "procedures 2 [LAB]"),
    ("prepend x3 moves past x2", ER_FIRST, [er("p", 4), er("s", 3)], {"s"}, "procedures 2 [LAB]"),
    ("prepend x4 moves with a margin", ER_FIRST, [er("p", 5), er("s", 3)], {"s"}, "procedures 2"),
    ("Microsoft's drain moves the way back", ER_FIRST, [drained_er("p"), er("s", 3)], {"s"}, "contract 2.12 [DOC]"),
    ("MED does not choose a leg", ER_FIRST, [er("p", med=50), er("s", med=0)], {"p", "s"}, f"{P1} [M]"),
    (
        "a 7224 class does nothing in Azure",
        ER_FIRST,
        [er("p", communities=(LOW,)), er("s", communities=(HIGH,))],
        {"p", "s"},
        f"{P1}: no",
    ),
    (
        "65535:0 does not move Azure",
        ER_FIRST,
        [er("p", communities=("65535:0",)), er("s")],
        {"p", "s"},
        f"{P1}: nothing says that it is honoured",
    ),
    (
        "a circuit's weight comes before length",
        ER_FIRST,
        [er("p", 5, weight=10), er("s", 1, weight=0)],
        {"p"},
        "contract 2.8",
    ),
    (
        "one weight for both legs leaves it to length",
        ER_FIRST,
        [er("p", 1, weight=10), er("s", 3, weight=10)],
        {"p"},
        f"{P1}: routingWeight is per circuit",
    ),
    ("one leg left", ER_FIRST, [er("s", 3)], {"s"}, "outcomes: er-primary down [LAB]"),
    # -- Azure, ExpressRoute and VPN
    ("ExpressRoute before VPN", ER_FIRST, [er("p"), azure_vpn("v")], {"p"}, f"{P1} [DOC]"),
    ("a long ExpressRoute still before VPN", ER_FIRST, [er("p", 9), azure_vpn("v")], {"p"}, f"{P1}: prepend, no"),
    ("a drained leg still before VPN", ER_FIRST, [drained_er("p"), azure_vpn("v")], {"p"}, f"{P1} [DOC]"),
    ("a long VPN changes nothing", ER_FIRST, [er("p"), azure_vpn("v", 9)], {"p"}, "domain 1: prepend on VPN is inert"),
    ("MED does not choose ER or VPN", ER_FIRST, [er("p", med=9), azure_vpn("v", med=0)], {"p"}, "domain 1"),
    ("both tunnels when ER is gone", ER_FIRST, [azure_vpn("v1"), azure_vpn("v2")], {"v1", "v2"}, "outcomes [LAB]"),
    ("the shorter tunnel of two", ER_FIRST, [azure_vpn("v1", 3), azure_vpn("v2")], {"v2"}, f"{P1} [M]"),
    ("a hub that prefers VPN", VPN_FIRST, [er("p"), azure_vpn("v")], {"v"}, f"{P1}: preference VpnGateway [DOC]"),
    ("… whatever the path", VPN_FIRST, [er("p"), azure_vpn("v", 9)], {"v"}, f"{P1}: preference VpnGateway [DOC]"),
    ("… and ER when no tunnel is left", VPN_FIRST, [er("p"), er("s", 3)], {"p"}, f"{P1} [DOC]"),
    ("by AS path: the shorter ER", BY_PATH, [er("p"), azure_vpn("v", 2)], {"p"}, f"{P1}: preference ASPath [DOC]"),
    ("by AS path: prepend moves ER to VPN", BY_PATH, [er("p", 3), azure_vpn("v")], {"v"}, f"{P1}: yes when ASPath"),
    ("by AS path: equal share", BY_PATH, [er("p"), azure_vpn("v")], {"p", "v"}, f"{P1}: equal = ECMP; 65515 [M]"),
    ("by AS path: drained ER loses", BY_PATH, [drained_er("p"), azure_vpn("v")], {"v"}, "contract 2.12, procedures 1"),
    # -- AWS, Direct Connect locations
    ("the high class before the low", AWS_TGW, [dx("1", 1, HIGH), dx("2", 3, LOW)], {"1"}, f"{P1} [V]"),
    ("a class before AS path", AWS_TGW, [dx("1", 9, HIGH), dx("2", 1, LOW)], {"1"}, f"{P1}: before AS path [V]"),
    ("high before medium", AWS_TGW, [dx("1", 2, MEDIUM), dx("2", 2, HIGH)], {"2"}, "contract 3.8"),
    ("medium before low", AWS_TGW, [dx("1", 1, LOW), dx("2", 2, MEDIUM)], {"2"}, "contract 3.8"),
    ("none is medium: above low", AWS_TGW, [dx("1"), dx("2", 1, LOW)], {"1"}, "contract 3.8: 7200 is the default"),
    ("none is medium: below high", AWS_TGW, [dx("1"), dx("2", 1, HIGH)], {"2"}, "contract 3.8: 7200 is the default"),
    ("none ties with medium", AWS_TGW, [dx("1"), dx("2", 1, MEDIUM)], {"1", "2"}, "contract 3.8"),
    ("in one class the shorter path", AWS_TGW, [dx("1", 5, LOW), dx("2", 3, LOW)], {"2"}, f"{P1}; outcomes [LAB]"),
    ("equal legs share", AWS_TGW, [dx("1", 1, HIGH), dx("2", 1, HIGH)], {"1", "2"}, f"{P1}: equal = ECMP"),
    ("a foreign community is no class", AWS_TGW, [dx("1", 1, "65010:1"), dx("2", 1, HIGH)], {"2"}, "contract 3.8"),
    ("of two classes the higher counts", AWS_TGW, [dx("1", 1, LOW, HIGH), dx("2", 1, MEDIUM)], {"1"}, "[M]"),
    ("65535:0 does not move AWS", AWS_TGW, [dx("1", 1, "65535:0"), dx("2")], {"1", "2"}, f"{P1}"),
    ("MED does not choose a location", AWS_TGW, [dx("1", 1, HIGH, med=9), dx("2", 1, HIGH)], {"1", "2"}, f"{P1} [M]"),
    # -- AWS, between kinds
    ("Direct Connect before VPN", AWS_TGW, [dx("1", 1, HIGH), aws_vpn("v")], {"1"}, f"{P1}: DXGW > VPN [V]"),
    ("… whatever the prepend", AWS_TGW, [dx("1", 9, LOW), aws_vpn("v")], {"1"}, f"{P1} [V]"),
    ("… and a long VPN changes nothing", AWS_TGW, [dx("1"), aws_vpn("v", 9)], {"1"}, "domain 1"),
    ("a static before Direct Connect", AWS_TGW, [of("static", "x"), dx("1", 1, HIGH)], {"x"}, f"{P1} [V]"),
    ("a prefix list before Direct Connect", AWS_TGW, [of("prefix-list", "l"), dx("1")], {"l"}, f"{P1} [V]"),
    ("a static before a prefix list", AWS_TGW, [of("prefix-list", "l"), of("static", "x")], {"x"}, f"{P1} [V]"),
    ("a static before VPN", AWS_TGW, [of("static", "x"), aws_vpn("v")], {"x"}, f"{P1} [V]"),
    ("both tunnels share", AWS_TGW, [aws_vpn("v1"), aws_vpn("v2")], {"v1", "v2"}, "outcomes: fabric down [LAB]"),
    ("the shorter tunnel", AWS_TGW, [aws_vpn("v1", 3), aws_vpn("v2")], {"v2"}, "contract 3.7: shortest AS path [V]"),
    # -- AWS, a virtual private gateway instead
    ("VGW: Direct Connect before static VPN", AWS_VGW, [dx("1"), of("static", "x")], {"1"}, "contract 3.7 [M]"),
    ("VGW: static VPN before BGP VPN", AWS_VGW, [of("static", "x"), aws_vpn("v")], {"x"}, "contract 3.7 [M]"),
    ("VGW: Direct Connect before BGP VPN", AWS_VGW, [dx("1", 9), aws_vpn("v")], {"1"}, "contract 3.7 [M]"),
    ("VGW: shortest path", AWS_VGW, [aws_vpn("v1", 2), aws_vpn("v2", 1)], {"v2"}, "contract 3.7 [V]"),
    ("VGW: lowest MED", AWS_VGW, [aws_vpn("v1", med=100), aws_vpn("v2", med=50)], {"v2"}, "contract 3.7 [V]"),
    ("VGW: length before MED", AWS_VGW, [aws_vpn("v1", 1, med=99), aws_vpn("v2", 2)], {"v1"}, "contract 3.7 [V]"),
]


@pytest.mark.parametrize(
    ("process", "routes", "wins", "source"), [case[1:] for case in CASES], ids=[f"{c[1].name}: {c[0]}" for c in CASES]
)
def test_a_cloud_prefers_as_its_source_says(
    process: Process, routes: list[Candidate], wins: set[str], source: str
) -> None:
    for order in (routes, routes[::-1]):
        assert {each.via for each in decide(process, order).winners} == wins, source


def test_there_are_enough_cases_and_each_names_its_source() -> None:
    assert len(CASES) >= 40
    assert all(source for *_, source in CASES)
    steps = [step for process in (*AZURE_HUB.values(), AWS_TGW, AWS_VGW, ROUTER) for step in process.steps]
    assert all(step.source for step in steps)
    assert all(knob.source and knob.why for knob in INERT)


def ours(via: str, **more: object) -> Candidate:
    return Candidate(via, **{"as_path": (12076,), **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("step", "better", "worse"),
    [
        ("weight", {"weight": 1}, {"local_pref": 900}),
        ("local_pref", {"local_pref": 200, "as_path": (1, 1, 1)}, {"local_pref": 150}),
        ("originated", {"originated": True, "as_path": (1, 1)}, {"as_path": (1,)}),
        ("as_path", {"external": False}, {"as_path": (12076, 12076)}),
        ("origin", {"med": 9}, {"origin": "incomplete"}),
        ("med", {"med": 1, "external": False}, {"med": 2}),
        ("external", {"igp_metric": 9}, {"external": False}),
        ("igp_metric", {"external": False, "igp_metric": 1}, {"external": False, "igp_metric": 2}),
        ("selected", {"selected": True, "router_id": "9.9.9.9"}, {"router_id": "1.1.1.1"}),
        ("router_id", {"router_id": "1.1.1.1", "address": "9.9.9.9"}, {"router_id": "1.1.1.2"}),
        ("address", {"address": "10.0.0.2"}, {"address": "10.0.0.10"}),
    ],
)
def test_our_router_compares_in_frrs_order(step: str, better: dict[str, object], worse: dict[str, object]) -> None:
    for order in ((better, worse), (worse, better)):
        choice = decide(ROUTER, [ours("better" if each is better else "worse", **each) for each in order])
        assert ([each.via for each in choice.winners], choice.step) == (["better"], step)


def test_med_is_compared_within_one_neighbouring_as_only() -> None:
    cheap, dear = (
        ours("a", med=1, as_path=(1,), router_id="2.2.2.2"),
        ours("b", med=9, as_path=(2,), router_id="1.1.1.1"),
    )
    assert decide(ROUTER, [cheap, dear]).winners == (dear,)


def test_communities_that_are_not_known_leave_two_legs_undecided_and_one_alone_decided() -> None:
    one, two = (Candidate(via, (OWN,), kind=DX) for via in ("aws/dx-1", "aws/dx-2"))
    assert decide(AWS_TGW, [one]).winners == (one,)
    assert decide(AWS_TGW, [one, aws_vpn("v")]).winners == (one,)
    with pytest.raises(Undecidable, match="communities aws/dx-1"):
        decide(AWS_TGW, [one, two])


def test_a_kind_that_is_not_known_is_never_ranked() -> None:
    with pytest.raises(Undecidable, match="peering"):
        decide(AWS_TGW, [of("peering", "peering"), dx("1")])


def test_the_longest_match_comes_before_every_preference() -> None:
    space = Space(["0.0.0.0/0", "10.10.0.0/16", "10.10.0.0/17", "10.10.128.0/17"])
    assert space.matches("10.10.0.0/17") == ("10.10.0.0/17", "10.10.0.0/16", "0.0.0.0/0")
    assert space.matches("192.0.2.0/24") == ("0.0.0.0/0",)


def test_a_destination_is_cut_where_a_route_inside_it_begins_or_ends() -> None:
    space = Space(["10.10.0.0/16", "10.10.64.0/18", "10.11.0.0/24"])
    assert space.atoms("10.10.0.0/16") == ("10.10.0.0/18", "10.10.64.0/18", "10.10.128.0/17")
    assert space.atoms("10.12.0.0/16") == ("10.12.0.0/16",)
    assert joined(space.atoms("10.10.0.0/16")) == ("10.10.0.0/16",)
