"""The product on real routers: what every failure looks like, and a drain that loses nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from connectors.routers.session import RouterSession
from tests.e2e.embedded_lab import Cli, Document, Observer, alert, cloud, path, source, until
from tests.e2e.router_login import armed, at_router

pytestmark = [pytest.mark.frr, pytest.mark.vault, pytest.mark.timeout(300)]

#: For how long the plants may lose everything when a primary port dies, into the cloud or out of it.
GAP_MS = 1200

PORT_A = {"azure": "azure/er-primary", "aws": "aws/dx-1"}
PORT_B = {"azure": "azure/er-secondary", "aws": "aws/dx-2"}
#: How long a wait may take that is no promise: a machine that does much else takes several times as long.
PATIENCE_S = 90.0
UP_WITHIN_S = 20.0


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Cli, float]]:
    """The lab, and the seconds that it took to be up."""
    cli, began = Cli(tmp_path_factory.mktemp("frr")), time.monotonic()
    up = cli.run("lab", "up", "--routers", "frr", "--detach")
    assert up.code == 0, up.err
    try:
        yield cli, time.monotonic() - began
    finally:
        cli.ok("lab", "down")


@pytest.fixture(scope="module")
def cli(started: tuple[Cli, float]) -> Cli:
    return started[0]


@pytest.fixture(scope="module")
def watch(cli: Cli) -> Iterator[Observer]:
    with Observer(cli) as observer:
        observer.until("a healthy site", steady, PATIENCE_S)
        yield observer


@pytest.fixture(autouse=True)
def mended(cli: Cli, watch: Observer) -> Iterator[None]:
    yield
    cli.heal()
    watch.until("healthy again after mending", steady, PATIENCE_S)


def fail(cli: Cli, thing: str, **how: object) -> None:
    cli.ask_lab("fail", thing=thing, **how)


def carried(document: Document, *, out: dict[str, str], back: dict[str, str]) -> bool:
    return all(
        cloud(document, name)["carried_by"] == [out[name]] and cloud(document, name)["return_by"] == [back[name]]
        for name in out
    )


def steady(document: Document) -> bool:
    return document["verdict"] == "healthy" and carried(document, out=PORT_A, back=PORT_A)


@pytest.mark.alone
def test_a_lab_is_up_in_time_and_its_steady_state_is_healthy_both_ways_and_measured(
    cli: Cli, watch: Observer, started: tuple[Cli, float]
) -> None:
    assert started[1] < UP_WITHIN_S
    result = cli.run("status", "--json")
    document = result.json
    assert result.code == 0, json.dumps(document, indent=1)
    assert carried(document, out=PORT_A, back=PORT_A)
    assert {p["role"] for p in document["paths"]} == {"active", "standby", "backup"}
    assert cloud(document, "azure")["return_source"] == "measured"
    assert all(p["rtt_ms"] is not None and p["loss_pct"] == 0 for p in document["paths"])


@pytest.mark.alone
def test_a_silent_loss_of_port_a_shows_within_1_5_s_with_its_layer_and_reason(cli: Cli, watch: Observer) -> None:
    cli.ok("lab", "traffic", "--reset")
    cut = time.monotonic()
    fail(cli, "port-a", silent=True)
    took, document = watch.until(
        "er-primary down at bgp_here, and why",
        lambda d: (
            path(d, "azure/er-primary")["layers"]["bgp_here"] == "down" and "BFD" in path(d, "azure/er-primary")["why"]
        ),
        15,
        since=cut,
    )
    primary = path(document, "azure/er-primary")
    assert took < 1.5
    assert primary["layers"]["port"] == primary["layers"]["vxc"] == "up"
    watch.until("both clouds on port-b, both ways", lambda d: carried(d, out=PORT_B, back=PORT_B), PATIENCE_S)
    for counts in cli.ok("lab", "traffic", "--json").json["clouds"].values():
        assert counts["longest_gap_in_ms"] < GAP_MS, counts
        assert counts["longest_gap_out_ms"] < GAP_MS, counts


def namespace(node: str) -> str:
    return next(Path("/run/netns").glob(f"il-*-{node}")).name


def bgpd(node: str) -> tuple[int, list[str]]:
    """The router's BGP daemon: its process, and the command that started it."""
    found = subprocess.run(["pgrep", "-f", f"bgpd -N {namespace(node)} "], check=True, capture_output=True, text=True)
    pid = int(found.stdout.split()[0])
    return pid, Path(f"/proc/{pid}/cmdline").read_text().split("\0")[:-1]


