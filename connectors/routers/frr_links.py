"""A router's interfaces: state from FRR, byte counters from the kernel (FRR reports none), rates from two samples."""

from __future__ import annotations

from dataclasses import dataclass, replace

from pydantic import TypeAdapter

from connectors.routers.frr_json import Count, Row, document, rows
from network.observation import Link

INTERFACES = "show interface json"
COUNTERS = "ip -j -s link"

#: Seconds between two samples that make an honest rate: closer is noise, further apart is history.
SHORTEST_S, LONGEST_S = 0.2, 60.0


class InterfaceRow(Row):
    """`operationalStatus` is absent when the interface is shut."""

    administrative_status: str
    operational_status: str = "down"


class BytesRow(Row):
    bytes: Count


class StatsRow(Row):
    rx: BytesRow
    tx: BytesRow


class LinkRow(Row):
    ifname: str
    stats64: StatsRow


_INTERFACES: TypeAdapter[dict[str, InterfaceRow]] = TypeAdapter(dict[str, InterfaceRow])
_LINKS: TypeAdapter[list[LinkRow]] = TypeAdapter(list[LinkRow])


@dataclass(frozen=True, slots=True)
class Sample:
    """Byte counters of an interface and when they were read, in seconds of a monotonic clock."""

    received: int
    sent: int
    at_s: float


def interfaces(text: str) -> dict[str, Link]:
    """Interfaces by name, without rates. Raises BadReply."""
    found = rows(_INTERFACES, document(text, INTERFACES), INTERFACES)
    return {
        name: Link(admin_up=row.administrative_status == "up", oper_up=row.operational_status == "up")
        for name, row in found.items()
    }


def counters(text: str, at_s: float) -> dict[str, Sample]:
    """Samples by interface. Raises BadReply."""
    found = rows(_LINKS, document(text, COUNTERS), COUNTERS)
    return {row.ifname: Sample(row.stats64.rx.bytes, row.stats64.tx.bytes, at_s) for row in found}


def with_rates(link: Link, before: Sample | None, now: Sample | None) -> Link:
    """The link with its rates in Mbps: in = received by the router (out of the cloud), out = sent by it.

    No rate on the first sample, after a counter reset, or when the samples lie absurdly close or far apart.
    """
    if before is None or now is None:
        return link
    took = now.at_s - before.at_s
    received, sent = now.received - before.received, now.sent - before.sent
    if not SHORTEST_S <= took <= LONGEST_S or received < 0 or sent < 0:
        return link
    return replace(link, in_mbps=received * 8e-6 / took, out_mbps=sent * 8e-6 / took)
