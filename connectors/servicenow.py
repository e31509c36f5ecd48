"""ServiceNow: the human gate. Reads a change's facts, appends work notes; the only importer of pysnow.

pysnow 0.7.17 hides errors of answers that nobody consumes, loses `error` of a 200 that also has a
`result`, and raises bare requests errors: so a response hook on the Session judges every answer before
pysnow sees it. A Resource shared between threads mixes up answers: each read makes its own.
"""

import asyncio
import json
import re
import threading
import time
import warnings
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

from connectors.errors import Denied, InterlockError, NotFound, NotSent
from connectors.redact import redactor
from connectors.servicenow_answers import Verdicts
from connectors.servicenow_rows import (
    Change,
    Note,
    Planned,
    Row,
    read_change,
    read_note,
    read_planned,
    server_time,
    shown,
    value_of,
)

__all__ = ["Change", "Health", "Note", "NoteReceipt", "ServiceNow"]

NOTE_LIMIT = 4000  # characters, contract B6
THREADS = 8
_NUMBER = re.compile(r"[A-Za-z]{2,10}\d{1,20}", re.ASCII)
#: Scheduled and Implement: what is planned and may be done.
PLANNED_STATES = (-2, -1)
MOST_PLANNED = 1000
_DAY = timedelta(days=1)
T = TypeVar("T")


