"""The lab's own hand on ServiceNow: make a change, force its fields, show it. No business rule applies."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from lab.servicenow.change_api import affected, set_conflicts
from lab.servicenow.rules import after_update
from lab.servicenow.store import Row, Store
from lab.servicenow.tables import READ_ONLY, TABLES
from lab.servicenow.words import UnknownNameError, choice, moment, stamp, truth, unstamp, window

_COLUMNS = TABLES["change_request"]
_SHORT = {"start": "start_date", "end": "end_date"}
_EXTRA = ("window", "ci", "conflict", *_SHORT)
_BY = "lab"


class ChangeControl:
    """`names` are the CIs that exist; the first is a change's own CI when none is named."""

    def __init__(self, store: Store, names: Sequence[str]) -> None:
        self._store = store
        self._names = tuple(names)

    def new_change(
        self,
        ci: Sequence[str] = (),
        window_min: int = 120,
        state: str = "implement",
        **fields: str,
    ) -> str:
        """Make a change and return its number.

        Approved, type normal, from one minute ago to `window_min` minutes ahead, on every CI of the site
        unless `ci` names some. `fields` as in `set_change`. Raises UnknownNameError.
        """
        now = self._store.clock()
        values = {
            "short_description": "Planned work on the network",
            "approval": "approved",
            "start_date": stamp(now - timedelta(minutes=1)),
            "end_date": stamp(now + timedelta(minutes=window_min)),
        }
        wanted = {"state": state, "ci": ",".join(ci or self._names)} | fields
        settings = self._settings(wanted)
        model = next(self._store.find("chg_model", name="Normal"))
        row = self._store.insert("change_request", values | {"chg_model": model["sys_id"]}, _BY)
        self._force(row, settings)
        return row["number"]

    def set_change(self, number: str, /, **fields: str) -> dict[str, Any]:
        """Force fields of a change, in words.

        `state=scheduled`, `on_hold=true`, `approval=requested`, `window=open|closed|future`, `start=+5m`,
        `ci=port-a,dx-1`, `conflict=Blackout` (`none` clears), and any other column as text.

        Returns what `show_change` returns. Raises UnknownNameError and changes nothing then.
        """
        row = self._change(number)
        self._force(row, self._settings(fields))
        return self.show_change(number)

    def show_change(self, number: str) -> dict[str, Any]:
        """{number, state, approval, on_hold, start, end, cis, conflicts, notes[], tasks[], attachments[]}."""
        row = self._change(number)
        sys_id = row["sys_id"]
        return {
            "number": number,
            "state": _COLUMNS["state"].choices[row["state"]],
            "type": row["type"],
            "approval": row["approval"],
            "on_hold": row["on_hold"] == "true",
            "start": _iso(row["start_date"]),
            "end": _iso(row["end_date"]),
            "cis": affected(self._store, row),
            "conflicts": [each["type"] for each in self._store.conflicts.get(sys_id, [])],
            "notes": [_note(each) for each in self._store.journal(sys_id, "work_notes")],
            "tasks": [_task(each) for each in self._store.find("change_task", change_request=sys_id)],
            "attachments": [
                {"name": each["file_name"], "type": each["content_type"], "bytes": int(each["size_bytes"])}
                for each in self._store.find("sys_attachment", table_sys_id=sys_id)
            ],
        }

    def _change(self, number: str) -> Row:
        found = next(self._store.find("change_request", number=number), None)
        if found is None:
            numbers = [row["number"] for row in self._store.rows["change_request"].values()]
            raise UnknownNameError("change", number, numbers)
        return found

    def _settings(self, fields: Mapping[str, str]) -> list[Callable[[Row], None]]:
        """Read every field before any is set: bad input changes nothing."""
        return [self._setting(_SHORT.get(name, name), value) for name, value in fields.items()]

    def _setting(self, name: str, given: str) -> Callable[[Row], None]:
        now = self._store.clock()
        if name == "window":
            start, end = window(given, now)
            return lambda row: row.update(start_date=start, end_date=end)
        if name == "ci":
            cis = [self._ci(each.strip()) for each in given.split(",") if each.strip()]
            return lambda row: self._put_cis(row, cis)
        if name == "conflict":
            found = [] if given.casefold() in {"", "none"} else [{"type": given}]
            return lambda row: set_conflicts(self._store, row, found)
        value = self._value(name, given)
        return lambda row: row.update({name: value})

    def _value(self, name: str, given: str) -> str:
        column = _COLUMNS.get(name)
        if column is None or name in READ_ONLY or column.kind == "journal":
            settable = [each for each in _COLUMNS if each not in READ_ONLY]
            raise UnknownNameError("field", name, [*settable, *_EXTRA])
        if column.choices:
            return choice(name, given, column.choices)
        if column.kind == "bool":
            return truth(name, given)
        if column.kind == "datetime":
            return moment(name, given, self._store.clock()) if given else ""
        return self._ci(given) if column.refers == "cmdb_ci" else given

    def _ci(self, name: str) -> str:
        found = next(self._store.find("cmdb_ci", name=name), None)
        if found is None:
            raise UnknownNameError("CI", name, self._names)
        return found["sys_id"]

    def _put_cis(self, row: Row, cis: list[str]) -> None:
        row["cmdb_ci"] = cis[0] if cis else ""
        for old in list(self._store.find("task_ci", task=row["sys_id"])):
            del self._store.rows["task_ci"][old["sys_id"]]
        for each in cis[1:]:
            self._store.insert("task_ci", {"task": row["sys_id"], "ci_item": each}, _BY)

    def _force(self, row: Row, settings: list[Callable[[Row], None]]) -> None:
        before = row["state"]
        for put in settings:
            put(row)
        self._store.update("change_request", row, {}, _BY)
        after_update(row, before, stamp(self._store.clock()))


def _iso(value: str) -> str | None:
    return unstamp(value).strftime("%Y-%m-%dT%H:%M:%SZ") if value else None


def _note(entry: Row) -> dict[str, Any]:
    return {"at": _iso(entry["sys_created_on"]), "by": entry["sys_created_by"], "text": entry["value"]}


def _task(row: Row) -> dict[str, Any]:
    state = TABLES["change_task"]["state"].choices.get(row["state"], row["state"])
    return {"number": row["number"], "state": state, "text": row["short_description"]}
