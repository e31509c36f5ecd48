"""One cloud forced onto its VPN and failed back, by the binary: what the routers saw is what was promised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from tests.e2e.embedded_lab import Cli, Document, Observer, Result, alert, cloud, lab_up, until

pytestmark = [pytest.mark.vault, pytest.mark.timeout(240)]

TUNNELS = ["azure/vpn-1", "azure/vpn-2"]


@dataclass(frozen=True)
class Forced:
    """The plan before it, the run's own last words, and the routers' ledger after it."""

    plan: Document
    result: Result
    writes: list[str]


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    with lab_up(tmp_path_factory.mktemp("force")) as cli:
        yield cli


@pytest.fixture(scope="module")
def watch(cli: Cli) -> Iterator[Observer]:
    with Observer(cli) as observer:
        observer.until("a healthy site at rest", at_rest, 90)
        yield observer


@pytest.fixture(scope="module")
def forced(cli: Cli, watch: Observer) -> Forced:
    plan = cli.ok("plan", "force-vpn", "cloud=azure", "--json").json
    change = cli.change("--ci", "azure")
    result = cli.run(
        "run", "force-vpn", "cloud=azure", "--change", change, "--write", "--yes", "--plan-hash", plan["hash"],
        "--json", timeout_s=120,
    )  # fmt: skip
    assert result.code == 0, result.out + result.err
    return Forced(plan, result, cli.router_writes())


@pytest.fixture(scope="module")
def back(cli: Cli, forced: Forced) -> Result:
    """As a person does it: while the primary is not proven stable it is refused, and asked for again."""

    def permitted() -> Result | None:
        result = cli.run("run", "failback", "cloud=azure", "--write", "--yes", "--json", timeout_s=120)
        return None if result.code == 4 else result

    result: Result = until("failback is permitted", permitted, 90.0)
    return result


def ways(document: Document, name: str) -> tuple[list[str], list[str]]:
    return cloud(document, name)["carried_by"], cloud(document, name)["return_by"]


def at_rest(document: Document) -> bool:
    wanted = {"azure": (["azure/er-primary"],) * 2, "aws": (["aws/dx-1"],) * 2}
    return document["verdict"] == "healthy" and all(ways(document, name) == both for name, both in wanted.items())


def leftovers(cli: Cli) -> list[Document]:
    """What is left, once both routers' configurations were read."""

    def known() -> Document | None:
        told: Document = cli.run("leftovers", "--json").json
        return None if told["unknown"] else told

    found: list[Document] = until("both configurations are read", known, 60)["leftovers"]
    return found


def sent(lines: list[str]) -> list[str]:
    """Planned lines as the ledger has them."""
    return [line.replace("(config)>", ">") for line in lines if not line.endswith("configure terminal")]


def test_the_plan_foretells_the_tunnels_both_ways_and_leaves_the_other_cloud(forced: Forced) -> None:
    after = {each["name"]: each for each in forced.plan["forecast"]["after"]}
    assert after["azure"]["carried_by"] == after["azure"]["return_by"] == TUNNELS
    assert after["aws"]["carried_by"] == ["aws/dx-1"]


def test_the_routers_saw_exactly_the_lines_of_the_plan_return_before_egress(forced: Forced) -> None:
    assert forced.writes == sent([line for step in forced.plan["steps"] for line in step["commands"]])
    assert forced.writes.index("edge-2> network 10.11.128.0/17") < forced.writes.index(
        "edge-2> set local-preference 80"
    )


def test_a_group_asks_the_gate_once(cli: Cli, forced: Forced) -> None:
    entries = cli.log(str(forced.result.json["run"]))
    assert [entry.step for entry in entries if entry.kind == "gate.passed"] == ["return-azure"]
    kinds = [e.kind for e in entries if e.step == "egress-azure" and not e.kind.startswith("deadman.")]
    assert kinds == ["act.intent", "act.result", "verify.ok"]


def test_both_directions_are_on_the_tunnels_and_nothing_is_called_a_leak(watch: Observer, forced: Forced) -> None:
    def told(document: Document) -> bool:
        """Nobody may forget that it is forced."""
        both = ways(document, "azure") == (TUNNELS, TUNNELS) and ways(document, "aws") == (["aws/dx-1"], ["aws/dx-1"])
        return both and alert(document, "backup:azure") is not None

    _, document = watch.until("azure on its tunnels, and told so", told, 60)
    assert alert(document, "leak:") is None
    assert alert(document, "ot:") is None


def test_what_is_in_place_is_known_to_be_this_runs(cli: Cli, forced: Forced) -> None:
    left = leftovers(cli)
    assert {each["run"] for each in left} == {forced.result.json["run"]}
    kinds = [each["kind"] for each in left]
    assert {kind: kinds.count(kind) for kind in set(kinds)} == {
        "local-preference": 4, "more-specific": 8, "prefix-list": 8, "clause": 4,
    }  # fmt: skip


def test_a_forced_cloud_is_not_forced_again(cli: Cli, forced: Forced) -> None:
    again = cli.run("plan", "force-vpn", "cloud=azure")
    assert again.code == 4
    assert "has INTERLOCK-SPECIFICS-azure already" in again.err
    assert cli.router_writes() == forced.writes


def test_failback_puts_back_the_acts_in_strict_reverse(cli: Cli, forced: Forced, back: Result) -> None:
    assert back.code == 0, back.out + back.err
    assert back.json["undo_of"] == forced.result.json["run"]
    assert [step["id"] for step in back.json["steps"]] == [
        "stable-azure", "cause-closed", "restore-egress-azure", "restore-return-azure", "soak", "restored",
    ]  # fmt: skip
    undone = cli.router_writes()[len(forced.writes) :]
    assert undone == sent([line for step in reversed(forced.plan["steps"]) for line in step["undo"]])


def test_afterwards_the_site_is_as_before_and_the_same_plan_would_be_made(
    cli: Cli, watch: Observer, forced: Forced, back: Result
) -> None:
    watch.until("healthy at rest", at_rest, 90)
    assert cli.ok("plan", "force-vpn", "cloud=azure", "--json").json["hash"] == forced.plan["hash"]
    assert leftovers(cli) == []
    again = cli.run("run", "failback", "cloud=azure", "--write", "--yes")
    assert again.code == 4
    assert "there is nothing to put back" in again.err
