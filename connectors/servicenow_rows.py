"""ServiceNow's records as facts. Pure: takes what the REST APIs print, in every form they print it in.

A field may come as a string, a number, a bool, or an object {"display_value", "value"}; a state as "-1",
-1 or -1.0. Date-times are read from `value` alone: that is UTC, the display form is in the user's zone.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

from connectors.errors import BadReply

Row = Mapping[str, Any]
_STAMP = "%Y-%m-%d %H:%M:%S"
_FLAGS = {"true": True, "1": True, "false": False, "0": False}


@dataclass(frozen=True, slots=True)
class Change:
    """A change as ServiceNow shows it: facts only; what they permit is decided elsewhere.

    `state` is the label ("Implement"), `state_code` the stored code (-1). `start`, `end`: the planned
    window, UTC, None when not set. `cis`: names, the change's own CI first, then its affected CIs.
    `conflicts` is empty both when none was found and when nobody looked: see `conflict_status`
    ("Not Run"). `fetched_at`: our clock before the first read; `server_time`: theirs, whole seconds,
    None when the answer bore no usable Date header.
    """

    number: str
    sys_id: str
    state: str
    state_code: int
    approval: str
    type: str
    on_hold: bool
    on_hold_reason: str
    start: datetime | None
    end: datetime | None
    cis: tuple[str, ...]
    conflicts: tuple[str, ...]
    short_description: str
    fetched_at: datetime
    server_time: datetime | None
    conflict_status: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """One work note: when (UTC), by which user, the text."""

    at: datetime | None
    by: str
    text: str


@dataclass(frozen=True, slots=True)
class Planned:
    """An approved change of the calendar. `start`, `end`: the planned window, UTC; `cis` as in `Change`."""

    number: str
    state_code: int
    title: str
    start: datetime | None
    end: datetime | None
    cis: tuple[str, ...]


def value_of(cell: Any) -> str:
    """The stored value of a field as ServiceNow's own string: "true", "-1", "" for null."""
    if isinstance(cell, Mapping):
        return value_of(cell.get("value", cell.get("display_value")))
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    return "" if cell is None else str(cell)


def shown(cell: Any) -> str:
    """What a person sees: the display value, else the stored one."""
    if isinstance(cell, Mapping) and cell.get("display_value") not in (None, ""):
        return value_of(cell["display_value"])
    return value_of(cell)


def cell(row: Row, name: str, where: str) -> Any:
    """A field that must be there. Raises BadReply: a hidden field is unknown, never empty."""
    if name not in row:
        raise BadReply(
            f"the record has no field {name!r}",
            where=where,
            do_next="Let the API user's role read every column of the table.",
        )
    return row[name]


def flag(row: Row, name: str, where: str) -> bool:
    """A true/false field. Raises BadReply on anything else, "" included (a hidden field reads as "")."""
    text = value_of(cell(row, name, where)).lower()
    if text not in _FLAGS:
        raise _odd(name, text, "true or false", where)
    return _FLAGS[text]


def code(row: Row, name: str, where: str) -> int:
    """A whole number, from "-1", -1, -1.0 or "-1.0". Raises BadReply."""
    text = value_of(cell(row, name, where))
    if not re.fullmatch(r"-?\d{1,6}(?:\.0+)?", text, re.ASCII):
        raise _odd(name, text, "a state code such as -1", where)
    return int(text.partition(".")[0])


def moment(row: Row, name: str, where: str) -> datetime | None:
    """A date-time in UTC, None when empty. Raises BadReply."""
    text = value_of(cell(row, name, where))
    if not text:
        return None
    try:
        return datetime.strptime(text, _STAMP).replace(tzinfo=UTC)
    except ValueError as error:
        raise _odd(name, text, "YYYY-MM-DD HH:MM:SS", where) from error


def server_time(headers: Mapping[str, str]) -> datetime | None:
    """The answer's Date header, UTC; None when missing or unreadable."""
    try:
        at = parsedate_to_datetime(headers.get("Date", ""))
    except ValueError:
        return None
    return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)


def read_change(
    row: Row,
    affected: Sequence[Row],
    conflicts: Row,
    *,
    headers: Mapping[str, str],
    fetched_at: datetime,
    where: str,
) -> Change:
    """A change from its record, its task_ci records and its conflict answer. Raises BadReply."""
    names = [shown(row.get("cmdb_ci")), *(shown(cell(each, "ci_item", where)) for each in affected)]
    return Change(
        number=value_of(cell(row, "number", where)),
        sys_id=value_of(cell(row, "sys_id", where)),
        state=shown(cell(row, "state", where)),
        state_code=code(row, "state", where),
        approval=value_of(cell(row, "approval", where)),
        type=value_of(cell(row, "type", where)),
        on_hold=flag(row, "on_hold", where),
        on_hold_reason=value_of(row.get("on_hold_reason")),
        start=moment(row, "start_date", where),
        end=moment(row, "end_date", where),
        cis=tuple(dict.fromkeys(name for name in names if name)),
        conflicts=read_conflicts(conflicts, where),
        short_description=value_of(row.get("short_description")),
        fetched_at=fetched_at,
        server_time=server_time(headers),
        conflict_status=value_of(row.get("conflict_status")),
    )


def read_planned(row: Row, affected: Sequence[Row], where: str) -> Planned:
    """A change of the calendar from its record and its task_ci records. Raises BadReply."""
    names = [shown(row.get("cmdb_ci")), *(shown(cell(each, "ci_item", where)) for each in affected)]
    return Planned(
        number=value_of(cell(row, "number", where)),
        state_code=code(row, "state", where),
        title=value_of(row.get("short_description")),
        start=moment(row, "start_date", where),
        end=moment(row, "end_date", where),
        cis=tuple(dict.fromkeys(name for name in names if name)),
    )


def read_conflicts(result: Row, where: str) -> tuple[str, ...]:
    """One line for each conflict. Judged by the list: `status` may say "Conflict" over an empty one."""
    found = cell(result, "conflicts", where)
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise _odd("conflicts", value_of(found), "a list", where)
    return tuple(_conflict(each) for each in found)


def _conflict(found: Any) -> str:
    if not isinstance(found, Mapping):
        return value_of(found)
    kind = shown(found.get("type")) or "conflict"
    named = (shown(found.get(name)) for name in ("configuration_item", "change", "schedule"))
    return " ".join([kind, *(f"({name})" for name in named if name)])


def read_note(row: Row, where: str) -> Note:
    return Note(
        at=moment(row, "sys_created_on", where),
        by=value_of(row.get("sys_created_by")),
        text=value_of(cell(row, "value", where)),
    )


def _odd(name: str, got: str, wanted: str, where: str) -> BadReply:
    return BadReply(
        f"field {name!r} is not {wanted}",
        where=where,
        do_next="Look at the record in ServiceNow; check that the API user's role may read the field.",
        evidence=got,
    )