def _stamp(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


@dataclass(frozen=True, slots=True)
class Health:
    """`server_time`: UTC, whole seconds, None without a Date header. `latency_s`: one authenticated read."""

    server_time: datetime | None
    latency_s: float


@dataclass(frozen=True, slots=True)
class NoteReceipt:
    """`already`: the marker was there before, nothing was written. `recorded`: read back; else `why` not."""

    already: bool
    recorded: bool
    why: str = ""


class _Call:
    """One action's deadline, and the point after which it may have written.

    The thread cannot be cancelled: it asks here before it writes, so that an action whose caller has
    gone away writes nothing any more.
    """

    def __init__(self, deadline_s: float) -> None:
        self._ends = time.monotonic() + deadline_s
        self._lock = threading.Lock()
        self._given_up = False
        self._writing = False

    def left_s(self) -> float:
        return self._ends - time.monotonic()

    def may_write(self) -> bool:
        with self._lock:
            self._writing = not self._given_up and self.left_s() > 0
            return self._writing

    def give_up(self) -> bool:
        """The caller leaves. True when a write is on its way."""
        with self._lock:
            self._given_up = True
            return self._writing


class ServiceNow:
    """One instance and one login. Every action has `deadline_s` in all, and its own error for each failure.

    Reads raise Unreachable, TimedOut, Throttled, Denied, NotFound, BadReply. `note` adds NotSent and
    OutcomeUnknown; any other error of it means that nothing was written.
    """

    def __init__(
        self,
        base_url: str,
        user: str,
        password: str,
        *,
        deadline_s: float = 10.0,
        connect_s: float = 3.0,
        ca_file: str | None = None,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        parts = urlsplit(base_url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise NotSent(
                f"{base_url!r} is not a base URL",
                where="ServiceNow",
                do_next="Give the instance as https://NAME.service-now.com in the site file.",
            )
        self._https = parts.scheme == "https"
        self._host = parts.netloc.rpartition("@")[2]
        self._where = f"ServiceNow {self._host}"
        self._verdicts = Verdicts(self._where, deadline_s)
        self._login = (user, redactor.add(password))
        self._deadline_s, self._connect_s = deadline_s, connect_s
        self._ca_file = ca_file
        self._clock = clock
        # Threads of its own: a silent ServiceNow must not use up those that Vault and DNS wait for.
        self._threads = ThreadPoolExecutor(THREADS, "servicenow")
        self._opening = threading.Lock()
        self._client: Any = None

    async def change(self, number: str) -> Change:
        """The facts of a change. Raises NotFound when there is no such change, or it is hidden."""
        return await self._perform(lambda call: self._read_change(call, number))

    async def notes(self, number: str) -> list[Note]:
        """The change's work notes, oldest first."""

        def read(call: _Call) -> list[Note]:
            row, _ = self._find(call, number)
            return self._journal(call, value_of(row["sys_id"]))

        return await self._perform(read)

    async def note(self, number: str, text: str, marker: str) -> NoteReceipt:
        """Append a work note once: nothing is written when `marker` already stands in the journal.

        The marker is put in front of the text unless the text holds it. A write that a former, silent
        call left under way on their side can still land after this look: no interface prevents that.
        Raises OutcomeUnknown when the write had no clear answer: call again to settle it.
        """
        body = text if marker in text else f"{marker} {text}"
        self._check_note(number, body, marker)
        ends = time.monotonic() + self._deadline_s
        if not await self._perform(lambda call: self._append(call, number, body, marker)):
            return NoteReceipt(already=True, recorded=True)
        left_s = max(0.0, ends - time.monotonic())
        try:
            recorded = await self._perform(lambda call: self._has_note(call, number, marker), left_s)
        except InterlockError as error:
            return NoteReceipt(already=False, recorded=False, why=str(error))
        why = "" if recorded else "accepted, but this login does not see it in the change's work notes"
        return NoteReceipt(already=False, recorded=recorded, why=why)

    async def planned(self, since: datetime, until: datetime) -> list[Planned]:
        """Approved changes, scheduled or under way, whose window lies in part between the two moments."""
        return await self._perform(lambda call: self._read_planned(call, since, until))

    async def health(self) -> Health:
        """One small authenticated read."""

        def read(call: _Call) -> Health:
            began = time.monotonic()
            _, headers = self._rows(call, "change_request", "", limit=1, fields=["sys_id"])
            return Health(server_time(headers), time.monotonic() - began)

        return await self._perform(read)

    async def aclose(self) -> None:
        """Close the connections. A thread still waiting for an answer ends with its own deadline."""
        if self._client is not None:
            self._client.close()
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _perform(self, act: Callable[[_Call], T], left_s: float | None = None) -> T:
        """Run one action in a thread, within the deadline or what is left of it."""
        within_s = self._deadline_s if left_s is None else left_s
        call = _Call(within_s)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(within_s):
                return await loop.run_in_executor(self._threads, act, call)
        except TimeoutError as error:
            raise self._verdicts.silent(written=call.give_up()) from error
        finally:
            call.give_up()

    def _read_change(self, call: _Call, number: str) -> Change:
        fetched_at = self._clock()
        row, headers = self._find(call, number)
        sys_id = value_of(row["sys_id"])
        affected, _ = self._rows(call, "task_ci", f"task={sys_id}")
        mine = [each for each in affected if value_of(each.get("task")) == sys_id]
        resource = self._resource(call, "/change", base_path="/api/sn_chg_rest")
        answer = self._send(lambda: resource.request("GET", path_append=f"/{sys_id}/conflict"))
        conflicts = self._result(answer, dict)
        where = f"{self._where} {number}"
        return read_change(row, mine, conflicts, headers=headers, fetched_at=fetched_at, where=where)

    def _read_planned(self, call: _Call, since: datetime, until: datetime) -> list[Planned]:
        """An invalid query widens and dates may be read in the user's zone: asked with a day more, judged here."""
        window = f"start_date<={_stamp(until + _DAY)}^end_date>={_stamp(since - _DAY)}"
        query = f"approval=approved^stateIN{','.join(map(str, PLANNED_STATES))}^{window}"
        rows, _ = self._rows(call, "change_request", query, limit=MOST_PLANNED)
        if len(rows) == MOST_PLANNED:
            raise self._verdicts.bad(f"{MOST_PLANNED} planned changes or more: what is not listed may overlap", "")
        ids = [value_of(row.get("sys_id")) for row in rows]
        affected, _ = self._rows(call, "task_ci", f"taskIN{','.join(ids)}") if ids else ([], {})
        of: dict[str, list[Row]] = {}
        for each in affected:
            of.setdefault(value_of(each.get("task")), []).append(each)
        return [
            planned
            for row, sys_id in zip(rows, ids, strict=True)
            if value_of(row.get("approval")) == "approved"
            and (planned := read_planned(row, of.get(sys_id, []), self._where)).state_code in PLANNED_STATES
            and planned.start is not None
            and planned.start <= until
            and (planned.end is None or planned.end >= since)
        ]

    def _append(self, call: _Call, number: str, body: str, marker: str) -> bool:
        """Write the note; False when it was there already."""
        row, _ = self._find(call, number)
        if self._sees(call, row, marker):
            return False
        resource = self._resource(call, "/table/change_request")
        if not call.may_write():
            raise NotSent(
                "no time was left to write the note",
                where=self._where,
                do_next="Nothing was sent: try again.",
            )
        path = f"/{value_of(row['sys_id'])}"
        data = json.dumps({"work_notes": body})
        answer = self._send(lambda: resource.request("PATCH", path_append=path, data=data), writes=True)
        self._result(answer, dict, writes=True)
        return True

    def _has_note(self, call: _Call, number: str, marker: str) -> bool:
        row, _ = self._find(call, number)
        return self._sees(call, row, marker)

    def _sees(self, call: _Call, row: Row, marker: str) -> bool:
        """Look in the joined text of the record, then in the journal table, which a role may not read."""
        if marker in shown(row.get("work_notes")):
            return True
        try:
            return any(marker in note.text for note in self._journal(call, value_of(row["sys_id"])))
        except Denied as error:
            if error.login_again:
                raise
            return False

    def _journal(self, call: _Call, sys_id: str) -> list[Note]:
        query = f"element_id={sys_id}^element=work_notes^ORDERBYsys_created_on"
        rows, _ = self._rows(call, "sys_journal_field", query)
        mine = [each for each in rows if value_of(each.get("element_id")) == sys_id]
        return [read_note(each, self._where) for each in mine if value_of(each.get("element")) == "work_notes"]

    def _find(self, call: _Call, number: str) -> tuple[Row, Mapping[str, str]]:
        """The change's record. An invalid query widens the result, so the number is compared here too."""
        self._check_number(number)
        rows, headers = self._rows(call, "change_request", f"number={number}", limit=10)
        found = [row for row in rows if value_of(row.get("number")).casefold() == number.casefold()]
        if not found:
            raise NotFound(
                f"no change {number}",
                where=self._where,
                do_next="Check the number; the API user's role may also hide the record.",
            )
        if len(found) > 1 or not value_of(found[0].get("sys_id")):
            raise self._verdicts.bad(f"{len(found)} records for {number}, or one without sys_id", "")
        return found[0], headers

    def _rows(
        self, call: _Call, table: str, query: str, *, limit: int = 10_000, fields: list[str] | None = None
    ) -> tuple[list[Row], Mapping[str, str]]:
        resource = self._resource(call, f"/table/{table}")
        resource.parameters.display_value = "all"
        answer = self._send(lambda: resource.get(query=query, limit=limit, fields=fields or []))
        rows = self._result(answer, list)
        if not all(isinstance(row, Mapping) for row in rows):
            raise self._verdicts.bad(f"table {table}: a row is not an object", str(rows))
        return rows, answer.headers

    def _resource(self, call: _Call, path: str, base_path: str = "/api/now") -> Any:
        left = call.left_s()
        if left <= 0:
            raise self._verdicts.silent(written=False)
        timeout = (min(self._connect_s, left), left)
        return self._opened().resource(api_path=path, base_path=base_path, timeout=timeout)

    def _opened(self) -> Any:
        with self._opening:
            if self._client is None:
                self._client = self._open()
            return self._client

    def _open(self) -> Any:
        with warnings.catch_warnings():  # pysnow's import warns of a missing libmagic, which we do not use
            warnings.simplefilter("ignore")
            import pysnow
            import requests
        session = requests.Session()
        session.trust_env = False  # a proxy or .netrc of the operator's shell is not the site's
        session.auth = self._login
        session.verify = self._ca_file or True
        session.hooks["response"].append(self._verdicts.judge)
        session.mount("https://", requests.adapters.HTTPAdapter(pool_maxsize=THREADS))
        session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=THREADS))
        return pysnow.Client(host=self._host, use_ssl=self._https, session=session)

    def _send(self, ask: Callable[[], Any], *, writes: bool = False) -> Any:
        """Send one request; requests' own errors become ours."""
        import requests

        try:
            return ask()
        except requests.exceptions.RequestException as error:
            raise self._verdicts.broken(error, writes=writes) from error

    def _result(self, answer: Any, shape: type[Any], *, writes: bool = False) -> Any:
        """Consume an answer that the hook has let through, and check its outer shape."""
        import pysnow.exceptions

        try:
            result = answer.all() if shape is list else answer.one()
        except pysnow.exceptions.PysnowException as error:
            result = error
        if isinstance(result, shape):
            return result
        if writes:
            raise self._verdicts.unknown(f"unclear answer: {type(result).__name__}")
        raise self._verdicts.bad(f"the result is not a {shape.__name__}", str(result))

    def _check_number(self, number: str) -> None:
        if not _NUMBER.fullmatch(number):
            raise NotFound(
                f"{number!r} is not a change number",
                where=self._where,
                do_next="A change number looks like CHG0030001.",
            )

    def _check_note(self, number: str, body: str, marker: str) -> None:
        self._check_number(number)
        if not marker.strip():
            raise NotSent("the note has no marker", where=self._where, do_next="Give run and step, [RUN #7].")
        if len(body) > NOTE_LIMIT:
            raise NotSent(
                f"the note has {len(body)} characters, ServiceNow takes {NOTE_LIMIT}",
                where=self._where,
                do_next="Shorten it, or attach it as a file.",
            )
