"""The Attachment API: /api/now/attachment."""

import hashlib

from starlette.datastructures import UploadFile
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lab.servicenow.render import table_row
from lab.servicenow.store import Row, Store
from lab.servicenow.tables import TABLES
from lab.servicenow.web import CallError, base_url, failure, guarded, not_found

_BASE = "/api/now/attachment"


class AttachmentApi:
    def __init__(self, store: Store, user: str) -> None:
        self._store = store
        self._user = user

    def routes(self) -> list[Route]:
        return [
            Route(_BASE, guarded(self._list), methods=["GET"]),
            Route(f"{_BASE}/file", guarded(self._file), methods=["POST"]),
            Route(f"{_BASE}/upload", guarded(self._upload), methods=["POST"]),
            Route(f"{_BASE}/{{sys_id}}", guarded(self._read), methods=["GET"]),
            Route(f"{_BASE}/{{sys_id}}/file", guarded(self._content), methods=["GET"]),
        ]

    async def _list(self, request: Request) -> Response:
        params = request.query_params
        wanted = [f"{name}={params[name]}" for name in ("table_name", "table_sys_id") if name in params]
        query = params.get("sysparm_query") or "^".join(wanted)
        rows = self._store.select("sys_attachment", query)
        return JSONResponse({"result": [self._shown(row, request) for row in rows]})

    async def _file(self, request: Request) -> Response:
        kind = request.headers.get("content-type", "")
        if not kind:
            return failure(400, "Bad Request", "Content-Type header is missing")
        params = request.query_params
        place = (params.get("table_name", ""), params.get("table_sys_id", ""))
        return self._store_file(request, place, params.get("file_name", "attachment"), kind, await request.body())

    async def _upload(self, request: Request) -> Response:
        form = await request.form()
        sent = form.get("uploadFile")
        if not isinstance(sent, UploadFile):
            return failure(400, "Bad Request", "uploadFile is missing")
        place = (str(form.get("table_name", "")), str(form.get("table_sys_id", "")))
        content = await sent.read()
        return self._store_file(
            request, place, sent.filename or "attachment", sent.content_type or "text/plain", content
        )

    async def _read(self, request: Request) -> Response:
        return JSONResponse({"result": self._shown(self._row(request), request)})

    async def _content(self, request: Request) -> Response:
        row = self._row(request)
        return Response(self._store.files[row["sys_id"]], media_type=row["content_type"])

    def _row(self, request: Request) -> Row:
        row = self._store.rows["sys_attachment"].get(request.path_params["sys_id"])
        if row is None:
            raise CallError(not_found())
        return row

    def _shown(self, row: Row, request: Request) -> Row:
        link = f"{base_url(request)}{_BASE}/{row['sys_id']}/file"
        return table_row(self._store, "sys_attachment", row, base="") | {"download_link": link}

    def _store_file(self, request: Request, place: tuple[str, str], name: str, kind: str, content: bytes) -> Response:
        table, sys_id = place
        if table not in TABLES:
            return failure(400, f"Invalid table {table}")
        target = self._store.rows[table].get(sys_id)
        if target is None:
            return not_found()
        values = {
            "file_name": name,
            "content_type": kind,
            "table_name": table,
            "table_sys_id": sys_id,
            "size_bytes": str(len(content)),
            "size_compressed": str(len(content)),
            "hash": hashlib.sha256(content).hexdigest(),
        }
        row = self._store.insert("sys_attachment", values, self._user)
        self._store.files[row["sys_id"]] = content
        self._store.record(table, target, f"attached {name} ({len(content)} bytes)", self._user)
        return JSONResponse(
            {"result": self._shown(row, request)},
            201,
            headers={"Location": f"{base_url(request)}{_BASE}/{row['sys_id']}"},
        )
