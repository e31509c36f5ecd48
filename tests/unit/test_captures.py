"""What the console must say of every state that was captured on a real FRR: verdict, role, reason, alerts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest

from connectors.errors import BadReply, InterlockError
from connectors.routers import frr
from connectors.routers.channel import CommandFailed, Reply, judged
from connectors.routers.latch import settle
from network.health import SiteHealth, judge
from network.observation import BfdHere, Kind, SessionHere
from network.snapshot import Snapshot, SourceState
from network.verdict import Overall, Verdict
from tests.capture_site import DATA, PRIMARY, STANDBY, around, capture, capture_site, known, told, transcript
from tests.sample import NOW, seen

SITE = capture_site()
CORE = "session:core"  # its far end is shut in every capture after 12


@dataclass(frozen=True)
class Said:
    """Of the primary path; `out` is the number of the path that carries. `after`: where a missing table comes from."""

    verdict: str
    role: str
    why: str
    out: int
    alerts: tuple[tuple[str, str], ...] = ()
    after: str | None = None


DOWN = (("path:cloud-a/dx-1", "critical"),)
IMPAIRED = (("path:cloud-a/dx-1", "warning"),)
DRAINED = ((CORE, "warning"), ("drained:cloud-a/dx-1", "info"))
ALL_BELOW = " (port, vxc, circuit up)"

EXPECTED = {
    "01-established": Said("up", "active", "", 1),
    "02-admin-shutdown": Said(
        "down",
        "down",
        f"bgp_here: drained and shut on our side: CHG0012345 drain dx-primary; back 04:00Z{ALL_BELOW}",
        2,
        IMPAIRED,
    ),
    "03-remote-admin-shutdown": Said(
        "down",
        "down",
        f"bgp_here: shut by the far end: provider maintenance PMA-4711 until 06:00Z{ALL_BELOW}",
        2,
        DOWN,
    ),
    "04-bfd-down": Said(
        "down",
        "down",
        f"bgp_here: BFD detection time expired: nothing heard from the far end{ALL_BELOW}",
        2,
        DOWN,
    ),
    "05-link-down": Said("down", "down", "vxc: no carrier on vlan101", 2, DOWN),
    "06-bfd-remote-admin-down": Said(
        "degraded",
        "active",
        "bgp_here: established, and no prefix received; "
        "bfd: no fast detection: BFD down (neighbor signaled session down), BGP is established",
        1,
        IMPAIRED,
    ),
    "07-max-prefix-exceeded": Said(
        "down",
        "down",
        "bgp_here: stopped by max-prefix: more than 2 prefixes received; it needs a clear to come back" + ALL_BELOW,
        2,
        DOWN,
    ),
    "07b-max-prefix-restart1": Said(
        "down",
        "down",
        f"bgp_here: stopped by max-prefix: more than 1 prefixes received; it retries every 60 s{ALL_BELOW}",
        2,
        DOWN,
        after="07-max-prefix-exceeded",
    ),
    "07c-max-prefix-warning-only": Said(
        "degraded", "active", "bgp_here: 3 of 2 prefixes received: past the warning limit", 1, IMPAIRED
    ),
    "08-missing-policy-rfc8212": Said(
        "down",
        "down",
        f"bgp_here: established without a policy: no route passes (RFC 8212){ALL_BELOW}",
        2,
        DOWN,
    ),
    "09-bgp-graceful-shutdown-router": Said(
        "up",
        "active",
        "draining: local-preference 0, as graceful-shutdown asks for; still the best way of its router",
        1,
        (("drained:cloud-a/dx-1", "warning"), (CORE, "warning"), ("drained:cloud-a/dx-2", "info")),
    ),
    "10-gshut-route-map": Said(
        "up", "standby", "drained: local-preference 0, as graceful-shutdown asks for; it can still carry", 2, DRAINED
    ),
    "11-prepend-and-localpref": Said(
        "up", "standby", "drained: local-preference 50, 200 at rest; it can still carry", 2, DRAINED
    ),
    "12-bgp-shutdown-global": Said("up", "active", "", 1, ((CORE, "warning"),)),
    "13-provider-sends-gshut": Said(
        "up", "standby", "drained: local-preference 0, as graceful-shutdown asks for; it can still carry", 2, DRAINED
    ),
    "14-hold-timer-expired": Said(
        "down",
        "down",
        "bgp_here: hold timer expired: nothing heard from the far end's BGP; "
        f"BFD is up, so the link is fine and its BGP process is not{ALL_BELOW}",
        2,
        DOWN,
    ),
    "15-bgp-up-bfd-down": Said(
        "degraded",
        "active",
        "bfd: no fast detection: BFD down (control detection time expired), BGP is established",
        1,
        IMPAIRED,
    ),
    "16-hold-timer-expired-silent-loss": Said(
        "down", "down", f"bgp_here: hold timer expired: nothing heard from the far end's BGP{ALL_BELOW}", 2, DOWN
    ),
    "17-interface-admin-down": Said(
        "down", "down", "vxc: interface vlan101 is shut on the router", 2, DOWN, after="05-link-down"
    ),
}
#: Not a state of sessions: judged by tests of their own below, or with the BMP decoder.
OTHERS = {"20-forty-peers", "30-config-tools", "40-bmp", "50-daemon-missing", "lab-edge"}


def judged_in(*states: str) -> SiteHealth:
    return judge(SITE, known(SITE, "01-established", *states), NOW)


def test_every_capture_has_its_words() -> None:
    assert {folder.name for folder in DATA.iterdir()} - OTHERS == set(EXPECTED)


@pytest.mark.parametrize("state", EXPECTED)
def test_a_captured_state_is_told_as_it_is(state: str) -> None:
    said = EXPECTED[state]
    health = judged_in(*filter(None, (said.after, state)))
    path = health.path("cloud-a/dx-1")
    assert (path.verdict.value, path.role, path.why) == (said.verdict, said.role, said.why)
    assert health.cloud("cloud-a").carried_by == (f"cloud-a/dx-{said.out}",)
    other = health.path("cloud-a/dx-2")
    assert (other.verdict, other.role) == (Verdict.UP, "active" if said.out == 2 else "standby")
    # One edge and one port: always told. Nothing crosses a firewall here: what comes back otherwise is a note.
    always = {"dark:cloud-a", "asymmetry:cloud-a"}
    assert tuple((a.id, a.severity) for a in health.alerts if a.id not in always) == said.alerts
    assert health.cloud("cloud-a").verdict is Overall.DEGRADED


def test_the_far_end_of_a_whole_router_that_was_shut_says_so_with_its_text() -> None:
    alert = next(a for a in judged_in("12-bgp-shutdown-global").alerts if a.id == CORE)
    assert alert.text == "edge and core-1 do not exchange routes: shut by the far end: TEST core maintenance"
    peers = frr.summary(capture("12-bgp-shutdown-global", "show_bgp_summary_json.json", "core") or "")
    assert frr.admin_shut(peers["10.0.0.1"])


def test_a_drained_path_is_a_spare_that_says_so_and_a_shut_one_is_none() -> None:
    assert judged_in("11-prepend-and-localpref").cloud("cloud-a").spares == ("cloud-a/dx-1",)
    assert judged_in("02-admin-shutdown").cloud("cloud-a").spares == ()


def test_a_flap_between_two_polls_is_told_from_the_counter_alone() -> None:
    """Before and after it the session stands; only the router's counter has moved, by 64."""
    peers = {state: frr.summary(capture(state, "show_bgp_summary_json.json") or "")[PRIMARY] for state in EXPECTED}
    neighbor = frr.neighbor(capture("01-established", "show_bgp_neighbors_json.json") or "", PRIMARY)
    assert neighbor
    first, kept = settle(frr.session_here(peers["01-established"], neighbor, None, frr.Over(), NOW)[0], None, None)
    later, _ = settle(frr.session_here(peers["15-bgp-up-bfd-down"], neighbor, None, frr.Over(), NOW)[0], None, kept)
    assert (first.established, later.established, first.drops, later.drops) == (True, True, 0, 64)
    snapshot = known(SITE, "01-established").with_observations(
        [seen(Kind.SESSION_HERE, "dx-1", later, age_s=0.05), seen(Kind.BFD, "dx-1", BfdHere("up", drops=1), age_s=0.05)]
    )
    told_of = {a.id: a.text for a in judge(SITE, snapshot, NOW).alerts}
    assert told_of["flap:cloud-a/dx-1"] == "dx-1 dropped 64 times while watched"
    rested = [replace(item, at=item.at + timedelta(seconds=90)) for item in snapshot.observations.values()]
    after = snapshot.with_observations(rested)
    assert not [a for a in judge(SITE, after, NOW + timedelta(seconds=90)).alerts if a.id.startswith("flap:")]


