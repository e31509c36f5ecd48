"""Rows as the two REST APIs print them: raw, displayed, or both; references with their link."""

from datetime import timedelta, timezone
from typing import Any, Literal

from lab.servicenow.store import Row, Store
from lab.servicenow.tables import TABLES, Column
from lab.servicenow.words import STAMP, stamp, unstamp

Display = Literal["true", "false", "all"]
# The API user lives eight hours behind UTC: whoever takes a display value for UTC is visibly wrong.
USER_ZONE = timezone(timedelta(hours=-8), "US/Pacific")


def to_user_zone(value: str) -> str:
    return unstamp(value).astimezone(USER_ZONE).strftime(STAMP)


def from_user_zone(value: str) -> str:
    return stamp(unstamp(value).replace(tzinfo=USER_ZONE))


def display(store: Store, table: str, row: Row, path: str) -> str:
    """The display value of a (dot-walked) field."""
    column = store.column(table, path)
    if column is None:
        return ""
    if column.kind == "journal":
        return _joined(store, row, path)
    value = store.value(table, row, path)
    if column.kind == "datetime" and value:
        return to_user_zone(value)
    if target := store.target(column, value):
        return target[1].get("name") or target[1].get("number") or value
    return column.choices.get(value, value)


def _joined(store: Store, row: Row, element: str) -> str:
    title = {"work_notes": "Work notes", "comments": "Additional comments"}[element]
    entries = reversed(store.journal(row["sys_id"], element))
    return "".join(
        f"{to_user_zone(each['sys_created_on'])} - {each['sys_created_by']} ({title})\n{each['value']}\n\n"
        for each in entries
    )


def table_row(
    store: Store,
    table: str,
    row: Row,
    *,
    base: str,
    mode: Display = "false",
    links: bool = True,
    fields: tuple[str, ...] = (),
) -> dict[str, Any]:
    """One row for the Table API: every column, or `fields` (dot-walk allowed, unknown ones left out)."""
    names = fields or tuple(TABLES[table])
    known = {name: column for name in names if (column := store.column(table, name))}
    return {name: _cell(store, table, row, name, known[name], base, mode, links) for name in known}


def _cell(store: Store, table: str, row: Row, path: str, column: Column, base: str, mode: Display, links: bool) -> Any:
    value, shown = store.value(table, row, path), display(store, table, row, path)
    target = store.target(column, value) if column.kind == "reference" else None
    link = {"link": f"{base}/api/now/table/{target[0]}/{value}"} if target and links else {}
    if mode == "all":
        return {"display_value": shown, "value": value} | link
    if mode == "true":
        return {"display_value": shown} | link if link else shown
    return link | {"value": value} if link else value


def change_row(store: Store, table: str, row: Row) -> dict[str, Any]:
    """One row for the Change Management API: objects, whose `value` has changing types."""
    return {name: _change_cell(store, table, row, name, column) for name, column in TABLES[table].items()}


def _change_cell(store: Store, table: str, row: Row, name: str, column: Column) -> dict[str, Any]:
    value = store.value(table, row, name)
    cell: dict[str, Any] = {"display_value": display(store, table, row, name), "value": value}
    if column.kind == "bool":
        cell["value"] = value == "true"
    elif name == "state":
        cell["value"] = float(value)
    elif column.kind == "datetime":
        cell["display_value_internal"] = to_user_zone(value) if value else ""
    return cell
