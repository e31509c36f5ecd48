"""Azure Monitor metrics of the circuit and of the VPN gateway.

The newest point of a series follows the world at once (the real service lags by a few minutes); older points
come from the seeded series. A session's history before its present state began is shown healthy.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lab.azure.ids import JSON, REGION, Arm
from lab.facts import Facts
from lab.telemetry import Direction, Telemetry, live_last
from network.inventory import Path

_INTERVALS = {"PT1M": 60, "PT5M": 300, "PT15M": 900, "PT30M": 1800, "PT1H": 3600, "PT6H": 21600, "P1D": 86400}
_CLAUSE = re.compile(r"(\w+)\s+eq\s+'([^']*)'")
_AGGREGATES: dict[str, Callable[[list[float]], float]] = {
    "average": lambda values: sum(values) / len(values),
    "minimum": min,
    "maximum": max,
    "total": sum,
    "count": lambda values: float(len(values)),
}
AGGREGATIONS = tuple(_AGGREGATES)

Value = Callable[[datetime], float]
Dimensions = dict[str, str]


class MetricsError(Exception):
    """A query that Azure Monitor refuses; the message is its answer's."""


@dataclass(frozen=True)
class _Metric:
    unit: str
    default: str
    series: list[tuple[Dimensions, Value]]
    grain_s: int = 60  # the finest
    empty: bool = False  # points come without a value

    def knows(self, dimension: str) -> bool:
        return any(dimension.lower() == name.lower() for dimensions, _ in self.series for name in dimensions)


