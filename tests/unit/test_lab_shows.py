"""The embedded edges' JSON against captures of FRR 8.4.4: the same keys in every state, and the same words.

Time is the test's own: what takes a real router nine seconds takes none here, and takes exactly nine.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from lab.embedded.shows.view import EdgeView
from lab.embedded.things import How, Things
from lab.embedded.timing import Clock
from lab.embedded.vty import Vty
from lab.embedded.world import World
from lab.ledger import Ledger
from network.sitefile import load

SITE = load((resources.files("lab") / "reference.yaml").read_text()).site
DATA = Path(__file__).parents[1] / "data" / "frr"
PEER, THEIRS = "10.255.1.2", "169.254.10.2"
SHUT = "CHG0012345 drain dx-primary; back 04:00Z"


class Moved(Clock):
    """A clock that only the test moves on."""

    def __init__(self) -> None:  # without an event loop
        self._now, self._random = 1_795_000_000.0, random.Random(1)
        self._due: dict[object, tuple[float, Callable[[], None]]] = {}

    def now(self) -> float:
        return self._now

    def after(self, name: object, seconds: float, call: Callable[[], None]) -> None:
        self._due.setdefault(name, (self._now + seconds, call))

    def cancel(self, name: object) -> None:
        self._due.pop(name, None)

    def step(self) -> None:
        """On to what is due next, which happens; a hundredth of a second when nothing is."""
        if not self._due:
            self._now += 0.01
            return
        name = min(self._due, key=lambda each: self._due[each][0])
        self._now, call = self._due.pop(name)
        call()


class Edge:
    """An edge of a world of its own."""

    def __init__(self) -> None:
        self.clock = Moved()
        self.world = World(SITE, self.clock)
        self.things = Things(self.world)
        self.vty = Vty(EdgeView(self.world, "edge-1"), Ledger())

    def show(self, command: str) -> Any:
        status, output = self.vty.ask(command, "test")
        assert status == 0, output
        return json.loads(output)

    def neighbor(self) -> Any:
        return self.show(f"show bgp neighbors {PEER} json")[PEER]

    def until(self, what: str, holds: Callable[[], bool], within_s: float = 30.0) -> float:
        """Let time pass until it holds; how many seconds that took."""
        began = self.clock.now()
        while not holds():
            self.clock.step()
            assert self.clock.now() - began <= within_s, f"not within {within_s} s: {what}"
        return self.clock.now() - began


@pytest.fixture
def edge() -> Edge:
    return Edge()


def captured(state: str, name: str) -> Any:
    return json.loads((DATA / state / f"edge__{name}.json").read_text())


def same_keys(ours: Any, theirs: Any, where: str, but: frozenset[str] = frozenset()) -> None:
    """Both have the same keys, all the way down; lists are compared by their first element."""
    if isinstance(theirs, dict) and isinstance(ours, dict):
        assert set(ours) - but == set(theirs) - but, where
        for key in theirs.keys() & ours.keys() - but:
            same_keys(ours[key], theirs[key], f"{where}.{key}", but)
    elif isinstance(theirs, list) and theirs and ours:
        same_keys(ours[0], theirs[0], f"{where}[0]", but)
    elif theirs is not None:
        assert type(ours) is type(theirs), f"{where}: {ours!r} is not like {theirs!r}"


def alike_neighbor(edge: Edge, state: str, but: frozenset[str] = frozenset()) -> None:
    """Neighbor, summary row and BFD peer have the capture's keys and, where states are words, its words."""
    theirs = captured(state, f"show_bgp_neighbors_{THEIRS}_json")[THEIRS]
    same_keys(edge.neighbor(), theirs, "neighbor", but)
    for key in ("bgpState", "lastResetDueTo", "lastResetCode", "lastErrorCodeSubcode", "lastNotificationReason",
                "lastNotificationHardReset", "adminShutDown"):  # fmt: skip
        assert edge.neighbor().get(key) == theirs.get(key), key
    row = edge.show("show bgp summary json")["ipv4Unicast"]["peers"][PEER]
    their_row = captured(state, "show_bgp_summary_json")["ipv4Unicast"]["peers"][THEIRS]
    same_keys(row, their_row, "summary")
    assert (row["state"], row["peerState"]) == (their_row["state"], their_row["peerState"])
    bfd = next(p for p in edge.show("show bfd peers json") if p["peer"] == PEER)
    their_bfd = next(p for p in captured(state, "show_bfd_peers_json") if p["peer"] == THEIRS)
    same_keys(bfd, their_bfd, "bfd")
    assert (bfd["status"], bfd["diagnostic"]) == (their_bfd["status"], their_bfd["diagnostic"])


