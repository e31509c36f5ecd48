"""What may be left on a router: every knob that a run turns is found, named, and its own lines put it back."""

from __future__ import annotations

import pytest

from connectors.errors import BadReply
from connectors.routers.channel import Reply
from connectors.routers.deadmen import Armed, armed
from connectors.routers.frr_config import running_config
from connectors.routers.frr_leftovers import Leftover, leftovers
from lab.embedded.config import Config
from lab.embedded.editor import apply
from lab.embedded.start import edge
from runbooks.leftovers import found as everything
from tests.run_rows import run_row
from tests.sample import healthy, reference

SITE = reference()
BGP, UNICAST = "router bgp 65010", "address-family ipv4 unicast"
PRIMARY = "route-map IN-msee-primary permit"


def found(config: Config) -> list[Leftover]:
    return leftovers(SITE, config.hostname, running_config(config.render()).lines)


@pytest.mark.parametrize("router", [router.name for router in SITE.routers])
def test_a_router_at_rest_has_nothing_left_over(router: str) -> None:
    assert found(edge(SITE, router)) == []


@pytest.mark.parametrize(
    ("lines", "kind", "where"),
    [
        ([f"{PRIMARY} 10", "set local-preference 120"], "local-preference", f"edge-1 er-primary ({PRIMARY} 10)"),
        ([f"{PRIMARY} 5", "set local-preference 70"], "local-preference", f"edge-1 er-primary ({PRIMARY} 5)"),
        (["route-map OUT-dx-router-1 permit 10", "set as-path prepend 65010"], "prepend", "edge-1 dx-1"),
        (["route-map OUT-dx-router-1 permit 10", "set community 7224:7100"], "community", "edge-1 dx-1"),
        (["route-map OUT-dx-router-1 permit 10", "no set community"], "community", "edge-1 dx-1"),
        ([BGP, "neighbor 10.255.1.2 shutdown message CHG0031234"], "shutdown", "edge-1 er-primary"),
        (["interface vxc-azure-a", "shutdown"], "interface", "edge-1 vxc-azure-a"),
        ([BGP, UNICAST, "network 10.10.0.0/17"], "more-specific", "edge-1 10.10.0.0/17"),
        (["ip prefix-list INTERLOCK-SPECIFICS seq 5 permit 10.10.0.0/17"], "prefix-list", "edge-1 INTERLOCK-SPECIFICS"),
        (
            ["route-map OUT-vpn-azure-1 permit 15", "match ip address prefix-list INTERLOCK-SPECIFICS"],
            "clause",
            "edge-1 route-map OUT-vpn-azure-1 permit 15",
        ),
    ],
)
def test_each_knob_is_found_and_its_own_lines_put_it_back(lines: list[str], kind: str, where: str) -> None:
    config = edge(SITE, "edge-1")
    before = config.render()
    apply(config, lines)
    (left,) = found(config)
    assert left.kind == kind
    assert left.where.startswith(where)
    assert any(line.startswith(left.mark) for line in lines), "whoever sent this is known by it"
    apply(config, [line for line in left.undo if not line.startswith("clear ")])
    assert config.render() == before


def test_what_a_shut_session_says_is_told() -> None:
    config = edge(SITE, "edge-1")
    apply(config, [BGP, "neighbor 10.255.1.2 shutdown message CHG0031234"])
    assert "CHG0031234" in found(config)[0].what


@pytest.mark.parametrize(
    ("static", "left"),
    [
        ("ip route 10.50.0.0/16 10.255.5.2", ["static"]),
        ("ip route 10.50.1.0/24 Null0", ["static"]),
        ("ip route 10.50.0.0/16 10.255.5.2 table 103", []),
        ("ip route 192.0.2.0/24 Null0", []),
    ],
)
def test_a_static_route_into_what_bgp_carries_is_a_leftover(static: str, left: list[str]) -> None:
    lines = running_config(edge(SITE, "edge-1").render()).lines
    assert [each.kind for each in leftovers(SITE, "edge-1", (static, *lines))] == left


def test_half_a_configuration_is_no_proof_that_nothing_is_left() -> None:
    with pytest.raises(BadReply):
        leftovers(SITE, "edge-1", ("!", "router bgp 65010"))


@pytest.mark.parametrize(
    ("closed", "alive", "undo"),
    [
        (False, True, None),  # it is driven: there it belongs
        (False, False, "interlock rollback R-1 --write"),
        (True, False, "deadman confirm R-1-move-a1"),
    ],
)
def test_a_dead_man_is_left_over_when_nobody_drives_its_run(closed: bool, alive: bool, undo: str | None) -> None:
    timers = {"edge-1": [Armed(id="R-1-move-a1", left_s=12.0)], "edge-2": []}
    run = run_row("R-1", "drain-port", {"steps": []}, "COMPLETED" if closed else "RUNNING", alive=alive)
    left, _ = everything(SITE, healthy(SITE), [run], timers)
    found = [each for each in left if each.kind == "timer"]
    assert [(each.where, each.run, *each.undo) for each in found] == ([("edge-1", "R-1", undo)] if undo else [])


def test_a_dead_man_of_nobodys_run_and_one_that_will_never_fire_are_said_so() -> None:
    timers = {"edge-1": [Armed(id="X-1-move-a1", left_s=12.0, alive=False)], "edge-2": None}
    left, unread = everything(SITE, healthy(SITE), [], timers)
    (found,) = [each for each in left if each.kind == "timer"]
    assert (found.run, "never fire" in found.what) == (None, True)
    assert "edge-2" in unread


@pytest.mark.parametrize("text", ["", "[1]", "{}", '[{"id": "a"}]'])
def test_a_list_of_dead_men_that_cannot_be_read_is_no_empty_list(text: str) -> None:
    with pytest.raises(BadReply):
        armed(Reply(0, text))
