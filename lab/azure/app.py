"""The login endpoint and Azure Resource Manager on one address, over the lab's world: read, and one thing written."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from uuid import uuid4

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lab.announcements import Announcements
from lab.azure.circuit import Circuit
from lab.azure.classic import Classic
from lab.azure.failover import FailoverTests
from lab.azure.health import Health, HealthError
from lab.azure.hub import Hub
from lab.azure.ids import PEERING, Arm
from lab.azure.login import Login
from lab.azure.metrics import Metrics, MetricsError
from lab.azure.operations import Operations
from lab.azure.resources import (
    Action,
    Reads,
    Refused,
    by_address,
    circuit_actions,
    circuit_reads,
    classic_actions,
    classic_reads,
    hub_actions,
    hub_reads,
)
from lab.azure.writes import CircuitWrites
from lab.bearer import Bearers
from lab.circuit_bandwidth import CircuitBandwidth
from lab.facts import Facts
from lab.ledger import Ledger
from lab.telemetry import Telemetry
from network.inventory import Site

_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?\Z")
_RESOURCE_HEALTH = "/providers/Microsoft.ResourceHealth/availabilityStatuses/current"
_METRICS = "/providers/microsoft.insights/metrics"
_LRO = "/subscriptions/{subscription}/providers/Microsoft.Network/locations/{region}"
_TOKEN_REFUSALS = {"missing": "AuthenticationFailed", "expired": "ExpiredAuthenticationToken"}


def utc_now() -> datetime:
    return datetime.now(UTC)


class AzureLab:
    """Azure. `valid(client_id, client_secret)` says whether the login endpoint takes a credential.

    `app` serves `POST /{tenant}/oauth2/v2.0/token`, ARM's read side, and a PUT of the circuit for a client id that
    `role_of` gives the role of the writer; what is changed stands in `ledger`. `bandwidth` is the circuit's, which the
    fabric reads too. `secrets` are the canaries that the answers show. `gateway_hops`: see `lab.azure.hub.Hub`;
    `eventual`: see `lab.azure.operations.Operations`.
    `throttled` has the ends of resource ids in lower case whose calls are refused with 429, each with its Retry-After;
    `asked` counts the calls by resource id in lower case.
    """

    def __init__(
        self,
        site: Site,
        facts: Facts,
        valid: Callable[[str, str], bool],
        telemetry: Telemetry,
        announcements: Announcements | None = None,
        *,
        now: Callable[[], datetime] = utc_now,
        clock: Callable[[], float] = time.monotonic,
        token_life_s: int = 3599,
        gateway_hops: bool = False,
        eventual: bool = False,
        bandwidth: CircuitBandwidth | None = None,
        role_of: Callable[[str], str] = lambda _client_id: "",
        ledger: Ledger | None = None,
    ) -> None:
        self._arm = Arm(site)
        self.bearers = Bearers(now, token_life_s)
        wide = bandwidth or CircuitBandwidth(site)
        self._circuit = Circuit(self._arm, facts, now, wide)
        self._hub = Hub(self._arm, facts, now, gateway_hops=gateway_hops)
        self._classic = Classic(self._arm, facts, now)
        self.health = Health(self._arm, facts, announcements or Announcements(site), now)
        self.metrics = Metrics(self._arm, facts, telemetry, now)
        self.tests = FailoverTests(self._arm, now)
        self.throttled: dict[str, int] = {}
        self.asked: Counter[str] = Counter()
        self._operations = Operations(now, clock, eventual=eventual)
        self._writes = CircuitWrites(self._arm, self._circuit, wide, self._operations, ledger or Ledger(), role_of)
        self._reads, self._acts = self._tables()
        self.secrets = self._circuit.secrets | (self._classic if self._arm.classic else self._hub).secrets
        login = Login(self._arm.side.tenant, valid, self.bearers, now)
        self.app = Starlette(
            routes=[
                Route("/{tenant}/oauth2/v2.0/token", login.token, methods=["POST"]),
                Route(_LRO + "/operations/{name}", self._guarded(self._status)),
                Route(_LRO + "/operationResults/{name}", self._guarded(self._result)),
                Route("/{resource:path}", self._guarded(self._read), methods=["GET"]),
                Route("/{resource:path}", self._guarded(self._act), methods=["POST"]),
                Route("/{resource:path}", self._put, methods=["PUT"]),
            ],
            exception_handlers={HTTPException: _unknown_route},
        )

    def refuse(self, request: Request, status: int) -> Response:  # noqa: ARG002 - every system takes the request
        """ARM's error envelope, for the fault gate."""
        if status == 429:
            return _error(status, "TooManyRequests", "Number of requests exceeded the limit. Retry later.")
        return _error(status, "InternalServerError", "The server encountered an internal error.")

    def _tables(self) -> tuple[Reads, dict[str, Action]]:
        """What GET answers and what POST does, for the gateways that the site has."""
        arm, circuit, tests = self._arm, self._circuit, self.tests
        reads = circuit_reads(arm, circuit) | {arm.circuit + _RESOURCE_HEALTH: self.health.circuit_status}
        acts = circuit_actions(arm, circuit, tests)
        if arm.classic:
            reads |= classic_reads(arm, self._classic)
            acts |= classic_actions(arm, self._classic, tests)
        else:
            reads |= hub_reads(arm, self._hub)
            acts |= hub_actions(arm, self._hub, tests)
        return by_address(reads), by_address(acts)

    def _guarded(self, answer: Callable[[Request], Response]) -> Callable[[Request], Awaitable[Response]]:
        async def guarded(request: Request) -> Response:
            self.asked[request.url.path.lower()] += 1
            response = self._refusal(request) or self._throttle(request) or answer(request)
            correlation = request.headers.get("x-ms-correlation-request-id", str(uuid4()))
            kind = "reads" if request.method == "GET" else "writes"
            response.headers[f"x-ms-ratelimit-remaining-subscription-{kind}"] = "249" if kind == "reads" else "199"
            response.headers["x-ms-request-id"] = str(uuid4())
            response.headers["x-ms-correlation-request-id"] = correlation
            return response

        return guarded

    def _throttle(self, request: Request) -> Response | None:
        for end, wait_s in self.throttled.items():
            if request.url.path.lower().endswith(end):
                answer = self.refuse(request, 429)
                answer.headers["Retry-After"] = str(wait_s)
                return answer
        return None

    def _refusal(self, request: Request) -> Response | None:
        verdict = self.bearers.check(request.headers.get("authorization"))
        if verdict != "valid":
            code = _TOKEN_REFUSALS.get(verdict, "InvalidAuthenticationToken")
            answer = _error(401, code, f"Authentication failed: the access token is {verdict}.")
            answer.headers["WWW-Authenticate"] = 'Bearer authorization_uri="https://login.microsoftonline.com/"'
            return answer
        version = request.query_params.get("api-version")
        if version is None:
            text = "The api-version query parameter (?api-version=) is required for all requests."
            return _error(400, "MissingApiVersionParameter", text)
        if not _VERSION.match(version):
            return _error(400, "InvalidApiVersionParameter", f"The api-version '{version}' is invalid.")
        return None

    def _read(self, request: Request) -> Response:
        resource = request.url.path
        if resource.lower().endswith(_METRICS):
            return self._measure(request, resource[: -len(_METRICS)])
        if resource.lower().startswith(self.health.events_path.lower()):
            return self._health_of(request, resource[len(self.health.events_path) :].strip("/"))
        read = self._reads.get(resource.lower())
        return JSONResponse(read()) if read else self._not_found(resource)

    def _measure(self, request: Request, resource: str) -> Response:
        for known in (self._arm.circuit, self._arm.vpn_gateway):
            if resource.lower() == known.lower():
                try:
                    return JSONResponse(self.metrics.answer(known, dict(request.query_params)))
                except MetricsError as error:
                    return _error(400, "BadRequest", str(error))
        return self._not_found(resource)

    def _health_of(self, request: Request, rest: str) -> Response:
        """Service Health: the list of events, or the resources of one."""
        if not rest:
            return self._events(request)
        tracking_id, _, what = rest.partition("/")
        found = self.health.impacted(tracking_id) if what.lower() == "impactedresources" else None
        return JSONResponse(found) if found else _error(404, "NotFound", f"Event {rest} not found.")

    def _events(self, request: Request) -> Response:
        try:
            return JSONResponse(self.health.events(str(request.base_url).rstrip("/"), dict(request.query_params)))
        except HealthError as error:
            return _error(400, "BadRequest", str(error))

    def _act(self, request: Request) -> Response:
        act = self._acts.get(request.url.path.lower())
        if act is None:
            return self._not_found(request.url.path)
        try:
            answer = act(request.query_params)
        except Refused as refused:
            return _error(400, refused.code, str(refused))
        return self._operations.accept(request, self._arm.side.subscription, answer)

    async def _put(self, request: Request) -> Response:
        body = await request.body()
        return await self._guarded(lambda asked: self._write(asked, body))(request)

    def _write(self, request: Request, body: bytes) -> Response:
        if request.url.path.lower() != self._arm.circuit.lower():
            return self._not_found(request.url.path)
        client_id = self.bearers.holder(request.headers.get("authorization"))
        return self._writes.put(request, body, client_id, _error)

    def _status(self, request: Request) -> Response:
        name = request.path_params["name"]
        return self._operations.status(name) or _error(404, "NotFound", f"Operation {name} not found.")

    def _result(self, request: Request) -> Response:
        name = request.path_params["name"]
        return self._operations.result(request, name) or _error(404, "NotFound", f"Operation {name} not found.")

    def _not_found(self, resource: str) -> Response:
        parts = resource.strip("/").split("/")
        if len(parts) > 1 and parts[1].lower() != self._arm.side.subscription:
            return _error(404, "SubscriptionNotFound", f"The subscription '{parts[1]}' could not be found.")
        if len(parts) > 3 and parts[3].lower() != self._arm.side.resource_group.lower():
            return _error(404, "ResourceGroupNotFound", f"Resource group '{parts[3]}' could not be found.")
        kind = "/".join(parts[5:])
        return _error(404, "ResourceNotFound", f"The Resource '{kind}' was not found (peering here: {PEERING}).")


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status)


async def _unknown_route(request: Request, error: Exception) -> Response:  # noqa: ARG001 - starlette's signature
    assert isinstance(error, HTTPException)
    return _error(error.status_code, "InvalidRequest", error.detail)
