"""The business feeds of the embedded lab: each answers while some path really carries its cloud's traffic both ways."""

from __future__ import annotations

import asyncio

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lab.facts import Facts
from network.surroundings import Feed

LOOK_EVERY_S = 0.05


def feed_app(facts: Facts, feed: Feed) -> Starlette:
    """A dark network answers nobody: a request then waits until it is mended, or its sender gives up."""

    async def answer(request: Request) -> Response:
        while not carries(facts, feed.cloud):
            if await request.is_disconnected():
                break
            await asyncio.sleep(LOOK_EVERY_S)
        return JSONResponse({"feed": feed.name, "items": 1})

    return Starlette(routes=[Route("/{rest:path}", answer)])


def carries(facts: Facts, cloud: str) -> bool:
    """Something arrives in the cloud, and something comes back."""
    loads = [facts.mbps(path.name) for path in facts.site.paths_of(cloud)]
    return any(into > 0 for into, _ in loads) and any(out > 0 for _, out in loads)