def test_a_silent_loss_of_er_primary_is_told_while_bmp_is_there(cli: Cli, watch: Observer) -> None:
    broken = time.monotonic()
    fail(cli, "er-primary", silent=True)
    _, document = watch.until(
        "er-primary is down", lambda d: path(d, "azure/er-primary")["verdict"] == "down", PATIENCE_S, since=broken
    )
    assert alert(document, "bmp:") is None
    moved = [PORT_B["azure"]]
    watch.until(
        "egress is on er-secondary", lambda d: cloud(d, "azure")["carried_by"] == moved, PATIENCE_S, since=broken
    )


def test_a_bgp_daemon_that_died_is_told_and_its_return_needs_nobody(cli: Cli, watch: Observer) -> None:
    pid, command = bgpd("edge-2")
    os.kill(pid, signal.SIGKILL)

    def edge_2_alone_is_missed(d: Document) -> bool:
        told = alert(d, "bmp:edge-2")
        return bool(
            told
            and (told["severity"], "it is polled alone" in told["text"]) == ("warning", True)
            and source(d, "edge-1")["ok"]
            and alert(d, "bmp:edge-1") is None
            and cloud(d, "azure")["carried_by"] == [PORT_A["azure"]]
        )

    watch.until("edge-2's BMP is missed, and nothing of edge-1", edge_2_alone_is_missed, PATIENCE_S)
    # Not a child of this process: it lives in its namespace and ends with it, as the first one would have.
    subprocess.run(["setsid", "-f", "ip", "netns", "exec", namespace("edge-2"), *command], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
    watch.until("healthy again", lambda d: steady(d) and alert(d, "bmp:") is None, 120)


def dropped() -> dict[tuple[str, str], int]:
    """How often each session of each edge has been lost, as FRR itself counts."""
    found = {}
    for edge in ("edge-1", "edge-2"):
        words = ["vtysh", "-N", namespace(edge), "-c", "show bgp neighbors json"]
        said = subprocess.run(["ip", "netns", "exec", namespace(edge), *words], check=True, capture_output=True)
        found |= {(edge, peer): each["connectionsDropped"] for peer, each in json.loads(said.stdout).items()}
    return found


def usual_is_known(document: Document) -> bool:
    return steady(document) and all(
        p["usual_ms"] is not None
        and p["leg"]
        and p["leg"]["usual_ms"] is not None
        and p["mtu"] == {"wanted": 1500, "passes": 1500, "leg_passes": 1500}
        for p in document["paths"]
    )


def grey(document: Document) -> dict[str, tuple[str, str, str]]:
    found = ((p["name"], p["grey"]) for p in document["paths"])
    return {name: (each["kind"], each["leg"], each["direction"]) for name, each in found if each}


def test_grey_links_are_told_with_leg_and_direction_while_every_session_stays_up(cli: Cli, watch: Observer) -> None:
    watch.until("what is usual is known", usual_is_known, 90)
    lost = dropped()
    fail(cli, "vxc-azure-a", loss=20, oneway=True)
    fail(cli, "er-secondary", delay_ms=60)
    fail(cli, "vxc-aws-a", delay_ms=60)
    cli.ok("lab", "fail", "dx-2", "--mtu", "1300")
    wanted = {
        "azure/er-primary": ("loss", "edge-provider", "back"),
        "azure/er-secondary": ("latency", "provider-cloud", "both"),
        "aws/dx-1": ("latency", "edge-provider", "both"),
        "aws/dx-2": ("mtu", "provider-cloud", "unknown"),
    }

    def told(d: Document) -> bool:
        sizes = path(d, "aws/dx-2")["mtu"] == {"wanted": 1500, "passes": 1300, "leg_passes": 1500}
        return grey(d) == wanted and sizes and all(up(each) for each in d["paths"])

    def up(each: Document) -> bool:
        sessions = {each["layers"][name] for name in ("bgp_here", "bgp_there", "bfd")}
        return sessions <= {"up", "none"} and each["verdict"] == ("degraded" if each["grey"] else "up")

    _, document = watch.until("each is told, and every session is up", told, PATIENCE_S)
    assert dropped() == lost, "every session has stayed up"
    for name in ("azure", "aws"):
        assert cloud(document, name)["carried_by"] == [PORT_A[name]], "nothing moves by itself"


def test_the_feed_fails_when_all_is_lost_although_every_session_is_up(cli: Cli, watch: Observer) -> None:
    watch.until("the feed arrives", lambda d: d["feeds"][0]["ok"] is True, PATIENCE_S)
    fail(cli, "vxc-azure-a", loss=100)
    _, document = watch.until(
        "the feed fails and the path is dead, with its session up",
        lambda d: (
            d["feeds"][0]["ok"] is False
            and path(d, "azure/er-primary")["layers"]["probe"] == "down"
            and path(d, "azure/er-primary")["layers"]["bgp_here"] == "up"
        ),
        PATIENCE_S,
    )
    assert "feed:forecasting" in {each["id"] for each in document["alerts"]}
    assert path(document, "azure/er-primary")["grey"] is None, "dead is another thing than grey"
    cli.heal()
    watch.until("the feed arrives again", lambda d: d["feeds"][0]["ok"] is True, PATIENCE_S)


Row = tuple[str, Callable[[Document], Any]]

ROWS: list[Row] = [
    ("port-a", lambda d: carried(d, out=PORT_B, back=PORT_B)),
    (
        "er-primary",
        lambda d: carried(
            d,
            out={"azure": PORT_B["azure"], "aws": PORT_A["aws"]},
            back={"azure": PORT_B["azure"], "aws": PORT_A["aws"]},
        ),
    ),
    (
        "dx-1",
        lambda d: carried(
            d,
            out={"azure": PORT_A["azure"], "aws": PORT_B["aws"]},
            back={"azure": PORT_A["azure"], "aws": PORT_B["aws"]},
        ),
    ),
    (
        "fabric",
        lambda d: all(
            set(cloud(d, name)["carried_by"]) == {f"{name}/vpn-1", f"{name}/vpn-2"}
            and cloud(d, name)["return_by"]
            and all("vpn" in p for p in cloud(d, name)["return_by"])
            for name in ("azure", "aws")
        ),
    ),
    (
        "provider-drain",
        lambda d: (
            cloud(d, "azure")["carried_by"] == [PORT_B["azure"]]
            and cloud(d, "azure")["return_by"] == [PORT_B["azure"]]
            and cloud(d, "aws")["carried_by"] == [PORT_A["aws"]]
        ),
    ),
    (
        "max-prefix",
        lambda d: (
            "max-prefix" in path(d, "azure/er-primary")["why"]
            and carried(d, out=PORT_B | {"aws": PORT_A["aws"]}, back=PORT_B | {"aws": PORT_A["aws"]})
        ),
    ),
    ("ot-leak", lambda d: alert(d, "ot:azure/er-secondary:10.200.0.0/16")),
    ("flap", lambda d: alert(d, "flap:azure/er-primary")),
]


@pytest.mark.parametrize(("thing", "ends_so"), ROWS, ids=[row[0] for row in ROWS])
def test_every_failure_ends_as_the_table_says_both_ways(
    cli: Cli, watch: Observer, thing: str, ends_so: Callable[[Document], Any]
) -> None:
    fail(cli, thing)
    watch.until(f"{thing} as required", ends_so, PATIENCE_S)


def lost(counts: dict[str, dict[str, float]]) -> dict[str, float]:
    """Packets that did not arrive, less the few that are under way at the moment of asking."""
    return {name: max(0.0, c["sent"] - c["received"] - 4) for name, c in counts.items()}


@pytest.mark.alone
def test_drain_and_undo_lose_no_packet_and_put_back_exactly_what_was(cli: Cli, watch: Observer) -> None:
    before = cli.plan()
    cli.ok("lab", "traffic", "--reset")
    run = cli.drain(cli.change(), "--json")
    assert run.code == 0, f"{run.err}\n{run.out}"
    assert run.json["state"] == "COMPLETED"
    watch.until("drained: both clouds on port-b, both ways", lambda d: carried(d, out=PORT_B, back=PORT_B), PATIENCE_S)
    drained = cli.ok("lab", "traffic", "--json").json["clouds"]
    assert lost(drained) == {"azure": 0, "aws": 0}, drained
    back = cli.run("rollback", run.json["run"], "--write", "--yes", "--json")
    assert back.code == 0, back.err
    watch.until("steady again", steady, PATIENCE_S)
    restored = cli.ok("lab", "traffic", "--json").json["clouds"]
    assert lost(restored) == {"azure": 0, "aws": 0}, restored
    assert restored["azure"]["sent"] > 1000
    assert cli.plan()["hash"] == before["hash"]
    assert cli.ok("journal", "verify").code == 0


def test_an_armed_router_restores_itself_after_its_connection_is_gone(cli: Cli, watch: Observer) -> None:
    clause, soft = "route-map IN-msee-primary permit 10", "clear bgp ipv4 unicast 10.255.1.2 soft"

    async def drained(session: RouterSession) -> None:
        await session.arm("R-1-by-hand-a1", 300, (clause, "set local-preference 200"), (soft,))
        await session.arm("R-1-kept-a1", 300, (clause, "set local-preference 200"), (soft,))
        await session.configure((clause, "set local-preference 120"))
        await session.exec(soft)
        assert await session.confirm("R-1-kept-a1") == "armed"

    at_router(cli, drained)  # it hangs up at the end
    assert [each["id"] for each in armed(cli)] == ["R-1-by-hand-a1"], "the read account sees what is armed"
    on_b, on_a = ([each["azure"]] for each in (PORT_B, PORT_A))
    watch.until("egress is on er-secondary", lambda d: cloud(d, "azure")["carried_by"] == on_b, PATIENCE_S)
    # What is left of it is cut short, on a connection that is gone too when it fires.
    assert at_router(cli, lambda session: session.extend("R-1-by-hand-a1", 1)) == "armed"
    watch.until("the router has put it back", lambda d: cloud(d, "azure")["carried_by"] == on_a, PATIENCE_S)
    assert armed(cli) == []

    def wrote() -> list[str]:
        return [each["what"] for each in cli.ledger() if each["by"] == "deadman R-1-by-hand-a1"]

    until("the ledger has it all", lambda: wrote() == [clause, "set local-preference 200", soft])
    assert at_router(cli, lambda session: session.confirm("R-1-by-hand-a1")) == "fired"
    assert at_router(cli, lambda session: session.confirm("R-1-kept-a1")) == "absent"


def test_a_second_lab_is_refused_and_told_whose_the_first_is(
    tmp_path_factory: pytest.TempPathFactory, cli: Cli, watch: Observer
) -> None:
    other = Cli(tmp_path_factory.mktemp("second"))
    refused = other.run("lab", "up", "--routers", "frr", "--detach")
    assert refused.code in {3, 4}
    assert str(cli.state) in refused.err
    assert not (Path(other.lab_folder) / "lab.json").exists()
    until("the first still runs", lambda: cli.run("lab", "status").code == 0)