class Metrics:
    """Answers `GET {resource}/providers/Microsoft.Insights/metrics`."""

    def __init__(self, arm: Arm, facts: Facts, telemetry: Telemetry, now: Callable[[], datetime]) -> None:
        self._arm = arm
        self._facts = facts
        self._telemetry = telemetry
        self._now, self._read_at = now, now()
        #: Connections of the circuit that Microsoft works on behind its edge: BGP availability 0, the session up.
        self.worked_on: set[str] = set()
        #: Metrics that come with this error code of their own instead of points.
        self.troubled: dict[str, str] = {}

    def answer(self, resource: str, query: dict[str, str]) -> JSON:
        """The metrics of one resource id. Raises KeyError for a resource without metrics, MetricsError else."""
        self._read_at = self._now()
        known = {self._arm.circuit: self._circuit, self._arm.vpn_gateway: self._vpn}[resource]()
        names = [name for name in query.get("metricnames", "").split(",") if name]
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            raise MetricsError(f"Failed to find metric configuration for metric: {', '.join(unknown) or '(none)'}")
        value = [self._metric(resource, name, known[name], query) for name in names]
        start, end, _ = self._window(query)
        return {
            "cost": 0,
            "timespan": f"{_iso(start)}/{_iso(end)}",
            "interval": query.get("interval", "PT1M"),
            "namespace": "/".join(resource.split("/")[6:8]),
            "resourceregion": REGION,
            "value": value,
        }

    def _metric(self, resource: str, name: str, metric: _Metric, query: dict[str, str]) -> JSON:
        start, end, step_s = self._window(query)
        if step_s < metric.grain_s:
            if query.get("AutoAdjustTimegrain", "").lower() != "true":
                raise MetricsError(f"Detected invalid time grain input for {name}: its finest is {metric.grain_s} s")
            step_s = metric.grain_s
        found = {
            "id": f"{resource}/providers/Microsoft.Insights/metrics/{name}",
            "type": "Microsoft.Insights/metrics",
            "name": {"value": name, "localizedValue": name},
            "displayDescription": name,
            "unit": metric.unit,
        }
        if name in self.troubled:
            return found | {"errorCode": self.troubled[name], "errorMessage": "No data now.", "timeseries": []}
        clauses = _clauses(name, metric, query)
        series = self._timeseries(metric, query.get("aggregation"), clauses, start, end, step_s)
        return found | {"errorCode": "Success", "timeseries": series}

    def _circuit(self) -> dict[str, _Metric]:
        bits: dict[Direction, list[tuple[Dimensions, Value]]] = {"in": [], "out": []}
        bgp: list[tuple[Dimensions, Value]] = []
        arp: list[tuple[Dimensions, Value]] = []
        for link, path in self._arm.legs().items():
            role = {"PeeringType": "Private", "DeviceRole": link.capitalize()}
            peer = {"PeeringType": "Private", "Peer": link.capitalize()}
            for direction, found in bits.items():
                found.append((role, self._bits(path, direction)))
            bgp.append((peer, self._percent(path, self._bgp_up)))
            arp.append((peer, self._percent(path, self._layer_2_up)))
        return {
            "BitsInPerSecond": _Metric("BitsPerSecond", "average", bits["in"]),
            "BitsOutPerSecond": _Metric("BitsPerSecond", "average", bits["out"]),
            "BgpAvailability": _Metric("Percent", "average", bgp),
            "ArpAvailability": _Metric("Percent", "average", arp),
            **{
                # Without rate limiting on the circuit nothing is measured: the points are there, their values not.
                name: _Metric("BitsPerSecond", "average", [({}, lambda when: 0.0)], 300, empty=True)  # noqa: ARG005
                for name in ("QosDropBitsInPerSecond", "QosDropBitsOutPerSecond")
            },
        }

    def _vpn(self) -> dict[str, _Metric]:
        found: dict[str, list[tuple[Dimensions, Value]]] = {}
        for index, path in enumerate(self._arm.vpn_paths()):
            tunnel = self._arm.site.tunnel(path.tunnel or "")
            peer = {"BgpPeerAddress": str(self._arm.site.session(path.session).local), "Instance": str(index)}
            wire = {"ConnectionName": tunnel.name, "RemoteIP": str(tunnel.outside), "Instance": str(index)}
            into, out = self._bits(path, "in"), self._bits(path, "out")
            for name, dimensions, value in (
                ("BgpPeerStatus", peer, self._level(path, lambda up, count: float(up))),  # noqa: ARG005 - one shape
                ("BgpRoutesLearned", peer, self._level(path, lambda up, count: float(count if up else 0))),
                ("TunnelAverageBandwidth", wire, _per_8(_sum_of(into, out))),
                ("TunnelIngressBytes", wire, _per_8(into, 60)),
                ("TunnelEgressBytes", wire, _per_8(out, 60)),
            ):
                found.setdefault(name, []).append((dimensions, value))
        units = {"BgpPeerStatus": "Count", "BgpRoutesLearned": "Count", "TunnelAverageBandwidth": "BytesPerSecond"}
        totals = {"TunnelIngressBytes", "TunnelEgressBytes", "BgpRoutesLearned"}
        return {
            name: _Metric(units.get(name, "Bytes"), "total" if name in totals else "average", series)
            for name, series in found.items()
        }

    def _bits(self, path: Path, direction: Direction) -> Value:
        def value(when: datetime) -> float:
            if when >= self._read_at:
                return self._facts.mbps(path.name)[0 if direction == "in" else 1] * 1e6
            return self._telemetry.at(path.name, direction, when) * 1e6

        return value

    def _percent(self, path: Path, up: Callable[[Path], bool]) -> Value:
        def value(when: datetime) -> float:
            return 100.0 if up(path) or when < self._facts.far_session(path.name).since else 0.0

        return value

    def _level(self, path: Path, read: Callable[[bool, int], float]) -> Value:
        def value(when: datetime) -> float:
            far = self._facts.far_session(path.name)
            return read(far.established or when < far.since, len(far.received))

        return value

    def _bgp_up(self, path: Path) -> bool:
        return path.connection not in self.worked_on and self._facts.far_session(path.name).established

    def _layer_2_up(self, path: Path) -> bool:
        return self._facts.connection_up(path.connection or "") and self._facts.vxc_up(path.vxc or "")

    def _window(self, query: dict[str, str]) -> tuple[datetime, datetime, int]:
        interval = query.get("interval", "PT1M")
        if interval not in _INTERVALS:
            raise MetricsError(f"Detected invalid time grain input '{interval}'; allowed: {', '.join(_INTERVALS)}")
        start_text, _, end_text = query.get("timespan", "").partition("/")
        try:
            end = _time(end_text) if end_text else self._read_at
            start = _time(start_text) if start_text else end - timedelta(hours=1)
        except ValueError as error:
            raise MetricsError(f"timespan is start/end in ISO 8601: {error}") from error
        return start, end, _INTERVALS[interval]

    def _timeseries(
        self,
        metric: _Metric,
        asked: str | None,
        clauses: dict[str, set[str]],
        start: datetime,
        end: datetime,
        step_s: int,
    ) -> list[JSON]:
        """One series, or one per combination of the dimensions that the filter names."""
        aggregations = [name.lower() for name in (asked or metric.default).split(",")]
        unknown = [name for name in aggregations if name not in AGGREGATIONS]
        if unknown:
            raise MetricsError(f"aggregation {unknown[0]!r} is not one of {', '.join(AGGREGATIONS)}")
        times = live_last(start, end, step_s, self._read_at)
        minutes = step_s / 60 if metric.unit == "Bytes" else 1  # bytes of all minutes, rates of one
        return [
            {
                "metadatavalues": [
                    {"name": {"value": name, "localizedValue": name}, "value": value} for name, value in key
                ],
                "data": [
                    {"timeStamp": _iso(when)}
                    if metric.empty
                    else _point(when, [value(read_at) * minutes for value in values], aggregations)
                    for when, read_at in times
                ],
            }
            for key, values in _grouped(metric.series, clauses).items()
        ]


