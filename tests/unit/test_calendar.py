"""The calendar: which plans count, and which two at once are worse than either alone."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from network.alerts import Alert
from network.calendar import overlaps, planned, silent
from network.events import Events, EventState, ProviderEvent
from network.health import judge
from network.layers import View
from network.observation import Kind, Observation
from tests.sample import NOW, healthy, reference, seen

SITE = reference()


def event(
    number: str,
    *touches: str,
    system: str = "megaport",
    in_h: float = 24,
    lasts_h: float | None = 4,
    state: EventState = "announced",
) -> ProviderEvent:
    starts = NOW + timedelta(hours=in_h)
    ends = None if lasts_h is None else starts + timedelta(hours=lasts_h)
    return ProviderEvent(number, system, "maintenance", state, f"work {number}", starts, ends, touches)


def told(*events: ProviderEvent) -> list[Observation]:
    by_system: dict[str, list[ProviderEvent]] = {}
    for each in events:
        by_system.setdefault(each.system, []).append(each)
    return [seen(Kind.EVENTS, system, Events(tuple(some)), age_s=0.1) for system, some in by_system.items()]


def view(*events: ProviderEvent, now: datetime = NOW) -> View:
    return View(SITE, healthy(SITE).with_observations(told(*events)), now)


def alerts(*events: ProviderEvent) -> list[Alert]:
    at = view(*events)
    return [a for a in judge(at.site, at.snapshot, at.now).alerts if a.id.startswith("calendar:")]


@pytest.mark.parametrize(
    ("one", "other", "clouds"),
    [
        (("port-a",), ("port-b",), {"azure", "aws"}),
        (("dx-1",), ("dx-2",), {"aws"}),
        (("er-primary",), ("er-secondary",), {"azure"}),
        (("er-primary",), ("port-b",), {"azure"}),
        (("vxc-aws-a",), ("dx-2",), {"aws"}),
        (("edge-1",), ("edge-2",), {"azure", "aws"}),
        (("er-circuit",), ("vpngw-azure",), {"azure"}),
        (("port-a",), ("vxc-azure-a",), set()),
        (("port-a",), ("dx-1",), set()),
        (("vpn-azure-1",), ("vpn-azure-2",), {"azure"}),
        (("port-a",), ("vpn-azure-1",), {"azure"}),
        (("port-a",), ("isp-2",), set()),
        (("port-a",), ("nothing-of-ours",), set()),
        (("azure",), ("port-a",), set()),
    ],
)
def test_two_events_at_once_are_told_when_diversity_does_not_survive_both(
    one: tuple[str, ...], other: tuple[str, ...], clouds: set[str]
) -> None:
    found = overlaps(view(event("MP1", *one), event("AZ1", *other, system="azure", in_h=26)))
    assert {overlap.cloud for overlap in found} == clouds


def test_an_overlap_says_when_and_what_is_left_and_what_that_shares() -> None:
    found = overlaps(view(event("MP1", "port-a"), event("CHG7", "port-b", system="servicenow", in_h=26)))
    azure = next(overlap for overlap in found if overlap.cloud == "azure")
    assert (azure.starts, azure.ends) == (NOW + timedelta(hours=26), NOW + timedelta(hours=28))
    assert (azure.left, azure.shared) == (("azure/vpn-1", "azure/vpn-2"), ("vpngw-azure",))
    assert azure.text == (
        "megaport MP1 and servicenow CHG7 overlap from 24 Nov 05:00Z: "
        "azure is left with azure/vpn-1, azure/vpn-2, all behind vpngw-azure"
    )


def test_events_one_after_the_other_do_not_overlap() -> None:
    assert overlaps(view(event("1", "port-a"), event("2", "port-b", in_h=28))) == ()


def test_an_event_whose_end_nobody_knows_overlaps_with_everything_after_it() -> None:
    running = event("1", "port-a", in_h=-1, lasts_h=None, state="running")
    assert len(overlaps(view(running, event("2", "port-b", in_h=300)))) == 2


def test_what_is_over_cancelled_or_beyond_the_calendars_days_is_not_on_it() -> None:
    kept = event("kept", "port-a", in_h=-2, state="running")
    gone = [
        event("over", "port-b", in_h=-9),
        event("done", "port-b", state="done"),
        event("off", "port-b", state="cancelled"),
        event("far", "port-b", in_h=24 * 15),
    ]
    assert planned(view(kept, *gone)) == (kept,)


def test_the_calendar_is_in_order_of_beginning_over_all_systems() -> None:
    later, sooner = event("1", "port-a", in_h=9), event("2", "dx-1", system="aws", in_h=3)
    assert planned(view(later, sooner)) == (sooner, later)


def test_a_system_that_has_not_told_or_not_lately_is_named_and_its_old_plans_still_count() -> None:
    assert silent(view(event("1", "port-a"))) == ("azure", "aws", "servicenow")
    late = view(event("1", "port-a"), now=NOW + timedelta(hours=1))
    assert "megaport" in silent(late)
    assert len(planned(late)) == 1


def test_the_alert_is_the_same_however_often_and_in_whichever_order_it_is_seen() -> None:
    one, other = event("MP1", "dx-1"), event("AW1", "dx-2", system="aws", in_h=25)
    (first,), (again,) = alerts(one, other), alerts(other, one)
    assert first.id == again.id == "calendar:aws:aws-AW1+megaport-MP1"
    assert (first.severity, first.path) == ("warning", "aws")


def test_an_overlap_that_leaves_nothing_is_critical() -> None:
    assert [a.severity for a in alerts(event("1", "er-circuit"), event("2", "vpngw-azure"))] == ["critical"]
    assert alerts() == []
