"""ARM's long-running operations: a POST is accepted, then polled, then its result is fetched."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from lab.azure.ids import JSON, REGION

TAKES_S = 0.1
_REMEMBERED = 500


@dataclass
class _Operation:
    started: datetime
    ready_at: float
    compute: Callable[[], Any]
    result: Any = None
    hidden: int = 0  # so many polls find nothing yet


class Operations:
    """Operations by id. Each takes TAKES_S; its result is computed once, when it is first seen to be ready.

    `clock` is a monotonic clock in seconds. `eventual`: the first poll of an operation does not know it yet.
    """

    def __init__(self, now: Callable[[], datetime], clock: Callable[[], float], *, eventual: bool = False) -> None:
        self._now = now
        self._hidden = int(eventual)
        self._clock = clock
        self._open: OrderedDict[str, _Operation] = OrderedDict()

    def accept(self, request: Request, subscription: str, compute: Callable[[], Any]) -> Response:
        """202 with Azure-AsyncOperation (status) and Location (final body), both on the request's own origin."""
        name = str(uuid4())
        self._open[name] = _Operation(self._now(), self._clock() + TAKES_S, compute, hidden=self._hidden)
        if len(self._open) > _REMEMBERED:
            self._open.popitem(last=False)
        base = f"{request.base_url}subscriptions/{subscription}/providers/Microsoft.Network/locations/{REGION}"
        version = request.query_params["api-version"]
        headers = {
            "Azure-AsyncOperation": f"{base}/operations/{name}?api-version={version}",
            "Location": f"{base}/operationResults/{name}?api-version={version}",
            "Retry-After": "0",
        }
        return Response(status_code=202, headers=headers)

    def status(self, name: str) -> Response | None:
        """The Azure-AsyncOperation answer; None for an unknown operation."""
        operation = self._known(name)
        if operation is None:
            return None
        body: JSON = {"name": name, "startTime": operation.started.isoformat(), "status": "Succeeded"}
        if not self._ready(operation):
            return JSONResponse(body | {"status": "InProgress"}, headers={"Retry-After": "0"})
        return JSONResponse(body | {"endTime": self._now().isoformat()})

    def result(self, request: Request, name: str) -> Response | None:
        """The Location answer: 202 while it runs, then 200 with the final body; None when unknown."""
        operation = self._known(name)
        if operation is None:
            return None
        if not self._ready(operation):
            return Response(status_code=202, headers={"Location": str(request.url), "Retry-After": "0"})
        return JSONResponse(operation.result)

    def _known(self, name: str) -> _Operation | None:
        operation = self._open.get(name)
        if operation is not None and operation.hidden:
            operation.hidden -= 1
            return None
        return operation

    def _ready(self, operation: _Operation) -> bool:
        if self._clock() < operation.ready_at:
            return False
        if operation.result is None:
            operation.result = operation.compute()
        return True
