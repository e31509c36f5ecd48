"""The embedded edges' configuration mode: FRR's text, FRR's errors, and nothing left behind after an undo."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lab.embedded.editor import apply
from lab.embedded.grammar import VtyError
from lab.embedded.policy import Route, compile_map
from lab.embedded.start import configurations, edge
from network.sitefile import load

SITE = load((resources.files("lab") / "reference.yaml").read_text()).site
DATA = Path(__file__).parents[1] / "data" / "frr"

#: Each line and the line that takes it away again, with the context in which both stand.
CLAUSE_OUT, CLAUSE_IN = "route-map OUT-msee-primary permit 10", "route-map IN-msee-primary permit 10"
ROUTER, FAMILY = "router bgp 65010", "address-family ipv4 unicast"
PAIRS = [
    ([CLAUSE_OUT], "set as-path prepend 65010 65010 65010 65010", "no set as-path prepend"),
    ([CLAUSE_OUT], "set community 7224:7100", "no set community"),
    ([CLAUSE_OUT], "set metric 7", "no set metric 7"),
    ([CLAUSE_IN], "set local-preference 120", "set local-preference 200"),
    ([CLAUSE_IN], "match community GSHUT", "no match community"),
    ([], "route-map NEW permit 10", "no route-map NEW permit 10"),
    ([], "ip prefix-list HALVES seq 5 permit 10.10.0.0/17", "no ip prefix-list HALVES seq 5 permit 10.10.0.0/17"),
    ([], "ip prefix-list CLOUD-azure seq 7 permit 10.52.0.0/16 ge 16 le 24", "no ip prefix-list CLOUD-azure seq 7"),
    ([ROUTER], "neighbor 10.255.1.2 shutdown message CHG1; back 04:00Z", "no neighbor 10.255.1.2 shutdown"),
    ([ROUTER], "neighbor 10.255.3.2 shutdown", "no neighbor 10.255.3.2 shutdown"),
    ([ROUTER, FAMILY], "network 10.10.0.0/17", "no network 10.10.0.0/17"),
    ([ROUTER, FAMILY], "neighbor 10.255.1.2 maximum-prefix 7", "neighbor 10.255.1.2 maximum-prefix 100"),
    (["interface vxc-azure-a"], "shutdown", "no shutdown"),
    (["interface vxc-aws-a"], "description in maintenance", "no description"),
]  # fmt: skip


def test_the_starting_configuration_reads_as_real_frr_prints_it() -> None:
    """The capture is FRR 8.4.4's own `show running-config` after it was given this configuration."""
    captured = (DATA / "lab-edge" / "edge-1__show_running-config.txt").read_text()
    assert edge(SITE, "edge-1").render() == captured


def test_the_text_of_a_capture_is_read_and_printed_in_the_same_order() -> None:
    captured = (DATA / "lab-edge" / "edge-1__show_running-config.txt").read_text()
    config = edge(SITE, "edge-1")
    body = [line for line in captured.splitlines()[3:] if not line.startswith(("frr ", "no ipv6", "end"))]
    apply(config, body)
    assert config.render() == captured


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(range(len(PAIRS))), max_size=12), st.randoms(use_true_random=False))
def test_setting_and_unsetting_in_any_order_leaves_the_text_as_it_was(chosen: list[int], order: object) -> None:
    config = edge(SITE, "edge-1")
    before = config.render()
    for index in chosen:
        context, line, _ = PAIRS[index]
        apply(config, [*context, line])
    undo = list(dict.fromkeys(chosen))
    order.shuffle(undo)  # type: ignore[attr-defined]  # hypothesis hands out a random.Random
    for index in undo:
        context, _, line = PAIRS[index]
        apply(config, [*context, line])
    assert config.render() == before


@pytest.mark.parametrize("pair", PAIRS, ids=lambda pair: pair[1])
def test_every_line_changes_the_text(pair: tuple[list[str], str, str]) -> None:
    config = edge(SITE, "edge-1")
    before = config.render()
    apply(config, [*pair[0], pair[1]])
    assert config.render() != before


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["router bgp 65010", "neighborr x"], "% Unknown command: neighborr x"),
        (["router bgp 65010", "neighbor 10.255.1.2"], "% Command incomplete: neighbor 10.255.1.2"),
        (["router bgp 65010", "no neighbor 10.255.1.2 shutdown message"],
         "% Command incomplete: no neighbor 10.255.1.2 shutdown message"),
        (["router bgp 65010", "neighbor 9.9.9.9 shutdown"], "% Specify remote-as or peer-group commands first"),
        (["router bgp 65011"], "BGP is already running; AS is 65010"),
        (["router bgp 65010", "address-family ipv4 unicast", "no network 10.99.0.0/17"],
         "% Can't find static route specified"),
        ([CLAUSE_OUT, "set local-preference"], "% Command incomplete: set local-preference"),
        ([CLAUSE_OUT, "set as-path prepend foo"], "% Unknown command: set as-path prepend foo"),
        ([CLAUSE_OUT, "set community 7224:99999"], "% Malformed communities attribute '7224:99999'"),
        (["set local-preference 3"], "% Unknown command: set local-preference 3"),
        (["route-map X permit 99999"], "% Unknown command: route-map X permit 99999"),
    ],
)  # fmt: skip
def test_errors_are_worded_as_frr_words_them(lines: list[str], text: str) -> None:
    with pytest.raises(VtyError) as caught:
        apply(edge(SITE, "edge-1"), lines)
    assert str(caught.value) == text


def test_a_group_stops_at_the_first_error_and_keeps_what_came_before() -> None:
    config = edge(SITE, "edge-1")
    with pytest.raises(VtyError):
        apply(config, [CLAUSE_IN, "set local-preference 120", "nonsense", "set metric 3"])
    clause = config.route_maps["IN-msee-primary"][10][1].values()
    assert "set local-preference 120" in clause
    assert "set metric 3" not in clause


def test_a_shutdown_without_text_keeps_the_text_that_is_there() -> None:
    config = edge(SITE, "edge-1")
    line = "neighbor 10.255.1.2 shutdown message CHG1"
    apply(config, ["router bgp 65010", line, "neighbor 10.255.1.2 shutdown"])
    assert f" {line}\n" in config.render()


def test_communities_are_replaced_unless_additive_and_printed_in_order() -> None:
    config = edge(SITE, "edge-1")
    apply(config, ["route-map OUT-dx-router-1 permit 10", "set community 7224:7300 1:1"])
    route = Route(SITE.on_prem.prefixes[0].prefix, communities=("9:9",))
    replaced = compile_map(config, "OUT-dx-router-1").apply(route)
    apply(config, ["route-map OUT-dx-router-1 permit 10", "set community 7224:7100 additive"])
    added = compile_map(config, "OUT-dx-router-1").apply(route)
    assert replaced is not None
    assert added is not None
    assert replaced.communities == ("1:1", "7224:7300")
    assert added.communities == ("7224:7100", "9:9")


def test_no_edge_lets_ot_in_or_out() -> None:
    for router in ("edge-1", "edge-2"):
        config = configurations(SITE)[router]
        for session in SITE.sessions:
            if session.policy and session.router == router:
                for prefix in ("10.200.0.0/16", "10.200.0.0/14", "10.0.0.0/8", "0.0.0.0/0", "10.202.3.0/24"):
                    route = Route(type(SITE.on_prem.ot_ranges[0])(prefix))
                    assert compile_map(config, session.policy.import_map).apply(route) is None, prefix
                    assert compile_map(config, session.policy.export_map).apply(route) is None, prefix
