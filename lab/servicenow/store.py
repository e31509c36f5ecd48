"""The records themselves, in memory: insert, update, journals, look-ups, and what was written by whom."""

import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from lab.servicenow.query import parse_query
from lab.servicenow.tables import NUMBER_PREFIX, READ_ONLY, TABLES, TASK_TABLES, Column
from lab.servicenow.words import stamp

Row = dict[str, str]
JOURNAL_LIMIT = 4000
_DEFAULTS: dict[str, Row] = {
    "change_request": {
        "state": "-5",
        "type": "normal",
        "approval": "not requested",
        "risk": "3",
        "on_hold": "false",
        "conflict_status": "Not Run",
        "phase": "requested",
        "phase_state": "open",
        "category": "Network",
    },
    "change_task": {"state": "-5", "change_task_type": "planning", "on_hold": "false"},
    "incident": {"state": "1", "category": "network"},
}


@dataclass(frozen=True)
class Write:
    """One write that came over the API: when (UTC), in which system, what, by which user."""

    at: datetime
    where: str
    what: str
    by: str


@dataclass
class Store:
    """Tables of rows by sys_id; every value a string, date-times UTC, references a sys_id."""

    clock: Callable[[], datetime] = lambda: datetime.now(UTC)
    new_id: Callable[[], str] = lambda: uuid.uuid4().hex
    ledger: list[Write] = field(default_factory=list)
    rows: dict[str, dict[str, Row]] = field(default_factory=lambda: {name: {} for name in TABLES})
    closed: set[str] = field(default_factory=set)
    files: dict[str, bytes] = field(default_factory=dict)
    conflicts: dict[str, list[dict[str, str]]] = field(default_factory=dict)

    def column(self, table: str, path: str) -> Column | None:
        """The column at the end of a (dot-walked) path, or None."""
        name, _, rest = path.partition(".")
        found = TABLES[table].get(name) if table in TABLES else None
        if not rest or found is None:
            return found
        for target in TASK_TABLES if found.refers == "task" else (found.refers,):
            if reached := self.column(target, rest):
                return reached
        return None

    def value(self, table: str, row: Row, path: str) -> str:
        """The stored value at the end of a dot-walked path; "" where a reference is empty."""
        name, _, rest = path.partition(".")
        if not rest:
            return "" if TABLES[table][name].kind == "journal" else row[name]
        target = self.target(TABLES[table][name], row[name])
        return self.value(*target, rest) if target and rest.partition(".")[0] in target[1] else ""

    def target(self, column: Column, sys_id: str) -> tuple[str, Row] | None:
        """The table and row that a reference points at."""
        for table in TASK_TABLES if column.refers == "task" else (column.refers,):
            if row := self.rows.get(table, {}).get(sys_id):
                return table, row
        return None

    def select(self, table: str, encoded: str) -> list[Row]:
        query = parse_query(encoded, lambda path: self.column(table, path) is not None)
        found = [
            row
            for row in self.rows[table].values()
            if query.matches(lambda path, row=row: self.value(table, row, path))  # type: ignore[misc]  # mypy cannot type a lambda's bound default
        ]
        for name, descending in reversed(query.order):
            found.sort(key=lambda row, name=name: self.value(table, row, name), reverse=descending)  # type: ignore[misc]  # same
        return found

    def find(self, table: str, **wanted: str) -> Iterator[Row]:
        """Rows whose columns equal the values given."""
        for row in self.rows[table].values():
            if all(row[name] == value for name, value in wanted.items()):
                yield row

    def insert(self, table: str, values: Row, by: str) -> Row:
        now = stamp(self.clock())
        row = dict.fromkeys(TABLES[table], "") | _DEFAULTS.get(table, {})
        row |= {"sys_id": self.new_id(), "sys_class_name": table, "sys_mod_count": "0"}
        row |= dict.fromkeys(("sys_created_on", "sys_updated_on"), now)
        row |= dict.fromkeys(("sys_created_by", "sys_updated_by"), by)
        if table in TASK_TABLES:
            self._open_task(table, row, by)
        self.rows[table][row["sys_id"]] = row
        self._apply(table, row, values, by)
        return row

    def update(self, table: str, row: Row, values: Row, by: str) -> Row:
        self._apply(table, row, values, by)
        row["sys_mod_count"] = str(int(row["sys_mod_count"]) + 1)
        row |= {"sys_updated_on": stamp(self.clock()), "sys_updated_by": by}
        return row

    def writable(self, table: str, name: str) -> bool:
        return name in TABLES[table] and name not in READ_ONLY

    def record(self, table: str, row: Row, what: str, by: str) -> None:
        """Enter a write in the ledger, under the record's own number or name."""
        label = row.get("number") or row.get("name") or row["sys_id"]
        self.ledger.append(Write(self.clock(), "servicenow", f"{table} {label}: {what}", by))

    def journal(self, sys_id: str, element: str) -> list[Row]:
        """Journal entries of one record, oldest first."""
        return list(self.find("sys_journal_field", element_id=sys_id, element=element))

    def _open_task(self, table: str, row: Row, by: str) -> None:
        user = next(self.find("sys_user", user_name=by), None)
        row["number"] = f"{NUMBER_PREFIX[table]}{len(self.rows[table]) + 1:04}"
        row["task_effective_number"] = row["number"]
        row |= {"priority": "4", "impact": "3", "urgency": "3", "active": "true", "made_sla": "true"}
        row |= {"opened_at": row["sys_created_on"], "opened_by": user["sys_id"] if user else ""}
        row["approval"] = row["approval"] or "not requested"

    def _apply(self, table: str, row: Row, values: Row, by: str) -> None:
        for name, value in values.items():
            if not self.writable(table, name):
                continue
            if TABLES[table][name].kind != "journal":
                row[name] = value
            elif value:
                entry = {"element": name, "element_id": row["sys_id"], "name": table}
                self.insert("sys_journal_field", entry | {"value": value[:JOURNAL_LIMIT]}, by)
        if table == "incident":
            row["priority"] = str(min(5, max(1, int(row["impact"]) + int(row["urgency"]) - 1)))
