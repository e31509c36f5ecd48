"""What is asked of the fabric on demand: keys, offers, prices of a change, telemetry of a span."""

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest

from connectors.errors import NotFound, NotSent
from connectors.megaport_keys import Location, ServiceKey
from connectors.megaport_telemetry import series_of
from connectors.redact import RedactingFilter, redactor
from lab.megaport.products import service_key
from network.inventory import Vxc
from tests.contract.megaport_fabric import SITE, Fabric

AZURE, AWS = SITE.vxc("vxc-azure-a"), SITE.vxc("vxc-aws-a")


@pytest.fixture
async def fabric() -> AsyncIterator[Fabric]:
    made = Fabric()
    await made.start()
    yield made
    await made.stop()


async def test_an_expressroute_key_shows_its_bandwidth_and_which_side_is_free(fabric: Fabric) -> None:
    offer = await fabric.source.lookups.azure_key(service_key(fabric.world))
    assert (offer.bandwidth_mbps, offer.vlan) == (2000, 100)
    assert [(port.side, port.free, port.state) for port in offer.ports] == [
        ("primary", False, "LIVE"),
        ("secondary", False, "LIVE"),
    ]


async def test_a_key_is_in_no_error_no_log_and_no_result(fabric: Fabric, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.handler.addFilter(RedactingFilter(redactor))
    known, unknown = service_key(fabric.world), "11112222-3333-4444-5555-666677778888"
    found = await fabric.source.lookups.azure_key(known)
    partner = await fabric.source.lookups.service_key(fabric.lab.offers.partner_key)
    with pytest.raises(NotFound) as wrong:
        await fabric.source.lookups.azure_key(unknown)
    with pytest.raises(NotFound) as absent:
        await fabric.source.lookups.service_key(unknown)
    told = f"{found} {partner} {wrong.value} {absent.value} {caplog.text}"
    assert "secure/azure" in told
    assert not [key for key in (known, unknown, fabric.lab.offers.partner_key) if key in told]


async def test_what_cannot_be_a_key_is_not_sent(fabric: Fabric) -> None:
    for ask in (fabric.source.lookups.azure_key, fabric.source.lookups.service_key):
        with pytest.raises(NotSent, match="no service key"):
            await ask(" abc ")
    assert fabric.wire.asked == []


async def test_hosted_connections_partner_ports_and_locations_are_listed(fabric: Fabric) -> None:
    lookups = fabric.source.lookups
    hosted = await lookups.aws_hosted_connection()
    assert (hosted.bandwidths_mbps[0], hosted.bandwidths_mbps[-1]) == (50, 10000)
    assert all(port.free for port in hosted.ports)
    assert [port.connect_type for port in await lookups.partner_ports("AZURE")] == ["AZURE", "AZURE"]
    places = await lookups.locations()
    assert [place.name for place in places] == ["pop-a", "pop-b"]
    assert isinstance(places[0], Location)
    known = await lookups.service_key(fabric.lab.offers.partner_key)
    assert known == ServiceKey(500, 120, True, False, True, False, True)


async def test_a_resize_has_a_price_and_its_limits(fabric: Fabric) -> None:
    quote = await fabric.source.prices.resize(AZURE, 2000)
    assert (quote.now_mbps, quote.to_mbps, quote.currency, quote.replaces) == (1000, 2000, "EUR", False)
    assert (quote.monthly_now, quote.monthly_then, quote.monthly_more) == (378.0, 756.0, 378.0)
    assert {limit.mbps for limit in quote.limits} == {10000, 2000}
    assert quote.allowed


@pytest.mark.parametrize(
    ("vxc", "mbps", "against"),
    [
        (AZURE, 2001, "above the VXC's own maximum, 2000 Mbps"),
        (AZURE, 2001, "above the bandwidth of its ExpressRoute key, 2000 Mbps"),
        (AZURE, 20000, "above the speed of port-a, 10000 Mbps"),
        (AZURE, 1000, "it has 1000 Mbps already"),
        (AZURE, 0, "a whole number of Mbps above 0"),
        (AWS, 750, "hosted connections come in 50, 100, 200"),
    ],
)
async def test_a_rate_that_does_not_fit_says_why(fabric: Fabric, vxc: Vxc, mbps: int, against: str) -> None:
    quote = await fabric.source.prices.resize(vxc, mbps)
    assert not quote.allowed
    assert against in "; ".join(quote.against)
    assert (quote.monthly_then is None) == (mbps <= 0)


async def test_a_hosted_connection_is_replaced_not_resized(fabric: Fabric) -> None:
    fabric.lab.overrides["vxc-aws-a"] = {"maximumRate": None}
    quote = await fabric.source.prices.resize(AWS, 2000)
    assert (quote.allowed, quote.replaces) == (True, True)


async def test_a_lock_and_a_waiting_approval_speak_against_a_change(fabric: Fabric) -> None:
    waiting = {"status": "PENDING", "type": "SPEED_CHANGE", "newSpeed": 1500, "message": None}
    fabric.lab.overrides["vxc-azure-a"] = {"locked": True, "vxcApproval": waiting}
    quote = await fabric.source.prices.resize(AZURE, 2000)
    assert quote.against == ("it is locked", "it waits already: SPEED_CHANGE PENDING to 1500 Mbps")


async def test_a_price_is_unknown_where_the_fabric_tells_no_places(fabric: Fabric) -> None:
    fabric.lab.overrides["vxc-azure-a"] = {"bEnd": {"locationId": None}}
    quote = await fabric.source.prices.resize(AZURE, 2000)
    assert (quote.monthly_now, quote.monthly_then, quote.monthly_more) == (None, None, None)


async def test_telemetry_of_a_span_is_in_mbps_and_packets_by_time(fabric: Fabric) -> None:
    end = datetime.now(UTC) - timedelta(hours=1)
    start, lane = end - timedelta(hours=2), fabric.source.client.asked
    found = await series_of(lane, AZURE, ("BITS", "PACKETS"), start=start, end=end)
    assert [(each.counts, each.direction) for each in found] == [
        ("BITS", "In"),
        ("BITS", "Out"),
        ("PACKETS", "In"),
        ("PACKETS", "Out"),
    ]
    bits, packets = found[0].values, found[2].values
    assert len(bits) == len(packets) == 24
    assert start <= bits[0][0] < bits[-1][0] < end
    assert packets[0][1] == pytest.approx(bits[0][1] * 1e6 / 7200, rel=1e-3)
    port = await series_of(lane, SITE.port("port-a"), days=2)
    assert len(port[0].values) == 2 * 288
