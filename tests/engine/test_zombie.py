"""A console frozen between its intent and its effect, taken over, and thawed: what it sends then.

A fence in a database cannot recall a packet. What keeps the stale effect from being applied is the intent's window on
CLOCK_BOOTTIME; with a window that is still open, the same freeze applies it, and the log says so.
"""

from __future__ import annotations

import asyncio
import os
import signal
from datetime import timedelta

import pytest

from runbooks.engine import view_of
from runbooks.journal import DriverAlive
from runbooks.journal.where import Where
from tests.engine.children import children
from tests.engine.little_device import World, console

# It stands in synchronous code directly before its first send: no timer and no news can reach it.
FROZEN = """
async def main():
    world = World()
    def moment(name):
        if name == "before do shut":
            say(at=name)
            told()
    world.moment = moment
    boottime = lambda: time.clock_gettime(time.CLOCK_BOOTTIME)
    async with console(path, world, boottime=boottime, lease_s=2 * OPEN_S) as (journal, engine):
        step = act("shut", timeout_s=SETTLE_S, window_s=float(sys.argv[2]))
        row = await journal.create_run(book({"steps": [step]}))
        try:
            await engine.drive(row.run_id, row.fence)
            ended = "by itself"
        except JournalError as error:
            ended = type(error).__name__
        say(ended=ended, ledger=world.device.ledger)
asyncio.run(main())
"""
SETTLE_S = 1.0
OPEN_S = 300.0  # no window on a shared journal is longer than half a lease


@pytest.mark.parametrize(("window_s", "applied"), [(0.5, []), (OPEN_S, [["shut", "do"]])], ids=["window", "no-window"])
async def test_the_stale_effect_of_a_thawed_console(where: Where, window_s: float, applied: list[list[str]]) -> None:
    script = FROZEN.replace("SETTLE_S", str(SETTLE_S)).replace("OPEN_S", str(OPEN_S))
    with children(script, str(where), str(window_s)) as (zombie,):
        assert zombie.heard() == {"at": "before do shut"}
        os.kill(zombie.process.pid, signal.SIGSTOP)
        async with console(where, World(), "bob") as (journal, engine):
            run = (await journal.runs())[0].run_id
            with pytest.raises(DriverAlive):
                await journal.claim(run)  # frozen is not dead
            fence = await journal.claim(run, force=True)
            await engine.request_rollback(run, fence, "the console hangs")
            assert (await engine.drive(run, fence)).state == "ROLLED_BACK"
            intent, looked = [e for e in await journal.events(run) if e.kind in {"act.intent", "act.observed"}]
            assert looked.ts - intent.ts >= timedelta(seconds=SETTLE_S), "it let the other's act end before it looked"

            os.kill(zombie.process.pid, signal.SIGCONT)
            zombie.tell("go on")
            end = await asyncio.to_thread(zombie.heard)
            assert end == {"ended": "FenceLost", "ledger": applied}
            late = (await journal.events(run))[-1]
            assert (late.kind, late.fence, late.actor) == ("late.act.result", None, "alice")
            assert late.data["result"] == ("act.result" if applied else "act.not_sent")
            view = await view_of(journal, run)
            assert (view.state, view.disputed) == ("ROLLED_BACK", True)
            assert [report.ok for report in await journal.verify(run)] == [True]
