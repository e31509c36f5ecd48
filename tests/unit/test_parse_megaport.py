"""Megaport's replies: what counts as up, what is absent, what never gets through."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connectors.errors import BadReply
from connectors.megaport_products import parse_products
from connectors.megaport_telemetry import parse_load as parse_telemetry
from connectors.reply import Origin
from network import sitefile
from network.observation import FabricPort, FabricVxc, Kind, Load

SITE_FILE = Path(__file__).parents[2] / "lab" / "reference.yaml"
SITE = sitefile.load(SITE_FILE.read_text(), SITE_FILE).site
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


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
    (found,) = parse_telemetry(telemetry("Mbps", In=low, Out=high), "vxc-azure-a")
    assert found.fact == Load(p95_mbps=95.0, days=1.0)
    assert (found.kind, found.name) == (Kind.LOAD, "vxc-azure-a")


def test_units_are_read_and_gaps_skipped() -> None:
    (found,) = parse_telemetry(telemetry("bps", In=[[0, 2e9], [300_000, None]]), "v")
    assert found.fact == Load(p95_mbps=2000.0, days=0.0)
    with pytest.raises(BadReply, match="furlongs"):
        parse_telemetry(telemetry("furlongs", In=[[0, 1]]), "v")


def test_no_samples_is_no_load_rather_than_zero() -> None:
    assert parse_telemetry(telemetry("Mbps", In=[], Out=[[0, None]]), "v") == []


@given(JSON_VALUES)
@settings(max_examples=100)
def test_any_json_is_facts_or_a_bad_reply(noise: Any) -> None:
    for reply in (noise, {"data": noise}, {"data": [port(associatedVxcs=[vxc(resources=noise)])]}):
        try:
            parse_products(reply, SITE)
        except BadReply:
            continue
    for reply in (noise, {"data": noise}, {"data": [{"unit": {"name": "Mbps"}, "samples": noise}]}):
        try:
            parse_telemetry(reply, "vxc-azure-a")
        except BadReply:
            continue
