"""What a definition must be, and the small pure parts of the journal."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runbooks.journal.identity import Identity, is_alive, start_time
from runbooks.journal.log import chain_hash
from runbooks.journal.records import canonical, stamp
from runbooks.model import UnfitDefinition, steps_of


def kinds(*steps: tuple[str, str, str | None]) -> dict[str, Any]:
    return {"steps": [{"id": name, "kind": kind, "group": group} for name, kind, group in steps]}


def test_step_is_read_from_its_json() -> None:
    (step,) = steps_of(
        {
            "steps": [
                {
                    "id": "egress",
                    "kind": "act",
                    "verb": "prefer-standby",
                    "with": {"port": "port-a"},
                    "commands": [{"router": "edge-1", "line": "set local-preference 120"}],
                    "risk": "traffic-moving",
                }
            ]
        }
    )
    assert (step.args, step.window_s, step.on_failure) == ({"port": "port-a"}, 5.0, "ask")
    assert step.commands == ({"router": "edge-1", "line": "set local-preference 120"},)


@pytest.mark.parametrize(
    ("definition", "why"),
    [
        (kinds(("a", "act", None), ("a", "check", None)), "'a' is used twice"),
        (kinds(("a", "act", "g"), ("b", "check", "g")), "'b' is a check; only act steps"),
        (kinds(("a", "act", "g"), ("b", "act", None), ("c", "act", "g")), "'g' is interrupted"),
        (kinds(("a", "act", "g"), ("b", "act", "h"), ("c", "act", "g")), "'g' is interrupted"),
        (kinds(("a", "dance", None)), "kind"),
        ({"steps": [{"id": "a", "kind": "act", "timeout_s": 0}]}, "timeout_s"),
    ],
)
def test_definition_that_cannot_be_driven(definition: dict[str, Any], why: str) -> None:
    with pytest.raises(UnfitDefinition, match=why):
        steps_of(definition)


def test_neighbouring_groups_are_fine() -> None:
    assert len(steps_of(kinds(("a", "act", "g"), ("b", "act", "g"), ("c", "act", "h"), ("d", "wait_until", None)))) == 4


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@settings(max_examples=100)
@given(JSON)
def test_canonical_json_is_ascii_and_knows_no_order(value: Any) -> None:
    text = canonical({"b": value, "a": 1})
    assert text.isascii()
    assert text == canonical({"a": 1, "b": value})


def test_hash_depends_on_every_column_and_on_the_entry_before() -> None:
    columns = ["R-1", 1, None, "x"]
    hashes = {chain_hash("p", columns), chain_hash("q", columns)}
    hashes |= {chain_hash("p", [*columns[:i], "changed", *columns[i + 1 :]]) for i in range(len(columns))}
    assert len(hashes) == 2 + len(columns)


def test_time_reads_back_exactly_and_sorts_as_text() -> None:
    early, late = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, 0, 0, 0, 1, tzinfo=UTC)
    assert [datetime.fromisoformat(stamp(moment)) for moment in (early, late)] == [early, late]
    assert stamp(early) < stamp(late)


def test_this_process_is_alive_and_has_a_start() -> None:
    here = Identity.here("alice", "LAB")
    assert here.pid_start == start_time(here.pid)
    assert is_alive(here, here)
    assert start_time(2**22 + 1) is None
