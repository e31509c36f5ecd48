"""The console on a site, and `demo`: a lab and the console in one, cleaned up however it ends."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import io
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from console.exits import Exit
from console.fail import UsageError
from console.sites import Chosen, choose

if TYPE_CHECKING:
    from console.desk import Desk as AtDesk
    from console.ui.desk_port import Connection, Desk
    from console.ui.screen_operator import ScreenOperator
    from runbooks.exits import ExitPath

#: Signals that end the console the way `q` does, so that everything is put away.
_LEAVING = (signal.SIGTERM, signal.SIGHUP)


def console(site_file: Path | None, *, write: bool, operator: str | None) -> Exit:
    """The screens on the chosen site. Raises UsageError without a terminal."""
    gc.disable()  # some 8 % of the time to the first paint; on again right after it
    chosen = choose(site_file)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise UsageError("the console needs a terminal; without one: interlock status --plain or --json")
    return asyncio.run(_screens(chosen, operator, write=write))


def demo(*, routers: str, write: bool, operator: str | None) -> Exit:
    """Start a lab in a folder of its own, open the console on it, take both away in the end."""
    with leaving_by_signal(), temporary_lab(routers):
        return console(None, write=write, operator=operator)


@contextlib.contextmanager
def temporary_lab(routers: str) -> Iterator[None]:
    """A lab whose state, journal and configuration lie in a fresh folder; gone when the block ends."""
    from console.commands.lab import start_detached
    from console.folders import state_dir
    from lab.state import lab_folder

    home = Path(tempfile.mkdtemp(prefix="interlock-demo-"))
    before = {name: os.environ.get(name) for name in ("XDG_STATE_HOME", "XDG_CONFIG_HOME", "INTERLOCK_SITE")}
    os.environ.pop("INTERLOCK_SITE", None)
    os.environ["XDG_STATE_HOME"], os.environ["XDG_CONFIG_HOME"] = str(home / "state"), str(home / "config")
    try:
        print("interlock: starting the lab …", file=sys.stderr)
        start_detached(lab_folder(state_dir()), routers)
        yield
    finally:
        for number in (*_LEAVING, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)  # once it is leaving, nothing may stop it from cleaning up
        _take_down()
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        shutil.rmtree(home, ignore_errors=True)


def _take_down() -> None:
    """End the lab; a lab that never came up, or ended by itself, is no reason to fail now."""
    from console.commands.lab import down
    from lab.errors import LabError

    with contextlib.suppress(LabError), contextlib.redirect_stdout(io.StringIO()):  # the terminal may be gone
        down()


@contextlib.contextmanager
def leaving_by_signal() -> Iterator[None]:
    """Outside the screens a signal raises KeyboardInterrupt, so that every `finally` runs."""

    def leave(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (*_LEAVING, signal.SIGINT)}
    for number in _LEAVING:
        signal.signal(number, leave)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


async def _screens(chosen: Chosen, operator: str | None, *, write: bool) -> Exit:
    """Paint first; everything that connecting imports comes after, on a thread."""
    from console.ui.app import InterlockApp

    left = Left()
    async with contextlib.AsyncExitStack() as open_things:

        async def connect(person: ScreenOperator) -> Connection:
            return await connected(open_things, chosen, operator, person, left)

        app = InterlockApp(
            chosen.site,
            connect,
            mode="LAB" if chosen.lab_folder else "LIVE",
            operator=operator or ("alice" if chosen.lab_folder else os.environ.get("USER", "")),
            write=write,
            clock=lambda: datetime.now(UTC),
        )
        loop = asyncio.get_running_loop()
        for number in _LEAVING:
            loop.add_signal_handler(number, left.by, number, app.exit)
        await app.run_async()
    return Exit(app.return_code or Exit.OK)


class Left:
    """On which exit path the screens were left; `q` is like a Ctrl-C on the command line."""

    def __init__(self) -> None:
        self.path: ExitPath = "ctrl-c"

    def by(self, number: signal.Signals, leave: Callable[[], None]) -> None:
        self.path = "sighup" if number is signal.SIGHUP else "sigterm"
        leave()


async def connected(
    stack: contextlib.AsyncExitStack,
    chosen: Chosen,
    operator: str | None,
    person: ScreenOperator,
    left: Left | None = None,
) -> Connection:
    """Watch the site, and open a desk when it is asked for; both end with the stack, runs by the exit table."""
    gc.enable()
    await asyncio.to_thread(_import_connectors)
    from console.ui.desk_port import Connection
    from console.wiring import watching

    watch = await stack.enter_async_context(watching(chosen, operator))

    async def desk() -> Desk:
        from console.desk import at_desk

        opened = await stack.enter_async_context(at_desk(watch, person, write=False, outage=person))
        stack.push_async_callback(_leave, opened, left or Left())
        return opened

    return Connection(watch.collector, desk)


async def _leave(desk: AtDesk, left: Left) -> None:
    """The screens are gone: whatever is driven here ends its atomic group, or what its step says, before it is left."""
    from console.commands.past import say_interrupted

    if desk.driving:
        runs = ", ".join(desk.driving)
        with contextlib.suppress(OSError):  # so may the terminal be
            print(f"interlock: {runs}: leaving at the next safe place; Ctrl-C: at once", file=sys.stderr)
        await desk.leave(left.path)
        with contextlib.suppress(OSError, ValueError):
            await say_interrupted(desk.journal)


def _import_connectors() -> None:
    """The slow imports, off the event loop: keys are answered meanwhile."""
    import console.desk
    import console.wiring  # noqa: F401 -- imported for later
