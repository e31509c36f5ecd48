"""CloudWatch: ListMetrics and GetMetricData for AWS/DX and AWS/VPN.

The newest point follows the world at once; older ones come from the seeded series. A session's history before
its present state began is shown healthy, but for the period in which that state began: its Minimum is down.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from lab.aws.habits import Habits
from lab.aws.side import Side
from lab.aws.wire import JSON, AwsError, page, without_none
from lab.facts import Facts
from lab.telemetry import Direction, Telemetry, live_last
from network.inventory import Path

Value = Callable[[datetime], float]
Dips = Callable[[], datetime]
Dimensions = tuple[tuple[str, str], ...]

_FINEST_S = 300
_PAGE = 500
_LIGHT_DBM = {"Rx": -3.1, "Tx": -2.4}
_DARK_DBM = -40.0
_LANES = ("1", "2", "3", "4")


@dataclass(frozen=True)
class _Metric:
    namespace: str
    name: str
    dimensions: Dimensions
    value: Value
    changed: Dips | None = None  # when the state that it tells last changed

    def at(self, starts: datetime, read_at: datetime, period: timedelta, stat: str) -> float:
        dipped = self.changed is not None and starts <= self.changed() < starts + period
        if dipped and stat == "Minimum":
            return 0.0
        return self.value(read_at) * (period.total_seconds() / _FINEST_S if stat == "Sum" else 1.0)


class CloudWatch:
    """Answers by operation name. Every metric has one value for each 5 minutes; a longer period takes its first."""

    def __init__(
        self, side: Side, facts: Facts, telemetry: Telemetry, habits: Habits, now: Callable[[], datetime]
    ) -> None:
        self._side = side
        self._habits = habits
        self._facts = facts
        self._telemetry = telemetry
        self._now, self._read_at = now, now()
        self.operations: dict[str, Callable[[JSON], JSON]] = {
            "ListMetrics": self._list,
            "GetMetricData": self._data,
        }

    def _list(self, asked: JSON) -> JSON:
        wanted = {(entry["Name"], entry.get("Value")) for entry in asked.get("Dimensions", [])}
        rows = [
            {
                "Namespace": metric.namespace,
                "MetricName": metric.name,
                "Dimensions": [{"Name": name, "Value": value} for name, value in metric.dimensions],
            }
            for metric in self._metrics()
            if asked.get("Namespace", metric.namespace) == metric.namespace
            and asked.get("MetricName", metric.name) == metric.name
            and all(_has(metric.dimensions, name, value) for name, value in wanted)
        ]
        return self._paged("Metrics", rows, asked)

    def _data(self, asked: JSON) -> JSON:
        self._read_at = self._now()
        start, end = (datetime.fromtimestamp(asked[key], UTC) for key in ("StartTime", "EndTime"))
        if end <= start:
            raise AwsError("ValidationError", "The parameter StartTime must be less than the parameter EndTime.")
        ascending = asked.get("ScanBy") == "TimestampAscending"
        results = [self._result(query, start, end, ascending=ascending) for query in asked["MetricDataQueries"]]
        return self._paged("MetricDataResults", results, asked) | {"Messages": []}

    def _paged(self, name: str, rows: list[JSON], asked: JSON) -> JSON:
        try:
            shown, token = page(rows, min(_PAGE, self._habits.page), asked.get("NextToken"))
        except ValueError as error:
            raise AwsError("InvalidNextToken", str(error)) from error
        return without_none({name: shown, "NextToken": token})

    def _result(self, query: JSON, start: datetime, end: datetime, *, ascending: bool) -> JSON:
        stat = query.get("MetricStat")
        if stat is None:
            raise AwsError("ValidationError", f"Query {query['Id']}: expressions are not known here; use MetricStat.")
        asked, period = stat["Metric"], timedelta(seconds=max(_FINEST_S, int(stat["Period"])))
        dimensions = {(entry["Name"], entry["Value"]) for entry in asked.get("Dimensions", [])}
        points: list[tuple[datetime, float]] = []
        for metric in self._metrics():
            same = (metric.namespace, metric.name) == (asked["Namespace"], asked["MetricName"])
            if same and set(metric.dimensions) == dimensions:
                points = self._points(metric, start, end, period, stat["Stat"])
        if not ascending:
            points.reverse()
        return {
            "Id": query["Id"],
            "Label": query.get("Label", asked["MetricName"]),
            "Timestamps": [when.timestamp() for when, _ in points],
            "Values": [value for _, value in points],
            "StatusCode": "Complete",
        }

    def _points(
        self, metric: _Metric, start: datetime, end: datetime, period: timedelta, stat: str
    ) -> list[tuple[datetime, float]]:
        times = live_last(start, end, int(period.total_seconds()), self._read_at)
        return [(when, metric.at(when, read_at, period, stat)) for when, read_at in times]

    def _metrics(self) -> list[_Metric]:
        found = [metric for path in self._side.dx_paths() for metric in self._dx(path)]
        return found + [metric for path in self._side.vpn_paths() for metric in self._vpn(path)]

    def _dx(self, path: Path) -> list[_Metric]:
        declared = self._side.site.connection(path.connection or "")
        connection: Dimensions = (("ConnectionId", declared.connection_id),)
        vif: Dimensions = (*connection, ("VirtualInterfaceId", declared.vif_id))
        bgp: Dimensions = (*vif, ("IpAddressFamily", "ipv4"))
        up = self._up_since(path, lambda: self._facts.connection_up(declared.name))
        # Ingress is into AWS, egress leaves it.
        loads: tuple[tuple[str, Direction], ...] = (("Ingress", "in"), ("Egress", "out"))
        return [
            _Metric("AWS/DX", "ConnectionState", connection, up),
            *(_Metric("AWS/DX", f"ConnectionBps{way}", connection, self._bits(path, d)) for way, d in loads),
            *(_Metric("AWS/DX", f"VirtualInterfaceBps{way}", vif, self._bits(path, d)) for way, d in loads),
            *self._light(path, connection),
            *self._encryption(declared.name, connection),
            _Metric("AWS/DX", "VirtualInterfaceBgpStatus", bgp, self._bgp(path), lambda: self._since(path)),
            _Metric("AWS/DX", "VirtualInterfaceBgpPrefixesAccepted", bgp, self._count(path, "received")),
            _Metric("AWS/DX", "VirtualInterfaceBgpPrefixesAdvertised", bgp, self._count(path, "advertised")),
        ]

    def _vpn(self, path: Path) -> list[_Metric]:
        outside = str(self._side.site.tunnel(path.tunnel or "").outside)
        tunnel: Dimensions = (("VpnId", self._side.vpn_id(path)), ("TunnelIpAddress", outside))
        into, out = self._bits(path, "in"), self._bits(path, "out")
        return [
            _Metric("AWS/VPN", "TunnelState", tunnel, self._bgp(path)),
            _Metric("AWS/VPN", "TunnelDataIn", tunnel, lambda when: into(when) * _FINEST_S / 8),
            _Metric("AWS/VPN", "TunnelDataOut", tunnel, lambda when: out(when) * _FINEST_S / 8),
        ]

    def _light(self, path: Path, connection: Dimensions) -> list[_Metric]:
        """Of a hosted connection AWS shows no light; the lab does, so that there is some to be seen."""

        def lane(way: str, dbm: float, number: str) -> _Metric:
            def lit(_: datetime) -> float:
                return dbm if self._facts.connection_up(path.connection or "") else _DARK_DBM

            return _Metric("AWS/DX", f"ConnectionLightLevel{way}", (*connection, ("OpticalLaneNumber", number)), lit)

        return [lane(way, dbm - int(number) / 10, number) for way, dbm in _LIGHT_DBM.items() for number in _LANES]

    def _encryption(self, name: str, connection: Dimensions) -> list[_Metric]:
        up = self._habits.encrypted.get(name)
        return [] if up is None else [_Metric("AWS/DX", "ConnectionEncryptionState", connection, lambda _: float(up))]

    def _since(self, path: Path) -> datetime:
        return self._facts.far_session(path.name).since

    def _bits(self, path: Path, direction: Direction) -> Value:
        def value(when: datetime) -> float:
            if when >= self._read_at:
                return self._facts.mbps(path.name)[0 if direction == "in" else 1] * 1e6
            return self._telemetry.at(path.name, direction, when) * 1e6

        return value

    def _bgp(self, path: Path) -> Value:
        return self._up_since(path, lambda: self._facts.far_session(path.name).established)

    def _up_since(self, path: Path, up: Callable[[], bool]) -> Value:
        return lambda when: float(up() or when < self._facts.far_session(path.name).since)

    def _count(self, path: Path, side: str) -> Value:
        def value(_: datetime) -> float:
            far = self._facts.far_session(path.name)
            routes = far.received if side == "received" else far.advertised
            return float(len(routes)) if far.established else 0.0

        return value


def _has(dimensions: Dimensions, name: str, value: str | None) -> bool:
    return any(name == known and value in {None, text} for known, text in dimensions)