def _clauses(name: str, metric: _Metric, query: dict[str, str]) -> dict[str, set[str]]:
    """The filter's values by dimension; one that the metric has not is refused, or passed over when asked for that."""
    clauses: dict[str, set[str]] = {}
    for dimension, value in _CLAUSE.findall(query.get("$filter", "")):
        clauses.setdefault(dimension.lower(), set()).add(value.lower())
    foreign = [dimension for dimension in clauses if not metric.knows(dimension)]
    if foreign and query.get("ValidateDimensions", "true").lower() != "false":
        raise MetricsError(f"Metric: {name} does not support requested dimension combination: {', '.join(foreign)}")
    return {dimension: values for dimension, values in clauses.items() if dimension not in foreign}


def _grouped(
    series: list[tuple[Dimensions, Value]], clauses: dict[str, set[str]]
) -> dict[tuple[tuple[str, str], ...], list[Value]]:
    groups: dict[tuple[tuple[str, str], ...], list[Value]] = {}
    for dimensions, value in series:
        # Azure answers the dimension names in lower case, whatever their spelling in the question.
        lowered = {name.lower(): text for name, text in dimensions.items()}
        if all(_matches(lowered.get(name), allowed) for name, allowed in clauses.items()):
            groups.setdefault(tuple((name, lowered[name]) for name in clauses), []).append(value)
    return groups


def _matches(value: str | None, allowed: set[str]) -> bool:
    return value is not None and ("*" in allowed or value.lower() in allowed)


def _point(when: datetime, values: list[float], aggregations: list[str]) -> JSON:
    return {"timeStamp": _iso(when), **{name: _AGGREGATES[name](values) for name in aggregations}}


def _sum_of(one: Value, other: Value) -> Value:
    return lambda when: one(when) + other(when)


def _per_8(bits: Value, seconds: int = 1) -> Value:
    return lambda when: bits(when) * seconds / 8


def _time(text: str) -> datetime:
    # A "+" of an offset that was not escaped arrives as a space.
    moment = datetime.fromisoformat(text.replace(" ", "+"))
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _iso(when: datetime) -> str:
    return f"{when.astimezone(UTC):%Y-%m-%dT%H:%M:%S}Z"