def test_established(edge: Edge) -> None:
    alike_neighbor(edge, "01-established")
    same_keys(
        edge.show("show bgp ipv4 unicast summary json"),
        captured("01-established", "show_bgp_ipv4_unicast_summary_json"),
        "summary",
        frozenset({"peers"}),
    )


@pytest.mark.parametrize(
    ("command", "capture"),
    [
        ("show bfd peers counters json", "show_bfd_peers_counters_json"),
        (f"show bgp ipv4 unicast neighbors {PEER} prefix-counts json",
         f"show_bgp_ipv4_unicast_neighbors_{THEIRS}_prefix-counts_json"),
        ("show ip route summary json", "show_ip_route_summary_json"),
    ],
)  # fmt: skip
def test_whole_answers_have_the_captures_keys(edge: Edge, command: str, capture: str) -> None:
    same_keys(edge.show(command), captured("01-established", capture), command)


@pytest.mark.parametrize(
    ("command", "capture", "key", "ours", "theirs"),
    [
        (f"show bgp ipv4 unicast neighbors {PEER} advertised-routes json",
         f"show_bgp_ipv4_unicast_neighbors_{THEIRS}_advertised-routes_json", "advertisedRoutes",
         "10.10.0.0/16", "10.0.0.0/16"),
        (f"show bgp ipv4 unicast neighbors {PEER} received-routes json",
         f"show_bgp_ipv4_unicast_neighbors_{THEIRS}_received-routes_json", "receivedRoutes",
         "10.50.0.0/16", "10.50.0.0/16"),
        (f"show bgp ipv4 unicast neighbors {PEER} routes json",
         f"show_bgp_ipv4_unicast_neighbors_{THEIRS}_routes_json", "routes", "10.50.0.0/16", "10.50.0.0/16"),
        ("show bgp ipv4 unicast json", "show_bgp_ipv4_unicast_json", "routes", "10.10.0.0/16", "10.0.0.0/16"),
    ],
)  # fmt: skip
def test_tables_have_the_captures_keys(
    edge: Edge, command: str, capture: str, key: str, ours: str, theirs: str
) -> None:
    mine, real = edge.show(command), captured("01-established", capture)
    assert set(mine) == set(real)
    same_keys(mine[key][ours], real[key][theirs], key, frozenset({"metric"}))


def test_filtered_routes_are_those_that_the_import_policy_denied(edge: Edge) -> None:
    edge.world.leak(SITE.session("er-primary"), (SITE.on_prem.ot_ranges[0],))
    mine = edge.show(f"show bgp ipv4 unicast neighbors {PEER} filtered-routes json")
    real = captured("01-established", f"show_bgp_ipv4_unicast_neighbors_{THEIRS}_filtered-routes_json")
    assert list(mine["receivedRoutes"]) == ["10.200.0.0/14"]
    same_keys(mine["receivedRoutes"]["10.200.0.0/14"], real["receivedRoutes"]["10.0.0.0/16"], "filtered")
    came = edge.show(f"show bgp ipv4 unicast neighbors {PEER} received-routes json")
    assert (came["totalPrefixCounter"], came["filteredPrefixCounter"]) == (3, 1)


def test_one_prefix_and_its_paths(edge: Edge) -> None:
    mine = edge.show("show bgp ipv4 unicast 10.50.0.0/16 json")
    real = captured("01-established", "show_bgp_ipv4_unicast_10.50.0.0-16_json")
    best = next(p for p in mine["paths"] if p.get("bestpath"))
    same_keys(best, real["paths"][1], "best path", frozenset({"metric"}))
    assert set(mine) == set(real)
    own = edge.show("show bgp ipv4 unicast 10.10.0.0/16 json")
    real_own = captured("01-established", "show_bgp_ipv4_unicast_10.0.0.0-16_json")
    same_keys(own["paths"][0], real_own["paths"][0], "own path")


def test_the_way_out_is_the_next_hop_in_the_fib(edge: Edge) -> None:
    mine = edge.show("show ip route 10.50.0.0/16 json")
    real = captured("01-established", "show_ip_route_10.50.0.0-16_json")
    same_keys(mine["10.50.0.0/16"], real["10.50.0.0/16"], "route")
    hop = mine["10.50.0.0/16"][0]["nexthops"][0]
    assert (hop["ip"], hop["interfaceName"], hop["fib"]) == (PEER, "vxc-azure-a", True)
    whole, real_whole = edge.show("show ip route json"), captured("01-established", "show_ip_route_json")
    same_keys(whole["10.255.1.0/30"], real_whole["169.254.10.0/30"], "connected")
    assert edge.show("show ip route 10.99.0.0/16 json") == {}


