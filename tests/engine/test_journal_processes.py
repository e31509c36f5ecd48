"""Several real processes on one journal file: races, a kill -9, a process that outlives its claim."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from itertools import pairwise

import pytest

from runbooks.engine import view_of
from runbooks.journal.where import Where
from runbooks.ops import Observe, next_op
from tests.engine.little_device import World, act, book, console

PRELUDE = """
import asyncio, json, os, sys
from runbooks.journal import JournalError, LockHeld
from runbooks.journal.where import parse
from tests.engine.little_device import BOOK, Device, World, act, book, console
path = parse(sys.argv[1])
def say(**what):
    print(json.dumps(what), flush=True)
"""

RACE = """
async def main():
    async with console(path, World()) as (journal, engine):
        say(ready=True)
        sys.stdin.readline()
        won, refused = 0, False
        while won < int(sys.argv[2]):
            try:
                row = await journal.create_run(book(locks=["port:a", "port:b"]))
            except LockHeld:
                if not refused:
                    say(held=True)
                refused = True
                continue
            view = await engine.drive(row.run_id, row.fence)
            say(run=row.run_id, state=view.state)
            won += 1
asyncio.run(main())
"""

ACT_AND_HANG = """
async def main():
    world = World()
    async def hang():
        say(run=(await journal.runs())[0].run_id, pid=os.getpid())
        await asyncio.Event().wait()
    world.answers[sys.argv[2]] = hang
    async with console(path, world) as (journal, engine):
        row = await journal.create_run(book({"steps": [act("shut")]}))
        await engine.drive(row.run_id, row.fence)
asyncio.run(main())
"""


def start(script: str, *args: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PRELUDE + script, *args]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def heard(process: subprocess.Popen[str]) -> dict[str, object]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line, f"the process said nothing and ended with {process.wait(10)}"
    return dict(json.loads(line))


@pytest.mark.parametrize(("processes", "rounds"), [(2, 10), (8, 2)])
async def test_two_processes_never_hold_one_lock(where: Where, processes: int, rounds: int) -> None:
    racers = [
        start(RACE, str(where), str(rounds)) for _ in range(processes)
    ]  # all also create the file at the same moment
    for racer in racers:
        assert heard(racer) == {"ready": True}
    async with console(where, World(), "bob") as (journal, _):
        first = await journal.create_run(book(locks=["port:b"]))  # until all of them want it
        for racer in racers:
            assert racer.stdin is not None
            racer.stdin.write("go\n")
            racer.stdin.flush()
        for racer in racers:
            assert heard(racer) == {"held": True}
        await journal.append(first.run_id, "run.closed", fence=first.fence, data={"outcome": "COMPLETED"})
        said = [[json.loads(line) for line in racer.communicate(timeout=90)[0].splitlines()] for racer in racers]
        assert [racer.returncode for racer in racers] == [0] * processes
        won = [line for lines in said for line in lines]
        assert len({line["run"] for line in won}) == len(won) == processes * rounds
        assert {line["state"] for line in won} == {"COMPLETED"}
        spans = sorted((row.created_at, row.closed_at) for row in await journal.runs())
        assert all(report.ok for report in await journal.verify())
    assert len(spans) == 1 + len(won)
    for (_, closed), (created, _) in pairwise(spans):
        assert closed is not None
        assert closed <= created


@pytest.mark.parametrize(("at", "state"), [("do shut", "NEEDS_DECISION"), ("after v6 of do shut", "COMPLETED")])
async def test_kill_9_between_intent_and_result(where: Where, at: str, state: str) -> None:
    victim = start(ACT_AND_HANG, str(where), at)
    said = heard(victim)
    run, pid = str(said["run"]), int(str(said["pid"]))
    assert pid == victim.pid
    world = World()
    if state == "COMPLETED":
        world.device.values |= {"shut/v4": 120, "shut/v6": 120}  # what the dead process had sent
    async with console(where, world, "bob") as (journal, engine):
        assert await journal.orphans() == []
        os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(victim.wait, 10)
        assert [row.run_id for row in await journal.orphans()] == [run]
        assert isinstance(next_op(await view_of(journal, run)), Observe)
        fence = await journal.claim(run)
        view = await engine.drive(run, fence)
        assert view.state == state
        assert world.device.ledger == []  # looked at, not acted on again
        assert (await journal.verify(run))[0].ok
        if view.question:
            await engine.request_rollback(run, fence, "put back")
            assert (await engine.drive(run, fence)).state == "ROLLED_BACK"
            assert world.device.ledger == []  # there was nothing to undo
    for pipe in (victim.stdin, victim.stdout):
        assert pipe is not None
        pipe.close()


async def test_killed_and_not_yet_reaped_is_dead(where: Where) -> None:
    victim = start(ACT_AND_HANG, str(where), "do shut")
    run = str(heard(victim)["run"])
    async with console(where, World(), "bob") as (journal, _):
        victim.kill()
        await asyncio.to_thread(
            os.waitid, os.P_PID, victim.pid, os.WEXITED | os.WNOWAIT
        )  # a zombie in the process table
        assert await journal.claim(run) == 2
    victim.communicate(timeout=10)


def test_book_of_the_child_is_the_book_of_this_test() -> None:
    assert book({"steps": [act("shut")]}).definition["steps"][0]["id"] == "shut"
