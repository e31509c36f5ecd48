"""The way to the Megaport API: one token for everything, one budget, the fabric's own words for what went wrong."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from math import ceil
from typing import Any

import httpx
from pydantic import Field, FiniteFloat

from connectors.errors import BadReply, InterlockError, NotFound, Throttled
from connectors.http import Bearer, JsonApi, Token, retry_after_s
from connectors.megaport_budget import LONGEST_HOLD_S, RESERVE, Budget
from connectors.ports import Credentials
from connectors.redact import redactor
from connectors.reply import CHECK_VERSION, Shape, excerpt, mapping, read
from network.surroundings import System

PRODUCTION_TOKENS = "https://auth-m2m.megaport.com/oauth2/token"
ASKED_DEADLINE_S = 15.0
#: 400 and 403 speak of a limit when they mean "too many"; `rateLimit` is a field of a VXC.
_LIMIT = re.compile(r"too many requests|\blimit(?:s|ed)?\b", re.IGNORECASE)
_NO_SUCH = "could not find a service with uid"
_SLOWER = "It is asked less often."


class BadRequest(BadReply):
    """HTTP 400: the fabric does not take what was asked, or does not know the call."""


class Lane(JsonApi):
    """One way to the API. Every request on the wire is counted, and none is sent that would leave less than `keep`."""

    def __init__(self, base: str, deadline_s: float, bearer: Bearer, budget: Budget, *, keep: int) -> None:
        super().__init__("megaport", base, deadline_s, bearer)
        self._budget, self._keep = budget, keep

    async def send(self, method: str, path: str, **options: Any) -> httpx.Response:
        self._admit(self.where(path))
        try:
            return await super().send(method, path, **options)
        except Throttled as error:
            self._budget.hold(_now(), error.retry_after_s or 0.0, error.what)
            raise

    async def data(self, path: str, **options: Any) -> Any:
        """GET, and what is inside the fabric's envelope."""
        return content(await self.get(path, **options), self.where(path))

    def _admit(self, where: str) -> None:
        now = _now()
        wait = self._budget.wait_s(now, self._keep)
        if wait <= 0:
            return
        what = f"nothing was sent: {self._budget.objection(now, self._keep)}"
        raise Throttled(what, where=where, do_next=f"Ask again in {ceil(wait)} s.", retry_after_s=wait)

    async def _opened(self) -> httpx.AsyncClient:
        client = await super()._opened()
        client.event_hooks = {"request": [self._count]}
        return client

    async def _count(self, request: httpx.Request) -> None:  # noqa: ARG002 - httpx gives it
        self._budget.spend(_now())

    def _error(self, reply: httpx.Response) -> InterlockError:
        error, status = super()._error(reply), reply.status_code
        if status in {400, 403} and _LIMIT.search(reply.text):
            wait = retry_after_s(reply)
            error = Throttled(error.what, where=error.where, do_next=_SLOWER, retry_after_s=wait)
        elif status == 400 and _NO_SUCH in reply.text.lower():
            error = NotFound(error.what, where=error.where, do_next="Check the uid in the site file.")
        elif status == 400:
            error = BadRequest(error.what, where=error.where, do_next="See the message: the call is refused as it is.")
        if isinstance(error, Throttled) and error.retry_after_s is not None:
            error.retry_after_s = min(error.retry_after_s, LONGEST_HOLD_S)
        return error


class MegaportClient:
    """`polled` may use the whole budget; `asked`, for what a person wants to know, leaves the polls their part."""

    def __init__(self, system: System, credentials: Credentials[Mapping[str, str]], polled_s: float) -> None:
        self._credentials = credentials
        self.budget = Budget()
        bearer = Bearer(self._token)
        self._login = JsonApi("megaport", system.token_address or PRODUCTION_TOKENS, ASKED_DEADLINE_S)
        self.polled = Lane(system.address, polled_s, bearer, self.budget, keep=0)
        self.asked = Lane(system.address, ASKED_DEADLINE_S, bearer, self.budget, keep=RESERVE)

    @property
    def requests_left(self) -> int:
        """Of the fabric's budget, as far as this console knows."""
        return self.budget.left(_now())

    async def close(self) -> None:
        await asyncio.gather(self._login.close(), self.polled.close(), self.asked.close())

    async def _token(self) -> Token:
        secret = await self._credentials()
        auth = (secret["client_id"], redactor.add(secret["client_secret"]))
        reply = await self._login.send("POST", "", auth=auth, data={"grant_type": "client_credentials"})
        token = read(_TokenReply, self._login.json(reply), "megaport token")
        redactor.add(token.access_token)
        return Token(token.access_token, _now() + token.expires_in * 0.8)


class _TokenReply(Shape):
    access_token: str = Field(alias="access_token", min_length=1)
    expires_in: FiniteFloat = Field(alias="expires_in", default=300.0)


def content(reply: Any, where: str) -> Any:
    """`data` of the fabric's envelope; raises BadReply: what has no data is never an empty answer."""
    inside = mapping(reply, where).get("data")
    if inside is None:
        raise BadReply("an envelope without data", where=where, do_next=CHECK_VERSION, evidence=excerpt(reply))
    return inside


def _now() -> float:
    return asyncio.get_running_loop().time()
