"""A router's interfaces: state from FRR, bytes and errors from the kernel (FRR has none), rates from two samples."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import TypeAdapter

from connectors.routers.frr_json import Count, Row, read
from network.observation import Link

INTERFACES = "show interface json"
COUNTERS = "ip -j -s link"

#: Seconds between two samples that make an honest rate: closer is noise, further apart is history.
SHORTEST_S, LONGEST_S = 0.2, 60.0


class InterfaceRow(Row):
    """`operationalStatus` is absent when the interface is shut."""

    administrative_status: str
    operational_status: str = "down"
    link_downs: Count | None = None
    mtu: Count | None = None


class BytesRow(Row):
    bytes: Count
    errors: Count | None = None


class StatsRow(Row):
    rx: BytesRow
    tx: BytesRow


class LinkRow(Row):
    ifname: str
    stats64: StatsRow


_INTERFACES: TypeAdapter[dict[str, InterfaceRow]] = TypeAdapter(dict[str, InterfaceRow])
_LINKS: TypeAdapter[list[LinkRow]] = TypeAdapter(list[LinkRow])


@dataclass(frozen=True, slots=True)
class Counters:
    """Counters of an interface: bytes received and sent, errors in and out together."""

    received: int
    sent: int
    errors: int | None = None


def interfaces(text: str) -> dict[str, Link]:
    """Interfaces by name, without rates; `downs` is FRR's own counter. Raises BadReply."""
    found = read(_INTERFACES, text, INTERFACES)
    return {
        name: Link(
            admin_up=row.administrative_status == "up",
            oper_up=row.operational_status == "up",
            downs=row.link_downs,
            mtu=row.mtu,
        )
        for name, row in found.items()
    }


def counters(text: str) -> dict[str, Counters]:
    """Counters by interface. Raises BadReply."""
    found = read(_LINKS, text, COUNTERS)
    return {row.ifname: _counters(row.stats64) for row in found}


def _counters(stats: StatsRow) -> Counters:
    both = (stats.rx.errors, stats.tx.errors)
    errors = None if None in both else sum(filter(None, both))
    return Counters(stats.rx.bytes, stats.tx.bytes, errors)


def rates(before: Counters | None, now: Counters | None, took_s: float) -> tuple[float, float] | None:
    """In and out in Mbps: in = received by the router (out of the cloud), out = sent by it.

    None on the first sample, after a counter reset, or when the samples lie absurdly close or far apart.
    """
    if before is None or now is None or not SHORTEST_S <= took_s <= LONGEST_S:
        return None
    received, sent = now.received - before.received, now.sent - before.sent
    return None if received < 0 or sent < 0 else (received * 8e-6 / took_s, sent * 8e-6 / took_s)
