"""A book that undoes another: compiled from the record of the run that it puts back."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from console.fail import Refused
from console.undoing import in_place
from runbooks.book import shipped
from runbooks.journal import RunRow
from runbooks.language import BookError
from runbooks.model import steps_of
from runbooks.plan import Plan, compile_plan
from runbooks.putback import undo_definition
from runbooks.scene import CannotPlan, Undoing
from tests.engine.little_network import LittleScene
from tests.sample import NOW, REFERENCE

PORT_A = {"port": "port-a"}


def drained(port: str = "port-a") -> dict[str, Any]:
    return LittleScene().plan(port).definition()


def undrain(definition: dict[str, Any], port: str = "port-a") -> Plan:
    moment = replace(LittleScene().moment(), undoing=Undoing("R-1", definition))
    return compile_plan(shipped("undrain-port"), {"port": port}, moment, REFERENCE.read_text())


def test_the_recorded_acts_stand_inverted_and_in_strict_reverse_inside_the_frame_of_the_book() -> None:
    recorded = drained()
    plan = undrain(recorded)
    assert [step.id for step in plan.steps] == ["field-clear", "restore-move-aws", "restore-move-azure", "restored"]
    was = {step["id"]: step for step in recorded["steps"]}
    for step in plan.steps[1:3]:
        original = was[step.id.removeprefix("restore-")]
        assert step.definition["commands"] == original["undo"]
        assert step.definition["undo"] == original["commands"]
        assert step.definition["with"]["inverse"] is True
        assert step.risk == "restore"
    assert set(recorded["locks"]) <= set(plan.locks)
    assert set(recorded["touches"]) <= set(plan.touches)


def test_it_does_what_rollback_does() -> None:
    recorded = drained()
    by_name, by_run = undrain(recorded).definition(), undo_definition(recorded, "R-1")
    assert by_name["undo_of"] == by_run["undo_of"] == "R-1"
    left, right = (steps_of(definition) for definition in (by_name, by_run))
    same = ("id", "kind", "verb", "title", "args", "commands", "undo", "expect", "risk")
    assert [[getattr(s, key) for key in same] for s in left] == [[getattr(s, key) for key in same] for s in right]


def test_its_forecast_is_the_baseline_of_the_run_that_it_puts_back() -> None:
    recorded = drained()
    recorded["before"]["azure"] = {"carried_by": ["azure/vpn-1"], "return_by": ["azure/vpn-2"]}
    plan = undrain(recorded)
    assert plan.after["azure"] == {"carried_by": ["azure/vpn-1"], "return_by": ["azure/vpn-2"]}
    assert "azure back: azure/vpn-2" in plan.steps[-1].expect


def test_without_a_record_there_is_no_plan() -> None:
    with pytest.raises(CannotPlan, match="puts back a run of drain-port, and none is in place"):
        compile_plan(shipped("undrain-port"), PORT_A, LittleScene().moment(), "")


def test_another_run_put_back_is_another_plan() -> None:
    one, other = drained(), drained()
    other["steps"][1]["undo"] = [{"router": "edge-1", "exec": "something else"}]
    assert undrain(one).hash != undrain(other).hash


def row(run_id: str, state: str = "COMPLETED", book: str = "drain-port", **definition: Any) -> RunRow:
    closed = NOW if state in {"COMPLETED", "ROLLED_BACK"} else None
    name = "restore-move-azure" if "undo_of" in definition else "move-azure"
    steps = [{"id": name, "kind": "act", "with": {"cloud": "azure"}, "undo": ["x"]}]
    frozen = {"parameters": PORT_A, "touches": ["azure"], "before": {"azure": {}}, "steps": steps, **definition}
    return RunRow(
        run_id, book, "1", frozen, "", {}, None, "alice", "host", NOW,
        state, "forward", None, None, 1, 1, "", closed, driver_alive=False,
    )  # fmt: skip


def test_the_newest_run_with_the_same_parameters_is_put_back() -> None:
    rows = [row("R-4", "ROLLED_BACK"), row("R-3", parameters={"port": "port-b"}), row("R-2"), row("R-1")]
    assert in_place("drain-port", PORT_A, rows).run_id == "R-2"


def test_a_run_that_was_put_back_is_not_put_back_again() -> None:
    by_rollback, by_name = row("R-3", undo_of="R-2"), row("R-4", book="undrain-port", undo_of="R-1")
    with pytest.raises(Refused, match="no COMPLETED run of drain-port port=port-a is in place"):
        in_place("drain-port", PORT_A, [by_name, by_rollback, row("R-2"), row("R-1")])
    failed = row("R-5", "ROLLED_BACK", book="undrain-port", undo_of="R-2")
    assert in_place("drain-port", PORT_A, [failed, row("R-2")]).run_id == "R-2"


def test_an_undo_that_is_under_way_is_named() -> None:
    with pytest.raises(Refused, match="R-2 is being put back by R-3: `interlock rollback R-2` goes on"):
        in_place("drain-port", PORT_A, [row("R-3", "RUNNING", undo_of="R-2"), row("R-2")])


def test_its_parameters_are_checked_like_any_others() -> None:
    with pytest.raises(BookError, match="did you mean 'port-a'"):
        undrain(drained(), "prt-a")