@pytest.mark.parametrize(("state", "act"), [("05-link-down", "dark"), ("17-interface-admin-down", "shut")])
def test_an_interface_without_light_and_one_that_is_shut(edge: Edge, state: str, act: str) -> None:
    if act == "dark":
        edge.things.fail("vxc-azure-a", How())
        edge.things.heal(None)
        edge.things.fail("vxc-azure-a", How())
    else:
        edge.things.fail("vxc-azure-a", How())
        edge.things.heal(None)
        edge.vty.configure(["interface vxc-azure-a", "shutdown"], "test")
    mine = edge.show("show interface vxc-azure-a json")["vxc-azure-a"]
    real = captured(state, "show_interface_vlan101_json")["vlan101"]
    same_keys(mine, real, "interface", frozenset({"parentInterface", "parentIfindex"}))
    assert mine["administrativeStatus"] == real["administrativeStatus"]
    assert mine.get("operationalStatus") == real.get("operationalStatus")
    assert mine["flags"] == real["flags"]


def test_we_shut_it(edge: Edge) -> None:
    edge.vty.configure(["router bgp 65010", f"neighbor {PEER} shutdown message {SHUT}"], "test")
    alike_neighbor(edge, "02-admin-shutdown", frozenset({"gracefulRestartInfo"}))
    far = edge.world.far_session("azure/er-primary")
    assert far.state == "Active"
    assert SHUT in far.reason


def test_the_provider_shut_it(edge: Edge) -> None:
    peer = "10.255.1.1"
    edge.world.edited("msee-primary", _far_configure(edge, f"neighbor {peer} shutdown message PMA-4711"))
    alike_neighbor(edge, "03-remote-admin-shutdown", frozenset({"gracefulRestartInfo"}))
    assert edge.neighbor()["lastShutdownDescription"] == "PMA-4711"


def _far_configure(edge: Edge, line: str) -> set[str]:
    from lab.embedded.editor import apply

    return apply(edge.world.configs["msee-primary"], ["router bgp 12076", line])


def test_silent_loss_is_found_by_bfd(edge: Edge) -> None:
    edge.things.fail("port-a", How(silent=True))
    edge.until("BGP down", lambda: edge.neighbor()["bgpState"] != "Established", 0.5)
    alike_neighbor(edge, "04-bfd-down", frozenset({"gracefulRestartInfo"}))


def test_lost_light_is_found_at_once_and_its_code_moves(edge: Edge) -> None:
    edge.things.fail("port-a", How())
    edge.until("BGP down", lambda: edge.neighbor()["bgpState"] != "Established", 0.1)
    assert edge.neighbor()["lastResetCode"] == 24
    edge.until("the code moves to waiting for the next hop", lambda: edge.neighbor()["lastResetCode"] == 27)
    alike_neighbor(edge, "05-link-down", frozenset({"gracefulRestartInfo"}))


def test_too_many_prefixes(edge: Edge) -> None:
    edge.things.fail("max-prefix", How())
    alike_neighbor(edge, "07-max-prefix-exceeded", frozenset({"gracefulRestartInfo", "desc"}))
    assert "0601" not in edge.world.far_session("azure/er-primary").reason
    assert "Maximum Number of Prefixes" in edge.world.far_session("azure/er-primary").reason
    edge.things.heal(None)
    edge.until("it comes back", lambda: edge.neighbor()["bgpState"] == "Established")


def test_far_bfd_hangs_and_the_session_comes_back_without_it(edge: Edge) -> None:
    edge.things.fail("bfd-er-primary", How())
    edge.until("one drop", lambda: edge.neighbor()["connectionsDropped"] == 1, 0.5)
    edge.until("Established again", lambda: edge.neighbor()["bgpState"] == "Established")
    alike_neighbor(edge, "15-bgp-up-bfd-down")
    assert edge.neighbor()["peerBfdInfo"]["status"] == "Down"


def test_a_flap_shows_in_the_counters(edge: Edge) -> None:
    edge.things.fail("flap", How())
    edge.until("two drops", lambda: edge.neighbor()["connectionsDropped"] >= 2, 5)
    edge.things.heal("flap")
    edge.until("it stays", lambda: edge.neighbor()["bgpState"] == "Established")


