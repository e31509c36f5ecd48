"""How a command ends when something goes wrong: one message on stderr, one exit code, no traceback for the named."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

import typer

from console.exits import Exit


class UsageError(Exception):
    """Bad usage or input: the message names the field, the value and what is allowed. Exit code 2."""


class Refused(Exception):
    """The engine refuses: gate, policy, lock, read-only, stale plan. Exit code 4."""


class Interrupted(Exception):
    """Told to end before anything was driven. Exit code 130."""


def guarded(app: Callable[..., Any]) -> int:
    """Run the command line and map what it raises to an exit code."""
    try:
        result = app(standalone_mode=False)
    except typer.Exit as done:
        return done.exit_code
    except (typer.Abort, KeyboardInterrupt):
        return Exit.INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader has gone: there is nobody to tell
        return Exit.IMPAIRED
    except Exception as error:
        if callable(show := getattr(error, "show", None)):  # the parser's own: typer keeps click's classes private
            show()
            return Exit.USAGE
        code = code_of(error)
        if code is None:
            raise
        print(f"interlock: {error}", file=sys.stderr)
        return code
    return int(result) if isinstance(result, int) else Exit.OK


def leave(code: int) -> NoReturn:
    """End the process now. Everything of ours is closed; a thread still in an SDK's call holds no terminal for it.

    The interpreter's own end would take a tenth of a second to free what the kernel frees at once.
    """
    with suppress(OSError, ValueError):  # the reader has gone, or the stream was closed for that
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def code_of(error: BaseException) -> Exit | None:
    """The exit code of a named error; None for one that nobody expected. Modules are not imported to be asked."""
    for module, name, code in _CODES:
        known = getattr(sys.modules.get(module), name, None)
        if known is not None and isinstance(error, known):
            return code
    return None


_CODES = (
    ("console.fail", "UsageError", Exit.USAGE),
    ("console.fail", "Refused", Exit.REFUSED),
    ("console.fail", "Interrupted", Exit.INTERRUPTED),
    ("network.sitefile", "SiteError", Exit.USAGE),
    ("network.things", "UnknownThing", Exit.USAGE),
    ("lab.errors", "UnknownThing", Exit.USAGE),
    ("lab.errors", "NoLab", Exit.UNREACHABLE),
    ("lab.errors", "LabRuns", Exit.REFUSED),
    ("lab.errors", "LabError", Exit.UNREACHABLE),
    ("runbooks.language", "BookError", Exit.USAGE),
    ("runbooks.scene", "CannotPlan", Exit.REFUSED),
    ("runbooks.orders", "NotTaken", Exit.REFUSED),
    ("runbooks.journal", "UnknownRun", Exit.USAGE),
    ("runbooks.journal", "FenceLost", Exit.REFUSED),
    ("runbooks.journal", "RunClosed", Exit.REFUSED),
    ("runbooks.journal", "DriverAlive", Exit.REFUSED),
    ("runbooks.journal", "LockHeld", Exit.REFUSED),
    ("runbooks.journal", "JournalError", Exit.UNREACHABLE),
    ("connectors.errors", "InterlockError", Exit.UNREACHABLE),
)
