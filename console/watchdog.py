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
import socket
import sys
import time
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from connectors.errors import InterlockError
from connectors.redact import redactor
from console.commands.status import collect
from console.journals import journal_place, open_journal, spool_place
from console.live import LiveScene
from console.sites import Chosen
from console.wiring import Watch, utc_now, watching
from network.sitefile import load
from runbooks.effects import ARMED
from runbooks.guards.watch import GuardWatch
from runbooks.journal import Journal, JournalError
from runbooks.journal.spool import Entry, Spool
from runbooks.model import StepDef
from runbooks.perform import Performer
from runbooks.watchdog import ACTOR, Charge, Watchdog


async def main() -> None:
    """Live for one charge."""
    said = await stdin_of(sys.stdin)
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
        if (heard := await until_silent(said, charge["seconds"])) is not None:
            await _act(watch, charge, heard, chosen.site.mode)


async def until_silent(said: asyncio.StreamReader, seconds: float) -> datetime | None:
    """When the console was last heard, once it has been silent for so long; None when it has confirmed.

    What was said while this process itself stood still is heard before the time is found to be over.
    """
    loop = asyncio.get_running_loop()
    while True:
        heard, began = datetime.now(UTC), loop.time()
        line = asyncio.create_task(said.readline())
        done, _ = await asyncio.wait({line}, timeout=seconds)
        if not done:
            line.cancel()
            return heard
        if not line.result():  # the console is gone: its time runs out all the same
            await asyncio.sleep(began + seconds - loop.time())
            return heard
        _say(ARMED)
        if line.result().strip() == b"confirm":
            return None


async def _act(watch: Watch, told: Mapping[str, Any], heard: datetime, mode: str) -> None:
    step = StepDef.model_validate(told["step"])
    charge = Charge(told["run"], step, told["timer"], told["fence"], heard)
    scene = LiveScene(watch)

    journal: Journal | None = None
    with suppress(JournalError, OSError):  # it acts all the same
        journal = await open_journal(ACTOR, mode)
    dog = Watchdog(
        charge,
        Performer(scene),
        GuardWatch(scene, told["definition"]).baseline,
        now=utc_now,
        boottime=lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
        spool=_spooled,
        console=journal.console if journal else f"{socket.gethostname()}/{os.getpid()}/watchdog/{mode.upper()}",
        new_id=lambda: uuid.uuid4().hex,
    )
    try:
        await dog.restore(journal)
    finally:
        await scene.close()
        if journal is not None:
            await journal.close()


async def _spooled(entry: Entry) -> None:
    """What the journal could not take, on disk before anything further is done."""
    spool = await Spool.open(await asyncio.to_thread(spool_place, journal_place()))
    try:
        await spool.put(replace(entry, data=redactor.data(entry.data)))
    finally:
        await spool.close()


async def stdin_of(pipe: Any) -> asyncio.StreamReader:
    """The lines of an inherited pipe."""
    reader = asyncio.StreamReader(limit=16 * 1024 * 1024)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
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
