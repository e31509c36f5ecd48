"""The account of the feeds' looks: counts by hour, in one file that outlives the console. No secret is in it."""

from __future__ import annotations

import fcntl
import os
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from connectors.errors import InterlockError

Count = tuple[int, int]  # good, total
Hours = dict[str, Count]  # by the hour's beginning in UTC, `2026-01-31T15`


class AccountUnreadable(InterlockError):
    """The file is there and is not one of ours: nothing is counted over it."""


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid")

    schema_version: int = 1
    sites: dict[str, dict[str, Hours]] = {}


class FeedAccount:
    """Counts of one site's feeds. Several consoles may keep one file: each adds what it counted since its last save.

    `keeps` False: reads the file and adds its own looks in memory alone, as a single look at the status does.
    Every method that touches the file blocks: call it off the loop. Raises AccountUnreadable.
    """

    def __init__(self, file: Path, site: str, *, keeps: bool) -> None:
        self._file, self._site, self.keeps = file, site, keeps
        self._saved: dict[str, Hours] = {}
        self._fresh: dict[str, Hours] = {}

    def load(self) -> None:
        self._saved = self._read().sites.get(self._site, {})

    def look(self, feed: str, at: datetime, *, ok: bool) -> None:
        """Count one look."""
        hours = self._fresh.setdefault(feed, {})
        good, total = hours.get(hour := _hour(at), (0, 0))
        hours[hour] = (good + ok, total + 1)

    def count(self, feed: str, since: datetime) -> Count:
        """Looks since a moment, to the hour."""
        first = _hour(since)
        found = [
            count for book in (self._saved, self._fresh) for hour, count in book.get(feed, {}).items() if hour >= first
        ]
        return sum(good for good, _ in found), sum(total for _, total in found)

    def save(self, forget_before: datetime) -> None:
        """Add the new looks to the file, in one step for whoever reads it; hours before a moment are dropped."""
        if not self.keeps or not self._fresh:
            return
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._file.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            whole = self._read()
            books = whole.sites.setdefault(self._site, {})
            for feed, hours in self._fresh.items():
                book = books.setdefault(feed, {})
                for hour, (good, total) in hours.items():
                    before = book.get(hour, (0, 0))
                    book[hour] = (before[0] + good, before[1] + total)
                books[feed] = {hour: count for hour, count in book.items() if hour >= _hour(forget_before)}
            self._write(whole)
        self._saved, self._fresh = books, {}

    def _read(self) -> _File:
        try:
            return _File.model_validate_json(self._file.read_bytes())
        except FileNotFoundError:
            return _File()
        except (ValidationError, OSError) as error:
            raise AccountUnreadable(
                f"the feeds' account cannot be read ({type(error).__name__})",
                where=str(self._file),
                do_next="Move it away to begin a new account; looks are not counted until then.",
            ) from error

    def _write(self, whole: _File) -> None:
        fresh = self._file.with_suffix(f".{os.getpid()}")
        with fresh.open("w") as out:
            out.write(whole.model_dump_json())
            out.flush()
            os.fsync(out.fileno())
        fresh.replace(self._file)


def _hour(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H")
