"""Whatever the fabric sends: facts and results, or a BadReply. Nothing else comes out of a parser."""

import copy
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.errors import BadReply
from connectors.megaport_client import content
from connectors.megaport_events import parse_events
from connectors.megaport_glass_parse import (
    parse_bgp_routes,
    parse_ip_routes,
    parse_ping,
    parse_sessions,
    parse_traceroute,
)
from connectors.megaport_keys import parse_locations, parse_offer, parse_partner_ports, parse_service_key
from connectors.megaport_price import parse_price
from connectors.megaport_products import parse_products
from connectors.megaport_telemetry import parse_load, parse_optics, parse_series
from connectors.megaport_vxc import parse_vxc
from tests.sample import reference

SITE = reference()
NOW = datetime(2026, 1, 7, 12, 0, tzinfo=UTC)
NOISE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8) | st.just(10**30),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
VXC = {
    "productUid": SITE.vxcs[0].uid,
    "rateLimit": 1000,
    "maximumRate": 2000,
    "provisioningStatus": "LIVE",
    "up": True,
    "vxcApproval": {"status": "PENDING", "type": "SPEED_CHANGE", "newSpeed": 5, "message": "m"},
    "aEnd": {"locationId": 1},
    "bEnd": {"locationId": 2},
    "resources": {"vll": {"up": 1}, "csp_connection": [{"connectType": "AWSHC", "bandwidths": [50]}]},
}
PORT = {
    "productUid": SITE.ports[0].uid,
    "provisioningStatus": "LIVE",
    "resources": {"interface": [{"up": 1}]},
    "associatedVxcs": [VXC],
}
SERIES = {"type": "BITS", "subtype": "In", "unit": {"name": "Mbps"}, "samples": [[1767787200000, 12.5], [1, None]]}
EVENT = {
    "eventId": "CSS-1",
    "outageId": "x",
    "state": "Running",
    "startTime": "2026-01-07T12:00:00.000Z",
    "endTime": "2026-01-07T13:00:00.000+14:00",
    "services": [SITE.ports[0].uid[:8]],
    "eventType": "Planned",
}
HOP = {"ip": "192.0.2.1", "vxc": {"id": "u", "name": "n"}}
ROUTE = {"prefix": "10.0.0.0/8", "nextHop": HOP, "asPath": "1 2", "communities": ["1:2"], "med": 0, "localPref": 1}
SESSION = {"sessionId": "s", "neighborAddress": "192.0.2.1", "neighborAsn": 1, "localAsn": 2, "status": "UP"}
STATISTICS = {"packetsTransmitted": 1, "packetsReceived": 1, "packetLossPct": 0.0, "rttAvgMs": 1.0}
OFFER = {"bandwidth": 1, "bandwidths": [1], "vlan": 1, "megaports": [{"productUid": "u", "vxc": 0, "portSpeed": 1}]}
PARTNER = {"productUid": "u", "title": "t", "locationId": 1, "vxcPermitted": True}

PARSERS: dict[str, tuple[Any, Callable[[Any], object]]] = {
    "envelope": ({"data": [1]}, lambda data: content(data, "here")),
    "products": ({"data": [PORT]}, lambda data: parse_products(data, SITE)),
    "load": ({"data": [SERIES]}, lambda data: parse_load(data, "v")),
    "series": ({"data": [SERIES]}, lambda data: parse_series(data, "v")),
    "maintenance": ({"data": [EVENT]}, lambda data: parse_events([("maintenance", data)], SITE, NOW)),
    "outage": ([EVENT], lambda data: parse_events([("outage", data)], SITE, NOW)),
    "ip routes": ([ROUTE], lambda data: parse_ip_routes(data, "here")),
    "bgp routes": ([ROUTE], lambda data: parse_bgp_routes(data, "here")),
    "sessions": ([SESSION], lambda data: parse_sessions(data, "here")),
    "ping": ({"statistics": STATISTICS}, lambda data: parse_ping(data, "here")),
    "traceroute": ({"hops": [{"hop": "1", "probes": [{"host": "h"}]}]}, lambda data: parse_traceroute(data, "here")),
    "offer": (OFFER, lambda data: parse_offer(data, "here")),
    "service key": ({"maxSpeed": 1, "valid": True}, lambda data: parse_service_key(data, "here")),
    "partner ports": ([PARTNER], lambda data: parse_partner_ports(data, "here")),
    "locations": ([{"id": 1, "name": "n"}], lambda data: parse_locations(data, "here")),
    "vxc": (VXC, lambda data: parse_vxc(data, "here").cloud_ends),
    "price": ({"currency": "EUR", "monthlyRate": 1.5}, lambda data: parse_price(data, "here")),
}


def places(data: Any, at: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield at
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, inside in items:
        yield from places(inside, (*at, key))


def with_noise(data: Any, place: tuple[Any, ...], noise: Any) -> Any:
    if not place:
        return noise
    changed = copy.deepcopy(data)
    inside = changed
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = noise
    return changed


@pytest.mark.parametrize("name", PARSERS)
@given(data=st.data())
@settings(max_examples=60)
def test_noise_anywhere_in_a_reply_is_a_result_or_a_bad_reply(name: str, data: st.DataObject) -> None:
    sample, parse = PARSERS[name]
    parse(sample)  # as it is, it is good
    place = data.draw(st.sampled_from(list(places(sample))))
    try:
        parse(with_noise(sample, place, data.draw(NOISE)))
    except BadReply:
        return


METRICS = (
    "# HELP megaport_service_optical_receive_power_dbm x\n"
    f'megaport_service_optical_receive_power_dbm{{service_uid="{SITE.ports[0].uid}",lane="1"}} -3.5\n'
)


@given(st.text(max_size=30), st.integers(0, len(METRICS)), st.integers(0, 20))
@settings(max_examples=150)
def test_noise_anywhere_in_the_metrics_is_a_result_or_a_bad_reply(noise: str, at: int, less: int) -> None:
    try:
        parse_optics(METRICS[:at] + noise + METRICS[at + less :], SITE)
    except BadReply:
        return
