"""Megaport's replies: what counts as up, what is absent, what never gets through."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from connectors.errors import BadReply
from connectors.megaport_events import parse_events
from connectors.megaport_products import STATUSES, parse_products
from connectors.megaport_telemetry import parse_load, parse_optics, parse_series
from connectors.megaport_vxc import parse_vxc
from connectors.reply import Origin
from network import sitefile
from network.events import Events, ProviderEvent
from network.observation import FabricPort, FabricVxc, Kind, Load, Optics

SITE_FILE = Path(__file__).parents[2] / "lab" / "reference.yaml"
SITE = sitefile.load(SITE_FILE.read_text(), SITE_FILE).site


def vxc(**over: Any) -> dict[str, Any]:
    return {
        "productUid": SITE.vxc("vxc-azure-a").uid,
        "productName": "A NAME OF ITS OWN",
        "rateLimit": 500,
        "provisioningStatus": "LIVE",
        "up": True,
        "shutdown": False,
        "resources": {"vll": {"up": 1}, "csp_connection": {"connectType": "AZURE", "service_key": "sk-canary"}},
        **over,
    }


def port(**over: Any) -> dict[str, Any]:
    return {
        "productUid": SITE.port("port-a").uid,
        "productType": "MEGAPORT",
        "provisioningStatus": "LIVE",
        "locked": False,
        "resources": {"interface": {"up": 1}},
        "associatedVxcs": [vxc()],
        **over,
    }


def facts(*products: Any) -> dict[tuple[Kind, str], Any]:
    found = parse_products({"message": "ok", "data": list(products)}, SITE)
    return {(each.kind, each.name): each.fact for each in found}


def vxc_fact(**over: Any) -> FabricVxc:
    fact = facts(port(associatedVxcs=[vxc(**over)]))[Kind.VXC, "vxc-azure-a"]
    assert isinstance(fact, FabricVxc)
    return fact


def test_a_live_port_and_vxc_are_up_by_their_site_names() -> None:
    seen = facts(port())
    assert seen[Kind.PORT, "port-a"] == FabricPort(up=True, status="LIVE")
    expected = FabricVxc(up=True, shutdown=False, status="LIVE", rate_mbps=500)
    assert seen[Kind.VXC, "vxc-azure-a"] == expected


def test_what_the_reply_does_not_list_is_absent_not_missing() -> None:
    seen = facts(port())
    assert seen[Kind.PORT, "port-b"] == FabricPort(up=False, status="absent")
    assert seen[Kind.VXC, "vxc-aws-b"].status == "absent"
    assert not seen[Kind.VXC, "vxc-aws-b"].up
    assert len(seen) == len(SITE.ports) + len(SITE.vxcs)


@pytest.mark.parametrize(
    ("over", "up"),
    [
        ({"resources": {"interface": {"up": 0}}}, False),
        ({"resources": {"interface": [{"up": 1}, {"up": 1}]}}, True),
        ({"resources": {"interface": [{"up": 1}, {"up": 0}]}}, False),
        ({"resources": {}}, False),
        ({"resources": None}, False),
        ({"provisioningStatus": "CONFIGURED"}, True),
        ({"provisioningStatus": "DEPLOYABLE"}, False),
    ],
)
def test_a_port_is_up_by_its_light_and_status(over: dict[str, Any], up: bool) -> None:
    assert facts(port(**over))[Kind.PORT, "port-a"].up is up


@pytest.mark.parametrize(
    ("over", "up"),
    [
        ({"up": False}, False),
        ({"shutdown": True}, False),
        ({"provisioningStatus": "CANCELLED"}, True),
        ({"provisioningStatus": "DECOMMISSIONED"}, False),
        ({"provisioningStatus": "A_NEW_WORD"}, False),
        ({"up": None}, True),
        ({"up": None, "resources": {"vll": {"up": 0}}}, False),
        ({"up": None, "resources": {"vll": []}}, False),
        ({"up": None, "resources": []}, False),
    ],
)
def test_a_vxc_is_up_by_link_status_and_no_shutdown(over: dict[str, Any], up: bool) -> None:
    assert vxc_fact(**over).up is up


@pytest.mark.parametrize("csp", [{"connectType": "AZURE"}, [{"connectType": "AWSHC"}], [], None])
def test_csp_connection_may_be_an_object_a_list_or_nothing(csp: Any) -> None:
    assert vxc_fact(resources={"vll": {"up": 1}, "csp_connection": csp}).up


def test_a_waiting_approval_is_told() -> None:
    nothing = {"status": None, "message": None, "type": None, "newSpeed": None}
    assert vxc_fact(vxcApproval=nothing).waiting == ""
    asked = {"status": "PENDING", "message": "by the B end", "type": "SPEED_CHANGE", "newSpeed": 900}
    assert vxc_fact(vxcApproval=asked).waiting == "SPEED_CHANGE PENDING to 900 Mbps by the B end"


@pytest.mark.parametrize("lock", ["locked", "adminLocked"])
def test_either_lock_locks(lock: str) -> None:
    assert vxc_fact(**{lock: True}).locked
    assert facts(port(**{lock: True}))[Kind.PORT, "port-a"].locked


def test_no_secret_of_a_reply_reaches_the_evidence() -> None:
    found = parse_products({"data": [port()]}, SITE)
    origin = Origin("megaport", datetime(2026, 1, 1, tzinfo=UTC), 3, "GET /v2/products")
    assert "sk-canary" not in json.dumps([item.raw for item in origin.observe(found)])


@pytest.mark.parametrize("reply", [None, [], "<html>", {}, {"data": None}, {"data": "gone"}, {"data": [1]}])
def test_an_unknown_shape_is_a_bad_reply_never_an_empty_one(reply: Any) -> None:
    with pytest.raises(BadReply):
        parse_products(reply, SITE)


def test_a_wrong_field_is_named() -> None:
    with pytest.raises(BadReply, match="rateLimit"):
        vxc_fact(rateLimit="fast")


def test_another_customers_odd_product_does_not_blind_us() -> None:
    odd = {"productUid": "someone-elses", "resources": 7, "associatedVxcs": [{"productUid": 12}]}
    assert facts(odd, port())[Kind.PORT, "port-a"].up


def telemetry(unit: str, **series: list[list[float | None]]) -> dict[str, Any]:
    data = [
        {"type": "BITS", "subtype": name, "samples": samples, "unit": {"name": unit}}
        for name, samples in series.items()
    ]
    return {"serviceUid": "x", "type": "VXC", "data": data}


def test_load_is_the_larger_directions_95th_percentile_over_the_real_span() -> None:
    day = 86_400_000
    low: list[list[float | None]] = [[i * day / 100, 1] for i in range(101)]
    high: list[list[float | None]] = [[i * day / 100, i + 1] for i in range(100)]
    (found,) = parse_load(telemetry("Mbps", In=low, Out=high), "vxc-azure-a")
    assert found.fact == Load(p95_mbps=95.0, days=1.0)
    assert (found.kind, found.name) == (Kind.LOAD, "vxc-azure-a")


def test_units_are_read_and_gaps_skipped() -> None:
    (found,) = parse_load(telemetry("bps", In=[[0, 2e9], [300_000, None]]), "v")
    assert found.fact == Load(p95_mbps=2000.0, days=0.0)
    with pytest.raises(BadReply, match="furlongs"):
        parse_load(telemetry("furlongs", In=[[0, 1]]), "v")


def test_no_samples_is_no_load_rather_than_zero() -> None:
    assert parse_load(telemetry("Mbps", In=[], Out=[[0, None]]), "v") == []


@pytest.mark.parametrize("status", STATUSES)
def test_every_known_status_but_live_is_explained(status: str) -> None:
    note = vxc_fact(provisioningStatus=status).note
    assert (note == "") == (status == "LIVE")
    assert vxc_fact(provisioningStatus="A_NEW_WORD").note == "a status that this console does not know"


def test_a_vxc_below_both_its_ends_is_one_vxc() -> None:
    other = port(productUid="an-mcr", associatedVxcs=[vxc(up=False)])
    assert facts(port(), other)[Kind.VXC, "vxc-azure-a"].up


@pytest.mark.parametrize(
    ("csp", "kinds"),
    [
        ({"connectType": "AZURE", "bandwidth": 2000}, ["AZURE"]),
        ([{"connectType": "AWSHC"}, {"connectType": "VROUTER"}], ["AWSHC", "VROUTER"]),
        ([], []),
        (None, []),
    ],
)
def test_the_clouds_ends_are_always_a_list(csp: Any, kinds: list[str]) -> None:
    details = parse_vxc(vxc(resources={"csp_connection": csp}), "here")
    assert [end.connect_type for end in details.cloud_ends] == kinds


def test_no_secret_of_a_cloud_end_survives_the_parser() -> None:
    names = ("authKey", "shared_key", "password", "service_key", "pairingKey")
    csp = {"connectType": "AWS", "peers": [{"shared_key": "canary-peer"}], **{name: f"canary-{name}" for name in names}}
    found = parse_products({"data": [port(associatedVxcs=[vxc(resources={"csp_connection": csp})])]}, SITE)
    assert "canary" not in f"{found} {parse_vxc(vxc(resources={'csp_connection': csp}), 'here')!r}"


NOW = datetime(2026, 1, 7, 12, 0, tzinfo=UTC)


def event(**over: Any) -> dict[str, Any]:
    return {
        "eventId": "CSS-1",
        "state": "Scheduled",
        "startTime": "2026-01-08T12:00:00.000Z",
        "endTime": "2026-01-08T16:00:00.000Z",
        "services": [SITE.port("port-a").uid[:8].upper()],
        **over,
    }


def events(*rows: dict[str, Any]) -> tuple[ProviderEvent, ...]:
    (found,) = parse_events([("maintenance", {"data": list(rows)})], SITE, NOW)
    assert (found.kind, found.name) == (Kind.EVENTS, "megaport")
    assert isinstance(found.fact, Events)
    return found.fact.events


def test_an_event_touches_what_begins_with_its_short_ids() -> None:
    (seen,) = events(event(services=["00000000", SITE.port("port-a").uid[:8], SITE.vxc("vxc-aws-b").uid]))
    assert seen.touches == ("port-a", "vxc-aws-b")
    assert seen.title == "maintenance"
    assert events(event(services=["00000000"])) == events(event(services=None)) == ()
    with pytest.raises(BadReply, match="services"):
        events(event(services=["a"]))  # would be the beginning of half the fabric


@pytest.mark.parametrize(
    ("over", "shown"),
    [
        ({"startTime": NOW + timedelta(days=13)}, True),
        ({"startTime": NOW + timedelta(days=15)}, False),
        ({"state": "Completed", "startTime": NOW - timedelta(days=3), "endTime": NOW - timedelta(hours=23)}, True),
        ({"state": "Completed", "startTime": NOW - timedelta(days=3), "endTime": NOW - timedelta(hours=25)}, False),
        ({"state": "Completed", "startTime": NOW - timedelta(days=3), "endTime": None}, False),
        ({"state": "Running", "startTime": NOW - timedelta(days=9), "endTime": NOW - timedelta(days=8)}, True),
    ],
)
def test_the_calendar_goes_its_days_ahead_and_one_day_back(over: dict[str, Any], shown: bool) -> None:
    texts = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in over.items()}
    assert bool(events(event(**texts))) is shown


def test_an_event_that_moved_on_between_two_answers_is_told_once_and_in_its_later_state() -> None:
    replies = [("maintenance", [event()]), ("maintenance", {"data": [event(state="Running")]})]
    (found,) = parse_events(replies, SITE, NOW)
    assert [each.state for each in found.fact.events] == ["running"]


def test_times_without_a_zone_are_utc_and_others_become_it() -> None:
    (seen,) = events(event(startTime="2026-01-08T12:00:00", endTime="2026-01-08T18:00:00+02:00"))
    assert (seen.starts, seen.ends) == (datetime(2026, 1, 8, 12, tzinfo=UTC), datetime(2026, 1, 8, 16, tzinfo=UTC))


@pytest.mark.parametrize("over", [{"state": "Postponed"}, {"eventId": ""}, {"startTime": None}, {"startTime": "soon"}])
def test_an_event_that_cannot_be_read_is_an_error_never_a_quiet_calendar(over: dict[str, Any]) -> None:
    with pytest.raises(BadReply):
        events(event(**over))
    with pytest.raises(BadReply):
        parse_events([("outage", {"data": None})], SITE, NOW)


def power(way: str, value: str, uid: str) -> str:
    return f'megaport_service_optical_{way}_power_dbm{{some="x",label="{uid}",lane="1"}} {value} 1767787200\n'


def test_light_is_of_the_port_whose_uid_is_a_label_and_the_weakest_laser_counts() -> None:
    a, b = SITE.ports
    lasers = power("receive", "-3.5", a.uid) + power("receive", "-9.25", a.uid) + power("transmit", "-2", a.uid)
    page = "# TYPE x gauge\n" + lasers + power("receive", "NaN", b.uid) + power("receive", "1", "another-port")
    (found,) = parse_optics(page, SITE)
    assert (found.kind, found.name) == (Kind.OPTICS, f"{a.router} {a.interface}")
    assert found.fact == Optics(rx_dbm=-9.25, tx_dbm=-2.0)
    assert parse_optics("", SITE) == []


@pytest.mark.parametrize("page", ["<html>sign in</html>", power("receive", "bright", SITE.ports[0].uid)])
def test_a_page_without_metrics_or_numbers_is_a_bad_reply(page: str) -> None:
    with pytest.raises(BadReply):
        parse_optics(page, SITE)


def test_a_series_is_in_mbps_or_packets_a_second_and_skips_gaps() -> None:
    bits = {"type": "BITS", "subtype": "In", "unit": {"name": "bps"}, "samples": [[1000, 5e6], [2000, None]]}
    packets = {"type": "PACKETS", "subtype": "Out", "unit": {"name": "kpps"}, "samples": [[3000, 2]]}
    first, second = parse_series({"data": [bits, packets]}, "v")
    assert first.values == ((datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC), 5.0),)
    assert (second.counts, second.direction, second.values[0][1]) == ("PACKETS", "Out", 2000.0)
    with pytest.raises(BadReply, match="no time"):
        parse_series({"data": [{**bits, "samples": [[1e300, 1]]}]}, "v")
