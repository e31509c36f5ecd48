"""The ExpressRoute circuit, judged: its own states, and the signs that tell more than they do.

Its provisioning states are administrative and stay healthy on a dead leg, so the legs' layer 2 has its say. Metrics
and Resource Health make a circuit degraded, never down: BgpAvailability falls to 0 in Microsoft's own maintenance
while the session stays up, and all of them lag by minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, TypeGuard

from pydantic import Field

from connectors.azure_metrics import WINDOW, Metric, metrics_in, newest, query, series_by
from connectors.azure_site import Reference, legs_of, link_of
from connectors.azure_tables import LAYER_2_UP
from connectors.reply import Finding, Rows, Shape, Text, mapping, read
from network.inventory import Cloud, Path, Site
from network.observation import Circuit, Kind

AVAILABILITY = ("ArpAvailability", "BgpAvailability")
BITS = ("BitsInPerSecond", "BitsOutPerSecond")
DROPS = ("QosDropBitsInPerSecond", "QosDropBitsOutPerSecond")


class _PeeringProperties(Shape):
    peering_type: Text = ""
    state: Text = ""
    peer_asn: int | None = Field(alias="peerASN", default=None)
    vlan_id: int | None = None
    primary_azure_port: Text = ""
    secondary_azure_port: Text = ""
    primary_peer_address_prefix: Text = ""
    secondary_peer_address_prefix: Text = ""


class _Peering(Shape):
    name: Text = ""
    properties: _PeeringProperties


class _Provider(Shape):
    bandwidth_in_mbps: int | None = None


class _CircuitProperties(Shape):
    circuit_provisioning_state: Text = ""
    service_provider_provisioning_state: Text = ""
    service_provider_properties: _Provider | None = None
    express_route_port: Reference | None = None
    peerings: Rows[_Peering] = ()


class _Circuit(Shape):
    properties: _CircuitProperties


class _Stats(Shape):
    primary_in: int | None = Field(alias="primarybytesin", default=None)
    primary_out: int | None = Field(alias="primarybytesout", default=None)
    secondary_in: int | None = Field(alias="secondarybytesin", default=None)
    secondary_out: int | None = Field(alias="secondarybytesout", default=None)


class _HealthProperties(Shape):
    availability_state: Text = ""
    summary: Text = ""
    reason_type: Text = ""


class _Health(Shape):
    properties: _HealthProperties


@dataclass(frozen=True, slots=True)
class Availability:
    """Percent of the minute from `begins` in which a leg's ARP or BGP was there."""

    percent: float
    begins: datetime


@dataclass(frozen=True, slots=True)
class CircuitMetrics:
    """What Azure Monitor tells of the circuit: availability by path, bits and drops of both legs together in Mbps.

    `errors`: metrics that came with an error of their own instead of points.
    """

    arp: Mapping[str, Availability] = field(default_factory=dict)
    bgp: Mapping[str, Availability] = field(default_factory=dict)
    mbps: Mapping[str, float] = field(default_factory=dict)
    errors: tuple[str, ...] = ()


@dataclass
class Signs:
    """What is known of the circuit beside its own object, as it comes in; what is unknown is absent or None.

    `layer_2` (see `parse_arp`) and `session_up` are by path. `arp_back` and `bgp_back` are when either was seen to
    be there again: a metric's minute that began before tells of the absence, which is over.
    """

    layer_2: dict[str, str] = field(default_factory=dict)
    session_up: dict[str, bool] = field(default_factory=dict)
    arp_back: dict[str, datetime] = field(default_factory=dict)
    bgp_back: dict[str, datetime] = field(default_factory=dict)
    metrics: CircuitMetrics = CircuitMetrics()
    stats: Mapping[str, int | None] = field(default_factory=dict)
    health: Mapping[str, str] = field(default_factory=dict)


def parse_circuit(data: Any, site: Site, cloud: Cloud, signs: Signs) -> list[Finding]:
    """Circuit of each ExpressRoute path: Enabled, Provisioned (or a Direct port), private peering Enabled.

    Up also needs the leg's layer 2, where it is known; the other signs only degrade. Raises BadReply.
    """
    circuit = read(_Circuit, data, "azure circuit").properties
    private = [
        each.properties
        for each in circuit.peerings
        if "AzurePrivatePeering" in {each.name, each.properties.peering_type}
    ]
    peering = private[0].state if private else "absent"
    direct = circuit.express_route_port is not None and not circuit.service_provider_provisioning_state
    provider = "Direct" if direct else circuit.service_provider_provisioning_state
    ours = circuit.circuit_provisioning_state
    up = ours == "Enabled" and provider in {"Provisioned", "Direct"} and peering == "Enabled"
    state = f"circuit {ours or 'unknown'}, provider {provider or 'unknown'}, peering {peering or 'unknown'}"
    health = signs.health.get("availability_state", "")
    state += f", Resource Health {health}" if health.lower() not in {"", "available", "unknown"} else ""
    asn = private[0].peer_asn if private else None
    of_all = [] if asn in {None, site.on_prem.asn} else [f"the peering expects AS {asn} from us"]
    of_all += _of_all(signs)
    bandwidth = (circuit.service_provider_properties or _Provider()).bandwidth_in_mbps
    raw = {**circuit.model_dump(), "metrics": asdict(signs.metrics), "stats": signs.stats, "health": signs.health}
    found = []
    for path in legs_of(site, cloud):
        arp = signs.layer_2.get(path.name, "")
        wrong = [*_of_leg(path, signs), *of_all]
        words = ", ".join([state, *([arp] if arp else []), *wrong])
        fact = Circuit(up and arp in {"", LAYER_2_UP}, words, degraded=bool(wrong), bandwidth_mbps=bandwidth)
        found.append(Finding(Kind.CIRCUIT, path.name, fact, raw))
    return found


