"""The reference policy's outcomes, row by row, as measured on real FRR 8.4.4 with the same policy."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import resources
from ipaddress import IPv4Address

import pytest

from lab.embedded.editor import apply
from lab.embedded.links import Fault, Links
from lab.embedded.propagation import converge
from lab.embedded.speaker import Speaker
from lab.embedded.start import adjacencies, configurations
from lab.embedded.traffic import Flows
from network.sitefile import load

SITE = load((resources.files("lab") / "reference.yaml").read_text()).site
DARK = Fault(dark=True)
CLOUD_ADDRESS = {"azure": IPv4Address("10.50.0.1"), "aws": IPv4Address("10.60.0.1")}
OUR_ADDRESS = IPv4Address("10.10.0.1")

DRAIN_PORT_A = [
    "route-map IN-msee-primary permit 10", "set local-preference 120",
    "route-map OUT-msee-primary permit 10", "set as-path prepend 65010 65010 65010 65010",
    "route-map IN-dx-router-1 permit 10", "set local-preference 120",
    "route-map OUT-dx-router-1 permit 10", "set as-path prepend 65010 65010 65010 65010", "set community 7224:7100",
]  # fmt: skip
SEVEN = "set as-path prepend 12076 12076 12076 12076 12076 12076 12076"
PROVIDER_DRAIN = [
    "route-map OUT permit 10", SEVEN, "route-map DRAIN permit 10", SEVEN,
    "router bgp 12076", "address-family ipv4 unicast", "neighbor 10.255.11.2 route-map DRAIN out",
]  # fmt: skip
HALVES = ["10.10.0.0/17", "10.10.128.0/17", "10.11.0.0/17", "10.11.128.0/17"]


def _force(edge: int, preference: int, device: str) -> list[str]:
    names = [f"ip prefix-list ANNOUNCE-vpn-azure-{edge} permit {half}" for half in HALVES]
    return [
        *names,
        f"route-map IN-{device} permit 5", "set local-preference 70",
        f"route-map IN-{device} permit 10", f"set local-preference {preference}",
        "router bgp 65010", "address-family ipv4 unicast", *(f"network {half}" for half in HALVES),
    ]  # fmt: skip


FORCE_AZURE = {"edge-1": _force(1, 90, "msee-primary"), "edge-2": _force(2, 80, "msee-secondary")}


@dataclass
class Row:
    """A state of the site and what each edge and each hub must choose; None: the edge is gone."""

    state: str
    azure: tuple[str | None, str]
    azure_return: set[str]
    aws: tuple[str | None, str]
    aws_return: set[str]
    dark: tuple[str, ...] = ()
    edits: dict[str, list[str]] = field(default_factory=dict)


AZ, AZ_BACK = ("msee-primary", "edge-1"), {"azure/er-primary"}
AW, AW_BACK = ("dx-router-1", "edge-1"), {"aws/dx-1"}
AZ2, AZ2_BACK = ("edge-2", "msee-secondary"), {"azure/er-secondary"}
AW2, AW2_BACK = ("edge-2", "dx-router-2"), {"aws/dx-2"}
AZ_VPN, AZ_VPN_BACK = ("azure-vpn", "azure-vpn"), {"azure/vpn-1", "azure/vpn-2"}
AW_VPN, AW_VPN_BACK = ("aws-vpn", "aws-vpn"), {"aws/vpn-1", "aws/vpn-2"}
FABRIC = ("vxc-azure-a", "vxc-azure-b", "vxc-aws-a", "vxc-aws-b")
AZURE_VPN = ("vpn-azure-1", "vpn-azure-2")

ROWS = [
    Row("steady", AZ, AZ_BACK, AW, AW_BACK),
    Row("port-a down", AZ2, AZ2_BACK, AW2, AW2_BACK, ("port-a",)),
    Row("port-b down", AZ, AZ_BACK, AW, AW_BACK, ("port-b",)),
    Row("er-primary down", AZ2, AZ2_BACK, AW, AW_BACK, ("er-primary",)),
    Row("dx-1 down", AZ, AZ_BACK, AW2, AW2_BACK, ("dx-1",)),
    Row("fabric down", AZ_VPN, AZ_VPN_BACK, AW_VPN, AW_VPN_BACK, FABRIC),
    Row("internet down", AZ, AZ_BACK, AW, AW_BACK, (*AZURE_VPN, "vpn-aws-1", "vpn-aws-2")),
    Row("ibgp down", ("msee-primary", "msee-secondary"), AZ_BACK, ("dx-router-1", "dx-router-2"), AW_BACK, ("ibgp",)),
    Row("edge-1 down", (None, "msee-secondary"), AZ2_BACK, (None, "dx-router-2"), AW2_BACK, ("edge-1",)),
    Row("port-a drained", AZ2, AZ2_BACK, AW2, AW2_BACK, (), {"edge-1": DRAIN_PORT_A}),
    Row("port-a drained, port-b down", AZ, AZ_BACK, AW, AW_BACK, ("port-b",), {"edge-1": DRAIN_PORT_A}),
    Row("provider drains er-primary", AZ2, AZ2_BACK, AW, AW_BACK, (), {"msee-primary": PROVIDER_DRAIN}),
    Row("azure forced to vpn", AZ_VPN, AZ_VPN_BACK, AW, AW_BACK, (), FORCE_AZURE),
    Row("azure forced to vpn, vpn lost", AZ, AZ_BACK, AW, AW_BACK, AZURE_VPN, FORCE_AZURE),
]  # fmt: skip


def _outcome(row: Row) -> tuple[dict[str, tuple[str | None, ...]], dict[str, set[str]]]:
    configs = configurations(SITE)
    for name, lines in row.edits.items():
        apply(configs[name], lines)
    links = Links(SITE)
    links.faults = dict.fromkeys(row.dark, DARK)
    carried = {s.name for s in SITE.sessions if links.of_session(s).both}
    open_ = [a for name, a in adjacencies(SITE).items() if name in carried or name.endswith("~hub")]
    speakers = {name: Speaker(name, config) for name, config in configs.items()}
    flows = Flows(SITE, links, converge(speakers, open_))
    names = {str(s.peer): s.there for s in SITE.sessions} | {"10.255.0.1": "edge-1"}
    egress: dict[str, tuple[str | None, ...]] = {}
    for cloud, address in CLOUD_ADDRESS.items():
        choices = {e: flows.tables[e].lookup(address) for e in ("edge-1", "edge-2") if links.router_up(e)}
        egress[cloud] = tuple(
            names[c.best.peer.address] if (c := choices.get(e)) and c.best.peer else None for e in ("edge-1", "edge-2")
        )
    back = {cloud: {path.name for _, path in flows.chosen(cloud, OUR_ADDRESS, 1.0)} for cloud in CLOUD_ADDRESS}
    return egress, back


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.state)
def test_each_measured_state_chooses_what_real_frr_chose(row: Row) -> None:
    egress, back = _outcome(row)
    assert egress == {"azure": row.azure, "aws": row.aws}
    assert back == {"azure": row.azure_return, "aws": row.aws_return}


def test_forcing_vpn_moves_the_return_by_the_halves_and_losing_it_falls_back_to_the_whole() -> None:
    configs = configurations(SITE)
    for name, lines in FORCE_AZURE.items():
        apply(configs[name], lines)
    speakers = {name: Speaker(name, config) for name, config in configs.items()}
    table = converge(speakers, adjacencies(SITE).values())["azure-hub"]
    found = table.lookup(OUR_ADDRESS)
    assert found is not None
    assert found.best.route.prefix.prefixlen == 17


@pytest.mark.parametrize(("times", "moves"), [(2, {"azure/er-primary", "azure/er-secondary"}), (3, AZ2_BACK)])
def test_two_prepends_only_tie_and_three_move_azure(times: int, moves: set[str]) -> None:
    prepend = ["route-map OUT-msee-primary permit 10", f"set as-path prepend {' '.join(['65010'] * times)}"]
    _, back = _outcome(Row("", AZ, AZ_BACK, AW, AW_BACK, (), {"edge-1": prepend}))
    assert back["azure"] == moves


def test_without_add_path_edge_1_holds_no_standby_but_its_own_tunnels() -> None:
    hidden = ["router bgp 65010", "address-family ipv4 unicast"]
    edits = {"edge-1": [*hidden, "no neighbor 10.255.0.2 addpath-tx-all-paths"],
             "edge-2": [*hidden, "no neighbor 10.255.0.1 addpath-tx-all-paths"]}  # fmt: skip
    configs = configurations(SITE)
    with_add_path = converge({n: Speaker(n, c) for n, c in configs.items()}, adjacencies(SITE).values())
    for name, lines in edits.items():
        apply(configs[name], lines)
    without = converge({n: Speaker(n, c) for n, c in configs.items()}, adjacencies(SITE).values())
    held = [
        {p.peer.address for p in t["edge-1"].lookup(CLOUD_ADDRESS["azure"]).paths} for t in (with_add_path, without)
    ]  # type: ignore[union-attr]  # both hold the route
    assert held == [{"10.255.1.2", "10.255.5.2", "10.255.0.2"}, {"10.255.1.2", "10.255.5.2"}]


def test_on_prem_sees_the_clouds_public_face_alone() -> None:
    speakers = {n: Speaker(n, c) for n, c in configurations(SITE).items()}
    table = converge(speakers, adjacencies(SITE).values())["edge-1"]
    paths = {
        address: {r.as_path for r in routes} for address, routes in table.accepted.items() if address != "10.255.0.2"
    }
    assert paths == {
        "10.255.1.2": {(12076,)},
        "10.255.3.2": {(64512,)},
        "10.255.5.2": {(65515,)},
        "10.255.7.2": {(64513,)},
    }