def test_counters_follow_the_demand_on_the_path_that_is_chosen(edge: Edge) -> None:
    def received() -> dict[str, int]:
        return {link["ifname"]: link["stats64"]["rx"]["bytes"] for link in edge.show("ip -j -s link")}

    before, at = received(), edge.world.clock.now()
    edge.until("five megabytes have come", lambda: received()["vxc-azure-a"] - before["vxc-azure-a"] > 5e6)
    after, span = received(), edge.world.clock.now() - at
    mbps = {name: (after[name] - before[name]) * 8 / 1e6 / span for name in after}
    assert mbps["vxc-azure-a"] == pytest.approx(412, rel=0.05)
    assert mbps["port-a"] == pytest.approx(412 + 255, rel=0.05)
    assert 0 < mbps["vpn-azure-1"] < 0.01


@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_broke_is_whole_again_after_healing(edge: Edge, seed: int) -> None:
    def steady() -> bool:
        up = all(s.up and s.exchanging for s in edge.world.sessions.values())
        return up and [edge.world.chosen(c) for c in ("azure", "aws")] == chosen

    chosen = [edge.world.chosen(c) for c in ("azure", "aws")]
    texts = {name: config.render() for name, config in edge.world.configs.items()}
    names = edge.things.names()
    random.Random(seed).shuffle(names)
    for name in names:
        edge.things.fail(name, How(silent=seed % 2 == 0))
    edge.until("nothing is left", lambda: not any(s.up for s in edge.world.sessions.values()), 10.5)
    edge.things.heal(None)
    edge.until("all sessions and choices are back", steady, 6)
    assert {name: config.render() for name, config in edge.world.configs.items()} == texts


@pytest.mark.parametrize(
    ("thing", "how", "down"),
    [
        ("vpn-azure-1", How(silent=True), (6.0, 9.2)),
        ("vpn-azure-1", How(), (0.0, 0.1)),
        ("dx-1", How(oneway=True), (0.15, 0.45)),
        ("er-primary", How(), (0.15, 0.45)),
        ("ibgp", How(), (0.0, 0.1)),
    ],
)
def test_each_loss_is_found_in_the_time_that_real_frr_takes(
    edge: Edge, thing: str, how: How, down: tuple[float, float]
) -> None:
    session = edge.world.sessions[thing]
    edge.things.fail(thing, how)
    assert down[0] <= edge.until("the session is down", lambda: not session.up, down[1])


def test_the_providers_systems_see_what_broke(edge: Edge) -> None:
    world = edge.world
    edge.things.fail("port-a", How(silent=True))
    assert (world.port_up("port-a"), world.vxc_up("vxc-azure-a"), world.connection_up("er-primary")) == (True,) * 3
    edge.things.fail("port-a", How())
    assert (world.port_up("port-a"), world.vxc_up("vxc-azure-a"), world.vxc_up("vxc-azure-b")) == (False, False, True)
    edge.things.fail("dx-1", How())
    edge.things.fail("vpn-aws-2", How())
    assert (world.connection_up("dx-1"), world.connection_up("dx-2")) == (False, True)
    assert (world.tunnel_up("vpn-aws-1"), world.tunnel_up("vpn-aws-2")) == (True, False)
    edge.things.heal(None)
    assert world.port_up("port-a")
    assert world.connection_up("dx-1")


def test_egress_and_return_part_when_the_advertisement_is_lengthened(edge: Edge) -> None:
    edge.things.fail("asymmetry", How())
    out = {name: edge.world.mbps(name) for name in ("azure/er-primary", "azure/er-secondary")}
    assert out["azure/er-primary"][0] > 100 > out["azure/er-primary"][1]
    assert out["azure/er-secondary"][1] > 100 > out["azure/er-secondary"][0]


def test_refusals_of_an_unknown_command_or_peer(edge: Edge) -> None:
    assert edge.vty.ask("show foo", "t") == (1, "% Unknown command: show foo\n")
    assert edge.vty.ask("show", "t") == (1, "% Command incomplete: show\n")
    assert edge.show("show bgp neighbors 9.9.9.9 json") == {"bgpNoSuchNeighbor": True}
    assert edge.vty.ask("clear bgp ipv4 unicast 9.9.9.9 soft", "t") == (0, '% BGP: Unknown neighbor - "9.9.9.9"\n')
    assert edge.vty.ask("show bfd peer 9.9.9.9 json", "t") == (1, "% Unable to find 'peer 9.9.9.9'\n")
