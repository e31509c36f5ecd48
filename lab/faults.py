"""Breaking and mending a system of the lab: one gate in front of each server, changed while it runs."""

from __future__ import annotations

import asyncio
import contextlib
import difflib
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from lab.errors import UnknownThing
from lab.serve import Served

FAULTS = ("none", "down", "hang", "slow", "429", "500", "garbage", "lost-answer", "storm", "sealed")
#: A POST may be a login or a question: only these lose their answer.
WRITES = frozenset({"PUT", "PATCH", "DELETE"})
SLOW_S = 8.0
RETRY_AFTER_S = 2

Refuse = Callable[[Request, int], Response]
"""How a system words a refusal: its own error envelope for a request and a status (429 or 500)."""


class FaultError(UnknownThing):
    """A fault that this system cannot have. The message names what was asked and what is possible."""


class FaultGate:
    """Serves `app` and stands before it.

    none: passes. down: nothing listens, connections are refused. hang: accepts and is silent; a request that
    hung is never carried out, its connection is reset when the fault ends. slow: answers after `slow_s`, and a
    write is carried out even when its caller has given up by then. 429 (with Retry-After) and 500: the
    system's own error envelope, by `refuse`. garbage: 200 with HTML. lost-answer: a write (PUT, PATCH, DELETE)
    is carried out and every connection reset before the answer. storm: passes; from its first write on, which is
    carried out and answered, it is 429. sealed: passes, after `seal(True)`; only for
    the system that has a seal. A change takes effect at once, also on kept-alive connections.
    """

    def __init__(
        self,
        name: str,
        app: Any,
        refuse: Refuse,
        *,
        host: str = "127.0.0.1",
        seal: Callable[[bool], Awaitable[None]] | None = None,
        slow_s: float = SLOW_S,
    ) -> None:
        self.name = name
        self.fault = "none"
        self._app = app
        self._refuse = refuse
        self._seal = seal
        self._slow_s = slow_s
        self._served = Served(name, self, host)
        self._changed = asyncio.Event()
        self._turn = asyncio.Lock()

    @property
    def address(self) -> str:
        return self._served.address

    async def start(self) -> None:
        await self._served.start()

    async def stop(self) -> None:
        self._served.drop()
        self._announce()
        await self._served.stop()

    async def set(self, fault: str) -> None:
        """Change the fault. Raises FaultError for an unknown one, or for a seal that the system has not."""
        self._check(fault)
        async with self._turn:
            before, self.fault = self.fault, fault
            if before == "hang":
                self._served.drop()
            self._announce()
            if self._seal is not None and (before == "sealed") != (fault == "sealed"):
                await self._seal(fault == "sealed")
            if fault == "down":
                await self._served.stop(keep_port=True)
            else:
                await self._served.start()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        changed, fault = self._changed, self.fault
        if fault == "hang":
            await changed.wait()  # the connection is reset by whoever ends the fault: nobody waits for an answer
            return
        if fault == "slow":
            receive = await _whole(receive)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._slow_s):
                    await changed.wait()
        if fault == "lost-answer" and scope.get("method") in WRITES:
            await self._app(scope, receive, _nowhere)
            self._served.drop()
            return
        if fault == "storm" and scope.get("method") in WRITES:
            self.fault = "429"
            await self._app(scope, receive, send)
            return
        answer = self._wrong_answer(fault, Request(scope, receive))
        await (answer or self._app)(scope, receive, send)

    def _wrong_answer(self, fault: str, request: Request) -> Response | None:
        if fault == "garbage":
            return HTMLResponse("<html><head><title>Maintenance</title></head><body>Back soon.</body></html>")
        if fault not in {"429", "500"}:
            return None
        answer = self._refuse(request, int(fault))
        if fault == "429":
            answer.headers["Retry-After"] = str(RETRY_AFTER_S)
        return answer

    def _announce(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def _check(self, fault: str) -> None:
        possible = [name for name in FAULTS if name != "sealed" or self._seal is not None]
        if fault not in possible:
            near = difflib.get_close_matches(fault, possible, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"possible: {', '.join(possible)}"
            raise FaultError(f"{self.name} cannot have the fault {fault!r}; {hint}")


async def _nowhere(message: Any) -> None:
    """Where an answer goes that nobody gets."""


async def _whole(receive: Any) -> Any:
    """The request with its body already read, so that it is still whole when its caller has gone."""
    messages = [await receive()]
    while messages[-1].get("more_body"):
        messages.append(await receive())
    waiting = iter(messages)

    async def replay() -> Any:
        return next(waiting, None) or await receive()

    return replay
