"""The load history of the VPN tunnels: nobody else has one, for the fabric knows only its own cross connects."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

from connectors.azure_arm import Arm
from connectors.azure_metrics import Point, metrics_in, query, series_by, told
from connectors.reply import Finding
from network.inventory import Cloud, Site
from network.observation import Kind, Load, Observation

IN, OUT = "TunnelIngressBytes", "TunnelEgressBytes"
DAYS = 7
GRAIN_S = 300
LOAD_EVERY_S = 600.0


def load_query(now: datetime) -> dict[str, str]:
    """Bytes of every tunnel in a week's five minutes."""
    return query(
        (IN, OUT), now, timedelta(days=DAYS), "PT5M", aggregation="total", **{"$filter": "ConnectionName eq '*'"}
    )


def parse_tunnel_load(data: Any, site: Site, cloud: Cloud) -> list[Finding]:
    """Load of each tunnel that was measured: the larger direction's 95th percentile.

    A connection's name may come with the names of what it lies in. Raises BadReply, also for a metric that came
    with an error of its own.
    """
    where = "azure tunnel load"
    metrics = metrics_in(data, where)
    told(metrics, metrics, where)
    both = [series_by(metrics.get(name), "ConnectionName") for name in (IN, OUT)]
    found = []
    for tunnel in (each.name for each in site.tunnels if each.cloud == cloud.name):
        ways = [points for ways in both for name, points in ways.items() if name.lower().split("/")[-1] == tunnel]
        peaks = [peak for points in ways if (peak := _p95(points)) is not None]
        if peaks:
            fact = Load(p95_mbps=round(max(peaks), 3), days=round(max(map(_days, ways)), 2))
            found.append(Finding(Kind.LOAD, tunnel, fact, {"p95_mbps": peaks}))
    return found


def _p95(points: tuple[Point, ...]) -> float | None:
    """95th percentile in Mbps, nearest rank; None without a sample."""
    rates = sorted(point.total * 8 / GRAIN_S / 1e6 for point in points if point.total is not None)
    return rates[math.ceil(0.95 * len(rates)) - 1] if rates else None


def _days(points: tuple[Point, ...]) -> float:
    times = [point.time_stamp for point in points if point.total is not None]
    return (max(times) - min(times)).total_seconds() / 86400 if times else 0.0


async def tunnel_load(arm: Arm, gateway: str) -> list[Observation]:
    """A week's load of every tunnel, from the metrics of a VPN gateway of either sort."""
    path = f"{arm.network}{gateway}/providers/Microsoft.Insights/metrics"
    origin = arm.origin(f"GET {path}", LOAD_EVERY_S)
    data = await arm.get(path, load_query(arm.now()))
    return origin.observe(parse_tunnel_load(data, arm.site, arm.cloud))
