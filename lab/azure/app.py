"""The login endpoint and Azure Resource Manager on one address, over the lab's world."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import uuid4

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lab.announcements import Announcements
from lab.azure.circuit import TABLES, Circuit
from lab.azure.hub import Hub
from lab.azure.ids import JSON, PEERING, Arm
from lab.azure.metrics import Metrics, MetricsError
from lab.azure.operations import Operations
from lab.bearer import Bearers
from lab.facts import Facts
from lab.telemetry import Telemetry
from network.inventory import Site

_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-preview)?\Z")
_METRICS = "/providers/microsoft.insights/metrics"
_LRO = "/subscriptions/{subscription}/providers/Microsoft.Network/locations/{region}"
_TOKEN_REFUSALS = {"missing": "AuthenticationFailed", "expired": "ExpiredAuthenticationToken"}


def utc_now() -> datetime:
    return datetime.now(UTC)


class AzureLab:
    """Azure. `valid(client_id, client_secret)` says whether the login endpoint takes a credential.

    `app` serves `POST /{tenant}/oauth2/v2.0/token` and ARM's read side. `secrets` are the canaries that the
    answers show. `gateway_hops`: see `lab.azure.hub.Hub`.
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
    ) -> None:
        self._arm = Arm(site)
        self._announcements = announcements or Announcements(site)
        self._valid = valid
        self.bearers = Bearers(now, token_life_s)
        self._circuit = Circuit(self._arm, facts, now)
        self._hub = Hub(self._arm, facts, now, gateway_hops=gateway_hops)
        self._metrics = Metrics(self._arm, facts, telemetry, now)
        self._operations = Operations(now, clock)
        self._reads = self._read_table()
        self._now = now
        self.secrets = self._circuit.secrets | self._hub.secrets
        self.app = Starlette(
            routes=[
                Route("/{tenant}/oauth2/v2.0/token", self._token, methods=["POST"]),
                Route(_LRO + "/operations/{name}", self._guarded(self._status)),
                Route(_LRO + "/operationResults/{name}", self._guarded(self._result)),
                Route("/{resource:path}", self._guarded(self._read), methods=["GET"]),
                Route("/{resource:path}", self._guarded(self._act), methods=["POST"]),
            ],
            exception_handlers={HTTPException: _unknown_route},
        )

    def refuse(self, request: Request, status: int) -> Response:  # noqa: ARG002 - every system takes the request
        """ARM's error envelope, for the fault gate."""
        if status == 429:
            return _error(status, "TooManyRequests", "Number of requests exceeded the limit. Retry later.")
        return _error(status, "InternalServerError", "The server encountered an internal error.")

    def _read_table(self) -> dict[str, Callable[[], JSON]]:
        """What GET answers, by resource id in lower case: ARM ids do not depend on case."""
        arm, circuit, hub = self._arm, self._circuit, self._hub
        table: dict[str, Callable[[], JSON]] = {
            arm.network + "/expressRouteCircuits": lambda: {"value": [circuit.object()]},
            arm.circuit: circuit.object,
            arm.circuit + "/stats": circuit.circuit_stats,
            arm.circuit + "/peerings": lambda: {"value": [circuit.peering()]},
            arm.peering: circuit.peering,
            arm.peering + "/stats": circuit.peering_stats,
            arm.er_gateway: hub.er_gateway,
            arm.er_gateway + "/expressRouteConnections": lambda: {"value": [hub.er_connection()]},
            arm.er_connection: hub.er_connection,
            arm.hub: hub.hub,
            arm.vpn_gateway: hub.vpn_gateway,
            arm.vpn_gateway + "/vpnConnections": lambda: {"value": [hub.vpn_connection()]},
            arm.vpn_connection: hub.vpn_connection,
            arm.vpn_connection + "/vpnLinkConnections": lambda: {"value": hub.links()},
        }
        return {resource.lower(): read for resource, read in table.items()}

    async def _token(self, request: Request) -> Response:
        form = {name: str(value) for name, value in (await request.form()).items()}
        missing = [name for name in ("grant_type", "client_id", "client_secret", "scope") if not form.get(name)]
        if request.path_params["tenant"].lower() != self._arm.side.tenant:
            return self._login_error("invalid_request", 90002, "Tenant not found.")
        if missing:
            text = f"The request body must contain the following parameter: '{missing[0]}'."
            return self._login_error("invalid_request", 900144, text)
        if form["grant_type"] != "client_credentials":
            return self._login_error("unsupported_grant_type", 70003, "The app requested an unsupported grant type.")
        if not self._valid(form["client_id"], form["client_secret"]):
            text = "Invalid client secret provided. Ensure the secret being sent is the client secret value."
            return self._login_error("invalid_client", 7000215, text)
        claims: dict[str, object] = {"aud": "https://management.azure.com", "appid": form["client_id"]}
        life = {"expires_in": self.bearers.life_s, "ext_expires_in": self.bearers.life_s}
        return JSONResponse({"token_type": "Bearer", **life, "access_token": self.bearers.issue(claims)})

    def _login_error(self, error: str, code: int, text: str) -> Response:
        body = {
            "error": error,
            "error_description": f"AADSTS{code}: {text}",
            "error_codes": [code],
            "timestamp": f"{self._now():%Y-%m-%d %H:%M:%SZ}",
            "trace_id": str(uuid4()),
            "correlation_id": str(uuid4()),
        }
        return JSONResponse(body, 401 if error == "invalid_client" else 400)

    def _guarded(self, answer: Callable[[Request], Response]) -> Callable[[Request], object]:
        async def guarded(request: Request) -> Response:
            response = self._refusal(request) or answer(request)
            correlation = request.headers.get("x-ms-correlation-request-id", str(uuid4()))
            kind = "reads" if request.method == "GET" else "writes"
            response.headers[f"x-ms-ratelimit-remaining-subscription-{kind}"] = "249" if kind == "reads" else "199"
            response.headers["x-ms-request-id"] = str(uuid4())
            response.headers["x-ms-correlation-request-id"] = correlation
            return response

        return guarded

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
        read = self._reads.get(resource.lower())
        return JSONResponse(read()) if read else self._not_found(resource)

    def _measure(self, request: Request, resource: str) -> Response:
        for known in (self._arm.circuit, self._arm.vpn_gateway):
            if resource.lower() == known.lower():
                try:
                    return JSONResponse(self._metrics.answer(known, dict(request.query_params)))
                except MetricsError as error:
                    return _error(400, "BadRequest", str(error))
        return self._not_found(resource)

    def _act(self, request: Request) -> Response:
        """POST actions, all long-running: the circuit's three tables and the hub's effective routes."""
        resource = request.url.path
        subscription = self._arm.side.subscription
        if resource.lower() == f"{self._arm.hub}/effectiveRoutes".lower():
            return self._operations.accept(request, subscription, self._hub.effective_routes)
        base, _, device = resource.rpartition("/")
        for table in TABLES:
            if base.lower() == f"{self._arm.peering}/{table}".lower() and device in self._arm.legs():
                return self._operations.accept(request, subscription, _later(self._circuit, table, device))
        return self._not_found(resource)

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


def _later(circuit: Circuit, table: str, device: str) -> Callable[[], JSON]:
    return lambda: circuit.table(table, device)


def _error(status: int, code: str, message: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": message}}, status)


async def _unknown_route(request: Request, error: Exception) -> Response:  # noqa: ARG001 - starlette's signature
    assert isinstance(error, HTTPException)
    return _error(error.status_code, "InvalidRequest", error.detail)
