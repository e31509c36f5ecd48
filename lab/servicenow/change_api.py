"""The Change Management API: /api/sn_chg_rest[/v1]/change/…; every write answers 200, there is no PUT."""

import uuid
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lab.servicenow.render import change_row, to_user_zone
from lab.servicenow.rules import RefusedError, next_states
from lab.servicenow.store import Row, Store
from lab.servicenow.table_api import stored, write
from lab.servicenow.tables import CHANGE_STATES, TABLES
from lab.servicenow.web import CallError, body_of, failure, guarded, not_found
from lab.servicenow.words import stamp

_LIVE = ("-2", "-1")


class ChangeApi:
    def __init__(self, store: Store, user: str) -> None:
        self._store = store
        self._user = user

    def routes(self) -> list[Route]:
        found: list[Route] = []
        for version in ("", "/v1"):
            one = f"/api/sn_chg_rest{version}/change/{{sys_id}}"
            found += [
                Route(one, guarded(self._read), methods=["GET"]),
                Route(one, guarded(self._update), methods=["PATCH"]),
                Route(f"{one}/nextstates", guarded(self._next_states), methods=["GET"]),
                Route(f"{one}/conflict", guarded(self._conflicts), methods=["GET"]),
                Route(f"{one}/conflict", guarded(self._check_conflicts), methods=["POST"]),
                Route(f"{one}/task", guarded(self._tasks), methods=["GET"]),
                Route(f"{one}/task", guarded(self._create_task), methods=["POST"]),
                Route(f"{one}/task/{{task_id}}", guarded(self._update_task), methods=["PATCH"]),
            ]
        return found

    async def _read(self, request: Request) -> Response:
        return self._answer("change_request", self._change(request))

    async def _update(self, request: Request) -> Response:
        change = self._change(request)
        body = dict(request.query_params) | await body_of(request)
        return self._write("change_request", change, body, "Change Request")

    async def _update_task(self, request: Request) -> Response:
        self._change(request)
        task = self._store.rows["change_task"].get(request.path_params["task_id"])
        if task is None:
            return not_found()
        body = dict(request.query_params) | await body_of(request)
        return self._write("change_task", task, body, "Change Task")

    async def _tasks(self, request: Request) -> Response:
        tasks = self._store.find("change_task", change_request=self._change(request)["sys_id"])
        return JSONResponse({"result": [change_row(self._store, "change_task", task) for task in tasks]})

    async def _create_task(self, request: Request) -> Response:
        change = self._change(request)
        values, ignored = self._taken("change_task", dict(request.query_params) | await body_of(request))
        values |= dict.fromkeys(("change_request", "parent"), change["sys_id"])
        task = self._store.insert("change_task", values, self._user)
        self._store.record("change_task", task, f"created for {change['number']}", self._user)
        return self._answer("change_task", task, ignored)

    async def _next_states(self, request: Request) -> Response:
        change = self._change(request)
        states = next_states(change)
        transitions = [[self._transition(change["state"], to)] for to in states[1:]]
        labels = {code: CHANGE_STATES[code] for code in states}
        result = {"available_states": states, "state_transitions": transitions, "state_label": labels}
        return JSONResponse({"result": result})

    def _transition(self, from_state: str, to_state: str) -> dict[str, Any]:
        return {
            "sys_id": uuid.uuid5(uuid.NAMESPACE_OID, f"{from_state}{to_state}").hex,
            "display_value": f"{CHANGE_STATES[from_state]} to {CHANGE_STATES[to_state]}",
            "from_state": from_state,
            "to_state": to_state,
            "transition_available": True,
            "automatic_transition": False,
            "conditions": [],
        }

    async def _conflicts(self, request: Request) -> Response:
        change = self._change(request)
        found = self._store.conflicts.get(change["sys_id"], [])
        last = change["conflict_last_run"]
        result = {
            "status": {"display_value": change["conflict_status"], "value": change["conflict_status"]},
            "last_run": {"display_value": to_user_zone(last) if last else "", "value": last},
            "record_count": str(len(found)),
            "job_status": "Complete" if last else "",
            "conflicts": [_conflict(each) for each in found],
        }
        return JSONResponse({"result": result})

    async def _check_conflicts(self, request: Request) -> Response:
        change = self._change(request)
        if not (change["cmdb_ci"] and change["start_date"] and change["end_date"]):
            return failure(400, "Conflict detection needs a configuration item and planned dates", "")
        set_conflicts(self._store, change, find_conflicts(self._store, change))
        return JSONResponse({"result": self._store.new_id()})

    def _change(self, request: Request) -> Row:
        change = self._store.rows["change_request"].get(request.path_params["sys_id"])
        if change is None:
            raise CallError(not_found())
        return change

    def _taken(self, table: str, body: dict[str, Any]) -> tuple[Row, list[str]]:
        ignored = [name for name in body if not self._store.writable(table, name)]
        columns = TABLES[table]
        values = {
            name: stored(self._store, columns[name], value, by_label=True, local=False)
            for name, value in body.items()
            if name not in ignored
        }
        return values, ignored

    def _write(self, table: str, row: Row, body: dict[str, Any], title: str) -> Response:
        values, ignored = self._taken(table, body)
        try:
            write(self._store, table, row, values, self._user)
        except RefusedError as error:
            return failure(403, f"{title} record could not be updated. {error}", "")
        return self._answer(table, row, ignored)

    def _answer(self, table: str, row: Row, ignored: list[str] | None = None) -> Response:
        meta = {"__meta": {"ignoredFields": ignored or []}}
        return JSONResponse({"result": change_row(self._store, table, row) | meta})


def _conflict(found: dict[str, str]) -> dict[str, Any]:
    return {name: {"display_value": value, "value": value} for name, value in found.items()}


def affected(store: Store, change: Row) -> list[str]:
    """Names of a change's CIs: its own first, then the affected ones."""
    own = [change["cmdb_ci"]] if change["cmdb_ci"] else []
    others = [each["ci_item"] for each in store.find("task_ci", task=change["sys_id"])]
    rows = store.rows["cmdb_ci"]
    return [rows[each]["name"] for each in dict.fromkeys(own + others) if each in rows]


def find_conflicts(store: Store, change: Row) -> list[dict[str, str]]:
    """Other scheduled or running changes on the same CIs in an overlapping window."""
    return [
        {"type": "CI Already Scheduled", "configuration_item": name, "change": other["number"]}
        for other in store.rows["change_request"].values()
        if other is not change
        and other["state"] in _LIVE
        and other["start_date"] < change["end_date"]
        and change["start_date"] < other["end_date"]
        for name in affected(store, change)
        if name in affected(store, other)
    ]


def set_conflicts(store: Store, change: Row, found: list[dict[str, str]]) -> None:
    store.conflicts[change["sys_id"]] = found
    change["conflict_status"] = "Conflict" if found else "No Conflict"
    change["conflict_last_run"] = stamp(store.clock())