def test_forty_peers_are_each_told_apart() -> None:
    """36 stand and announce 101 of 100 prefixes; one is shut by us, one stopped by its limit, two never came up."""
    peers = frr.summary(capture("20-forty-peers", "show_bgp_summary_json.json") or "")
    site = capture_site(tuple(peers), bfd=False)
    health = judge(site, Snapshot().with_observations([*around(site), *told(site, "20-forty-peers")]), NOW)
    assert Counter(path.why for path in health.paths) == {
        "bgp_there: we advertise 101 of 100 prefixes that the cloud accepts": 36,
        f"bgp_here: shut on our side{ALL_BELOW}": 1,
        f"bgp_here: stopped by max-prefix: more than 5 prefixes received; it needs a clear to come back{ALL_BELOW}": 1,
        f"bgp_here: never established; now Active{ALL_BELOW}": 2,
    }
    assert len({alert.id for alert in health.alerts}) == len(health.alerts)
    leaks = [alert for alert in health.alerts if alert.id.startswith("leak:")]
    assert [alert.path for alert in leaks] == ["cloud-a/dx-1"] * 6, "101 announced: five are named, the rest counted"
    cloud = health.cloud("cloud-a")
    assert (cloud.verdict, cloud.carried_by) == (Overall.UNKNOWN, ()), "no routes were captured: who carries is unknown"


