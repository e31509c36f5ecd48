"""CloudWatch, asked and read: light and encryption of a connection, a session's recent past, load of a tunnel.

A flap between two polls shows only in the Minimum of a metric, and the number of a connection's optical lanes only in
ListMetrics: so the metrics are listed first, then all of them are asked for in one GetMetricData.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic import FiniteFloat

from connectors.aws_direct import BgpHistory
from connectors.aws_shapes import Ec2, Moment, dx_paths, side_of, vpn_paths
from connectors.errors import BadReply
from connectors.reply import CHECK_VERSION, Finding, Rows, Text, read
from network.inventory import Cloud, Site
from network.observation import Kind, Load, Optics

PERIOD = timedelta(minutes=5)  # BGP metrics come every five minutes, the others at least as often
WINDOW = timedelta(minutes=15)
LOAD_PERIOD = timedelta(minutes=15)  # fine enough for a week's 95th percentile, and a third of the points
LOAD_DAYS = 7
MOST_QUERIES = 500
#: Metric to the statistic that tells of the worst moment (or, for a count, the newest value).
DX_METRICS = {
    "ConnectionLightLevelRx": "Minimum",
    "ConnectionLightLevelTx": "Minimum",
    "ConnectionEncryptionState": "Minimum",
    "ConnectionState": "Minimum",
    "VirtualInterfaceBgpStatus": "Minimum",
    "VirtualInterfaceBgpPrefixesAccepted": "Maximum",
    "VirtualInterfaceBgpPrefixesAdvertised": "Maximum",
}
VPN_METRICS = {"TunnelDataIn": "Sum", "TunnelDataOut": "Sum"}

Points = tuple[tuple[datetime, float], ...]  # newest first, each with the start of its period


class _Dimension(Ec2):
    name: Text = ""
    value: Text = ""


class _Listed(Ec2):
    metric_name: Text = ""
    dimensions: Rows[_Dimension] = ()


class _List(Ec2):
    metrics: tuple[_Listed, ...]


class _Result(Ec2):
    id: str
    status_code: Text = ""
    timestamps: Rows[Moment] = ()
    values: Rows[FiniteFloat] = ()


class _Results(Ec2):
    metric_data_results: tuple[_Result, ...]


@dataclass(frozen=True, slots=True)
class Query:
    """One metric with its exact dimensions; `thing` is the site's connection or tunnel that it is about."""

    namespace: str
    metric: str
    stat: str
    dimensions: tuple[tuple[str, str], ...]
    thing: str


def dx_queries(listed: Any, site: Site, cloud: Cloud) -> list[Query]:
    """What to ask of the metrics that ListMetrics found in AWS/DX for our connections and VIFs. Raises BadReply."""
    connections = {
        declared.connection_id: declared
        for declared in (site.connection(path.connection or "") for path in dx_paths(site, cloud))
    }
    found: dict[Query, None] = {}
    for row in read(_List, listed, "aws ListMetrics of AWS/DX").metrics:
        named = {each.name: each.value for each in row.dimensions}
        ours = connections.get(named.get("ConnectionId", ""))
        stat = DX_METRICS.get(row.metric_name)
        if ours is None or stat is None or named.get("VirtualInterfaceId", ours.vif_id) != ours.vif_id:
            continue
        if named.get("IpAddressFamily", "ipv4").lower() == "ipv4":  # both spellings are seen
            found[Query("AWS/DX", row.metric_name, stat, tuple(sorted(named.items())), ours.name)] = None
    return [*found][:MOST_QUERIES]


def vpn_queries(site: Site, cloud: Cloud) -> list[Query]:
    """What to ask of AWS/VPN: bytes through each tunnel, both ways."""
    ids = side_of(cloud).vpn_connection_ids
    tunnels = [site.tunnel(path.tunnel or "") for path in vpn_paths(site, cloud)]
    return [
        Query("AWS/VPN", metric, stat, (("TunnelIpAddress", str(t.outside)), ("VpnId", ids[t.name])), t.name)
        for t in tunnels
        if t.name in ids
        for metric, stat in VPN_METRICS.items()
    ]


def asked(queries: Sequence[Query], start: datetime, end: datetime, period: timedelta = PERIOD) -> dict[str, Any]:
    """The parameters of GetMetricData; a query's id is its place."""
    return {
        "MetricDataQueries": [
            {
                "Id": f"q{place}",
                "MetricStat": {
                    "Metric": {
                        "Namespace": query.namespace,
                        "MetricName": query.metric,
                        "Dimensions": [{"Name": name, "Value": value} for name, value in query.dimensions],
                    },
                    "Period": int(period.total_seconds()),
                    "Stat": query.stat,
                },
                "ReturnData": True,
            }
            for place, query in enumerate(queries)
        ],
        "StartTime": start,
        "EndTime": end,
    }


