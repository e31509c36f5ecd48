"""An outage at the screens: the hold is shown until the journal is back, and a typed reason ends the wait."""

from __future__ import annotations

import asyncio

from console.ui.screen_operator import ScreenOperator


async def test_reason_typed_at_the_screen_reaches_the_run_that_holds() -> None:
    person = ScreenOperator()
    assert not person.break_it("too early")
    person.holding("R-1", "journal away")
    waiting = asyncio.create_task(person.break_glass("R-1", 12))
    await asyncio.sleep(0)
    assert "HOLD R-1: journal away" in person.holds["R-1"]
    assert person.break_it("both ports dark")
    assert await waiting == "both ports dark"
    assert not person.break_it("again")
    person.returned("R-1", 3.0, 2)
    assert person.holds == {}
