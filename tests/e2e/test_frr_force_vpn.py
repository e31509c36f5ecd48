"""The VPN forced on real routers: both directions on the tunnels, back together when they fail, nothing left over."""

from __future__ import annotations

import difflib
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.embedded_lab import Cli, Document, Observer, cloud

pytestmark = [pytest.mark.frr, pytest.mark.vault, pytest.mark.timeout(580)]

AT_REST = {"azure": {"azure/er-primary"}, "aws": {"aws/dx-1"}}
TUNNELS = {"azure": {"azure/vpn-1", "azure/vpn-2"}, "aws": {"aws/vpn-1", "aws/vpn-2"}}
HALVES = ("10.10.0.0/17", "10.10.128.0/17", "10.11.0.0/17", "10.11.128.0/17")
EDGES = ("edge-1", "edge-2")


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    cli = Cli(tmp_path_factory.mktemp("force"))
    up = cli.run("lab", "up", "--routers", "frr", "--detach")
    assert up.code == 0, up.err
    try:
        yield cli
    finally:
        cli.ok("lab", "down")


def on(document: Document, wanted: dict[str, set[str]]) -> bool:
    """Out and back by wanted paths alone, both clouds."""
    return all(
        cloud(document, name)[way] and set(cloud(document, name)[way]) <= paths
        for name, paths in wanted.items()
        for way in ("carried_by", "return_by")
    )


def ready(document: Document) -> bool:
    return document["verdict"] == "healthy" and on(document, AT_REST)


def inside(node: str, *command: str) -> str:
    name = next(Path("/run/netns").glob(f"il-*-{node}")).name
    return subprocess.run(
        ["ip", "netns", "exec", name, *command], check=True, capture_output=True, text=True, timeout=20
    ).stdout


def running(node: str) -> list[str]:
    """The configuration by its sections, verbatim, in one order: FRR prints a clause that was touched further up."""
    name = next(Path("/run/netns").glob(f"il-*-{node}")).name
    return sorted(inside(node, "vtysh", "-N", name, "-c", "show running-config").split("\n!\n"))


def run(cli: Cli, *words: str) -> Document:
    result = cli.run("run", *words, "--write", "--yes", "--json", timeout_s=180)
    assert result.code == 0, f"{result.err}\n{result.out}"
    assert result.json["state"] == "COMPLETED"
    document: Document = result.json
    return document


def told(cli: Cli, what: str) -> dict[str, dict[str, float]]:
    """The plants' datagrams since the last look, printed: a loss is a figure before it is a verdict."""
    counts: dict[str, dict[str, float]] = cli.ok("lab", "traffic", "--json").json["clouds"]
    for name, each in counts.items():
        print(
            f"{what}: {name} sent {each['sent']:.0f}, lost in {each['lost_in']:.0f}, lost out {each['lost_out']:.0f}, "
            f"longest gap in {each['longest_gap_in_ms']} ms, out {each['longest_gap_out_ms']} ms"
        )
    cli.ok("lab", "traffic", "--reset")
    return counts


@pytest.mark.alone
def test_forced_both_ways_back_together_when_the_vpn_fails_and_put_back_byte_for_byte(cli: Cli) -> None:
    with Observer(cli) as watch:
        watch.until("a healthy site", ready, 90)
        before, plan = {edge: running(edge) for edge in EDGES}, cli.ok("plan", "force-vpn", "cloud=all", "--json").json
        cli.ok("lab", "traffic", "--reset")

        forced = run(cli, "force-vpn", "cloud=all", "--change", cli.change(), "--plan-hash", plan["hash"])
        watch.until("forced: both clouds on their tunnels, both ways", lambda d: on(d, TUNNELS), 90)
        for name, counts in told(cli, "force-vpn").items():
            assert counts["longest_gap_in_ms"] < 1000, (name, counts)
            assert counts["longest_gap_out_ms"] < 1000, (name, counts)
        for edge in EDGES:
            assert all(f"network {half}\n" in "".join(running(edge)) for half in HALVES)
            for half in HALVES:
                assert inside(edge, "ip", "route", "show", half) == "", f"{edge} sends {half} to its neighbour"

        cli.ok("lab", "fail", "internet")
        watch.until("the VPN has failed: both directions on private paths", lambda d: on(d, AT_REST), 90)
        told(cli, "the VPN fails")
        cli.heal()
        watch.until("on the tunnels again", lambda d: on(d, TUNNELS), 90)
        told(cli, "the VPN heals")

        back = run(cli, "failback", "cloud=all")
        assert back["undo_of"] == forced["run"]
        watch.until("healthy at rest", ready, 90)
        told(cli, "failback")
    for edge in EDGES:
        left = difflib.unified_diff(before[edge], running(edge), "before", "after", lineterm="")
        assert not (said := "\n".join(left)), f"{edge} is not as before:\n{said}"
    assert cli.ok("plan", "force-vpn", "cloud=all", "--json").json["hash"] == plan["hash"]
