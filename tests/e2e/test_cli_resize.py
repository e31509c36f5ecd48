"""resize-vxc through the binary, against the embedded lab: the lab's ledger is the outside truth."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.e2e.embedded_lab import Cli, Result, lab_up

pytestmark = [pytest.mark.vault, pytest.mark.timeout(300)]

AZURE_A = "aaaaaaa2-0002-4000-8000-00000000000a"


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    with lab_up(tmp_path_factory.mktemp("resize")) as cli:
        yield cli


@pytest.fixture(scope="module")
def change(cli: Cli) -> str:
    return cli.change("--ci", "vxc-azure-a")


def put(mbps: int) -> str:
    return f'PUT /v3/product/vxc/{AZURE_A} {{"rateLimit": {mbps}}}'


def puts(cli: Cli) -> list[str]:
    """What the fabric took, by the run's own credential alone."""
    writes = [write for write in cli.ledger() if write["where"] == "megaport"]
    assert {write["by"] for write in writes} <= {"lab-megaport-run"}
    return [write["what"] for write in writes]


def resize(cli: Cli, change: str, mbps: int) -> Result:
    words = ("run", "resize-vxc", "vxc=vxc-azure-a", f"mbps={mbps}", "--change", change, "--write", "--yes", "--json")
    return cli.run(*words)


@pytest.mark.parametrize(
    ("vxc", "mbps", "code", "said"),
    [
        ("vxc-aws-a", "500", 4, "`replace-vxc vxc=vxc-aws-a mbps=500`"),
        ("vxc-azure-a", "1000", 4, "vxc-azure-a has 1000 Mbps already"),
        ("vxc-azure-a", "1g", 2, "a rate in whole Mbps"),
        ("vxc-azur-a", "1500", 2, "did you mean 'vxc-azure-a'"),
    ],
)
def test_what_cannot_be_resized_in_place_is_refused_and_untouched(
    cli: Cli, change: str, vxc: str, mbps: str, code: int, said: str
) -> None:
    result = cli.run("run", "resize-vxc", f"vxc={vxc}", f"mbps={mbps}", "--change", change, "--write", "--yes")
    assert result.code == code, result.err
    assert said in result.err
    assert puts(cli) == []


def test_a_rate_too_low_for_the_load_is_refused_by_its_check(cli: Cli, change: str) -> None:
    result = resize(cli, change, 300)
    assert result.code == 4, result.err
    assert "more than 70 % of 300 Mbps" in result.json["why"]
    assert puts(cli) == []


def test_up_and_back_are_one_update_each_and_the_same_plan_could_be_made_again(cli: Cli, change: str) -> None:
    plan = cli.ok("plan", "resize-vxc", "vxc=vxc-azure-a", "mbps=1500", "--json").json
    rate = next(step for step in plan["steps"] if step["id"] == "rate")
    assert rate["commands"] == [f"megaport> {put(1500)}"]
    assert "price: +189.00 EUR/month (378.00 now, 567.00 then)" in plan["steps"][1]["expect"]
    result = resize(cli, change, 1500)
    assert result.code == 0, result.out + result.err
    assert puts(cli) == [put(1500)]
    evidence = {step["id"]: json.dumps(step["evidence"]) for step in result.json["steps"]}
    assert "+189.00 EUR/month" in evidence["price"]
    assert "`rate_limit = 1500`" in evidence["code"]
    assert "vxc-azure-a has 1500 Mbps already" in cli.run("plan", "resize-vxc", "vxc=vxc-azure-a", "mbps=1500").err
    back = cli.run("rollback", result.json["run"], "--write", "--yes", "--json")
    assert back.code == 0, back.out + back.err
    assert puts(cli) == [put(1500), put(1000)]
    again = cli.ok("plan", "resize-vxc", "vxc=vxc-azure-a", "mbps=1500", "--json").json
    assert again["hash"] == plan["hash"]


def test_a_lost_answer_is_looked_at_and_not_sent_again(cli: Cli, change: str) -> None:
    before = puts(cli)
    cli.ask_lab("fail", thing="megaport", fault="lost-answer")
    try:
        result = resize(cli, change, 1200)
    finally:
        cli.heal()
    assert result.code == 0, result.out + result.err
    assert puts(cli) == [*before, put(1200)]
    kinds = [entry.kind for entry in cli.log(result.json["run"]) if entry.step == "rate"]
    assert kinds == [*("gate.passed", "act.intent", "act.interrupted", "act.observed", "verify.ok", "deadman.disarmed")]


def test_the_circuit_goes_up_first_and_a_storm_of_429_then_holds_undoes_nothing_and_asks(cli: Cli, change: str) -> None:
    """Above the circuit's bandwidth a second person is asked; what was sent is then not to be seen for a storm.

    The last one: a circuit never goes down again, in this lab neither.
    """
    before = puts(cli)
    waits = resize(cli, change, 2500)
    assert waits.code == 6, waits.out + waits.err
    run = waits.json["run"]
    assert circuits(cli) == [], "one person alone raises nothing"
    cli.ok("approve", run, "approve-circuit", "--as", "bob")
    cli.ask_lab("fail", thing="megaport", fault="storm")
    resumed = cli.run("resume", run, "--write", "--yes", "--json", timeout_s=120)
    assert resumed.code == 6, resumed.out + resumed.err
    asked = resumed.json["question"]
    assert (asked["step"], asked["kind"]) == ("rate", "verify.timeout")
    assert order(cli)[-2:] == ["azure", "megaport"], "the circuit went up first"
    assert circuits(cli) == [(5000, "azure/creds/operator")], "by a credential of its own"
    assert puts(cli) == [*before, put(2500)], "a 429 never moves anything"
    cli.heal()
    back = cli.run("rollback", run, "--write", "--yes", "--json")
    assert back.code == 5, back.out + back.err
    assert "left in place, it cannot be put back: circuit" in back.json["why"]
    assert puts(cli) == [*before, put(2500), before[-1] if before else put(1000)]
    assert circuits(cli) == [(5000, "azure/creds/operator")]


def order(cli: Cli) -> list[str]:
    """Which systems took something, oldest first."""
    return [write["where"] for write in cli.ledger() if write["where"] in {"azure", "megaport"}]


def circuits(cli: Cli) -> list[tuple[int, str]]:
    """What Azure took, and by whose credential."""
    writes = [write for write in cli.ledger() if write["where"] == "azure"]
    return [(json.loads(write["what"].split(maxsplit=2)[2])["bandwidthInMbps"], write["by"]) for write in writes]
