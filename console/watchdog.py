"""The watchdog's process: `python -m console.watchdog`, started by a console before an act, silent until it must act.

Everything that it needs comes over its stdin, never by argument, environment or file: one JSON line with the site and
the login, answered `ready` once it can see the network; one JSON line with its charge, answered `armed`; then `renew`
as long as the console lives, or `confirm` when the change may stay. An end of the pipe, or silence for longer than the
charge allows, makes it act (runbooks/watchdog.py). It stands in a session of its own: no hangup reaches it.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connectors.errors import InterlockError
from console.commands.status import collect
from console.folders import state_dir
from console.journals import open_journal
from console.live import LiveScene
from console.sites import Chosen
from console.wiring import Watch, utc_now, watching
from network.health import judge
from network.sitefile import load
from network.verdict import Verdict
from runbooks.effects import ARMED, Finding
from runbooks.journal import Journal, JournalError
from runbooks.model import StepDef
from runbooks.perform import Performer
from runbooks.view import RunView
from runbooks.watchdog import Charge, Watchdog

SPOOL = "watchdog-spool.jsonl"


async def main() -> None:
    """Live for one charge."""
    said = await _stdin()
    told = json.loads(await said.readline())
    lab_folder = Path(told["lab_folder"]) if told["lab_folder"] else None
    chosen = Chosen(Path(told["file"]), load(told["site"], told["file"]), lab_folder)
    async with watching(chosen, told["operator"], token=told["token"]) as watch:
        await watch.session.pulse()  # what it will need is there before the act, not looked for after it
        await collect(watch)
        _say("ready")
        if not (line := await said.readline()):
            return
        charge = json.loads(line)
        _say(ARMED)
        if (heard := await _until_silent(said, charge["seconds"])) is not None:
            await _act(watch, charge, heard, chosen.site.mode)


async def _until_silent(said: asyncio.StreamReader, seconds: float) -> datetime | None:
    """When the console was last heard, once it has been silent for so long; None when it has confirmed."""
    heard, loop = datetime.now(UTC), asyncio.get_running_loop()
    due = loop.time() + seconds
    while True:
        try:
            async with asyncio.timeout_at(due):
                line = await said.readline()
                if not line:  # the console is gone: its time runs out all the same
                    await asyncio.Event().wait()
        except TimeoutError:
            return heard
        if line.strip() == b"confirm":
            _say(ARMED)
            return None
        heard, due = datetime.now(UTC), loop.time() + seconds
        _say(ARMED)


async def _act(watch: Watch, told: Mapping[str, Any], heard: datetime, mode: str) -> None:
    step = StepDef.model_validate(told["step"])
    charge = Charge(told["run"], step, told["timer"], told["fence"], heard)
    scene = LiveScene(watch)

    async def baseline(_view: RunView) -> Finding:
        return proven(watch, told["back_to"])

    dog = Watchdog(
        charge,
        Performer(scene),
        baseline,
        now=utc_now,
        boottime=lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
        spool=_spooled,
    )
    journal: Journal | None = None
    with suppress(JournalError, OSError):  # it acts all the same
        journal = await open_journal("watchdog", mode)
    try:
        await dog.restore(journal)
    finally:
        await scene.close()
        if journal is not None:
            await journal.close()


def proven(watch: Watch, names: list[str]) -> Finding:
    """Whether every path that the undo would load is seen to be up; what is not known is not proven."""
    health = judge(watch.site, watch.collector.snapshot, utc_now())
    bad = [path for path in map(health.path, names) if path.verdict is not Verdict.UP]
    if not bad:
        return Finding(True, "the paths that would carry again are up")
    ok = False if any(path.verdict in {Verdict.DOWN, Verdict.DEGRADED} for path in bad) else None
    return Finding(ok, "; ".join(f"{path.name} is {path.verdict.value} {path.why}".strip() for path in bad))


def _spooled(entry: Mapping[str, Any]) -> None:
    """What the journal could not take, a line each, on disk before anything further is done."""
    with os.fdopen(os.open(state_dir() / SPOOL, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), "a") as file:
        file.write(json.dumps(entry) + "\n")
        file.flush()
        os.fsync(file.fileno())


async def _stdin() -> asyncio.StreamReader:
    reader = asyncio.StreamReader(limit=16 * 1024 * 1024)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    return reader


def _say(word: str) -> None:
    """To a console that may be gone."""
    try:
        os.write(1, f"{word}\n".encode())
    except OSError:
        return


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except InterlockError as error:
        _say(f"failed: {error}")
        sys.exit(3)
