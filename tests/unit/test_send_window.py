"""The moment in which an act may send: it is over late after the intent, when the run is lost, and in silence."""

from __future__ import annotations

import pytest

from runbooks.acting import SendWindow
from runbooks.effects import WindowPassed


@pytest.mark.parametrize(
    ("late_s", "lost", "silent_s", "why"),
    [
        (5.0, False, 5.0, ""),
        (5.1, False, 0.0, "5.1 s after its intent; 5 s are allowed"),
        (0.0, True, 0.0, "another console has taken the run over"),
        (0.0, False, 5.1, "last heard 5.1 s ago; 5 s are allowed"),
    ],
)
def test_a_send_is_allowed_in_its_window_and_in_no_other(late_s: float, lost: bool, silent_s: float, why: str) -> None:
    clock = iter([100.0, 100.0 + late_s])
    window = SendWindow(lambda: next(clock), 5.0, lambda: lost, lambda: silent_s)
    if why:
        with pytest.raises(WindowPassed, match=why):
            window()
    else:
        window()
    assert window.sends == (0 if why else 1), "whether anything was sent decides what may be believed"
