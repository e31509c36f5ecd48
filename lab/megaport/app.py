"""The fabric's HTTP API (contract of api.megaport.com, read side), over the lab's world."""

from __future__ import annotations

import base64
import binascii
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lab.announcements import Announcements
from lab.bearer import Bearers
from lab.facts import Facts
from lab.megaport.products import JSON, port_object, secrets_of, vxc_object
from lab.telemetry import STEP_S, Direction, Telemetry
from network.inventory import Site

TERMS = "This data is subject to the Acceptable Use Policy https://www.megaport.com/legal/acceptable-use-policy"
TELEMETRY_TYPES = ("BITS", "PACKETS")
_BITS_PER_PACKET = 8 * 900  # a mixed-traffic mean; PACKETS is derived from BITS
_DEFAULT_DAYS = 1
_MEDIA_TYPE = "application/json;charset=UTF-8"


def utc_now() -> datetime:
    return datetime.now(UTC)


class MegaportLab:
    """The fabric. `app` serves the API and its token endpoint (`POST /oauth2/token`) on one address.

    `up` follows the world at once (the real fabric samples it each 5 minutes). `maintenance` and `outages`
    are lists of event objects, empty until a drill plans one with `plan_maintenance`. `secrets` are the
    canaries that the answers show.
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
    ) -> None:
        self._site = site
        self._facts = facts
        self._credential = f"{client_id}:{client_secret}"
        self._telemetry = telemetry
        self._announcements = announcements or Announcements(site)
        self._now = now
        self.bearers = Bearers(now, token_life_s)
        self.maintenance: list[JSON] = []
        self.outages: list[JSON] = []
        self.secrets = secrets_of(facts)
        self.app = Starlette(
            routes=[
                Route("/oauth2/token", self._token, methods=["POST"]),
                Route("/v2/products", self._guarded(self._products)),
                Route("/v2/products/telemetry", self._guarded(self._types)),
                Route("/v2/product/{uid}", self._guarded(self._product)),
                Route("/v2/product/{kind}/{uid}/telemetry", self._guarded(self._series)),
                Route("/ens/v1/status/maintenance", self._guarded(self._maintenance)),
                Route("/ens/v1/status/outage", self._guarded(self._outage)),
            ],
            exception_handlers={HTTPException: _refused},
        )

    def refuse(self, request: Request, status: int) -> Response:  # noqa: ARG002 - every system takes the request
        """The fabric's error envelope, for the fault gate."""
        return _error(status, "Too many requests" if status == 429 else "Internal server error")

    def plan_maintenance(self, names: tuple[str, ...], start: datetime, end: datetime, *, number: int) -> None:
        """Add a scheduled maintenance of ports or VXCs by site name; the event shows their short ids only."""
        uids = [port.uid for port in self._site.ports if port.name in names]
        uids += [vxc.uid for vxc in self._site.vxcs if vxc.name in names]
        self.maintenance.append(
            {
                "eventId": f"CSS-{number}",
                "state": "Scheduled",
                "startTime": _iso(start),
                "endTime": _iso(end),
                "impact": "Loss of service",
                "purpose": "Software upgrade",
                "cancelReason": "",
                "eventType": "Planned",
                "services": [uid[:8] for uid in uids],
            }
        )

    async def _token(self, request: Request) -> Response:
        form = parse_qs((await request.body()).decode("utf-8", "replace"))
        grant = request.query_params.get("grant_type") or next(iter(form.get("grant_type", [])), "")
        if _basic(request.headers.get("authorization", "")) != self._credential:
            return JSONResponse({"error": "invalid_client"}, 401)
        if grant != "client_credentials":
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        token = self.bearers.issue({"iss": "auth-m2m", "token_use": "access", "version": 2})
        return JSONResponse({"access_token": token, "expires_in": self.bearers.life_s, "token_type": "Bearer"})

    def _guarded(self, answer: Callable[[Request], Any]) -> Callable[[Request], Any]:
        async def guarded(request: Request) -> Response:
            if self.bearers.check(request.headers.get("authorization")) != "valid":
                return _error(401, "Bad session token", "Access token is missing, invalid or expired")
            content = answer(request)
            return content if isinstance(content, Response) else _enveloped(*content)

        return guarded

    def _products(self, request: Request) -> tuple[str, Any]:
        ports = [port_object(self._facts, port) for port in self._site.ports]
        status = request.query_params.get("provisioningStatus")
        return "List all ports", [port for port in ports if status in {None, port["provisioningStatus"]}]

    def _product(self, request: Request) -> tuple[str, Any]:
        uid = request.path_params["uid"]
        for port in self._site.ports:
            if port.uid == uid:
                return f"Found Product {uid}", port_object(self._facts, port)
        for vxc in self._site.vxcs:
            if vxc.uid == uid:
                return f"Found Product {uid}", vxc_object(self._facts, vxc)
        raise HTTPException(404, f"Could not find a service with UID {uid}")

    def _types(self, request: Request) -> tuple[str, Any]:  # noqa: ARG002 - one signature for every answer
        return "Telemetry types", [{"type": name} for name in TELEMETRY_TYPES]

    def _maintenance(self, request: Request) -> tuple[str, Any]:
        return "Maintenance events", _in_state(self.maintenance, request)

    def _outage(self, request: Request) -> tuple[str, Any]:
        return "Outage events", _in_state(self.outages, request)

    def _series(self, request: Request) -> Response:
        """Telemetry, which the fabric does not envelope. In = entering at the A end, that is towards the cloud."""
        kind, uid = request.path_params["kind"], request.path_params["uid"]
        paths = self._paths(kind, uid)
        start, end = self._window(request)
        types = request.query_params.getlist("type") or ["BITS"]
        unknown = [name for name in types if name not in TELEMETRY_TYPES]
        if unknown:
            raise HTTPException(400, f"Unknown telemetry type {unknown[0]}")
        frame = {"from": _ms(start), "to": _ms(end)}
        data = [self._one(name, sub, paths, start, end) for name in types for sub in ("In", "Out")]
        return JSONResponse({"serviceUid": uid, "type": kind.upper(), "timeFrame": frame, "data": data})

    def _one(self, kind: str, subtype: str, paths: list[str], start: datetime, end: datetime) -> JSON:
        direction: Direction = "in" if subtype == "In" else "out"
        series = [self._telemetry.series(path, direction, start, end) for path in paths]
        mbps = [(when, sum(values)) for when, *values in _together(series)]
        if mbps and end > self._now() - timedelta(seconds=STEP_S):
            live = sum(self._facts.mbps(path)[0 if direction == "in" else 1] for path in paths)
            mbps[-1] = (mbps[-1][0], live)
        unit = {"name": "Mbps", "fullName": "Megabits per second"}
        if kind == "PACKETS":
            unit = {"name": "pps", "fullName": "Packets per second"}
            mbps = [(when, value * 1e6 / _BITS_PER_PACKET) for when, value in mbps]
        samples = [[_ms(when), round(value, 3)] for when, value in mbps]
        return {"type": kind, "subtype": subtype, "samples": samples, "unit": unit}

    def _paths(self, kind: str, uid: str) -> list[str]:
        if kind == "megaport":
            port = next((port.name for port in self._site.ports if port.uid == uid), None)
            if port is not None:
                return [path.name for path in self._site.paths_on_port(port)]
        vxc = next((vxc.name for vxc in self._site.vxcs if kind == "vxc" and vxc.uid == uid), None)
        if vxc is None:
            raise HTTPException(404, f"Could not find a service with UID {uid}")
        return [path.name for path in self._site.paths if path.vxc == vxc]

    def _window(self, request: Request) -> tuple[datetime, datetime]:
        """The query's from and to in epoch milliseconds, or the last `days` days."""
        query, now = request.query_params, self._now()
        try:
            if "from" in query:
                end = datetime.fromtimestamp(int(query["to"]) / 1000, UTC) if "to" in query else now
                return datetime.fromtimestamp(int(query["from"]) / 1000, UTC), end
            return now - timedelta(days=int(query.get("days", _DEFAULT_DAYS))), now
        except (ValueError, OverflowError) as error:
            raise HTTPException(400, f"from, to and days are whole numbers: {error}") from error