def _of_leg(path: Path, signs: Signs) -> list[str]:
    """What Azure Monitor holds against a leg that otherwise works: a dead one says so itself."""
    wrong = []
    arp, bgp = signs.metrics.arp.get(path.name), signs.metrics.bgp.get(path.name)
    if _lacking(arp, signs.arp_back.get(path.name)) and signs.layer_2.get(path.name, LAYER_2_UP) == LAYER_2_UP:
        wrong.append(f"ARP availability {arp.percent:.0f} %")
    if _lacking(bgp, signs.bgp_back.get(path.name)) and signs.session_up.get(path.name):
        wrong.append(f"BGP availability {bgp.percent:.0f} % although its session is up: Microsoft's side")
    return wrong


def _lacking(seen: Availability | None, back: datetime | None) -> TypeGuard[Availability]:
    return seen is not None and seen.percent < 100 and (back is None or seen.begins >= back)


def _of_all(signs: Signs) -> list[str]:
    """What is held against both legs. A circuit of which only some part is degraded may be the other leg's."""
    dropped = [mbps for name in DROPS if (mbps := signs.metrics.mbps.get(name, 0.0)) > 0]
    wrong = [f"{sum(dropped):g} Mbps dropped by its rate limit"] if dropped else []
    if signs.health.get("availability_state", "").lower() == "unavailable":
        wrong.append(signs.health.get("summary") or "Resource Health does not say why")
    return wrong


def circuit_query(now: datetime) -> dict[str, str]:
    """One call for all of the circuit's metrics: availability by leg, bits as the sum of both.

    Bits have no dimension Peer, and drops a coarser grain: the service is asked to pass over either.
    """
    more = {"$filter": "Peer eq '*'", "ValidateDimensions": "false", "AutoAdjustTimegrain": "true"}
    return query((*AVAILABILITY, *BITS, *DROPS), now, WINDOW, **more)


def parse_circuit_metrics(data: Any, site: Site, cloud: Cloud) -> CircuitMetrics:
    """The newest figures. Peer is Primary or Secondary, perhaps with a family behind it. Raises BadReply."""
    metrics = metrics_in(data, "azure circuit metrics")
    legs = {path.name: link_of(site, path) for path in legs_of(site, cloud)}
    arp, bgp = (_availability(metrics.get(name), legs) for name in AVAILABILITY)
    mbps = {name: total for name in (*BITS, *DROPS) if (total := _mbps(metrics.get(name))) is not None}
    return CircuitMetrics(arp, bgp, mbps, tuple(metric.error for metric in metrics.values() if metric.error))


def _availability(metric: Metric | None, legs: Mapping[str, str]) -> dict[str, Availability]:
    """By path; of several series of one leg (IPv4 and IPv6) the worse."""
    found: dict[str, Availability] = {}
    for peer, points in series_by(metric, "Peer").items():
        last = newest(points)
        for path, link in legs.items():
            if last is not None and last.average is not None and peer.lower().startswith(link):
                seen = Availability(last.average, last.time_stamp)
                found[path] = min(seen, found.get(path, seen), key=lambda each: each.percent)
    return found


def _mbps(metric: Metric | None) -> float | None:
    """The sum over the series of their newest totals; None when nothing was measured."""
    lasts = [
        max(valued, key=lambda point: point.time_stamp)
        for series in (metric.timeseries if metric else ())
        if (valued := [point for point in series.data if point.total is not None])
    ]
    return sum(last.total or 0.0 for last in lasts) / 1e6 if lasts else None


def parse_stats(data: Any) -> dict[str, int | None]:
    """Byte counters by leg and direction; the service's spelling of their keys is not the specification's."""
    where = "azure circuit stats"
    lowered = {key.lower(): value for key, value in mapping(data, where).items()}
    return read(_Stats, lowered, where).model_dump()


def parse_health(data: Any) -> dict[str, str]:
    """Resource Health's word for the circuit, as evidence."""
    return read(_Health, data, "azure Resource Health").properties.model_dump()
