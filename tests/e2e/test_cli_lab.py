"""`interlock lab …` as a process: one lab a state folder, what it says of itself, and that nothing of it is left."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab.state import SOCKET_LIMIT, pid_start
from tests.e2e.embedded_lab import DEADLINE_S, Cli, Document, descendants, lab_up, until

pytestmark = pytest.mark.vault


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    with lab_up(tmp_path_factory.mktemp("lab")) as cli:
        yield cli


def test_up_prints_the_site_file_and_it_is_valid(cli: Cli) -> None:
    site = cli.lab_folder / "site.yaml"
    again = cli.ok("site", "check", str(site))
    assert again.out.startswith(f"{site}: site reference, 8 paths to 2 clouds")


def test_a_second_up_is_refused_and_says_that_one_runs(cli: Cli) -> None:
    for words in (("--detach",), ()):
        second = cli.run("lab", "up", *words)
        assert second.code == 4
        assert "a lab runs already" in second.err
        assert str(cli.lab_folder / "site.yaml") in second.err


def test_other_folders_are_another_lab(cli: Cli, tmp_path: Path) -> None:
    stranger = Cli(tmp_path)
    for words in (("lab", "status"), ("lab", "down"), ("lab", "heal")):
        alone = stranger.run(*words)
        assert alone.code == 3
        assert "interlock lab up --detach" in alone.err


def test_status_names_process_routers_and_what_is_broken(cli: Cli) -> None:
    cli.ok("lab", "fail", "port-a", "--silent")
    cli.ok("lab", "fail", "azure", "--fault", "500")
    told = cli.ok("lab", "status", "--json").json
    assert (told["schema"], told["routers"]) == (1, "embedded")
    assert pid_start(told["pid"])
    assert told["failed"] == ["port-a"]
    assert told["faults"] == {"azure": "500"}
    words = cli.ok("lab", "status").out
    assert "broken on purpose: port-a" in words
    assert "azure: 500" in words
    cli.ok("lab", "heal", "port-a")
    assert cli.ok("lab", "status", "--json").json["failed"] == []
    cli.heal()
    assert cli.ok("lab", "status", "--json").json["faults"] == {}


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (("fail", "prot-a"), "did you mean 'port-a'?"),
        (("heal", "er-primry"), "did you mean 'er-primary'?"),
        (("fail", "azzure", "--fault", "down"), "did you mean 'azure'?"),
        (("fail", "azure", "--fault", "sealed"), "possible:"),
        (("fail", "azure", "--fault", "dwn"), "allowed: down, hang, slow, 429, 500, garbage, lost-answer, storm"),
        (("change", "new", "--ci", "prot-a"), "did you mean 'port-a'?"),
        (("change", "new", "--state", "implementt"), "did you mean 'implement'?"),
        (("change", "show", "CHG9999999"), "CHG9999999"),
        (("up", "--routers", "cisco"), "allowed: embedded, frr"),
    ],
)
def test_a_word_that_the_lab_does_not_know_is_bad_input(cli: Cli, words: tuple[str, ...], hint: str) -> None:
    wrong = cli.run("lab", *words)
    assert (wrong.code, wrong.out) == (2, "")
    assert hint in wrong.err


def test_a_change_has_the_defaults_of_the_contract_and_takes_fields(cli: Cli) -> None:
    number = cli.change("--ci", "port-a", "--ci", "er-primary")
    shown = cli.ok("lab", "change", "show", number, "--json").json
    assert {"schema", "number", "state", "notes", "tasks", "attachments"} <= shown.keys()
    assert (shown["number"], shown["state"], shown["approval"]) == (number, "Implement", "approved")
    assert shown["cis"] == ["port-a", "er-primary"]
    assert shown["start"] < shown["end"]
    cli.ok("lab", "change", "set", number, "state=scheduled", "on_hold=true", "window=future")
    after = cli.ok("lab", "change", "show", number, "--json").json
    assert (after["state"], after["on_hold"]) == ("Scheduled", True)
    assert after["start"] > shown["start"]
    assert cli.run("lab", "change", "set", number, "state").code == 2


def test_nothing_has_been_written_by_a_lab_at_rest(cli: Cli) -> None:
    assert cli.ok("lab", "ledger", "--json").json == {"schema": 1, "writes": []}


def test_down_leaves_no_process_and_nothing_but_logs(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    cli.ok("lab", "up", "--detach")
    lab = _state(cli)
    family = {lab["pid"], *descendants(lab["pid"])}
    assert len(family) > 1, "the lab's Vault is a process of its own"
    born = {pid: began for pid in family if (began := pid_start(pid))}
    assert "the lab is down" in cli.ok("lab", "down").out
    assert living(born) == set()
    left = sorted(file.name for file in cli.lab_folder.rglob("*") if not file.is_dir())
    assert left == ["lab.log"]
    assert cli.run("lab", "down").code == 3


def test_a_foreground_lab_ends_with_ctrl_c(tmp_path: Path) -> None:
    cli = Cli(tmp_path)
    up = cli.start("lab", "up")
    until("the lab is up", (cli.lab_folder / "lab.json").exists)
    up.send_signal(signal.SIGINT)
    _, err = up.communicate(timeout=DEADLINE_S)
    assert up.returncode == 0
    assert "embedded lab up" in err
    assert not (cli.lab_folder / "lab.json").exists()


def test_a_killed_lab_is_noticed_and_a_long_path_has_its_socket_elsewhere(tmp_path: Path) -> None:
    cli = Cli(tmp_path / ("long" * 30))
    cli.root.mkdir()
    assert len(str(cli.lab_folder)) > SOCKET_LIMIT
    cli.ok("lab", "up", "--detach")
    killed = _state(cli)
    assert len(killed["socket"]) <= SOCKET_LIMIT
    born = {pid: began for pid in descendants(killed["pid"]) if (began := pid_start(pid))}
    assert born, "the lab's Vault is a process of its own"
    os.kill(killed["pid"], signal.SIGKILL)
    until("its children die with it", lambda: not living(born))

    assert (cli.lab_folder / "lab.json").exists()
    assert cli.run("lab", "status").code == 3, "a stale lab.json counts as no lab"
    without = cli.run("status")
    assert without.code == 2
    assert "interlock lab up --detach" in without.err

    cli.ok("lab", "up", "--detach")
    second = _state(cli)
    assert second["pid"] != killed["pid"]
    cli.ok("lab", "down")
    for state in (killed, second):
        assert not Path(state["socket"]).parent.exists(), "the short folder of the socket is gone too"


def living(born: dict[int, str]) -> set[int]:
    """Those of the processes, each with its start, that are still there: a number may be another's by now."""
    return {pid for pid, began in born.items() if pid_start(pid) == began}


def _state(cli: Cli) -> Document:
    state: Document = json.loads((cli.lab_folder / "lab.json").read_text())
    return state