def _together(series: list[list[tuple[datetime, float]]]) -> list[tuple[Any, ...]]:
    return [(column[0][0], *(value for _, value in column)) for column in zip(*series, strict=True)]


def _in_state(events: list[JSON], request: Request) -> list[JSON]:
    state = request.query_params.get("state")
    return [event for event in events if state in {None, event["state"]}]


def _enveloped(message: str, data: Any) -> Response:
    return JSONResponse({"message": message, "terms": TERMS, "data": data}, media_type=_MEDIA_TYPE)


def _error(status: int, message: str, detail: str | None = None) -> Response:
    trace = secrets.token_hex(16)
    body = {"message": message, "terms": TERMS, "data": detail, "trace_id": trace}
    return JSONResponse(body, status, {"Trace-Id": trace}, _MEDIA_TYPE)


async def _refused(request: Request, error: Exception) -> Response:  # noqa: ARG001 - starlette's signature
    assert isinstance(error, HTTPException)
    return _error(error.status_code, error.detail, error.detail)


def _basic(authorization: str) -> str:
    scheme, _, value = authorization.partition(" ")
    try:
        return base64.b64decode(value, validate=True).decode() if scheme.lower() == "basic" else ""
    except (binascii.Error, UnicodeDecodeError):
        return ""


def _ms(when: datetime) -> int:
    return int(when.timestamp() * 1000)


def _iso(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
