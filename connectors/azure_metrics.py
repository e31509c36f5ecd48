"""Azure Monitor's answers: the question, the shapes, and what of a VPN gateway only its metrics tell.

A virtual WAN's VPN gateway has no getBgpPeerStatus; its connections' status is IKE and IPsec, not BGP. An answer
may hold an error of one metric beside the others, and points without a value.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any

from pydantic import Field, FiniteFloat

from connectors.azure_site import Moment
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


class Point(Shape):
    """One moment of a series; what was not asked for, or not measured, is None."""

    time_stamp: Moment
    average: FiniteFloat | None = None
    total: FiniteFloat | None = None


class _Series(Shape):
    metadatavalues: Annotated[Rows[_Dimension], Field(alias="metadatavalues")] = ()
    data: Rows[Point] = ()


class Metric(Shape):
    """One metric's series, or why there are none."""

    name: _Name
    error_code: Text = ""
    error_message: Text = ""
    timeseries: Rows[_Series] = ()

    @property
    def error(self) -> str:
        wrong = self.error_code.lower() not in {"", "success"}
        return f"{self.name.value}: {self.error_code} {self.error_message}".strip() if wrong else ""


class _Metrics(Shape):
    value: tuple[Metric, ...]


def query(
    names: Iterable[str], now: datetime, window: timedelta, interval: str = "PT1M", **more: str
) -> dict[str, str]:
    """Query parameters for several metrics of one resource in one call; `more` has the last word."""
    return {
        "api-version": METRICS_VERSION,
        "metricnames": ",".join(names),
        "aggregation": "average,total",
        "interval": interval,
        "timespan": f"{now - window:%Y-%m-%dT%H:%M:%SZ}/{now:%Y-%m-%dT%H:%M:%SZ}",
        **more,
    }


def metrics_in(data: Any, where: str) -> dict[str, Metric]:
    """The metrics of an answer by name; raises BadReply."""
    return {metric.name.value: metric for metric in read(_Metrics, data, where).value}


def told(metrics: Mapping[str, Metric], names: Iterable[str], where: str) -> None:
    """Raises BadReply for the first of the named metrics that came with an error of its own."""
    for name in names:
        if name in metrics and metrics[name].error:
            raise BadReply(metrics[name].error, where=where, do_next=CHECK_VERSION)


def series_by(metric: Metric | None, dimension: str) -> dict[str, tuple[Point, ...]]:
    """Points by a dimension's value; the service answers a dimension's name in lower case."""
    return {
        each.value: series.data
        for series in (metric.timeseries if metric else ())
        for each in series.metadatavalues
        if each.name.value.lower() == dimension.lower()
    }


def newest(points: Iterable[Point]) -> Point | None:
    """The newest point that has an average; None when there is none."""
    valued = [point for point in points if point.average is not None]
    return max(valued, key=lambda point: point.time_stamp) if valued else None


def bgp_query(now: datetime) -> dict[str, str]:
    """Query parameters for the BGP metrics of every peer over the last WINDOW."""
    return query((STATUS, LEARNED), now, WINDOW, **{"$filter": "BgpPeerAddress eq '*'"})


def parse_bgp(data: Any, site: Site, cloud: Cloud) -> list[tuple[datetime, Finding]]:
    """SessionThere of each VPN path that has a recent point, with the end of that point's minute.

    A path without one is left out: unknown. The status is the mean of a minute, so from one half on the session
    counts as up. Raises BadReply, also for a metric that came with an error of its own.
    """
    where = "azure VPN metrics"
    metrics = metrics_in(data, where)
    told(metrics, metrics, where)
    status, learned = (series_by(metrics.get(name), "BgpPeerAddress") for name in (STATUS, LEARNED))
    found = []
    for path in site.paths_of(cloud.name):
        peer = str(site.session(path.session).local)
        last = newest(status.get(peer, ()))
        if path.kind == "vpn" and last is not None:
            counts = [point.total for point in learned.get(peer, ()) if point.time_stamp == last.time_stamp]
            finding = Finding(Kind.SESSION_THERE, path.name, _session(last, counts), last.model_dump())
            found.append((last.time_stamp + GRAIN, finding))
    return found


def _session(last: Point, counts: list[float | None]) -> SessionThere:
    level = last.average or 0.0
    received = round(counts[0]) if counts and counts[0] is not None else None
    state = {0.0: "down", 1.0: "up"}.get(level, f"up for {level:.0%} of the minute")
    return SessionThere(up=level >= 0.5, state=state, received=received)
