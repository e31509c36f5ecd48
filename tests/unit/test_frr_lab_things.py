"""The reference site as wires, configuration and things to break: pure, without FRR."""

from __future__ import annotations

from ipaddress import IPv4Network
from pathlib import Path

import pytest

from lab.frr import config, things
from lab.frr.errors import UnknownThing, WrongOption
from lab.frr.things import Cut, Options
from lab.frr.topology import build
from network.sitefile import load

SITE = load((Path(__file__).parents[2] / "lab/reference.yaml").read_text()).site
TOPOLOGY = build(SITE)
LISTED = [
    "port-a",
    "port-b",
    "vxc-azure-a",
    "vxc-azure-b",
    "vxc-aws-a",
    "vxc-aws-b",
    "er-primary",
    "er-secondary",
    "dx-1",
    "dx-2",
    "vpn-azure-1",
    "vpn-azure-2",
    "vpn-aws-1",
    "vpn-aws-2",
    "edge-1",
    "edge-2",
    "ibgp",
    "fabric",
    "internet",
    "no-addpath",
    "provider-drain",
    "ot-leak",
    "max-prefix",
    "flap",
    "asymmetry",
]


def test_every_listed_thing_can_be_broken() -> None:
    assert sorted(things.names(TOPOLOGY)) == sorted(LISTED)
    for thing in LISTED:
        failure = things.failure(TOPOLOGY, thing, Options())
        assert failure.cuts or failure.breaks or failure.repeats


def test_what_changes_configuration_puts_it_back() -> None:
    for thing in LISTED:
        failure = things.failure(TOPOLOGY, thing, Options())
        assert bool(failure.breaks) == bool(failure.mends), thing


@pytest.mark.parametrize(
    ("thing", "options", "cuts"),
    [
        ("port-a", Options(), {"port-a": Cut.DOWN, "s1a": Cut.DOWN, "s3a": Cut.DOWN}),
        ("port-a", Options(silent=True), {"port-a": Cut.SILENT, "s1a": Cut.SILENT, "s3a": Cut.SILENT}),
        ("er-primary", Options(), {"s1b": Cut.DOWN}),
        ("er-primary", Options(oneway=True), {"s1a": Cut.ONEWAY}),
        ("vpn-aws-2", Options(), {"s8a": Cut.DOWN, "s8b": Cut.DOWN}),
    ],
)
def test_a_link_is_cut_where_it_breaks(thing: str, options: Options, cuts: dict[str, Cut]) -> None:
    assert things.failure(TOPOLOGY, thing, options).cuts == cuts


def test_bad_names_and_options_say_what_would_do() -> None:
    with pytest.raises(UnknownThing, match="did you mean 'er-primary'"):
        things.failure(TOPOLOGY, "er-primry", Options())
    with pytest.raises(WrongOption, match="--oneway does nothing there"):
        things.failure(TOPOLOGY, "asymmetry", Options(oneway=True))


def test_names_of_interfaces_fit_the_kernel() -> None:
    for wire in TOPOLOGY.wires.values():
        for end in (wire.a, wire.b):
            assert len(end.interface) <= 15
    at = [(end.node, end.interface) for wire in TOPOLOGY.wires.values() for end in (wire.a, wire.b)]
    assert len(set(at)) == len(at)


def test_an_edge_never_accepts_what_overlaps_ot_or_ours_and_has_a_limit_on_every_session() -> None:
    for edge in TOPOLOGY.edges:
        lines = config.render(TOPOLOGY)[edge]["bgpd"].splitlines()
        maps = [s.policy.import_map for s in SITE.sessions if s.router == edge and s.policy]
        for name in maps:
            first = lines.index(f"route-map {name} deny 1")
            assert lines[first + 1] == " match ip address prefix-list NEVER"
            assert not any(line.startswith(f"route-map {name} ") for line in lines[:first])
        peers = [line.split()[1] for line in lines if " remote-as " in line]
        limited = [line.split()[1] for line in lines if " maximum-prefix " in line]
        assert sorted(peers) == sorted(limited)
        assert not any("allowas-in" in line for line in lines)


@pytest.mark.parametrize("prefix", ["10.200.0.0/14", "10.201.9.0/24", "10.0.0.0/8", "0.0.0.0/0", "10.10.3.0/24"])
def test_the_never_list_holds_whatever_leads_to_ot_or_home(prefix: str) -> None:
    assert _matches(IPv4Network(prefix))


@pytest.mark.parametrize("prefix", ["10.50.0.0/16", "10.51.7.0/24", "10.60.0.0/16", "192.0.2.0/24"])
def test_the_never_list_lets_cloud_routes_be(prefix: str) -> None:
    assert not _matches(IPv4Network(prefix))


def _matches(net: IPv4Network) -> bool:
    """FRR's reading of the lines: the prefix itself, or with `le` everything inside down to that length."""
    for line in config.never(SITE):
        listed, _, longest = line.partition(" le ")
        base = IPv4Network(listed)
        if longest and net.subnet_of(base) and net.prefixlen <= int(longest):
            return True
        if net == base:
            return True
    return False
