"""Business rules and data policies: what ServiceNow refuses, in its own words."""

from lab.servicenow.store import Row, Store

# Assess -> Authorize -> Scheduled happen by approvals, never by the client.
_NEXT = {
    "normal": {"-5": ["-4", "4"], "-4": ["4"], "-3": ["4"]},
    "standard": {"-5": ["-2", "4"]},
    "emergency": {"-5": ["-3", "4"], "-3": ["4"]},
}
_COMMON = {"-2": ["-1", "4"], "-1": ["0", "4"], "0": ["3"]}
_CLOSED = ("3", "4")
_NO_HOLD = ("-5", "3", "4")


class RefusedError(Exception):
    """A write that ServiceNow will not take: the detail of its 403."""


def aborted(table: str, rule: str, rule_id: str = "0" * 31 + "1") -> RefusedError:
    return RefusedError(
        f"Operation against file '{table}' was aborted by Business Rule '{rule}^{rule_id}'. Business Rule Stack:{rule}"
    )


def next_states(change: Row) -> list[str]:
    """State codes that a client may move to, the current one included."""
    state = change["state"]
    moves = (_NEXT.get(change["type"], {}) | _COMMON).get(state, [])
    if change["on_hold"] == "true":
        moves = [each for each in moves if each == "4"]
    return [state, *moves]


def check_update(store: Store, table: str, row: Row, values: Row) -> None:
    """Refuse what a business rule or data policy refuses. Raises RefusedError."""
    if table == "change_request":
        _check_change(store, row, values)
    elif table == "change_task" and values.get("state") == "3":
        _need(row | values, {"close_code": "Close code", "close_notes": "Close notes"})


def _check_change(store: Store, row: Row, values: Row) -> None:
    state = values.get("state", row["state"])
    if state not in next_states(row):
        raise aborted("change_request", "Change Model: Check State Transition")
    if values.get("type", row["type"]) != row["type"] and row["state"] != "-5":
        raise aborted("change_request", "Change Request Prevent Type Change")
    if values.get("on_hold") == "true":
        if row["state"] in _NO_HOLD:
            raise aborted("change_request", "Prevent On Hold for New and Closed")
        _need(row | values, {"on_hold_reason": "On hold reason"})
    if state == "3" != row["state"]:
        _need(row | values, {"close_code": "Close code", "close_notes": "Close notes"})
    if state in {"0", "3"} and state != row["state"] and _has_open_task(store, row):
        raise aborted("change_request", "Prevent close with open change tasks")
    if row["state"] == "-5" != state and state != "4":
        _need(row | values, {"assignment_group": "Assignment group"})


def after_update(row: Row, before: str, now: str) -> None:
    """Stamp the actual start and end, and deactivate what is closed."""
    state = row["state"]
    if state == before:
        return
    if state == "-1" and not row["work_start"]:
        row["work_start"] = now
    if state == "0" and not row["work_end"]:
        row["work_end"] = now
    if state in _CLOSED:
        row |= {"closed_at": now, "active": "false"}


def _has_open_task(store: Store, change: Row) -> bool:
    tasks = store.find("change_task", change_request=change["sys_id"])
    return any(task["state"] not in _CLOSED for task in tasks)


def _need(row: Row, labels: dict[str, str]) -> None:
    missing = [label for name, label in labels.items() if not row[name]]
    if missing:
        raise RefusedError(f"Data Policy Exception: The following fields are mandatory: {', '.join(missing)}")
