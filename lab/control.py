"""The lab's control socket: what `interlock lab …` asks for, as one small ASGI app with a verb a path."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from lab.errors import UnknownThing

Verb = Callable[..., Awaitable[dict[str, Any]]]


def control_app(verbs: dict[str, Verb]) -> Starlette:
    """Serve each verb at POST /verb with its arguments as a JSON object; a refusal is 400 with its own words."""

    async def answer(request: Request) -> JSONResponse:
        verb = verbs.get(request.path_params["verb"])
        if verb is None:
            return JSONResponse({"error": f"the lab knows no {request.path_params['verb']!r}"}, status_code=404)
        try:
            arguments = json.loads(await request.body() or b"{}")
            return JSONResponse(await verb(**arguments))
        except Exception as error:  # noqa: BLE001 -- the lab goes on; whoever asked is told
            usage = isinstance(error, UnknownThing)
            return JSONResponse({"error": str(error) or repr(error), "usage": usage}, status_code=400)

    return Starlette(routes=[Route("/{verb}", answer, methods=["POST"])])