def parse_data(data: Any, queries: Sequence[Query]) -> dict[Query, Points]:
    """The points of each query that has any. Raises BadReply, also for a query that the service refused.

    A query's result may come in pieces, over several pages.
    """
    where = "aws GetMetricData"
    by_id = {f"q{place}": query for place, query in enumerate(queries)}
    found: dict[Query, dict[datetime, float]] = {}
    for result in read(_Results, data, where).metric_data_results:
        query = by_id.get(result.id)
        if query is None or len(result.timestamps) != len(result.values):
            wrong = "not asked for" if query is None else f"{len(result.timestamps)} times, {len(result.values)} values"
            raise BadReply(f"result {result.id[:40]!r}: {wrong}", where=where, do_next=CHECK_VERSION)
        if result.status_code not in {"", "Complete", "PartialData"}:
            said = f"{query.metric} of {query.thing}: {result.status_code[:40]}"
            raise BadReply(said, where=where, do_next="Check the rights of the role: cloudwatch:GetMetricData.")
        found.setdefault(query, {}).update(zip(result.timestamps, result.values, strict=True))
    return {query: tuple(sorted(points.items(), reverse=True)) for query, points in found.items() if points}


def optics(points: Mapping[Query, Points], site: Site, cloud: Cloud) -> list[tuple[datetime, Finding]]:
    """Light and MACsec of each connection that has a point, with the end of that point's period.

    The worst lane counts. A connection without a point is left out: unknown.
    """
    found = []
    for path in dx_paths(site, cloud):
        mine = {query: each for query, each in points.items() if query.thing == path.connection}
        rx, tx = (_worst(mine, f"ConnectionLightLevel{way}") for way in ("Rx", "Tx"))
        encrypted = _worst(mine, "ConnectionEncryptionState")
        known = [each for each in (rx, tx, encrypted) if each is not None]
        if known and path.connection:
            macsec = None if encrypted is None else encrypted[1] >= 1
            fact = Optics(rx[1] if rx else None, tx[1] if tx else None, macsec)
            ends = min(when for when, _ in known) + PERIOD
            found.append((ends, Finding(Kind.OPTICS, path.connection, fact, _shown(mine))))
    return found


def _worst(mine: Mapping[Query, Points], metric: str) -> tuple[datetime, float] | None:
    """The lowest of the newest values over a metric's lanes, with the oldest of their times."""
    newest = [points[0] for query, points in mine.items() if query.metric == metric]
    return (min(when for when, _ in newest), min(value for _, value in newest)) if newest else None


def bgp_history(points: Mapping[Query, Points], site: Site, cloud: Cloud) -> dict[str, BgpHistory]:
    """By path: when the session, or its connection, was last seen down within the window, and its counts."""
    found = {}
    for path in dx_paths(site, cloud):
        mine = {query: each for query, each in points.items() if query.thing == path.connection}
        lows = [
            when
            for query, each in mine.items()
            if query.metric in {"VirtualInterfaceBgpStatus", "ConnectionState"}
            for when, value in each
            if value < 1
        ]
        counts = {query.metric: each[0] for query, each in mine.items()}
        accepted = counts.get("VirtualInterfaceBgpPrefixesAccepted")
        advertised = counts.get("VirtualInterfaceBgpPrefixesAdvertised")
        found[path.name] = BgpHistory(
            down_at=max(lows, default=None),
            accepted=round(accepted[1]) if accepted else None,
            advertised=round(advertised[1]) if advertised else None,
            counted_at=accepted[0] if accepted else None,
        )
    return found


def loads(points: Mapping[Query, Points]) -> list[Finding]:
    """Load of each tunnel: nearest-rank 95th percentile of each direction, the larger one; nothing without points."""
    found = []
    for tunnel in dict.fromkeys(query.thing for query in points):
        mine = {query.metric: each for query, each in points.items() if query.thing == tunnel}
        peaks = {metric: _p95(value for _, value in each) for metric, each in mine.items()}
        times = [when for each in mine.values() for when, _ in each]
        days = (max(times) - min(times) + LOAD_PERIOD) / timedelta(days=1)
        fact = Load(p95_mbps=round(max(peaks.values()), 3), days=round(days, 2))
        found.append(Finding(Kind.LOAD, tunnel, fact, {"p95_mbps": peaks, "points": len(times)}))
    return found


def _p95(byte_counts: Iterable[float]) -> float:
    ordered = sorted(8e-6 * each / LOAD_PERIOD.total_seconds() for each in byte_counts)
    return ordered[math.ceil(0.95 * len(ordered)) - 1]


def _shown(mine: Mapping[Query, Points]) -> dict[str, list[float]]:
    return {f"{query.metric} {dict(query.dimensions)}": [value for _, value in each] for query, each in mine.items()}
