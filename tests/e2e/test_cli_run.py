"""The whole story on a lab: plan, drain, look, put back. What the routers saw is compared with what was promised."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

import pytest

from tests.e2e.embedded_lab import Cli, Document, Result, cloud, lab_up, path

pytestmark = [pytest.mark.vault, pytest.mark.timeout(300)]

STEPS = ["survivors", "move-azure", "move-aws", "empty", "verify"]


@dataclass(frozen=True)
class Drained:
    """One drain of port-a: the plan before it, the run's own last words, and the ledger after it."""

    plan: Document
    change: str
    result: Result
    writes: list[str]

    @property
    def run(self) -> str:
        return str(self.result.json["run"])


@pytest.fixture(scope="module")
def cli(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cli]:
    with lab_up(tmp_path_factory.mktemp("run")) as cli:
        yield cli


@pytest.fixture(scope="module")
def plan(cli: Cli) -> Document:
    return cli.plan()


@pytest.fixture(scope="module")
def drained(cli: Cli, plan: Document) -> Drained:
    change = cli.change("--ci", "port-a")
    result = cli.drain(change, "--plan-hash", plan["hash"], "--json")
    assert result.code == 0, result.out + result.err
    return Drained(plan, change, result, cli.router_writes())


@pytest.fixture(scope="module")
def restored(cli: Cli, drained: Drained) -> Result:
    return cli.run("rollback", drained.run, "--write", "--yes", "--json")


# -- the plan


def test_a_plan_has_the_fields_of_the_contract(plan: Document) -> None:
    assert (plan["schema"], plan["book"], plan["parameters"]) == (1, "drain-port", {"port": "port-a"})
    assert [step["id"] for step in plan["steps"]] == STEPS
    for step in plan["steps"]:
        assert {"id", "title", "kind", "commands", "expect", "undo", "guards", "risk", "approvals"} <= step.keys()
        assert step["expect"]
        assert step["approvals"] == 0
        assert bool(step["commands"]) == bool(step["undo"]) == (step["kind"] == "act")
    before, after = ({c["name"]: c for c in plan["forecast"][when]} for when in ("before", "after"))
    assert before["azure"]["carried_by"] == before["azure"]["return_by"] == ["azure/er-primary"]
    assert after["azure"]["carried_by"] == after["azure"]["return_by"] == ["azure/er-secondary"]
    assert (before["aws"]["carried_by"], after["aws"]["carried_by"]) == (["aws/dx-1"], ["aws/dx-2"])


def test_a_plan_names_the_exact_lines_out_and_back(plan: Document) -> None:
    azure, aws = plan["steps"][1], plan["steps"][2]
    assert azure["commands"] == [
        "edge-1> configure terminal",
        "edge-1(config)> route-map IN-msee-primary permit 10",
        "edge-1(config)> set local-preference 120",
        "edge-1(config)> route-map OUT-msee-primary permit 10",
        "edge-1(config)> set as-path prepend 65010 65010 65010 65010",
        "edge-1> clear bgp ipv4 unicast 10.255.1.2 soft",
    ]
    assert "edge-1(config)> set local-preference 200" in azure["undo"]
    assert "edge-1(config)> no set as-path prepend" in azure["undo"]
    assert "edge-1(config)> set community 7224:7100" in aws["commands"]
    assert "edge-1(config)> set community 7224:7300" in aws["undo"]


def test_planning_twice_gives_the_same_hash_and_changes_nothing(cli: Cli, plan: Document) -> None:
    assert cli.plan()["hash"] == plan["hash"]
    assert cli.ledger() == []
    assert cli.runs() == []


# -- the drain


def test_json_is_the_final_show_document(cli: Cli, drained: Drained) -> None:
    told = drained.result.json
    assert told == cli.show(drained.run)
    assert {"schema", "run", "book", "state", "direction", "change", "driver", "plan_hash", "undo_of", "steps",
            "measures", "head_hash"} <= told.keys()  # fmt: skip
    assert (told["state"], told["direction"], told["change"]) == ("COMPLETED", "forward", drained.change)
    assert (told["driver"], told["undo_of"], told["plan_hash"]) == ("alice", None, drained.plan["hash"])
    for step in told["steps"]:
        assert {"id", "state", "started", "ended", "attempts", "evidence"} <= step.keys()
        assert step["state"] == "done"
        assert step["started"] <= step["ended"]
    assert [step["id"] for step in told["steps"]] == STEPS
    assert [step["attempts"] for step in told["steps"] if step["kind"] == "act"] == [1, 1]


