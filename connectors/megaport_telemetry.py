"""How much passes a port or VXC, and how bright its light is: what the fabric samples about every five minutes."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import FiniteFloat

from connectors.errors import BadReply
from connectors.megaport_client import Lane
from connectors.reply import CHECK_VERSION, Finding, Rows, Shape, Text, excerpt, read
from network.inventory import Port, Site, Vxc
from network.observation import Kind, Load, Optics

OPENMETRICS = "megaport /v1/openmetrics"
TO_MBPS = {"bps": 1e-6, "kbps": 1e-3, "mbps": 1.0, "gbps": 1e3}
TO_PPS = {"pps": 1.0, "kpps": 1e3, "mpps": 1e6}
Counts = Literal["BITS", "PACKETS"]

_POWER = re.compile(r"^megaport_service_optical_(receive|transmit)_power_dbm\{(.*)\}\s+(\S+)", re.MULTILINE)
_LABEL = re.compile(r'"([^"]*)"')


class _Unit(Shape):
    name: str


class _Series(Shape):
    type: Text = ""
    subtype: Text = ""
    unit: _Unit
    samples: Rows[tuple[FiniteFloat, FiniteFloat | None]] = ()


class _Telemetry(Shape):
    data: tuple[_Series, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """One direction of one count: `values` are Mbps for BITS and packets per second for PACKETS; gaps left out."""

    counts: str
    direction: str
    values: tuple[tuple[datetime, float], ...]


def parse_load(data: Any, vxc: str) -> list[Finding]:
    """Load of a VXC: nearest-rank 95th percentile of each direction, the larger one; nothing without samples.

    `days` is the span that the samples really cover. Raises BadReply.
    """
    where = f"megaport telemetry of {vxc}"
    bits = [series for series in read(_Telemetry, data, where).data if series.type == "BITS"]
    peaks = [_p95([value for _, value in _scaled(series, TO_MBPS, where)]) for series in bits if series.samples]
    times = [at for series in bits for at, value in series.samples if value is not None]
    if not times:
        return []
    days = (max(times) - min(times)) / 86_400_000
    raw = [{"subtype": series.subtype, "samples": len(series.samples)} for series in bits]
    return [Finding(Kind.LOAD, vxc, Load(p95_mbps=round(max(peaks), 3), days=round(days, 2)), raw)]


def parse_series(data: Any, name: str) -> tuple[Series, ...]:
    """Every series of a telemetry reply, in Mbps or packets per second. Raises BadReply."""
    where = f"megaport telemetry of {name}"
    found = []
    for series in read(_Telemetry, data, where).data:
        units = TO_PPS if series.type == "PACKETS" else TO_MBPS
        values = tuple((_moment(at, where), value) for at, value in _scaled(series, units, where))
        found.append(Series(series.type, series.subtype, values))
    return tuple(found)


def _scaled(series: _Series, units: dict[str, float], where: str) -> list[tuple[float, float]]:
    factor = units.get(series.unit.name.lower())
    if factor is None:
        raise BadReply(
            f"unit {series.unit.name!r} is not one of {', '.join(units)}",
            where=where,
            do_next=CHECK_VERSION,
            evidence=excerpt(series.unit.model_dump()),
        )
    return [(at, value * factor) for at, value in series.samples if value is not None]


def _moment(ms: float, where: str) -> datetime:
    try:
        return datetime.fromtimestamp(ms / 1000, UTC)
    except (OverflowError, ValueError, OSError):
        raise BadReply(f"{ms} is no time in milliseconds", where=where, do_next=CHECK_VERSION) from None


def _p95(values: list[float]) -> float:
    return sorted(values)[math.ceil(0.95 * len(values)) - 1] if values else 0.0


async def series_of(
    lane: Lane,
    thing: Port | Vxc,
    counts: Iterable[Counts] = ("BITS",),
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    days: int = 1,
) -> tuple[Series, ...]:
    """Telemetry of a port or VXC from `start` to `end` (default: now), or of the last `days` days."""
    path = f"/v2/product/{'vxc' if isinstance(thing, Vxc) else 'megaport'}/{thing.uid}/telemetry"
    span: dict[str, int] = {"days": days} if start is None else {"from": _ms(start)}
    if start is not None and end is not None:
        span["to"] = _ms(end)
    return parse_series(await lane.get(path, params={"type": list(counts), **span}), thing.name)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def parse_optics(text: str, site: Site) -> list[Finding]:
    """Light of the site's ports, from the OpenMetrics page; of several lasers the weakest. Raises BadReply.

    The page is a beta and its labels are documented nowhere: a line is of the port whose uid is one of its labels.
    Lines of one known shape are read here; a whole exposition parser would be a dependency for two gauges.
    """
    if text.strip() and "megaport_service_" not in text:
        raise BadReply("no metrics page", where=OPENMETRICS, do_next=CHECK_VERSION, evidence=text)
    ports = {port.uid: port for port in site.ports}
    seen: dict[str, dict[str, float]] = {}
    for way, labels, value in _POWER.findall(text):
        for uid in ports.keys() & set(_LABEL.findall(labels)):
            power, lasers = _dbm(value), seen.setdefault(uid, {})
            if power is not None:
                lasers[way] = min(power, lasers.get(way, power))
    return [_optics(ports[uid], lasers) for uid, lasers in seen.items() if lasers]


def _dbm(value: str) -> float | None:
    """None for NaN and infinities, by which exporters mean that there is no reading."""
    try:
        power = float(value)
    except ValueError:
        raise BadReply(
            f"{value[:40]!r} is no power in dBm", where=OPENMETRICS, do_next=CHECK_VERSION, evidence=value
        ) from None
    return power if math.isfinite(power) else None


def _optics(port: Port, lasers: dict[str, float]) -> Finding:
    fact = Optics(rx_dbm=lasers.get("receive"), tx_dbm=lasers.get("transmit"))
    return Finding(Kind.OPTICS, f"{port.router} {port.interface}", fact, {"port": port.name, **lasers})
