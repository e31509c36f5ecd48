"""Which journal this console works on: --journal, INTERLOCK_JOURNAL, the user's config file, else its own file."""

from __future__ import annotations

import asyncio
import os
import sys
import uuid
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from console.fail import UsageError
from console.folders import config_dir, runtime_dir, state_dir

if TYPE_CHECKING:
    from runbooks.journal import Journal
    from runbooks.journal.signing import Signer
    from runbooks.journal.where import Where

VARIABLE = "INTERLOCK_JOURNAL"
KEYS = ("journal",)


def use_journal(asked: str | None) -> None:
    """Work on the journal that --journal names. Raises UsageError for what is no place for one."""
    if asked is not None:
        _parsed(asked, "--journal")
        os.environ[VARIABLE] = asked  # the option outranks the variable, for every verb and for nothing longer


def journal_place() -> Where:
    """Return the place of this console's journal. Raises UsageError."""
    if named := os.environ.get(VARIABLE):
        return _parsed(named, VARIABLE)
    if (configured := _configured()) is not None:
        return _parsed(configured, f"{config_dir() / 'config.yaml'}: journal")
    return state_dir() / "journal.db"


def spool_place(journal: Where, mounts: Path | None = None) -> Path:
    """Where results wait while the journal is away: of a file, on another file system if this user has one.

    Of a shared journal, on a local one: a home folder may lie on the network. `mounts`: the kernel's table of them.
    """
    from runbooks.journal.sqlite import MOUNTS, remote

    folders = [folder for folder in (state_dir(), runtime_dir()) if folder]
    if isinstance(journal, str):
        return next((folder for folder in folders if not remote(folder, mounts or MOUNTS)), folders[0]) / "spool.db"
    name = f"spool-{sha256(bytes(journal.resolve())).hexdigest()[:12]}.db"  # its runs are of this journal alone
    return next((folder for folder in folders if _device(folder) != _device(journal)), folders[0]) / name


def _device(path: Path) -> int:
    """The file system of a path that may not be there yet."""
    return next(folder for folder in (path, *path.absolute().parents) if folder.exists()).stat().st_dev


async def open_journal(user: str, mode: str) -> Journal:
    """This user's journal: a file beside the other state, or the one that several hosts share."""
    from connectors.redact import redactor
    from console.wiring import utc_now
    from runbooks.journal import Identity, Journal, JournalUnavailable
    from runbooks.journal.drain import deliver_leftovers

    place = journal_place()
    spool, signer = await asyncio.to_thread(spool_place, place), _signer(user) if mode.upper() == "LAB" else None
    try:
        journal = await Journal.open(
            place,
            identity=Identity.here(user, mode.upper()),
            now=utc_now,
            new_id=lambda: uuid.uuid4().hex,
            redact=redactor.data,
            spool=spool,
            signer=signer,
        )
    except JournalUnavailable:
        await _say_what_is_known_here(spool)
        raise
    if journal.spool is not None and (delivered := await deliver_leftovers(journal, journal.spool)):
        print(f"interlock: {delivered} entries from before an outage are in the journal now", file=sys.stderr)
    return journal


def _signer(user: str) -> Signer | None:
    """Where no lab runs, what is said of its runs is not signed: their keys went with it."""
    from console.lab_signer import LabSigner
    from lab.state import lab_folder, read

    folder = lab_folder(state_dir())
    return LabSigner(folder, user) if read(folder) else None


async def _say_what_is_known_here(spool: Path) -> None:
    """A journal that is away is never replaced by an empty one; what this host itself wrote can still be read."""
    from runbooks.journal.spool import Spool

    if not await asyncio.to_thread(spool.exists):
        return
    mirror = await Spool.open(spool)
    try:
        for run_id, last, waiting in await mirror.summary():
            told = f"{last.kind} {last.step or ''}".rstrip()
            print(
                f"interlock: {run_id} as this host knows it (read-only): last {told} at {last.ts[:19]}Z"
                f" by {last.actor}; {waiting} entries wait for the journal",
                file=sys.stderr,
            )
    finally:
        await mirror.close()


def _parsed(text: str, source: str) -> Where:
    from runbooks.journal import UnfitStorage
    from runbooks.journal.where import parse

    try:
        return parse(text)
    except UnfitStorage as unfit:
        raise UsageError(f"{source}: {unfit}") from unfit


def _configured() -> str | None:
    file = config_dir() / "config.yaml"
    if not file.exists():
        return None
    import yaml

    try:
        keys = yaml.safe_load(file.read_text()) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{file}: cannot be read: {error}") from error
    if not isinstance(keys, dict):
        raise UsageError(f"{file}: write it as `key: value`; known keys: {', '.join(KEYS)}")
    for key in keys:
        if key not in KEYS:
            near = get_close_matches(str(key), KEYS, 1) or list(KEYS)
            raise UsageError(f"{file}: {key!r} is not a key; did you mean {near[0]!r}?")
    value = keys.get("journal")
    if value is not None and not isinstance(value, str):
        raise UsageError(f"{file}: journal: {value!r} is no URL and no path")
    return value
