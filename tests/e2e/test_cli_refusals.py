"""What a run is refused for: the reason is said, the code is right, and nothing was touched or left open."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.embedded_lab import Cli, Document, Observer, Result, lab_up

pytestmark = pytest.mark.vault


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    with lab_up(tmp_path_factory.mktemp("refusals")) as cli:
        yield cli


@pytest.fixture(scope="module")
def change(lab: Cli) -> str:
    """A change that permits the drain now."""
    return lab.change("--ci", "port-a")


@pytest.fixture(scope="module")
def eyes(lab: Cli) -> Iterator[Observer]:
    with Observer(lab) as observer:
        observer.until("the lab is healthy", _healthy)
        yield observer


@pytest.fixture
def cli(lab: Cli, eyes: Observer) -> Iterator[Cli]:
    """The lab, of which nothing may be touched. What a test broke is mended, and back."""
    yield lab
    assert lab.router_writes() == [], "a refusal touches no router"
    assert lab.open_runs() == [], "a refusal leaves no run open"
    broken = lab.ask_lab("status")
    if broken["failed"] or broken["faults"]:
        lab.heal()
        eyes.until("the lab is healthy again", _healthy)


def refused(result: Result, *reasons: str, code: int = 4) -> None:
    assert result.code == code, f"{result.code}\n{result.out}\n{result.err}"
    for reason in reasons:
        assert reason in result.err + result.out, f"{reason!r} is not said:\n{result.err}\n{result.out}"


# -- usage


def test_read_only_is_the_default_and_a_change_is_needed(cli: Cli, change: str) -> None:
    drain = ("run", "drain-port", "port=port-a", "--yes")
    refused(cli.run(*drain, "--change", change), "read-only: give --write")
    refused(cli.run(*drain, "--write"), "no change: give --change")
    refused(cli.run("rollback", "R-1", "--yes"), "read-only: give --write")


def test_without_a_terminal_somebody_must_be_named_who_answers(cli: Cli, change: str) -> None:
    words = ("run", "drain-port", "port=port-a", "--change", change, "--write")
    refused(cli.run(*words), "--prompt or --yes", code=2)
    refused(cli.run("rollback", "R-1", "--write"), "--prompt or --yes", code=2)
    refused(cli.run(*words, "--prompt", "--yes"), "exclude each other", code=2)


@pytest.mark.parametrize(
    ("words", "reasons"),
    [
        (("drain-prt", "port=port-a"), ("drain-prt", "did you mean 'drain-port'?")),
        (("drain-port", "prt=port-a"), ("prt: is not a parameter; did you mean 'port'?",)),
        (("drain-port",), ("port: is missing", "allowed: port-a, port-b")),
        (("drain-port", "port=prot-a"), ("port: 'prot-a' is not a port; did you mean 'port-a'?",)),
        (("drain-port", "port-a"), ("'port-a': write each parameter once, as key=value",)),
    ],
)
def test_bad_input_names_the_field_the_value_and_the_nearest_name(
    cli: Cli, words: tuple[str, ...], reasons: tuple[str, ...]
) -> None:
    refused(cli.run("plan", *words), *reasons, code=2)
    refused(cli.run("run", *words, "--change", "CHG1", "--write", "--yes"), *reasons, code=2)


def test_a_run_that_does_not_exist(cli: Cli) -> None:
    for words in (("show", "R-1"), ("report", "R-1"), ("journal", "verify", "R-1")):
        refused(cli.run(*words), "R-1 is not in this journal", code=2)


def test_the_wrong_name_typed_at_the_prompt_runs_nothing(cli: Cli, change: str) -> None:
    words = ("run", "drain-port", "port=port-a", "--change", change, "--write", "--prompt")
    for typed in ("port-b\n", ""):
        result = cli.run(*words, typed=typed)
        refused(result, "port-a was not typed: nothing was done")
        assert "set local-preference 120" in result.err, "the plan was shown before it was asked for"


def test_another_operator_than_the_labs_is_bad_input(cli: Cli) -> None:
    refused(cli.run("plan", "drain-port", "port=port-a", "--as", "mallory"), "allowed: alice, bob, carol", code=2)


# -- the change


def test_no_such_change(cli: Cli) -> None:
    refused(cli.drain("CHG9999999"), "no such change: CHG9999999")


def test_a_change_says_every_reason_why_it_permits_nothing(cli: Cli) -> None:
    number = cli.change("--ci", "port-b", "--state", "scheduled")
    cli.ok("lab", "change", "set", number, "approval=requested", "on_hold=true", "window=closed")
    refused(
        cli.drain(number),
        f"{number} is in state Scheduled, not Implement",
        f"{number} is not approved (approval: requested)",
        f"{number} is on hold",
        f"{number}: its window closed at",
        f"{number} does not name port-a (it names port-b)",
    )


def test_a_window_that_has_not_opened_and_a_conflict(cli: Cli) -> None:
    number = cli.change("--ci", "port-a")
    cli.ok("lab", "change", "set", number, "window=future", "conflict=Blackout")
    result = cli.drain(number)
    refused(result, f"{number}: its window opens at", f"{number} conflicts: Blackout")
    assert "not approved" not in result.err, "only what is so is said"


# -- the plan and the network


def test_a_plan_that_is_not_the_one_approved(cli: Cli, change: str) -> None:
    refused(cli.drain(change, "--plan-hash", "0" * 64), "the plan has changed", "0" * 64)


@pytest.mark.parametrize(
    ("things", "reason"),
    [
        (["er-secondary"], "azure/er-secondary"),
        (["vpn-azure-1", "vpn-azure-2"], "azure would be left with one failure domain"),
    ],
)
def test_a_standby_that_cannot_be_relied_on(
    cli: Cli, eyes: Observer, change: str, things: list[str], reason: str
) -> None:
    for thing in things:
        cli.ask_lab("fail", thing=thing)
    eyes.until(f"{things} down", lambda d: sum(p["verdict"] == "down" for p in d["paths"]) == len(things))
    refused(cli.drain(change), reason)


def test_what_azure_does_not_say_is_unknown_and_unknown_is_refused(cli: Cli, change: str) -> None:
    cli.ask_lab("fail", thing="azure", fault="down")
    refused(cli.drain(change), "azure/er-secondary is unknown", "the routing preference of hub-azure is unknown")


# -- systems that are needed


def test_a_sealed_vault_is_a_system_out_of_reach(cli: Cli, change: str) -> None:
    cli.ask_lab("fail", thing="vault", fault="sealed")
    refused(cli.drain(change), "sealed", code=3)


def test_a_ticket_system_that_is_down_is_a_system_out_of_reach(cli: Cli, change: str) -> None:
    cli.ask_lab("fail", thing="servicenow", fault="down")
    refused(cli.drain(change), "ServiceNow", code=3)


def test_after_all_refusals_the_locks_are_free(cli: Cli, change: str) -> None:
    """The next run would begin: only its typed confirmation is missing."""
    result = cli.run("run", "drain-port", "port=port-a", "--change", change, "--write", "--prompt", typed="no\n")
    refused(result, "port-a was not typed")
    assert "interrupted run" not in result.err


def _healthy(seen: Document) -> bool:
    return seen["verdict"] == "healthy" and all(each["ok"] for each in seen["sources"])
