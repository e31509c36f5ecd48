from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from network.policy import Policy
from runbooks.policy import CLOCK_TOLERANCE, objections, window_left_s
from tests.sample import NOW


@dataclass(frozen=True)
class Change:
    number: str = "CHG1"
    state: str = "Implement"
    state_code: int | None = -1
    approval: str = "approved"
    type: str = "normal"
    on_hold: bool = False
    on_hold_reason: str = ""
    start: datetime | None = NOW - timedelta(minutes=1)
    end: datetime | None = NOW + timedelta(hours=2)
    cis: tuple[str, ...] = ("port-a", "edge-1")
    conflicts: tuple[str, ...] = ()


OPEN = Change()
TARGET_ONLY = Policy()


def asked(change: Change, policy: Policy = TARGET_ONLY, now: datetime = NOW) -> list[str]:
    return objections(change, "port-a", ("port-a", "edge-1"), policy, now)


def test_an_approved_change_in_its_window_permits() -> None:
    assert asked(OPEN) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (replace(OPEN, state="Scheduled", state_code=-2), "not Implement"),
        (replace(OPEN, approval="requested"), "not approved"),
        (replace(OPEN, on_hold=True, on_hold_reason="weather"), "on hold: weather"),
        (replace(OPEN, end=NOW), "window closed"),
        (replace(OPEN, start=NOW + timedelta(minutes=5)), "window opens"),
        (replace(OPEN, start=None), "no planned window"),
        (replace(OPEN, cis=("port-b",)), "does not name port-a"),
        (replace(OPEN, cis=()), "no CI"),
        (replace(OPEN, conflicts=("Blackout",)), "Blackout"),
    ],
)
def test_each_objection_is_named(change: Change, said: str) -> None:
    found = asked(change)
    assert len(found) == 1
    assert said in found[0]


def test_every_objection_is_told_at_once() -> None:
    assert len(asked(replace(OPEN, state_code=0, on_hold=True, cis=()))) == 3


def test_a_standard_change_needs_no_approval() -> None:
    assert asked(replace(OPEN, approval="not requested", type="standard")) == []


def test_gate_cis_all_asks_for_every_touched_device() -> None:
    assert "edge-1" in asked(replace(OPEN, cis=("port-a",)), Policy(gate_cis="all"))[0]


@given(st.floats(-3600 * 3, 3600 * 3))
def test_the_window_decides_by_time_alone(seconds: float) -> None:
    now = NOW + timedelta(seconds=seconds)
    assert OPEN.start is not None
    assert OPEN.end is not None
    inside = OPEN.start - CLOCK_TOLERANCE <= now < OPEN.end
    assert (asked(OPEN, now=now) == []) is inside


def test_window_left() -> None:
    assert window_left_s(OPEN, NOW) == 7200
    assert window_left_s(replace(OPEN, end=None), NOW) is None
