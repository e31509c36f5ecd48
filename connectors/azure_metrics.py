"""Azure Monitor's metrics of a VPN gateway: the one place where a virtual WAN tells its VPN's BGP sessions.

A virtual WAN's VPN gateway has no getBgpPeerStatus; its connections' status is IKE and IPsec, not BGP.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import AwareDatetime, Field, FiniteFloat

from connectors.errors import BadReply
from connectors.reply import CHECK_VERSION, Finding, Rows, Shape, Text, read
from network.inventory import Cloud, Site
from network.observation import Kind, SessionThere

METRICS_VERSION = "2023-10-01"
GRAIN = timedelta(minutes=1)
WINDOW = timedelta(minutes=15)  # the service lags by minutes: the newest point that has a value counts
STATUS, LEARNED = "BgpPeerStatus", "BgpRoutesLearned"


class _Name(Shape):
    value: Text = ""


class _Dimension(Shape):
    name: _Name
    value: Text = ""


class _Point(Shape):
    time_stamp: AwareDatetime
    average: FiniteFloat | None = None
    total: FiniteFloat | None = None


class _Series(Shape):
    metadatavalues: Annotated[Rows[_Dimension], Field(alias="metadatavalues")] = ()
    data: Rows[_Point] = ()


class _Metric(Shape):
    name: _Name
    error_code: Text = ""
    error_message: Text = ""
    timeseries: Rows[_Series] = ()


class _Metrics(Shape):
    value: tuple[_Metric, ...]


def bgp_query(now: datetime) -> dict[str, str]:
    """Query parameters for the BGP metrics of every peer over the last WINDOW."""
    return {
        "api-version": METRICS_VERSION,
        "metricnames": f"{STATUS},{LEARNED}",
        "aggregation": "average,total",
        "interval": "PT1M",
        "timespan": f"{now - WINDOW:%Y-%m-%dT%H:%M:%SZ}/{now:%Y-%m-%dT%H:%M:%SZ}",
        "$filter": "BgpPeerAddress eq '*'",
    }


def parse_bgp(data: Any, site: Site, cloud: Cloud) -> list[tuple[datetime, Finding]]:
    """SessionThere of each VPN path that has a recent point, with the end of that point's minute.

    A path without one is left out: unknown. The status is the mean of a minute, so from one half on the session
    was up for the most of it. Raises BadReply.
    """
    where = "azure VPN gateway metrics"
    metrics = {metric.name.value: metric for metric in read(_Metrics, data, where).value}
    for metric in metrics.values():
        if metric.error_code not in {"", "Success"}:
            said = f"metric {metric.name.value}: {metric.error_code} {metric.error_message}"
            raise BadReply(said, where=where, do_next=CHECK_VERSION)
    status, learned = (_by_peer(metrics.get(name)) for name in (STATUS, LEARNED))
    found = []
    for path in site.paths_of(cloud.name):
        peer = str(site.session(path.session).local)
        points = [point for point in status.get(peer, ()) if point.average is not None]
        if path.kind == "vpn" and points:
            newest = max(points, key=lambda point: point.time_stamp)
            counts = [point.total for point in learned.get(peer, ()) if point.time_stamp == newest.time_stamp]
            finding = Finding(Kind.SESSION_THERE, path.name, _session(newest, counts), newest.model_dump())
            found.append((newest.time_stamp + GRAIN, finding))
    return found


def _session(newest: _Point, counts: list[float | None]) -> SessionThere:
    level = newest.average or 0.0
    received = round(counts[0]) if counts and counts[0] is not None else None
    state = {0.0: "down", 1.0: "up"}.get(level, f"up for {level:.0%} of the minute")
    return SessionThere(up=level >= 0.5, state=state, received=received)


def _by_peer(metric: _Metric | None) -> dict[str, tuple[_Point, ...]]:
    """Points by peer address; the service answers a dimension's name in lower case."""
    return {
        dimension.value: series.data
        for series in (metric.timeseries if metric else ())
        for dimension in series.metadatavalues
        if dimension.name.value.lower() == "bgppeeraddress"
    }
