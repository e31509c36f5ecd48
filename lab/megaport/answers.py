"""How the fabric words what it answers: one envelope for nearly everything, one for what went wrong."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

TERMS = "This data is subject to the Acceptable Use Policy https://www.megaport.com/legal/acceptable-use-policy"
_MEDIA_TYPE = "application/json;charset=UTF-8"

JSON = dict[str, Any]
#: A message and the data under it, or a reply that has no envelope.
Answer = Callable[[Request], tuple[str, Any] | Response]


def enveloped(message: str, data: Any) -> Response:
    return JSONResponse({"message": message, "terms": TERMS, "data": data}, media_type=_MEDIA_TYPE)


def error(status: int, message: str, detail: str | None = None) -> Response:
    """The error envelope; `data` is the detail, and the trace id stands in body and header."""
    trace = secrets.token_hex(16)
    body = {"message": message, "terms": TERMS, "data": detail, "trace_id": trace}
    return JSONResponse(body, status, {"Trace-Id": trace}, _MEDIA_TYPE)


def no_such(uid: str) -> HTTPException:
    return HTTPException(404, f"Could not find a service with UID {uid}")


def ms(when: datetime) -> int:
    """Epoch milliseconds, as products and samples carry them."""
    return int(when.timestamp() * 1000)


def iso(when: datetime) -> str:
    """ISO 8601 in UTC with milliseconds, as events carry it."""
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
