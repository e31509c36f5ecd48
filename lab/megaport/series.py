"""Telemetry and the OpenMetrics page, neither of them enveloped."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from lab.facts import Facts
from lab.megaport.answers import JSON, Answer, ms, no_such
from lab.megaport.sampled import Links
from lab.telemetry import STEP_S, Direction, Telemetry
from network.inventory import Port

TYPES = ("BITS", "PACKETS")
_BITS_PER_PACKET = 8 * 900  # a mixed-traffic mean; PACKETS is derived from BITS
_DEFAULT_DAYS = 1
_DARK_DBM = -40.0  # what a laser's receiver reads in the dark
_POWER = "megaport_service_optical_{way}_power_dbm"


class Counters:
    """What passes ports and VXCs, and the light on the ports."""

    def __init__(self, facts: Facts, links: Links, telemetry: Telemetry, now: Callable[[], datetime]) -> None:
        self._facts, self._links, self._site = facts, links, facts.site
        self._telemetry, self._now = telemetry, now
        self.openmetrics = True  # a beta: not every account has it

    def routes(self) -> dict[str, Answer]:
        return {
            "/v2/products/telemetry": self._types,
            "/v2/product/{kind}/{uid}/telemetry": self._series,
            "/v1/openmetrics": self._page,
        }

    def _types(self, request: Request) -> tuple[str, Any]:  # noqa: ARG002 - one signature for every answer
        return "Telemetry types", [{"type": name} for name in TYPES]

    def _page(self, request: Request) -> Response:  # noqa: ARG002 - one signature for every answer
        if not self.openmetrics:
            raise HTTPException(404, "Not found")
        lines = []
        for way in ("receive", "transmit"):
            name = _POWER.format(way=way)
            lines += [f"# HELP {name} Optical {way} power level in dBm.", f"# TYPE {name} gauge"]
            lines += [
                f'{name}{{service_uid="{port.uid}",service_name="{port.name}"}} {self._dbm(port, way)}'
                for port in self._site.ports
            ]
        return PlainTextResponse("\n".join([*lines, "# EOF", ""]))

    def _dbm(self, port: Port, way: str) -> float:
        if way == "receive" and not self._links.port_up(port.name):
            return _DARK_DBM
        return -2.1 if way == "transmit" else -3.4

    def _series(self, request: Request) -> Response:
        """In = entering at the A end, that is towards the cloud."""
        kind, uid = request.path_params["kind"], request.path_params["uid"]
        paths = self._paths(kind, uid)
        start, end = self._window(request)
        types = request.query_params.getlist("type") or ["BITS"]
        unknown = [name for name in types if name not in TYPES]
        if unknown:
            raise HTTPException(400, f"Unknown telemetry type {unknown[0]}")
        frame = {"from": ms(start), "to": ms(end)}
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
        samples = [[ms(when), round(value, 3)] for when, value in mbps]
        return {"type": kind, "subtype": subtype, "samples": samples, "unit": unit}

    def _paths(self, kind: str, uid: str) -> list[str]:
        if kind == "megaport":
            port = next((port.name for port in self._site.ports if port.uid == uid), None)
            if port is not None:
                return [path.name for path in self._site.paths_on_port(port)]
        vxc = next((vxc.name for vxc in self._site.vxcs if kind == "vxc" and vxc.uid == uid), None)
        if vxc is None:
            raise no_such(uid)
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