def test_the_routers_saw_exactly_the_lines_of_the_plan_in_its_order(drained: Drained) -> None:
    promised = [line.replace("(config)>", ">") for step in drained.plan["steps"] for line in step["commands"]]
    assert drained.writes == [line for line in promised if not line.endswith("configure terminal")]


def test_every_write_is_under_the_operators_own_certificate(cli: Cli, drained: Drained) -> None:
    authors = {write["by"] for write in cli.ledger() if write["where"].startswith("edge-")}
    assert all(author.startswith("interlock-alice-") for author in authors), authors


def test_an_intent_stands_in_the_journal_before_each_act(cli: Cli, drained: Drained) -> None:
    entries = cli.log(drained.run)
    for step in ("move-azure", "move-aws"):
        kinds = [entry.kind for entry in entries if entry.step == step]
        assert kinds == ["gate.passed", "act.intent", "act.result", "verify.ok", "deadman.disarmed"]
    intended = datetime.fromisoformat(next(entry.at for entry in entries if entry.kind == "act.intent"))
    written = datetime.fromisoformat(next(w["at"] for w in cli.ledger() if w["where"] == "edge-1"))
    assert intended <= written, "the journal knew of it before the router did"
    assert "ok," in cli.ok("journal", "verify", drained.run).out


def test_the_change_has_a_note_with_a_marker_for_each_result(cli: Cli, drained: Drained) -> None:
    notes = [note["text"] for note in cli.ok("lab", "change", "show", drained.change, "--json").json["notes"]]
    told = [note for note in notes if note.startswith(f"[{drained.run} #")]
    mine = [note for note in told if "a guard cannot see" not in note]  # a busy machine may blind one for a moment
    assert len(mine) == len(STEPS) + 1, notes
    assert len({note.split("]")[0] for note in mine}) == len(mine)
    assert sum("move azure" in note for note in mine) == 1
    assert "outcome COMPLETED" in mine[-1]
    assert drained.result.json["head_hash"] in mine[-1], "the journal's anchor is on the ticket"


def test_the_port_stays_drained_and_nothing_is_down(cli: Cli, drained: Drained) -> None:
    survivors = {"azure": ["azure/er-secondary"], "aws": ["aws/dx-2"]}

    def carry(seen: Result) -> bool:
        clouds = [(cloud(seen.json, name), by) for name, by in survivors.items()] if seen.code == 0 else []
        return bool(clouds) and all(each["carried_by"] == each["return_by"] == by for each, by in clouds)

    result = cli.looked("status", "--json", holds=carry)
    assert path(result.json, "azure/er-primary")["verdict"] == "up"


def test_what_a_drain_leaves_in_place_is_listed_with_its_run_and_the_lines_that_put_it_back(
    cli: Cli, drained: Drained
) -> None:
    result = cli.looked("leftovers", "--json", holds=lambda seen: seen.code in {0, 1})
    left = result.json["leftovers"]
    assert (result.code, result.json["unknown"]) == (1, [])
    assert {each["run"] for each in left} == {drained.run}
    assert sorted(each["kind"] for each in left) == [
        *("community", "local-preference", "local-preference", "prepend", "prepend")
    ]
    assert all(each["undo"] and each["since"] and each["where"].startswith("edge-1 ") for each in left)


def test_a_drained_port_is_not_drained_twice(cli: Cli, drained: Drained) -> None:
    again = cli.drain(drained.change)
    assert again.code == 4
    assert "azure/er-primary is drained already" in again.err
    assert cli.router_writes() == drained.writes
    assert len(cli.runs()) == 1


def test_a_report_is_markdown_with_commands_and_proof(cli: Cli, drained: Drained) -> None:
    text = cli.ok("report", drained.run).out
    assert text.startswith(f"# {drained.run}: ")
    assert "outcome: **COMPLETED**" in text
    assert f"- change: {drained.change}" in text
    assert "edge-1(config)> set local-preference 120" in text
    assert "- = azure out: azure/er-secondary (expected azure/er-secondary)" in text
    assert drained.result.json["head_hash"] in text


# -- the way back: from here on the port is not drained any more


def test_rollback_opens_a_linked_run_and_ends_with_zero(cli: Cli, drained: Drained, restored: Result) -> None:
    assert restored.code == 0, restored.err
    told = restored.json
    assert (told["undo_of"], told["state"], told["change"]) == (drained.run, "COMPLETED", drained.change)
    assert [step["id"] for step in told["steps"]] == [
        "field-clear", "restore-move-aws", "restore-move-azure", "restored",
    ]  # fmt: skip
    assert cli.show(drained.run)["state"] == "COMPLETED"


