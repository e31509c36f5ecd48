"""The fabric's HTTP API (contract of api.megaport.com), over the lab's world: it is read, and a VXC's rate changed."""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lab.announcements import Announcements
from lab.bearer import Bearers
from lab.circuit_bandwidth import CircuitBandwidth
from lab.facts import Facts
from lab.ledger import Ledger
from lab.megaport.answers import JSON, Answer, enveloped, error, no_such
from lab.megaport.events import EventLists
from lab.megaport.glass import Glass
from lab.megaport.limit import RequestLimit
from lab.megaport.offers import Offers, price
from lab.megaport.products import mcr_object, number, port_object, secrets_of, vxc_object
from lab.megaport.rates import Refused, updated
from lab.megaport.sampled import Sampled
from lab.megaport.series import Counters
from lab.telemetry import Telemetry
from network.inventory import Site, Vxc


def utc_now() -> datetime:
    return datetime.now(UTC)


class MegaportLab:
    """The fabric. `app` serves the API and its token endpoint (`POST /oauth2/token`) on one address.

    `secrets` are the canaries that the answers show. `overrides` are fields that a product shows instead of its own,
    by site name. `writers` are further credentials (id to secret): only with one of them anything is changed, and what
    is changed stands in `ledger`. `links.every_s` says how old a link state may be; `glass.contract`,
    `counters.openmetrics` and `limit.limit` which of the things that are not sure exist.
    """

    def __init__(
        self,
        site: Site,
        facts: Facts,
        client_id: str,
        client_secret: str,
        telemetry: Telemetry,
        announcements: Announcements | None = None,
        *,
        now: Callable[[], datetime] = utc_now,
        token_life_s: int = 3600,
        writers: Mapping[str, str] | None = None,
        ledger: Ledger | None = None,
        circuit: CircuitBandwidth | None = None,
    ) -> None:
        self._site, self._now = site, now
        self._writers = dict(writers or {})
        self._ledger = ledger or Ledger()
        self.links = Sampled(facts, now, circuit)
        self._secrets = {client_id: client_secret, **self._writers}
        self.bearers = Bearers(now, token_life_s)
        self.limit = RequestLimit(None, now)
        self.overrides: dict[str, JSON] = {}
        self.glass, self.offers = Glass(facts, now), Offers(self.links)
        self.counters = Counters(facts, self.links, telemetry, now)
        self.secrets = secrets_of(facts) | {self.offers.partner_key}
        events = EventLists(site, announcements or Announcements(site), now)
        answers: dict[str, Answer] = {
            "/v2/products": self._products,
            "/v2/product/{uid}": self._product,
            **self.counters.routes(),
            **events.routes(),
            **self.glass.routes(),
            **self.offers.routes(),
        }
        self.app = Starlette(
            routes=[
                Route("/oauth2/token", self._token, methods=["POST"]),
                Route("/v4/pricebook/product", self._price, methods=["POST"]),
                Route("/v3/product/vxc/{uid}", self._update, methods=["PUT"]),
                *(Route(path, self._guarded(answer)) for path, answer in answers.items()),
            ],
            exception_handlers={HTTPException: _refused},
        )

    def refuse(self, request: Request, status: int) -> Response:  # noqa: ARG002 - every system takes the request
        """The fabric's error envelope, for the fault gate."""
        return error(status, "Too many requests" if status == 429 else "Internal server error")

    async def _token(self, request: Request) -> Response:
        form = parse_qs((await request.body()).decode("utf-8", "replace"))
        grant = request.query_params.get("grant_type") or next(iter(form.get("grant_type", [])), "")
        client, _, secret = _basic(request.headers.get("authorization", "")).partition(":")
        if not secret or self._secrets.get(client) != secret:
            return JSONResponse({"error": "invalid_client"}, 401)
        if grant != "client_credentials":
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        token = self.bearers.issue({"iss": "auth-m2m", "token_use": "access", "version": 2}, client)
        return JSONResponse({"access_token": token, "expires_in": self.bearers.life_s, "token_type": "Bearer"})

    def _guarded(self, answer: Answer) -> Callable[[Request], Any]:
        async def guarded(request: Request) -> Response:
            refusal = self._at_the_door(request)
            if refusal is not None:
                return refusal
            content = answer(request)
            return content if isinstance(content, Response) else enveloped(*content)

        return guarded

    def _at_the_door(self, request: Request) -> Response | None:
        wait = self.limit.wait(request.client.host if request.client else "")
        if wait is not None:
            refusal = error(429, "Too many requests")
            refusal.headers["Retry-After"] = str(math.ceil(wait.total_seconds()))
            return refusal
        if self.bearers.check(request.headers.get("authorization")) != "valid":
            return error(401, "Bad session token", "Access token is missing, invalid or expired")
        return None

    async def _price(self, request: Request) -> Response:
        refusal = self._at_the_door(request)
        return refusal or enveloped("OK", price(await request.json()))

    async def _update(self, request: Request) -> Response:
        refusal = self._at_the_door(request)
        if refusal is not None:
            return refusal
        by = self.bearers.holder(request.headers.get("authorization"))
        if by not in self._writers:
            return error(403, "Access denied", "This API key may read and change nothing")
        vxc = next((vxc for vxc in self._site.vxcs if vxc.uid == request.path_params["uid"]), None)
        if vxc is None:
            raise no_such(request.path_params["uid"])
        try:
            mbps = self._change(vxc, await request.body(), by)
        except Refused as refused:
            answer = error(refused.status, refused.message)
            if refused.wait_s is not None:
                answer.headers["Retry-After"] = str(math.ceil(refused.wait_s))
            return answer
        return enveloped(f"VXC {number(vxc.uid)} has been updated", updated(vxc, mbps, self._now()))

    def _change(self, vxc: Vxc, body: bytes, by: str) -> int:
        shown = self._shown(vxc_object(self.links, vxc))
        port = self._shown(port_object(self.links, self._site.port(vxc.port)))
        mbps = self.links.rates.change(vxc, _json(body), shown, port)
        self._ledger.record("megaport", f'PUT /v3/product/vxc/{vxc.uid} {{"rateLimit": {mbps}}}', by)
        return mbps

    def _products(self, request: Request) -> tuple[str, Any]:
        products = [port_object(self.links, port) for port in self._site.ports]
        products += [mcr_object(self.links, mcr) for mcr in self._site.mcrs]
        shown = [self._shown(product) for product in products]
        status = request.query_params.get("provisioningStatus")
        return "List all ports", [each for each in shown if status in {None, each["provisioningStatus"]}]

    def _product(self, request: Request) -> tuple[str, Any]:
        uid = request.path_params["uid"]
        makers: tuple[tuple[Any, Any], ...] = (
            (self._site.ports, port_object),
            (self._site.vxcs, vxc_object),
            (self._site.mcrs, mcr_object),
        )
        for things, make in makers:
            for thing in things:
                if thing.uid == uid:
                    return f"Found Product {uid}", self._shown(make(self.links, thing))
        raise no_such(uid)

    def _shown(self, product: JSON) -> JSON:
        """A product, and what stands below it, with the fields that a test or drill wants to see."""
        inner = [self._shown(vxc) for vxc in product.get("associatedVxcs", ())]
        own = product | ({"associatedVxcs": inner} if "associatedVxcs" in product else {})
        return own | self.overrides.get(product["productName"], {})


async def _refused(request: Request, exc: Exception) -> Response:  # noqa: ARG001 - starlette's signature
    assert isinstance(exc, HTTPException)
    return error(exc.status_code, exc.detail, exc.detail)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None


def _basic(authorization: str) -> str:
    scheme, _, value = authorization.partition(" ")
    try:
        return base64.b64decode(value, validate=True).decode() if scheme.lower() == "basic" else ""
    except (binascii.Error, UnicodeDecodeError):
        return ""
