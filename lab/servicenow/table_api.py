"""The Table API: /api/now[/v1|/v2]/table/{table}[/{sys_id}]."""

from typing import Any, cast
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lab.servicenow.render import Display, display, from_user_zone, table_row
from lab.servicenow.rules import after_update, check_update
from lab.servicenow.store import Row, Store
from lab.servicenow.tables import TABLES, Column
from lab.servicenow.web import CallError, base_url, body_of, failure, guarded, not_found
from lab.servicenow.words import stamp

_TRUE = ("true", "True")
DEFAULT_LIMIT = 10_000


class TableApi:
    def __init__(self, store: Store, user: str) -> None:
        self._store = store
        self._user = user

    def routes(self) -> list[Route]:
        found: list[Route] = []
        for version in ("", "/v1", "/v2"):
            base = f"/api/now{version}/table/{{table}}"
            one = f"{base}/{{sys_id}}"
            found += [
                Route(base, guarded(self._list), methods=["GET"]),
                Route(base, guarded(self._create), methods=["POST"]),
                Route(one, guarded(self._read), methods=["GET"]),
                Route(one, guarded(self._update), methods=["PATCH", "PUT"]),
            ]
        return found

    async def _list(self, request: Request) -> Response:
        table, params = self._table(request), request.query_params
        rows = self._wanted(table, params)
        limit = _number(params, "sysparm_limit", DEFAULT_LIMIT)
        offset = _number(params, "sysparm_offset", 0)
        if not rows and "/v1/" in request.url.path:
            return not_found()
        page = [self._shown(request, table, row) for row in rows[offset : offset + limit]]
        headers = {"X-Total-Count": str(len(rows))}
        if params.get("sysparm_suppress_pagination_header") not in _TRUE:
            headers["Link"] = _links(request, offset, limit, len(rows))
        return JSONResponse({"result": page}, headers=headers)

    async def _read(self, request: Request) -> Response:
        table = self._table(request)
        return JSONResponse({"result": self._shown(request, table, self._row(table, request))})

    async def _create(self, request: Request) -> Response:
        table = self._table(request)
        values = self._values(table, await body_of(request), request.query_params)
        if table == "change_task":
            values["parent"] = values["change_request"] = values.get("change_request") or values.get("parent", "")
        row = self._store.insert(table, values, self._user)
        self._store.record(table, row, f"created {_listed(values)}", self._user)
        location = f"{base_url(request)}/api/now/table/{table}/{row['sys_id']}"
        return JSONResponse({"result": self._shown(request, table, row)}, 201, headers={"Location": location})

    async def _update(self, request: Request) -> Response:
        table = self._table(request)
        row = self._row(table, request)
        values = self._values(table, await body_of(request), request.query_params)
        write(self._store, table, row, values, self._user)
        return JSONResponse({"result": self._shown(request, table, row)})

    def _table(self, request: Request) -> str:
        table = str(request.path_params["table"])
        if table not in TABLES:
            raise CallError(failure(400, f"Invalid table {table}"))
        if table in self._store.closed:
            raise CallError(failure(403, "Insufficient rights to query records"))
        return table

    def _row(self, table: str, request: Request) -> Row:
        row = self._store.rows[table].get(request.path_params["sys_id"])
        if row is None:
            raise CallError(not_found())
        return row

    def _wanted(self, table: str, params: QueryParams) -> list[Row]:
        rows = self._store.select(table, params.get("sysparm_query", ""))
        if params.get("sysparm_query"):
            return rows
        pairs = [(name, value) for name, value in params.items() if self._store.column(table, name)]
        return [row for row in rows if all(self._equals(table, row, *pair) for pair in pairs)]

    def _equals(self, table: str, row: Row, name: str, wanted: str) -> bool:
        have = (self._store.value(table, row, name), display(self._store, table, row, name))
        return wanted.casefold() in (each.casefold() for each in have)

    def _shown(self, request: Request, table: str, row: Row) -> dict[str, Any]:
        params = request.query_params
        mode = params.get("sysparm_display_value", "false").lower()
        return table_row(
            self._store,
            table,
            row,
            base=base_url(request),
            mode=cast("Display", mode if mode in ("true", "all") else "false"),
            links=params.get("sysparm_exclude_reference_link") not in _TRUE,
            fields=tuple(name for name in params.get("sysparm_fields", "").split(",") if name),
        )

    def _values(self, table: str, body: dict[str, Any], params: QueryParams) -> Row:
        shown = params.get("sysparm_input_display_value") in _TRUE
        return {
            name: stored(self._store, TABLES[table][name], value, by_label=shown, local=shown)
            for name, value in body.items()
            if self._store.writable(table, name)
        }


def stored(store: Store, column: Column, value: Any, *, by_label: bool, local: bool) -> str:
    """A value of a request body as it is kept. Labels and local times are understood only when asked."""
    text = str(value).lower() if isinstance(value, bool) else "" if value is None else str(value)
    if column.kind == "datetime" and text and local:
        return from_user_zone(text)
    if not by_label:
        return text
    if column.kind == "reference":
        named = (row for row in store.rows.get(column.refers, {}).values() if row.get("name") == text)
        return next((row["sys_id"] for row in named), text)
    return next((code for code, label in column.choices.items() if label.casefold() == text.casefold()), text)


def write(store: Store, table: str, row: Row, values: Row, by: str) -> None:
    """Update one record as the API does: rules first, then the row, the journals and the ledger."""
    check_update(store, table, row, values)
    before = row.get("state", "")
    store.update(table, row, values, by)
    if table == "change_request":
        after_update(row, before, stamp(store.clock()))
    if values:
        store.record(table, row, _listed(values), by)


def _listed(values: Row) -> str:
    return ", ".join(f"{name}={value}" for name, value in values.items())


def _number(params: QueryParams, name: str, default: int) -> int:
    text = params.get(name, "")
    return int(text) if text.isdecimal() else default


def _links(request: Request, offset: int, limit: int, total: int) -> str:
    step = max(1, limit)
    places = {
        "first": 0,
        "prev": offset - step,
        "next": offset + step,
        "last": (max(0, total - 1)) // step * step,
    }
    return ",".join(f'<{_page(request, at)}>;rel="{rel}"' for rel, at in places.items() if 0 <= at < max(1, total))


def _page(request: Request, offset: int) -> str:
    query = urlencode(dict(request.query_params) | {"sysparm_offset": str(offset)})
    return f"{base_url(request)}{request.url.path}?{query}"