def unknown_because(error: InterlockError) -> SiteHealth:
    """The router's source raised: nothing was seen of it, and its state says why."""
    snapshot = Snapshot().with_observations(around(SITE)).with_source(SourceState("edge", "router", error=str(error)))
    return judge(SITE, snapshot, NOW)


def assert_unknown(health: SiteHealth, words: str) -> None:
    for path in health.paths:
        assert path.layers["bgp_here"].verdict is Verdict.UNKNOWN
        assert path.verdict is Verdict.UNKNOWN
        assert words in path.why
        assert path.prefixes.received is None, "unknown, and never no prefixes"
    cloud = health.cloud("cloud-a")
    assert (cloud.verdict, cloud.carried_by, cloud.spares, cloud.symmetric) == (Overall.UNKNOWN, (), (), None)


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("vtysh -N rc-edge -C -f bad.conf", 2, "line 3: % Unknown command[25]:  neighborr foo"),
        ("vtysh -N rc-edge -u -c show running-config", 1, "% Unknown command: show running-config"),
        ("vtysh -N rc-edge -u -c show bfd peers json", 1, "% Unknown command: show bfd peers json"),
        ("vtysh -N rc-edge -c configure private", 1, "% Unknown command: configure private"),
        (
            "vtysh -N rc-edge -c conf t -c router bgp 65010 -c no neighbor 169.254.10.2 shutdown message",
            1,
            "% Command incomplete: no neighbor 169.254.10.2 shutdown message",
        ),
    ],
)
def test_what_the_configuration_tools_refuse_is_an_error_with_their_words(command: str, status: int, said: str) -> None:
    text = next(text for found, rc, text in transcript() if (found, rc) == (command, status))
    with pytest.raises(CommandFailed) as caught:
        judged(Reply(status, text), command, "edge")
    assert said in str(caught.value)
    assert "by hand" in str(caught.value)
    assert_unknown(unknown_because(caught.value), said[:40])


def test_every_refusal_of_the_transcript_is_an_error_and_nothing_else_is() -> None:
    for command, status, text in transcript():
        if status:
            with pytest.raises(CommandFailed):
                judged(Reply(status, text), command, "edge")
        else:
            assert judged(Reply(status, text), command, "edge").status == 0
    assert Counter(bool(status) for _, status, _ in transcript()) == {True: 7, False: 5}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("bgpd-stopped-summary.txt", "bgpd is not running"),
        ("all-stopped-summary.txt", "failed to connect to any daemons"),
    ],
)
def test_a_daemon_that_is_missing_is_an_error_and_never_no_peers(name: str, said: str) -> None:
    text = (DATA / "50-daemon-missing" / name).read_text() + (DATA / "50-daemon-missing" / f"{name}.err").read_text()
    with pytest.raises(CommandFailed, match=said) as caught:
        judged(Reply(1, text), frr.SUMMARY, "edge")
    assert_unknown(unknown_because(caught.value), said)


@pytest.mark.parametrize(
    ("name", "parse"),
    [
        ("no-bgp-instance-summary.txt", frr.summary),
        ("no-bgp-instance-neighbors.txt", lambda text: frr.neighbor(text, PRIMARY)),
    ],
)
def test_a_router_without_bgp_is_an_error_and_never_no_peers(name: str, parse: object) -> None:
    with pytest.raises(BadReply) as caught:
        parse((DATA / "50-daemon-missing" / name).read_text())  # type: ignore[operator]
    assert_unknown(unknown_because(caught.value), caught.value.what)


@pytest.mark.parametrize("name", ["bgpd-stopped-bfd.txt", "no-bfd-peers.txt"])
def test_no_bfd_peer_leaves_a_session_without_fast_detection_and_not_down(name: str) -> None:
    bfd = frr.bfd_here(frr.bfd_peers((DATA / "50-daemon-missing" / name).read_text()), STANDBY, "edge")
    snapshot = known(SITE, "01-established").with_observations([seen(Kind.BFD, "dx-2", bfd, age_s=0.05)])
    path = judge(SITE, snapshot, NOW).path("cloud-a/dx-2")
    assert path.verdict is Verdict.DEGRADED
    assert f"no BFD for {STANDBY} on edge" in path.why


def test_a_session_that_the_router_does_not_know_is_down_with_words() -> None:
    gone = frr.not_configured("edge", PRIMARY)
    snapshot = known(SITE, "01-established").with_observations([seen(Kind.SESSION_HERE, "dx-1", gone, age_s=0.05)])
    path = judge(SITE, snapshot, NOW).path("cloud-a/dx-1")
    assert path.verdict is Verdict.DOWN
    assert f"edge has no neighbor {PRIMARY} configured" in path.why
    assert isinstance(gone, SessionHere)
    assert gone.received is None