def test_rollback_wrote_the_undo_of_the_plan_in_strict_reverse(cli: Cli, drained: Drained, restored: Result) -> None:
    undone = cli.router_writes()[len(drained.writes) :]
    promised = [line.replace("(config)>", ">") for step in reversed(drained.plan["steps"]) for line in step["undo"]]
    assert undone == [line for line in promised if not line.endswith("configure terminal")]


def test_after_rollback_the_same_plan_would_be_made(cli: Cli, drained: Drained, restored: Result) -> None:
    again = cli.plan()
    assert again["hash"] == drained.plan["hash"], "every value that the plan relies on is back, byte for byte"


def test_after_rollback_nothing_is_left_over(cli: Cli, drained: Drained, restored: Result) -> None:
    cli.looked("leftovers", holds=lambda seen: (seen.code, seen.out.strip()) == (0, "= nothing is left over"))


def test_neither_a_run_put_back_nor_an_undo_can_be_rolled_back(cli: Cli, drained: Drained, restored: Result) -> None:
    writes = cli.router_writes()
    twice = cli.run("rollback", drained.run, "--write", "--yes")
    assert twice.code == 4
    assert restored.json["run"] in twice.err
    undo = cli.run("rollback", restored.json["run"], "--write", "--yes")
    assert undo.code == 4, "it would drain the port with no gate asked"
    assert "is itself an undo" in undo.err
    assert cli.router_writes() == writes
    assert len(cli.runs()) == 2


def test_runs_lists_newest_first_and_every_chain_is_whole(cli: Cli, drained: Drained, restored: Result) -> None:
    rows = cli.runs()
    assert [row["run"] for row in rows] == [restored.json["run"], drained.run]
    for row in rows:
        assert {"run", "book", "state", "change", "driver", "started", "closed"} <= row.keys()
        assert row["closed"]
    checked = cli.ok("journal", "verify", "--json").json["runs"]
    assert {row["run"]: row["ok"] for row in checked} == {row["run"]: True for row in rows}


# -- once more, by the name of the book that undoes


def test_undrain_port_puts_the_newest_drain_back_without_a_change_of_its_own(
    cli: Cli, drained: Drained, restored: Result
) -> None:
    undrain = ("run", "undrain-port", "port=port-a", "--write", "--yes", "--json")
    nothing = cli.run(*undrain)
    assert nothing.code == 4
    assert "no COMPLETED run of drain-port port=port-a is in place" in nothing.err
    before = len(cli.router_writes())
    again = cli.drain(cli.change("--ci", "port-a"), "--json")
    assert again.code == 0, again.err
    done = cli.run(*undrain)
    assert done.code == 0, done.err
    told = done.json
    assert (told["book"], told["undo_of"], told["change"]) == ("undrain-port", again.json["run"], again.json["change"])
    assert [step["id"] for step in told["steps"]] == [step["id"] for step in restored.json["steps"]]
    assert cli.router_writes()[before:] == [*drained.writes, *cli.router_writes()[len(drained.writes) : before]]
    assert cli.plan()["hash"] == drained.plan["hash"]


def test_a_book_of_ones_own_is_planned_from_its_file(cli: Cli, drained: Drained) -> None:
    mine = cli.root / "mine.yaml"
    mine.write_text("runbook: mine\nversion: 1\ntitle: t\npurpose: p\ntarget: port\nparameters: {port: {type: port}}\n"
                    "steps:\n  - {id: d, kind: call, book: drain-port, with: {port: '${port}'}}\n")  # fmt: skip
    document = cli.ok("plan", str(mine), "port=port-a", "--json").json
    assert [step["id"] for step in document["steps"]] == [f"d/{name}" for name in STEPS]
    assert document["steps"][1]["commands"] == drained.plan["steps"][1]["commands"]
    assert "survivor-load, 2 of 3: hold" in document["steps"][1]["guards"]
    mine.write_text(mine.read_text().replace("book: drain-port", "book: drain-prt"))
    wrong = cli.run("plan", str(mine), "port=port-a")
    assert wrong.code == 2
    assert f"{mine}:8:25: steps.0.book" in wrong.err
    assert "did you mean 'drain-port'?" in wrong.err


def test_a_head_that_was_kept_elsewhere_must_stand_in_the_chain(cli: Cli, drained: Drained) -> None:
    anchored = cli.ok("report", drained.run).out.partition("journal head: `")[2].partition("`")[0]
    assert cli.run("journal", "verify", drained.run, "--head", anchored).code == 0
    other = cli.run("journal", "verify", drained.run, "--head", "0" * 64)
    assert other.code == 1
    assert "is not in this chain" in other.out
    assert cli.run("journal", "verify", "--head", anchored).code == 2
