"""Every captured state of a real FRR 8.4.4: what the console must say about it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from connectors.errors import BadReply, NotFound
from connectors.routers import frr, frr_config, frr_links, frr_routes
from connectors.routers.channel import CommandFailed, Reply, judged
from connectors.routers.frr_json import documents
from connectors.routers.frr_reason import Reason
from connectors.routers.frr_version import capabilities, version_and_host
from network.observation import BfdHere, ReceivedRoute, SessionHere

DATA = Path(__file__).parents[1] / "data" / "frr"
PRIMARY, STANDBY, CORE = "169.254.10.2", "169.254.20.2", "10.0.0.2"
NOW = datetime(2026, 11, 23, 3, 0, tzinfo=UTC)


def capture(state: str, name: str) -> str:
    found = DATA / state / name
    return found.read_text() if found.exists() else ""


def session(state: str, peer: str = PRIMARY, router: str = "edge") -> tuple[SessionHere, Reason | None, BfdHere]:
    summary = frr.summary(capture(state, f"{router}__show_bgp_summary_json.json"))
    every = capture(state, f"{router}__show_bgp_neighbors_json.json")
    known = frr.neighbor(every or capture(state, f"{router}__show_bgp_neighbors_{peer}_json.json"), peer)
    assert known is not None
    bfd = frr.bfd_peers(capture(state, f"{router}__show_bfd_peers_json.json") or "[]")
    interfaces = capture(state, f"{router}__show_interface_json.json")
    link = frr_links.interfaces(interfaces)["vlan101"] if interfaces else None
    over = frr.Over("vlan101", link) if peer == PRIMARY else frr.Over()
    fact, reason = frr.session_here(summary[peer], known, bfd.get(peer), over, NOW)
    return fact, reason, frr.bfd_here(bfd, peer, router)


UP = [
    "01-established",
    "09-bgp-graceful-shutdown-router",
    "10-gshut-route-map",
    "11-prepend-and-localpref",
    "13-provider-sends-gshut",
]


@pytest.mark.parametrize("state", UP)
def test_an_established_session_has_no_reason_although_frr_still_shows_an_old_one(state: str) -> None:
    fact, reason, bfd = session(state)
    assert fact.established
    assert (fact.reason, reason) == ("", None)
    assert (fact.received, fact.advertised, fact.limit) == (3, 2, 100)
    assert not any((fact.admin_shut, fact.over_limit, fact.no_policy, fact.limit_warning))
    assert (bfd.status, bfd.diagnostic) == ("up", "ok")


def test_since_is_counted_back_from_the_uptime() -> None:
    fact, _, bfd = session("01-established")
    assert fact.since == NOW - timedelta(seconds=77)
    assert (fact.drops, bfd.since_s, bfd.detect_ms) == (0, 77, 900)


DOWN = {
    "03-remote-admin-shutdown": "shut by the far end: provider maintenance PMA-4711 until 06:00Z",
    "04-bfd-down": "BFD detection time expired: nothing heard from the far end",
    "05-link-down": "link lost on vlan101: no carrier",
    "14-hold-timer-expired": (
        "hold timer expired: nothing heard from the far end's BGP; "
        "BFD is up, so the link is fine and its BGP process is not"
    ),
    "16-hold-timer-expired-silent-loss": "hold timer expired: nothing heard from the far end's BGP",
    "17-interface-admin-down": "interface vlan101 is shut on our router",
}


@pytest.mark.parametrize(("state", "words"), DOWN.items())
def test_a_down_session_says_why_in_words(state: str, words: str) -> None:
    fact, reason, _ = session(state)
    assert not fact.established
    assert not any((fact.admin_shut, fact.over_limit, fact.no_policy))
    assert fact.reason == words
    assert reason == Reason(words, firm=True)


@pytest.mark.parametrize(
    ("state", "status", "diagnostic"),
    [
        ("02-admin-shutdown", "up", "ok"),
        ("03-remote-admin-shutdown", "up", "ok"),
        ("04-bfd-down", "down", "control detection time expired"),
        ("05-link-down", "down", "control detection time expired"),
        ("06-bfd-remote-admin-down", "down", "neighbor signaled session down"),
        ("07-max-prefix-exceeded", "up", "ok"),
        ("14-hold-timer-expired", "up", "ok"),
        ("15-bgp-up-bfd-down", "down", "control detection time expired"),
        ("16-hold-timer-expired-silent-loss", "unknown", "no BFD for 169.254.10.2 on edge"),
        ("17-interface-admin-down", "down", "control detection time expired"),
    ],
)
def test_bfd_is_its_own_fact(state: str, status: str, diagnostic: str) -> None:
    _, _, bfd = session(state)
    assert (bfd.status, bfd.diagnostic) == (status, diagnostic)


@pytest.mark.parametrize("state", ["06-bfd-remote-admin-down", "15-bgp-up-bfd-down"])
def test_a_session_can_stand_without_fast_detection(state: str) -> None:
    fact, _, bfd = session(state)
    assert fact.established
    assert bfd.status == "down"


def test_our_own_shutdown_is_admin_and_its_text_is_in_the_configuration() -> None:
    fact, reason, _ = session("02-admin-shutdown")
    assert (fact.admin_shut, fact.over_limit, reason) == (True, False, None)
    assert fact.reason == "shut on our router"
    running = frr_config.running_config(capture("02-admin-shutdown", "edge__show_running-config.txt")).lines
    assert frr_config.shutdown_text(running, PRIMARY) == "CHG0012345 drain dx-primary; back 04:00Z"
    assert frr_config.shutdown_text(running, STANDBY) == ""


def test_the_whole_routers_shutdown_is_admin_here_and_the_far_ends_word_there() -> None:
    ours, _, _ = session("12-bgp-shutdown-global", "10.0.0.1", "core")
    theirs, _, _ = session("12-bgp-shutdown-global", CORE)
    assert ours.admin_shut
    assert theirs.reason == "shut by the far end: TEST core maintenance"


def test_a_reset_of_the_core_shows_on_the_edge_while_it_is_down() -> None:
    fact, _, _ = session("09-bgp-graceful-shutdown-router", CORE)
    assert fact.reason == "shut by the far end: TEST core maintenance"


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ("07-max-prefix-exceeded", "more than 2 prefixes received; it needs a clear to come back"),
        ("07b-max-prefix-restart1", "more than 1 prefixes received; it retries every 60 s"),
    ],
)
def test_max_prefix_stops_and_says_what_brings_it_back(state: str, words: str) -> None:
    fact, _, _ = session(state)
    assert (fact.over_limit, fact.admin_shut, fact.established) == (True, False, False)
    assert fact.reason == f"stopped by max-prefix: {words}"


def test_a_warning_only_limit_warns_and_stays_up() -> None:
    fact, _, _ = session("07c-max-prefix-warning-only")
    assert (fact.established, fact.limit_warning, fact.over_limit) == (True, True, False)
    assert (fact.received, fact.limit) == (3, 2)


def test_established_without_a_policy_is_not_healthy() -> None:
    fact, _, _ = session("08-missing-policy-rfc8212")
    assert (fact.established, fact.no_policy, fact.received) == (True, True, 0)
    assert fact.reason == "no policy on this session: RFC 8212 lets nothing in or out"


def test_forty_peers_are_told_apart() -> None:
    facts = {
        peer: session("20-forty-peers", peer)[0]
        for peer in frr.summary(capture("20-forty-peers", "edge__show_bgp_summary_json.json"))
    }
    assert sum(fact.established for fact in facts.values()) == 36
    assert facts["169.254.107.2"].admin_shut
    assert facts["169.254.115.2"].over_limit
    never = facts["169.254.123.2"]
    assert (never.reason, never.since) == ("never established; now Active", None)


def test_a_router_without_bgp_is_not_a_router_without_peers() -> None:
    with pytest.raises(BadReply, match="no IPv4 BGP is configured"):
        frr.summary(capture("50-daemon-missing", "no-bgp-instance-summary.txt"))
    with pytest.raises(BadReply, match="not about"):
        frr.neighbor(capture("50-daemon-missing", "no-bgp-instance-neighbors.txt"), PRIMARY)
    assert frr.neighbor('{"bgpNoSuchNeighbor":true}', PRIMARY) is None


@pytest.mark.parametrize("name", ["bgpd-stopped-summary.txt.err", "all-stopped-summary.txt.err"])
def test_a_stopped_daemon_is_a_failed_command_and_never_a_parse(name: str) -> None:
    text = capture("50-daemon-missing", name)
    with pytest.raises(CommandFailed, match=text.strip()):
        judged(Reply(1, text), frr.SUMMARY, "edge")
    with pytest.raises(BadReply):
        frr.summary(text)


def test_the_configuration_without_bgpd_has_no_clause_to_read() -> None:
    with pytest.raises(NotFound, match="it has: none"):
        frr_config.read_clause(capture("50-daemon-missing", "bgpd-stopped-running.txt"), "RM-CL1-IN", 10)


def test_no_bfd_peer_is_an_answer() -> None:
    assert frr.bfd_peers(capture("50-daemon-missing", "no-bfd-peers.txt")) == {}


def test_an_unknown_command_with_status_zero_is_still_a_failure() -> None:
    text = capture("01-established", "edge__show_bgp_nexthop_json.txt")
    with pytest.raises(CommandFailed, match="Unknown command"):
        judged(Reply(0, text), "show bgp nexthop json", "edge")


@pytest.mark.parametrize("text", ["<html><body>Login</body></html>", "", "null", "[]", '{"ipv4Unicast":[]}', "3"])
def test_what_is_not_a_summary_is_an_error_with_its_evidence(text: str) -> None:
    with pytest.raises(BadReply):
        frr.summary(text)


def test_a_cut_reply_is_an_error() -> None:
    text = capture("01-established", "edge__show_bgp_summary_json.json")
    with pytest.raises(BadReply, match="not JSON"):
        frr.summary(text[: len(text) // 2])


def test_a_flapped_session_counts_its_drops() -> None:
    assert session("15-bgp-up-bfd-down")[0].drops == 64


def test_the_local_pref_decides_which_path_is_best() -> None:
    best = {}
    for state in ("01-established", "10-gshut-route-map", "11-prepend-and-localpref", "04-bfd-down"):
        text = capture(state, "edge__show_bgp_ipv4_unicast_10.50.0.0-16_json.json")
        found = frr_routes.routes(text, "10.50.0.0/16").best
        assert found is not None
        best[state] = (found.peer, found.local_pref, found.reason)
    assert best == {
        "01-established": (PRIMARY, 200, "Local Pref"),
        "10-gshut-route-map": (STANDBY, 100, "Local Pref"),
        "11-prepend-and-localpref": (STANDBY, 100, "Local Pref"),
        "04-bfd-down": (STANDBY, 100, "First path received"),
    }


def test_a_path_tells_its_as_path_next_hop_and_kind() -> None:
    text = capture("01-established", "edge__show_bgp_ipv4_unicast_10.50.0.0-16_json.json")
    path = frr_routes.routes(text, "10.50.0.0/16").paths[1]
    assert (path.as_path, path.next_hop, path.valid, path.internal) == ("64512", PRIMARY, True, False)


def test_our_own_prefix_has_an_empty_as_path() -> None:
    text = capture("01-established", "edge__show_bgp_ipv4_unicast_10.0.0.0-16_json.json")
    assert frr_routes.routes(text, "10.0.0.0/16").paths[0].as_path == ""


def test_a_prefix_that_is_not_held_is_empty_and_one_of_another_prefix_is_an_error() -> None:
    assert frr_routes.routes("{}", "10.50.0.0/16").paths == ()
    text = capture("01-established", "edge__show_bgp_ipv4_unicast_10.50.0.0-16_json.json")
    with pytest.raises(BadReply, match=r"not about 10\.51\.0\.0/16"):
        frr_routes.routes(text, "10.51.0.0/16")


def test_the_receiver_sees_our_own_as_before_the_prepends() -> None:
    name = f"edge__show_bgp_ipv4_unicast_neighbors_{PRIMARY}_advertised-routes_json.json"
    plain = frr_routes.advertised(capture("01-established", name), PRIMARY, 65010)
    prepended = frr_routes.advertised(capture("11-prepend-and-localpref", name), PRIMARY, 65010)
    assert {advert.prefix: advert.as_path for advert in plain.routes} == {
        "10.0.0.0/16": (65010,),
        "10.1.0.0/16": (65010,),
    }
    assert {advert.as_path for advert in prepended.routes} == {(65010,) * 4}
    assert prepended.routes[0].communities is None


def test_nothing_announced_on_a_shut_session_and_a_warning_is_an_error() -> None:
    name = f"edge__show_bgp_ipv4_unicast_neighbors_{PRIMARY}_advertised-routes_json.json"
    assert frr_routes.advertised(capture("02-admin-shutdown", name), PRIMARY, 65010).routes == ()
    with pytest.raises(BadReply, match="No such neighbor"):
        frr_routes.advertised('{"warning":"No such neighbor in this view/vrf"}', PRIMARY, 65010)


def test_an_interface_that_is_shut_has_no_operational_state() -> None:
    shut = frr_links.interfaces(capture("17-interface-admin-down", "edge__show_interface_json.json"))["vlan101"]
    dark = frr_links.interfaces(capture("05-link-down", "edge__show_interface_json.json"))["vlan101"]
    assert (shut.admin_up, shut.oper_up) == (False, False)
    assert (dark.admin_up, dark.oper_up) == (True, False)


def counters(received: int, sent: int) -> frr_links.Counters:
    stats = {"rx": {"bytes": received, "packets": 1}, "tx": {"bytes": sent, "packets": 1}}
    return frr_links.counters(json.dumps([{"ifname": "vxc-azure-a", "stats64": stats}]))["vxc-azure-a"]


@pytest.mark.parametrize(
    ("before", "after", "took_s", "rates"),
    [
        ((0, 0), (1_250_000, 250_000), 1.0, (10.0, 2.0)),
        ((0, 0), (1_250_000, 250_000), 2.0, (5.0, 1.0)),
        ((9, 9), (0, 10), 1.0, None),
        ((0, 0), (1000, 1000), 0.05, None),
        ((0, 0), (1000, 1000), 390.0, None),
    ],
)
def test_rates_are_in_mbps_and_none_after_a_reset_or_an_absurd_interval(
    before: tuple[int, int], after: tuple[int, int], took_s: float, rates: tuple[float, float] | None
) -> None:
    assert frr_links.rates(counters(*before), counters(*after), took_s) == rates


def test_the_first_sample_has_no_rate() -> None:
    assert frr_links.rates(None, counters(1, 1), 1.0) is None


def test_errors_are_of_both_directions_and_unknown_where_one_is() -> None:
    row = {"ifname": "a", "stats64": {"rx": {"bytes": 0, "errors": 3}, "tx": {"bytes": 0, "errors": 4}}}
    assert frr_links.counters(json.dumps([row]))["a"].errors == 7
    del row["stats64"]["tx"]["errors"]
    assert frr_links.counters(json.dumps([row]))["a"].errors is None


def test_what_a_neighbor_sends_is_told_apart_from_what_our_policy_stopped() -> None:
    folder = "edge__show_bgp_ipv4_unicast_neighbors_169.254.10.2"
    accepted = frr_routes.accepted(capture("01-established", f"{folder}_routes_json.json"), PRIMARY)
    stopped = frr_routes.stopped(capture("01-established", f"{folder}_filtered-routes_json.json"), PRIMARY)
    assert accepted[0] == ReceivedRoute("10.50.0.0/16", (64512,), 200)
    assert [route.prefix for route in accepted] == ["10.50.0.0/16", "10.51.0.0/16", "10.51.7.0/24"]
    assert stopped.known
    assert stopped.routes == tuple(
        ReceivedRoute(prefix, (64512, 65010), accepted=False) for prefix in ("10.0.0.0/16", "10.1.0.0/16")
    )
    assert frr_routes.stopped(capture("02-admin-shutdown", f"{folder}_filtered-routes_json.json"), PRIMARY).routes == ()


def test_a_router_that_keeps_nothing_that_it_stopped_says_so() -> None:
    assert not frr_routes.stopped('{"warning":"Inbound soft reconfiguration not enabled"}', PRIMARY).known
    with pytest.raises(BadReply, match="No such neighbor"):
        frr_routes.stopped('{"warning":"No such neighbor in this view/vrf"}', PRIMARY)


def test_the_way_to_a_peer_is_the_interface_that_the_kernel_uses() -> None:
    every = json.loads(capture("01-established", "edge__show_ip_route_json.json"))

    def ride(prefix: str) -> str | None:
        return frr_routes.rides(json.dumps({prefix: every[prefix]}), prefix).interface

    assert ride("10.50.0.0/16") == "vlan101"
    assert ride("10.0.0.0/30") == "core0"
    assert ride("10.0.0.0/16") is None  # a blackhole leads nowhere
    assert frr_routes.rides("{}", PRIMARY).interface is None
    unused = json.loads(json.dumps({"10.50.0.0/16": every["10.50.0.0/16"]}).replace('"fib": true', '"fib": false'))
    assert frr_routes.rides(json.dumps(unused), PRIMARY).interface is None


def test_bfd_downs_are_told_by_peer() -> None:
    assert frr.bfd_downs(capture("15-bgp-up-bfd-down", "edge__show_bfd_peers_counters_json.json"))[PRIMARY] == 48


@pytest.mark.parametrize(
    ("version", "has", "lacks"),
    [
        ("8.4.4", {"bmp"}, {"per_neighbor_gshut", "nht_json", "mgmtd", "bmp_loc_rib", "bfd_strict"}),
        ("8.5", {"bmp", "per_neighbor_gshut"}, {"mgmtd", "bmp_loc_rib"}),
        ("10.3-dev-g1234", {"mgmtd", "bmp_loc_rib"}, {"bfd_strict"}),
        ("10.10.1", {"bfd_strict"}, set()),
        ("next", set(), {"bmp"}),
    ],
)
def test_what_a_release_can_do(version: str, has: set[str], lacks: set[str]) -> None:
    able = capabilities(f"FRRouting {version} (vm) on Linux(6.18.44).\nCopyright\n")
    assert (able.platform, able.version) == ("frr", version)
    assert has <= able.flags
    assert not lacks & able.flags


SECRETS = (
    "password hunter22",
    "password 8 hunter22",
    "enable password 8 hunter22",
    " neighbor 10.0.0.1 password hunter22",
    " ip ospf authentication-key hunter22",
    " ip ospf message-digest-key 1 md5 hunter22",
    "  key-string hunter22",
    " isis password clear hunter22",
    " area-password md5 hunter22",
    " ip rip authentication string hunter22",
    " ip nhrp authentication hunter22",
    "snmp-server community hunter22",
)


@pytest.mark.parametrize("line", SECRETS)
def test_a_running_configuration_is_told_without_its_secrets(line: str) -> None:
    text = capture("01-established", "edge__show_running-config.txt")
    config = frr_config.running_config(text.replace("frr defaults", f"{line}\nfrr defaults"))
    assert "hunter22" not in "\n".join(config.lines)
    assert line.replace("hunter22", "[***]") in config.lines
    plain = frr_config.running_config(text)
    assert list(plain.lines) == text.splitlines()[3:]
    assert plain.digest != config.digest
    assert plain.digest == frr_config.running_config(text).digest


def test_version() -> None:
    assert version_and_host(capture("01-established", "edge__show_version.txt")) == ("8.4.4", "vm")


def test_one_json_document_per_daemon_back_to_back() -> None:
    found = documents(capture("01-established", "edge__show_route-map_json.txt"), "show route-map json")
    daemons = [name for part in found for name in part]
    assert "BGP" in daemons
    assert "ZEBRA" in daemons
    assert len(found) > 1
    with pytest.raises(BadReply):
        documents("{} then words", "show route-map json")
    with pytest.raises(BadReply):
        documents("  ", "show route-map json")


def test_configuration_sections_are_verbatim() -> None:
    running = capture("01-established", "edge__show_running-config.txt")
    clauses = frr_config.route_map_clauses(running)
    assert clauses["RM-CL2-OUT", 10] == [" match ip address prefix-list PL-ONPREM", " set as-path prepend 65010 65010"]
    assert sorted(clauses) == [(name, 10) for name in ("RM-CL1-IN", "RM-CL1-OUT", "RM-CL2-IN", "RM-CL2-OUT", "RM6")]
    lines = frr_config.neighbor_lines(running, PRIMARY)
    assert lines[0] == " neighbor 169.254.10.2 remote-as 64512"
    assert lines[-1] == "  neighbor 169.254.10.2 route-map RM-CL1-OUT out"
    assert len(lines) == 10


def test_a_cut_configuration_is_an_error() -> None:
    running = capture("01-established", "edge__show_running-config.txt")
    for text in (running[:900], "", "<html>", running.removesuffix("end\n")):
        with pytest.raises(BadReply):
            frr_config.clauses(text)
